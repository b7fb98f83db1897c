"""What a channel is: symbols in, what a receiver measures out.

Symbols have unit mean power; the SNR is Es/N0, under fading its average. The complex noise has
variance N0 = 10**(-snr_db/10), half in each real dimension.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from numbers import Real
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError, OutageError
from jscc_sim.plugins import errors_named
from jscc_sim.units import check_snr_db, power_to_db

Symbols = NDArray[np.complex64]


@dataclass(frozen=True)
class Received:
    """What a receiver measures: symbols [uses], the noise variance, one number or [uses] of them, and under
    fading the channel estimate, one per use or a single one that holds for all."""

    symbols: Symbols
    noise_variance: float | NDArray[np.float64]
    estimate: Symbols | None = None

    def from_use(self, start: int) -> Received:
        """The uses from `start` on."""
        return self.part(start, len(self.symbols))

    def part(self, start: int, end: int) -> Received:
        """The uses from `start` up to `end`."""
        uses, estimate, variance = len(self.symbols), self.estimate, self.noise_variance
        if estimate is not None and len(estimate) == uses:
            estimate = estimate[start:end]
        if isinstance(variance, np.ndarray):
            variance = variance[start:end]
        return Received(self.symbols[start:end], variance, estimate)


@dataclass(frozen=True)
class AirTime:
    """The uses of a frame by what they carry; see waveforms. data: symbols of header and payload, and the
    padding behind them."""

    data: int
    pilots: int = 0
    prefix: int = 0
    preamble: int = 0

    @property
    def uses(self) -> int:
        """All of them."""
        return self.data + self.pilots + self.prefix + self.preamble


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
        or breaks its promise, OutageError where a waveform's receiver finds no frame."""
        name = type(self).__name__
        with errors_named(name, through=(InputError, OutageError)):
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

    acts_on_samples: ClassVar[bool] = False
    """Whether symbols without a waveform would not survive it."""

    @property
    def spread_s(self) -> float:
        """Seconds by which the last echo is late: 0 of a flat channel. See waveforms."""
        return 0.0

    def pass_samples(self, samples: Symbols, rate_hz: float, fading: np.random.Generator) -> Symbols:
        """[n] complex64 samples at a rate -> [n or more] as they arrive, without noise, the first of them at
        the same time. Raises InputError for a channel that knows of symbols alone."""
        raise self._of_symbols()

    def response(
        self, times_s: NDArray[np.float64], frequencies_hz: NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """[T, K] gain at T times and K frequencies about the carrier, of the fades that `pass_samples` meets
        with the same stream. Raises InputError where `pass_samples` does."""
        raise self._of_symbols()

    def _of_symbols(self) -> InputError:
        return InputError(
            f"channel {type(self).__name__} acts on symbols, not on the samples of a waveform: it defines no "
            "pass_samples and response"
        )

    def room(self, budget: int) -> int:
        """Symbols of header and payload that fit into so many channel uses."""
        return budget

    def air_time(self, symbols: int) -> AirTime:
        """The channel uses that so many symbols take; `room` of as many uses is no less."""
        return AirTime(symbols)

    def papr_db(self, symbols: Symbols) -> float | None:
        """Peak to average power ratio in dB of what is sent of a frame; see `papr_db`."""
        return papr_db(symbols)

    @property
    def estimated(self) -> bool:
        """Whether a receiver estimates its fading; how well is its CSI."""
        return False

    def noise_known(self, equaliser: str) -> bool:
        """Whether the noise variance that such an equaliser passes on holds all that befalls a use."""
        return True

    @final
    def imagined(self, symbols: Symbols, rng: np.random.Generator) -> Received:
        """What a sender that plans makes up of a transmission: as likely as a true one."""
        return self.foreseen(symbols, *rng.spawn(3))

    def foreseen(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """The same by a sender that knows the stream of the fading: `disturb`, or what is alike and cheap."""
        return self.disturb(symbols, fading, noise, estimation)

    def frame_snrs_db(self, uses: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
        """SNRs in dB that are distributed as those of a frame's uses are, in a frame that a sender makes up:
        where that takes less than its symbols do. None elsewhere: see `imagined`."""
        return None

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


@dataclass(frozen=True)
class OfSamples(Channel):
    """One that acts on the samples of a waveform alone: symbols without one would run into each other."""

    acts_on_samples: ClassVar[bool] = True

    @final
    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        name = getattr(self, "name", type(self).__name__)
        raise InputError(f"channel {name} acts on samples: it needs --waveform ofdm")


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
    if isinstance(variance, np.ndarray) and variance.shape == (uses,) and variance.dtype == np.float64:
        if not (np.isfinite(variance) & (variance >= 0)).all():
            raise InputError(f"{name} returned noise variances that are not numbers from 0 on")
    elif isinstance(variance, bool) or not isinstance(variance, Real) or not 0 <= variance < math.inf:
        raise InputError(f"{name} returned a noise variance of {variance!r}, not a number from 0 on")
