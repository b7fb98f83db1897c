"""A channel of one's own: white noise with impulses, as switches and ignitions make, in its simplest form:
Bernoulli-Gaussian noise, of which most uses meet the background, and few of them much more.

    jscc-sim transmit astronaut --snr-db 10 --cbr 1/16 --channel examples/impulsive.py:Impulsive:rate=0.02
    python examples/impulsive.py

Source: Ghosh 1996, Analysis of the effect of impulse noise on multicarrier and single carrier QAM systems.
"""

from dataclasses import dataclass

import numpy as np

from jscc_sim.channels import Channel, Received, complex_normal
from jscc_sim.errors import InputError
from jscc_sim.units import noise_variance


@dataclass(frozen=True)
class Impulsive(Channel):
    """White noise with impulses. rate: share of the uses that one hits; ratio: its power over the
    background's. The mean power of both is that of the SNR. The receiver is not told where they are."""

    rate: float = 0.01
    ratio: float = 100.0

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.rate <= 1:
            raise InputError(f"rate of {self.rate} impulses per use is outside 0 to 1")

    def _disturb(self, symbols, fading, noise, estimation):
        mean = noise_variance(self.snr_db)
        background = mean / (1 + self.rate * (self.ratio - 1))
        normal, hits = noise.spawn(2)  # a stream each: a longer frame meets the same noise first
        amplitude = np.where(hits.random(len(symbols)) < self.rate, self.ratio**0.5, 1.0)
        received = symbols + amplitude * complex_normal(len(symbols), background, normal)
        return Received(received.astype(np.complex64), mean)


def main():
    from jscc_sim.sweeps import Grid, LocalProcesses, run, table

    grid = Grid(
        images=["astronaut"],
        systems=["jpeg+ldpc", "softcast"],
        channels=["awgn", Impulsive(10.0, rate=0.02)],
        snr_db=[10, 20],
        cbr=["1/16"],
    )
    run(grid.trials(), "impulsive.sqlite", LocalProcesses(2), progress=True)
    print(table("impulsive.sqlite")[["system", "channel", "snr_db", "psnr_db", "outage"]].to_string())


if __name__ == "__main__":
    main()
