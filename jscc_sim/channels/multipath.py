"""Channels with echoes: the tapped delay lines of 3GPP TR 38.901, and any taps that are given.

They act on samples, so they need a waveform that can undo them. Each path fades on its own with the Doppler
spectrum of scatterers all round (Jakes), as a sum of sinusoids; the fixed path of a line of sight has seven
tenths of the largest Doppler shift. Sources: 3GPP TR 38.901, section 7.7.2, as Sionna has it; Zheng and Xiao
2003 (the sum of sinusoids).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels.base import OfSamples
from jscc_sim.errors import InputError
from jscc_sim.inference import building

Samples = NDArray[np.complex64]

SPEED_OF_LIGHT = 299_792_458.0
CARRIER_GHZ = 3.5
LONGEST_SPREAD_NS, FASTEST_MPS, HIGHEST_GHZ = 1e5, 1e3, 1e3
MOST_TAPS = 64

SINUSOIDS = 32
"""Of a path's fading."""

DIRECT_DOPPLER = 0.7
"""Doppler shift of the fixed path, of the largest one."""

GAIN_STEP, GAIN_TURN = 128, 0.012
"""Samples and cycles of the largest Doppler shift, whichever is less, in which a path's gain is taken to
change evenly."""

TIMES = 1 << 14
"""At which gains are computed at once."""

SETTLING = 32
"""Samples on either side that a delay by a fraction of a sample is given to fade out."""

TDL_MODELS = "abcde"


@dataclass(frozen=True)
class Multipath(OfSamples):
    """Paths [P] of a delay in seconds and a mean power each, the powers summing up to 1.

    direct: power of the fixed path, part of the first one's; speed_mps: of the receiver, 0 for a channel that
    keeps through a frame; carrier_hz: of the radio; name: on the command line.
    """

    delays_s: tuple[float, ...]
    powers: tuple[float, ...]
    direct: float = 0.0
    speed_mps: float = 0.0
    carrier_hz: float = CARRIER_GHZ * 1e9
    name: str = "taps"

    @property
    def spread_s(self) -> float:
        """See Channel.spread_s."""
        return max(self.delays_s)

    @property
    def doppler_hz(self) -> float:
        """The largest shift."""
        return self.speed_mps * self.carrier_hz / SPEED_OF_LIGHT

    @property
    def delay_spread_s(self) -> float:
        """Root mean square of the delays about their mean, weighed by power."""
        delays, powers = np.array(self.delays_s), np.array(self.powers)
        mean = powers @ delays
        return math.sqrt(max(powers @ delays**2 - mean**2, 0.0))

    def pass_samples(self, samples: Samples, rate_hz: float, fading: np.random.Generator) -> Samples:
        """See Channel.pass_samples. The delays are exact, whatever the rate."""
        from scipy import fft

        tail = math.ceil(max(self.delays_s) * rate_hz) + SETTLING
        length = fft.next_fast_len(len(samples) + tail + SETTLING)
        spectrum = fft.fft(samples, length)
        frequencies = fft.fftfreq(length)
        gains = self._processes(fading)
        if self.doppler_hz == 0:
            fixed = gains.at(np.zeros(1))[:, 0]
            response = sum(
                gain * _turns(-delay * rate_hz * frequencies)
                for gain, delay in zip(fixed, self.delays_s, strict=True)
            )
            return np.asarray(fft.ifft(spectrum * response)[: len(samples) + tail], np.complex64)
        count = len(samples) + tail
        step = max(1, min(GAIN_STEP, int(GAIN_TURN * rate_hz / self.doppler_hz)))
        knots = np.arange(0, count + step, step)
        at_knots = gains.at(knots / rate_hz).astype(np.complex64)
        share, out = (np.arange(step) / step).astype(np.float32), np.zeros(count, np.complex64)
        for known, delay in zip(at_knots, self.delays_s, strict=True):
            shift = _turns(-delay * rate_hz * frequencies)
            gain = known[:-1, None] + np.diff(known)[:, None] * share
            out += fft.ifft(spectrum * shift)[:count] * gain.reshape(-1)[:count]
        return out

    def response(
        self, times_s: NDArray[np.float64], frequencies_hz: NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """See Channel.response."""
        gains = self._processes(fading).at(times_s)
        shifts = np.exp(-2j * np.pi * np.outer(self.delays_s, frequencies_hz))
        return np.asarray(gains.T @ shifts)

    def _processes(self, fading: np.random.Generator) -> Fades:
        return Fades.drawn(np.array(self.powers), self.direct, self.doppler_hz, fading)


@dataclass(frozen=True)
class Fades:
    """The gains of P paths over time, each a sum of sinusoids. amplitudes, shifts_hz, phases: [P, S]."""

    amplitudes: NDArray[np.float64]
    shifts_hz: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def drawn(
        cls, powers: NDArray[np.float64], direct: float, doppler_hz: float, rng: np.random.Generator
    ) -> Fades:
        """powers: [P] of the paths; direct: the fixed part of the first."""
        paths = len(powers)
        turn = rng.uniform(-np.pi, np.pi, (paths, 1))
        angles = (2 * np.pi * np.arange(SINUSOIDS) + turn) / SINUSOIDS
        phases = rng.uniform(-np.pi, np.pi, (paths, SINUSOIDS + 1))
        scattered = powers - direct * (np.arange(paths) == 0)
        amplitudes = np.repeat(np.sqrt(scattered / SINUSOIDS)[:, None], SINUSOIDS + 1, axis=1)
        amplitudes[:, -1] = np.sqrt(direct) * (np.arange(paths) == 0)
        shifts = np.append(doppler_hz * np.cos(angles), np.full((paths, 1), DIRECT_DOPPLER * doppler_hz), 1)
        return cls(amplitudes, shifts, phases)

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.complex128]:
        """[P, T] gains at T times."""
        paths = zip(self.amplitudes, self.shifts_hz, self.phases, strict=True)
        return np.stack([_sum_of_sinusoids(*path, times_s) for path in paths])


def _sum_of_sinusoids(
    amplitudes: NDArray[np.float64],
    shifts_hz: NDArray[np.float64],
    phases: NDArray[np.float64],
    times_s: NDArray[np.float64],
) -> NDArray[np.complex128]:
    """[T] gains of one path, a part of the times at once: a recording may be long."""
    parts = np.array_split(times_s, max(1, -(-len(times_s) // TIMES)))
    angles = (2 * np.pi * shifts_hz[:, None] * part + phases[:, None] for part in parts)
    return np.concatenate(
        [amplitudes @ np.cos(angle) + 1j * (amplitudes @ np.sin(angle)) for angle in angles]
    )


def _turns(cycles: NDArray[np.float64]) -> Samples:
    """exp(2j pi cycles), in single precision: a tenth of the time of a complex exponential."""
    angles = (2 * np.pi * (cycles % 1)).astype(np.float32)
    return np.cos(angles) + np.complex64(1j) * np.sin(angles)


def parse_tdl(name: str, snr_db: float) -> Multipath:
    """`tdl-a:DELAY_SPREAD_NS[:SPEED_MPS[:CARRIER_GHZ]]`. Raises InputError."""
    kind, *numbers = name.split(":")
    try:
        usual = ["0", str(CARRIER_GHZ)][len(numbers) - 1 :]
        spread_ns, speed_mps, carrier_ghz = map(float, [*numbers, *usual])
    except ValueError:
        raise InputError(
            f"channel {name!r} is not tdl-a to tdl-e:DELAY_SPREAD_NS[:SPEED_MPS[:CARRIER_GHZ]]"
        ) from None
    for what, value, most in (
        ("delay spread", spread_ns, LONGEST_SPREAD_NS),
        ("speed", speed_mps, FASTEST_MPS),
        ("carrier", carrier_ghz, HIGHEST_GHZ),
    ):
        if not 0 <= value <= most:
            raise InputError(f"channel {name!r}: {what} of {value:g} is outside 0 to {most:g}")
    if speed_mps > 0 and carrier_ghz == 0:
        raise InputError(f"channel {name!r}: a carrier of 0 GHz knows no speed; {speed_mps:g} m/s needs one")
    delays, powers, direct = _tdl(kind[-1])
    in_seconds = tuple(1e-9 * spread_ns * delay for delay in delays)
    return Multipath(snr_db, in_seconds, powers, direct, speed_mps, carrier_ghz * 1e9, name)


def parse_taps(name: str, snr_db: float) -> Multipath:
    """`taps:DELAY_NS/POWER_DB,...[:SPEED_MPS]`: paths that fade as Rayleigh, their powers scaled to a sum of
    1. Raises InputError."""
    try:
        _, listed, *speed = name.split(":")
        pairs = [tuple(map(float, tap.split("/"))) for tap in listed.split(",")]
        delays, levels = zip(*pairs, strict=True)
        (speed_mps,) = map(float, speed or ["0"])
        powers = [10.0 ** (level / 10) for level in levels]
        total = sum(powers)
        if not (np.isfinite([*delays, *powers, total, speed_mps]).all() and total > 0):
            raise ValueError
    except (ValueError, OverflowError):
        raise InputError(f"channel {name!r} is not taps:DELAY_NS/POWER_DB,...[:SPEED_MPS]") from None
    if not 0 <= speed_mps <= FASTEST_MPS:
        raise InputError(f"channel {name!r}: speed of {speed_mps:g} is outside 0 to {FASTEST_MPS:g}")
    if len(pairs) > MOST_TAPS:
        raise InputError(f"channel of {len(pairs)} taps is above the limit of {MOST_TAPS}")
    if not 0 <= min(delays) <= max(delays) <= LONGEST_SPREAD_NS:
        raise InputError(f"channel {name!r}: a delay is outside 0 to {LONGEST_SPREAD_NS:g} ns")
    shares = tuple(power / total for power in powers)
    return Multipath(snr_db, tuple(1e-9 * d for d in delays), shares, 0.0, speed_mps, name=name)


@lru_cache(maxsize=len(TDL_MODELS))
@building()
def _tdl(model: str) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """Delays over the delay spread, powers that sum up to 1, power of the fixed path."""
    from sionna.phy.channel.tr38901 import TDL

    line = TDL(model.upper(), 1.0, 1e9, device="cpu", precision="single")
    powers = line.mean_powers.double().numpy()
    direct = float(line.mean_power_los.double().reshape(())) if line.los else 0.0
    total = float(powers.sum())
    delays = line.delays.double().reshape(-1).numpy()
    return tuple(delays.tolist()), tuple((powers / total).tolist()), direct / total
