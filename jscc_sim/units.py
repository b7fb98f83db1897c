"""Units and the definitions behind them: decibels, channel uses, bandwidth ratios, the ratio set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral, Real
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from jscc_sim.errors import InputError

if TYPE_CHECKING:  # units are needed where torch is not
    from torch import Tensor

BLOCK = 32
"""Side of a block in pixels."""

BLOCK_SAMPLES = 3 * BLOCK * BLOCK
"""Real samples of one block: its bandwidth ratio is uses / BLOCK_SAMPLES."""

SNR_RANGE_DB = (-30.0, 60.0)
"""What a user may ask for; beyond it a figure would say nothing."""


LARGEST_SEED = 2**63 - 1
"""Of a channel, and of a grid."""


@overload
def db_to_power(db: float) -> float: ...


@overload
def db_to_power(db: Tensor) -> Tensor: ...


def db_to_power(db: float | Tensor) -> float | Tensor:
    """Power ratio of a value in decibels; of each of them, if they are a tensor."""
    power = 10.0 ** (db / 10.0)
    return float(power) if isinstance(power, float | np.generic) else power


def power_to_db(power: float) -> float:
    """Decibels of a power ratio; -inf for 0."""
    return 10.0 * math.log10(power) if power > 0 else -math.inf


@overload
def noise_variance(snr_db: float) -> float: ...


@overload
def noise_variance(snr_db: Tensor) -> Tensor: ...


def noise_variance(snr_db: float | Tensor) -> float | Tensor:
    """Complex noise variance N0 for unit symbol energy; half of it lies in each real dimension. Of a tensor
    of SNRs one each."""
    return db_to_power(-snr_db)


def check_snr_db(snr_db: float, name: str = "SNR") -> float:
    """The value itself. Raises InputError unless it is finite and within SNR_RANGE_DB."""
    low, high = SNR_RANGE_DB
    if not (low <= snr_db <= high):
        raise InputError(f"{name} of {snr_db} dB is outside {low:g} to {high:g} dB")
    return float(snr_db)


ENCODED, DECODED = "the encoder gives latents", "the decoder gives samples"
"""For check_finite."""


def check_finite(values: ArrayLike, what: str) -> None:
    """Raises InputError where weights, finite themselves, give what is not: it would become a picture like
    any other."""
    if not np.isfinite(values).all():
        raise InputError(f"{what} that are not finite: its weights cannot be used")


MOST_DENOMINATOR = 1 << 16
"""Of the fractions that a CBR given in floating point is taken for."""


def parse_cbr(text: str | float | Fraction) -> Fraction:
    """A channel bandwidth ratio from '1/16', '0.0625' or a number. One that is as near to a plain fraction as
    floating point can be is that fraction: 1 / 48, rounded down, would lose a use.

    Raises InputError unless it lies in (0, 1].
    """
    try:
        words = str(text).strip()
        huge = "e" in words.lower() and not 0 < float(words) <= 1  # Fraction would write out its zeros
        cbr = Fraction(0) if huge else Fraction(words)
        plain = cbr.limit_denominator(MOST_DENOMINATOR)
        cbr = plain if float(plain) == float(cbr) else cbr
    except (ValueError, ZeroDivisionError, OverflowError):
        shown = "of thousands of digits" if isinstance(text, int) else repr(text)
        raise InputError(f"CBR {shown} is neither a fraction like 1/16 nor a decimal") from None
    if not 0 < cbr <= 1:
        raise InputError(f"CBR {text} is outside 0 to 1 (channel uses per colour sample)")
    return cbr


def budget_uses(cbr: Fraction, height: int, width: int) -> int:
    """Most channel uses that a frame of an H x W image may take: floor(cbr * 3HW)."""
    return math.floor(cbr * 3 * height * width)


def cbr_of(uses: int, height: int, width: int) -> float:
    """Channel bandwidth ratio: complex channel uses per colour sample of the image as given."""
    return uses / (3 * height * width)


def bits_per_pixel(bits: int, height: int, width: int) -> float:
    """Bits per pixel of the image as given."""
    return bits / (height * width)


@dataclass(frozen=True)
class RatioSet:
    """The channel uses per block that there are to choose from, ascending; a zoo's begin with 0.

    withheld: those of them that are taken only where a budget holds no other for every block: ratios at
    which a coder fails on whole regions, which no prediction for single blocks can tell. Raises InputError.
    """

    uses: tuple[int, ...]
    withheld: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        rising = all(a < b for a, b in zip(self.uses, self.uses[1:], strict=False))
        if len(self.uses) < 2 or self.uses[0] < 0 or not rising:
            raise InputError(f"ratio set {self.uses} must rise strictly from 0 or more")
        self.indices(self.withheld)
        if len(set(self.uses) - set(self.withheld)) < 2:
            raise InputError(f"ratio set {self.uses} withholds {self.withheld}: fewer than two are left")

    def __len__(self) -> int:
        return len(self.uses)

    @property
    def array(self) -> NDArray[np.int64]:
        """[R] uses of each ratio."""
        return np.asarray(self.uses, dtype=np.int64)

    def spent(self, index: NDArray[np.int64]) -> int:
        """Channel uses of a whole allocation. index: [N] indices into the set."""
        return int(self.array[index].sum())

    def indices(self, uses: Sequence[int]) -> NDArray[np.int64]:
        """Where ratios stand in the set. Raises InputError for uses that do not."""
        for k in uses:
            if k not in self.uses:
                raise InputError(f"{k} uses are no ratio of the set {', '.join(map(str, self.uses))}")
        return np.array([self.uses.index(k) for k in uses], dtype=np.int64)

    def offered(self, blocks: int, budget: int) -> NDArray[np.int64]:
        """Indices of what so many blocks may choose from within a budget of uses."""
        free = np.flatnonzero(~np.isin(self.array, self.withheld))
        return free if blocks * self.uses[free[0]] <= budget else np.arange(len(self))

    def among(self, index: NDArray[np.int64]) -> RatioSet:
        """The set of some of the ratios, none of them withheld."""
        return RatioSet.of(self.array[index].tolist())

    def blocks_of(self, index: NDArray[np.int64]) -> dict[str, int]:
        """Channel uses of a ratio, in words -> number of blocks with it. index: [N] indices into the set."""
        counts = np.bincount(index, minlength=len(self)).tolist()
        return dict(zip(map(str, self.uses), counts, strict=True))

    def largest_within(self, uses: float) -> int:
        """Index of the largest ratio of at most `uses` channel uses."""
        return max(int(np.searchsorted(self.array, uses, side="right")) - 1, 0)

    @classmethod
    def of(cls, uses: Sequence[int], withheld: Sequence[int] = ()) -> RatioSet:
        """A set from any sequences of integers."""
        return cls(tuple(int(u) for u in uses), tuple(int(u) for u in withheld))


STANDARD_RATIOS = RatioSet((0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768))
"""The ratio set of the released zoos."""


def number(name: str, value: object) -> float:
    """A number as float, -0.0 as 0.0. Raises InputError for anything else, truth values included."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise InputError(f"{name} = {value!r} is not a number")
    try:
        return float(value) + 0.0
    except OverflowError:
        raise InputError(f"{name} is a number beyond the range of a float") from None


def whole(name: str, value: object, least: int, most: int) -> int:
    """A whole number from `least` to `most` as int. Raises InputError for anything else."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} = {value!r} is not a whole number")
    if not least <= int(value) <= most:
        huge = int(value).bit_length() > 999  # Python writes no number of thousands of digits
        raise InputError(f"{name} = {'a huge number' if huge else value} is outside {least} to {most}")
    return int(value)
