"""What a channel is: symbols in, what a receiver measures out.

Symbols have unit mean power; the SNR is Es/N0, under fading its average. The complex noise has
variance N0 = 10**(-snr_db/10), half in each real dimension.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.plugins import errors_named
from jscc_sim.units import check_snr_db, power_to_db

Symbols = NDArray[np.complex64]


@dataclass(frozen=True)
class Received:
    """What a receiver measures: symbols [uses], the noise variance, and under fading the channel
    estimate, one per use or a single one that holds for all."""

    symbols: Symbols
    noise_variance: float
    estimate: Symbols | None = None

    def from_use(self, start: int) -> Received:
        """The uses from `start` on."""
        estimate = self.estimate
        if estimate is not None and len(estimate) == len(self.symbols):
            estimate = estimate[start:]
        return replace(self, symbols=self.symbols[start:], estimate=estimate)


@dataclass(frozen=True)
class Channel(ABC):
    """A channel at one SNR. snr_db: Es/N0 in dB, symbols of unit mean power. A plug-in is a frozen dataclass
    that defines `_disturb`; one that fades says what a sender can count on. A field `csi_db` makes it one
    whose receiver can have noisy CSI."""

    snr_db: float

    def __post_init__(self) -> None:
        check_snr_db(self.snr_db)

    @final
    def __call__(self, symbols: Symbols, rng: np.random.Generator) -> Received:
        """symbols: [uses] complex64. Fading, noise and estimation error have child streams of their
        own, and noise is drawn in the order of the uses: a longer frame meets the same noise first."""
        fading, noise, estimation = rng.spawn(3)
        return self.disturb(symbols, fading, noise, estimation)

    @final
    def disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """The same with the three random streams given one by one. Raises InputError where a plug-in fails
        or breaks its promise."""
        name = type(self).__name__
        with errors_named(name, through=InputError):
            received = self._disturb(symbols.copy(), fading, noise, estimation)  # frames are shared
        _check_received(name, received, len(symbols))
        return received

    @abstractmethod
    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """symbols: [uses] complex64. Returns [uses] complex64 as received, the mean
        complex variance of the noise, and under fading that is estimated the estimate: [uses] or [1]
        complex64. Noise and fades of a frame's first uses do not depend on how many follow."""

    @property
    def estimated(self) -> bool:
        """Whether a receiver estimates its fading; how well is its CSI."""
        return False

    def noise_known(self, equaliser: str) -> bool:
        """Whether the noise variance that such an equaliser passes on holds all that befalls a use."""
        return True

    def effective_snrs_db(self) -> NDArray[np.float64]:
        """[Q] equally likely values of the SNR that a block meets after equalisation, for planning; the SNR
        alone where nothing fades."""
        return np.array([self.snr_db])

    def outage_snr_db(self) -> float:
        """The SNR that a header can count on: exceeded in 95 % of slow fades; the SNR itself where nothing
        fades."""
        return self.snr_db

    def at(self, snr_db: float) -> Channel:
        """The same channel at another SNR."""
        return replace(self, snr_db=snr_db)


def symbols_of(reals: NDArray[np.float64]) -> Symbols:
    """[2 n] reals -> [n] symbols, pair by pair."""
    return reals.view(np.complex128).astype(np.complex64)


def reals_of(symbols: Symbols) -> NDArray[np.float64]:
    """The reverse."""
    return symbols.astype(np.complex128).view(np.float64)


def papr_db(symbols: Symbols) -> float | None:
    """Peak to average power ratio of a frame in dB: 10 log10(max abs(s)**2 / mean abs(s)**2). symbols: [uses]
    complex. None where nothing has power."""
    power = np.abs(symbols.astype(np.complex128)) ** 2
    return power_to_db(float(power.max() / power.mean())) if power.any() else None


def complex_normal(count: int, variance: float, rng: np.random.Generator) -> Symbols:
    """[count] circular complex Gaussian samples; a prefix of a longer draw from the same state."""
    pairs = rng.standard_normal((count, 2)) * math.sqrt(variance / 2)
    return pairs.view(np.complex128)[:, 0].astype(np.complex64)


def _check_received(name: str, received: object, uses: int) -> None:
    """Raises InputError for what no receiver can have measured."""
    if not isinstance(received, Received):
        raise InputError(f"{name} returned a {type(received).__name__}, not what is Received")
    checked = [("symbols", received.symbols, (uses,))]
    if received.estimate is not None:
        one = getattr(received.estimate, "shape", None) == (1,)
        checked.append(("an estimate", received.estimate, (1,) if one else (uses,)))
    for what, values, shape in checked:
        if not isinstance(values, np.ndarray) or values.dtype != np.complex64:
            kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            raise InputError(f"{name} returned {what} of {kind}, not an array of complex64")
        if values.shape != shape:
            raise InputError(f"{name} returned {what} of shape {list(values.shape)} for {uses} uses")
        if not np.isfinite(values).all():
            raise InputError(f"{name} returned {what} that are not finite")
    variance = received.noise_variance
    if isinstance(variance, bool) or not isinstance(variance, Real) or not 0 <= variance < math.inf:
        raise InputError(f"{name} returned a noise variance of {variance!r}, not a number from 0 on")
