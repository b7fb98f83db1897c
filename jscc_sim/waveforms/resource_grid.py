"""Where in an OFDM frame what is: carriers, pilots, data, the preamble, and the word that tells the rows.

    preamble   two OFDM symbols: four times the same, to find a frame and its carrier; all carriers known
    body       rows of carriers; the first SIGNAL data places tell how many rows there are

Carriers are numbered from -n to n without 0. Source of the preamble: Schmidl and Cox 1997.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Symbols
from jscc_sim.coding import qam, small_block
from jscc_sim.errors import InputError
from jscc_sim.waveforms.base import Samples

PREAMBLE_ROWS = 2
REPEATS = 4
"""Of a part within the first row."""

SIGNAL = 128
"""Uses of the word that tells the number of rows."""

LENGTHS = 1 << small_block.BITS
FINE_LENGTHS = 256
"""Numbers of rows up to here are told exactly, those up to 768 by twos, and so on: 0.4 % of padding at
most."""

WIDEST_SPACING_HZ = 1e7

MOST_PILOTS = 512
"""Of a row: estimates take the third power of it."""

LEAST_FFT, LARGEST_FFT = 64, 8192
LEAST_GUARD = 8
LEAST_CP = 4
"""With fewer no offset of the carrier shows, and a fraction of a sample is an echo too long."""


@dataclass(frozen=True)
class ResourceGrid:
    """The layout of a frame, from what OFDM is told: see there. Raises InputError for what is none."""

    fft: int = 256
    cp: int = 18
    spacing: float = 15000.0
    pilots: tuple[int, int] = (4, 7)
    guard: int = 31

    def __post_init__(self) -> None:
        if not LEAST_FFT <= self.fft <= LARGEST_FFT or self.fft & (self.fft - 1):
            raise InputError(f"ofdm: fft of {self.fft} is no power of 2 from {LEAST_FFT} to {LARGEST_FFT}")
        for name, value, least, most in (
            ("cp", self.cp, LEAST_CP, self.fft // 4),
            ("guard", self.guard, LEAST_GUARD, self.fft - 32),
            ("spacing", self.spacing, 1.0, WIDEST_SPACING_HZ),
            ("carriers between pilots", self.pilots[0], 1, self.fft),
            ("rows between pilots", self.pilots[1], 1, LENGTHS),
        ):
            if not least <= value <= most:
                raise InputError(f"ofdm: {name} of {value:g} is outside {least:g} to {most:g}")
        if len(self.pilot_carriers) > MOST_PILOTS:
            raise InputError(
                f"ofdm: {len(self.pilot_carriers)} carriers with pilots are more than {MOST_PILOTS}: "
                f"pilots={-(-self.active // MOST_PILOTS) + 1}x{self.pilots[1]} are few enough"
            )
        if len(self._places(self.least_rows)) < SIGNAL + 1:
            raise InputError(
                f"ofdm: {self.active} carriers with a pilot on every {self.pilots[0]} of them leave "
                f"{len(self._places(self.least_rows))} data places in the {self.least_rows} rows of the "
                f"shortest frame, and {SIGNAL} tell its length"
            )

    @property
    def name(self) -> str:
        """On the command line, without what is usual."""
        shown = [
            f"{field.name}={'x'.join(map(str, value)) if isinstance(value, tuple) else repr(value)}"
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        ]
        return "ofdm" + ":" * bool(shown) + ",".join(shown)

    @property
    def rate_hz(self) -> float:
        """See Waveform.rate_hz."""
        return self.fft * self.spacing

    @property
    def row_samples(self) -> int:
        """Samples of an OFDM symbol with its prefix."""
        return self.fft + self.cp

    @property
    def row_s(self) -> float:
        """Seconds of one."""
        return self.row_samples / self.rate_hz

    @property
    def active(self) -> int:
        """Carriers that are not empty."""
        return (self.fft - self.guard - 1) // 2 * 2

    @cached_property
    def carriers(self) -> NDArray[np.int64]:
        """[active] their numbers."""
        half = self.active // 2
        return np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])

    @cached_property
    def empty(self) -> NDArray[np.int64]:
        """Places in the transform of the band's edges."""
        half = self.active // 2
        return np.arange(half + 1, self.fft - half)

    @cached_property
    def quiet(self) -> NDArray[np.int64]:
        """Those by which the noise is measured: not the third about half the sample rate, where rows that
        come late by a fraction of a sample ring (at -23 dB, over TDL-A; -38 dB on average in the others)."""
        third = -(-len(self.empty) // 3)
        return np.concatenate([self.empty[:third], self.empty[-third:]])

    @property
    def least_rows(self) -> int:
        """Rows of the shortest body."""
        return self.pilots[1] + 1

    @cached_property
    def pilot_carriers(self) -> NDArray[np.int64]:
        """Which of the active carriers have pilots."""
        return _every(self.pilots[0], self.active)

    def pilot_rows(self, rows: int) -> NDArray[np.int64]:
        """Which rows of a body have pilots."""
        return _every(self.pilots[1], rows)

    def _places(self, rows: int) -> NDArray[np.int64]:
        return _data_places(self.active, self.pilots, rows)

    @cached_property
    def signal_places(self) -> NDArray[np.int64]:
        """[SIGNAL] places of the word that tells the rows, spread over as many rows as it takes."""
        first = self._places(self.least_rows)
        whole = [int((first < row * self.active).sum()) for row in range(1, self.least_rows + 1)]
        among = next(count for count in whole if count >= SIGNAL)
        return first[np.arange(SIGNAL) * among // SIGNAL]

    def data_places(self, rows: int) -> NDArray[np.int64]:
        """Places in a body of so many rows, row by row, of what the frame carries."""
        return _carrying(self, rows)

    def symbols_in(self, rows: int) -> int:
        """How many those are."""
        pilots = len(self.pilot_carriers) * len(self.pilot_rows(rows))
        return rows * self.active - pilots - SIGNAL

    def rows_for(self, symbols: int) -> int:
        """Rows of the shortest body that holds so many symbols. Raises InputError for more than any does."""
        codes = range(self.code_for(self.least_rows), LENGTHS)
        found = first_good(codes, lambda code: self.symbols_in(rows_of(code)) >= symbols)
        if found is None:
            raise InputError(
                f"{symbols} symbols are more than the {self.symbols_in(rows_of(LENGTHS - 1))} of the longest "
                "ofdm frame"
            )
        return rows_of(found)

    @staticmethod
    def code_for(rows: int) -> int:
        """The smallest that stands for no fewer rows."""
        code = first_good(range(LENGTHS), lambda code: rows_of(code) >= rows)
        assert code is not None
        return code

    def samples_of(self, rows: NDArray[np.complex64]) -> Samples:
        """Of rows [n, active], each with its prefix."""
        from scipy import fft

        spectrum = np.zeros((len(rows), self.fft), np.complex64)
        spectrum[:, self.carriers] = rows
        parts = fft.ifft(spectrum, axis=1, norm="ortho")
        return np.concatenate([parts[:, -self.cp :], parts], axis=1).reshape(-1)

    @cached_property
    def preamble(self) -> NDArray[np.complex64]:
        """[PREAMBLE_ROWS, active]: chirps, whose power hardly varies over time; one on every fourth carrier
        alone, as loud as the whole, and one on all."""
        every = self.carriers % REPEATS == 0
        first = np.where(
            every, math.sqrt(self.active / every.sum()) * _chirp(self.carriers // REPEATS, self.fft), 0
        )
        return np.stack([first, _chirp(self.carriers, self.fft)]).astype(np.complex64)

    @cached_property
    def preamble_samples(self) -> Samples:
        """[PREAMBLE_ROWS * row_samples] as it is sent."""
        return self.samples_of(self.preamble)

    def signal_of(self, code: int) -> Symbols:
        """[SIGNAL] QPSK symbols that tell a number of rows."""
        return qam.map_bits(small_block.encode(code, 2 * SIGNAL) ^ (self.signs < 0))

    @cached_property
    def signs(self) -> NDArray[np.float64]:
        """[2 SIGNAL] that the bits of the word are sent with: others for each waveform, so that a receiver of
        another one does not take the frame for its own."""
        own = [self.fft, self.cp, self.guard, *self.pilots]
        return np.where(np.random.default_rng(own).integers(0, 2, 2 * SIGNAL), -1.0, 1.0)

    @cached_property
    def pilot_symbols(self) -> NDArray[np.complex64]:
        """[pilot carriers] of every row that has any."""
        return self.preamble[1, self.pilot_carriers]


def rows_of(code: int) -> int:
    """The rows that a number stands for: exact up to FINE_LENGTHS, then ever coarser."""
    return (FINE_LENGTHS + code % FINE_LENGTHS) * 2 ** (code // FINE_LENGTHS) - FINE_LENGTHS


def _every(step: int, count: int) -> NDArray[np.int64]:
    """0, step, 2 step, ... and the last below count."""
    return np.union1d(np.arange(0, count, step), [count - 1])


@lru_cache(maxsize=32)
def _data_places(active: int, pilots: tuple[int, int], rows: int) -> NDArray[np.int64]:
    """Places of a body without pilots."""
    free = np.ones((rows, active), bool)
    free[np.ix_(_every(pilots[1], rows), _every(pilots[0], active))] = False
    return np.flatnonzero(free)


@lru_cache(maxsize=32)
def _carrying(grid: ResourceGrid, rows: int) -> NDArray[np.int64]:
    return np.setdiff1d(grid._places(rows), grid.signal_places, assume_unique=True)


def _chirp(numbers: NDArray[np.int64], fft: int) -> NDArray[np.complex128]:
    """A quadratic phase over the carriers: Zadoff and Chu's."""
    return np.exp(1j * np.pi * numbers.astype(float) ** 2 / fft)


def first_good(codes: range, good: Callable[[int], bool]) -> int | None:
    """The first of them that is good, where all behind it are."""
    low, high = codes.start, codes.stop
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if good(middle) else (middle + 1, high)
    return low if low < codes.stop else None
