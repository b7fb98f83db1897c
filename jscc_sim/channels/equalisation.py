"""What a receiver makes of a channel that it has an estimate of: equalisers, noise per use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels.base import Received, Symbols, reals_of
from jscc_sim.errors import InputError

WEAKEST_POWER = 1e-9
"""Least fading power an equaliser divides by."""

LEAST_GAIN = 1e-12
"""Least gain that `mmse` leaves: WEAKEST_POWER over the largest noise variance, 30 dB."""

LEAST_VARIANCE = 1e-12
"""Of the noise, as receivers assume it: 0 would divide 0 by 0 where the gain vanishes."""

EQUALISERS = ("none", "zf", "mmse")


@dataclass(frozen=True)
class Equalised:
    """Symbol estimates: symbols = gain * sent + noise of complex variance noise_variance, per use."""

    symbols: Symbols
    gain: NDArray[np.float64]
    noise_variance: NDArray[np.float64]

    def part(self, start: int, end: int) -> Equalised:
        """The uses from `start` up to `end`."""
        return self.at(slice(start, end))

    def at(self, uses: NDArray[np.int64] | slice) -> Equalised:
        """Some of the uses, in this order."""
        return Equalised(self.symbols[uses], self.gain[uses], self.noise_variance[uses])

    @property
    def unbiased_variance(self) -> NDArray[np.float64]:
        """[uses] noise variance of symbols / gain."""
        return self.noise_variance / np.maximum(self.gain, LEAST_GAIN) ** 2


@dataclass(frozen=True)
class EqualisedReals:
    """The same, two reals in a use: values = gain * sent + noise of variance noise_variance, all of them
    [2 uses]."""

    values: NDArray[np.float64]
    gain: NDArray[np.float64]
    noise_variance: NDArray[np.float64]

    @classmethod
    def of(cls, heard: Equalised, amplitude: float = 1.0) -> EqualisedReals:
        """amplitude: that symbols were sent with; what is sent is then what it was before."""
        noise = np.maximum(heard.noise_variance, LEAST_VARIANCE)
        return cls(reals_of(heard.symbols), amplitude * np.repeat(heard.gain, 2), np.repeat(noise, 2) / 2)


def equalise(received: Received, method: str = "mmse") -> Equalised:
    """Undo the fading that the receiver knows of. Without an estimate nothing is done.

    `zf`: y/h, unbiased, noise N0/abs(h)**2. `mmse`: conj(h) y / (abs(h)**2 + N0), biased towards 0
    by gain = abs(h)**2 / (abs(h)**2 + N0). `none`: y as it is, its fading unaccounted for. A decoder
    that uses gain and variance per use, as ours do, makes the same of `zf` and `mmse`.
    Raises InputError for another method.
    """
    check_equaliser(method)
    uses, variance = len(received.symbols), received.noise_variance
    if received.estimate is None or method == "none":
        return Equalised(received.symbols, np.ones(uses), np.full(uses, variance, np.float64))
    h = np.broadcast_to(received.estimate, uses).astype(np.complex128)
    symbols, gain, left = undo(h, received.symbols, variance, method)
    return Equalised(symbols.astype(np.complex64), gain, left)


def check_equaliser(method: str) -> None:
    """Raises InputError for one that does not exist."""
    if method not in EQUALISERS:
        raise InputError(f"equaliser {method!r} is not one of {', '.join(EQUALISERS)}")


def undo(h: Any, symbols: Any, variance: Any, method: str) -> tuple[Any, Any, Any]:
    """`zf` or `mmse` of `equalise`: symbols, gain and noise variance of each use, given h and the noise
    variance. Arrays of NumPy or tensors of torch: this is all that there is to equalisation, for both."""
    power = (abs(h) ** 2).clip(WEAKEST_POWER)
    denominator = power + (variance if method == "mmse" else 0.0)
    return h.conj() * symbols / denominator, power / denominator, power * variance / denominator**2
