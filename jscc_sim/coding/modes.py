"""How a header is protected: code rate, repetitions and segments, the cheapest that will be heard.

A mode and one of 256 lengths name everything the receiver must know, in 11 bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.crc import CRC_BITS
from jscc_sim.coding.ldpc import LARGEST_LOW_RATE_BLOCK
from jscc_sim.coding.mode_table import BLOCK_BITS, SMALL_BLOCK_DB, THRESHOLD_DB
from jscc_sim.coding.small_block import WORD
from jscc_sim.errors import InputError

HEADER_MODES = (
    (8 / 9, 1),
    (2 / 3, 1),
    (1 / 2, 1),
    (1 / 3, 1),
    (1 / 5, 1),
    (1 / 5, 2),
    (1 / 5, 4),
    (1 / 5, 8),
)
"""Code rate and repetitions, cheapest first."""

LENGTHS = tuple(round(48 * math.exp(step / 255 * math.log(1_000_000 / 48))) for step in range(256))
"""Content bits that a plan can have: 4 % apart, from the smallest image's to a raw map of the largest."""

PREAMBLE_USES = (16, 64, 512)
"""Lengths of the preamble: the small block code's word in QPSK, sent once, 4 or 32 times."""

MARGIN_DB = 0.3
"""On top of the measured thresholds, which a regression from a few hundred blocks extrapolates."""

SEGMENTED_DB = 0.3
"""More where several segments must all arrive; their waterfalls fall tenfold in 0.1 dB."""


@dataclass(frozen=True)
class HeaderPlan:
    """A mode (index into HEADER_MODES) and a length (index into LENGTHS) of what follows the preamble."""

    mode: int
    length: int

    @property
    def bits(self) -> int:
        """Content bits before CRC and padding."""
        return LENGTHS[self.length]

    @property
    def segments(self) -> int:
        """Code blocks, all of one size, each with a CRC."""
        return math.ceil(self.bits / (LARGEST_LOW_RATE_BLOCK - CRC_BITS))

    @property
    def block_bits(self) -> int:
        """Information bits of a code block, its CRC included."""
        return math.ceil(self.bits / self.segments) + CRC_BITS

    @property
    def coded_bits(self) -> int:
        """Coded bits of a code block: an even number, as QPSK wants."""
        rate, repetitions = HEADER_MODES[self.mode]
        return 2 * math.ceil(self.block_bits * repetitions / rate / 2 - 1e-9)

    @property
    def uses(self) -> int:
        """Channel uses of all code blocks."""
        return self.segments * self.coded_bits // 2

    @property
    def threshold_db(self) -> float:
        """SNR on AWGN from which fewer than one in a thousand are lost."""
        rate, repetitions = HEADER_MODES[self.mode]
        size = math.log2(self.block_bits)
        measured = float(np.interp(size, np.log2(BLOCK_BITS), THRESHOLD_DB[rate]))
        return measured - 10 * math.log10(repetitions) + MARGIN_DB + SEGMENTED_DB * (self.segments > 1)

    @property
    def number(self) -> int:
        """The plan in 11 bits."""
        return self.mode * len(LENGTHS) + self.length

    @classmethod
    def of_number(cls, number: int) -> HeaderPlan:
        """The plan that `number` names."""
        return cls(*divmod(number, len(LENGTHS)))


@lru_cache(maxsize=4096)
def cheapest_plan(bits: int, snr_db: float) -> HeaderPlan:
    """The plan of fewest uses that holds so many content bits and is heard at snr_db.

    It may be longer than needed where a longer code needs a cheaper mode, so the uses never fall
    as bits rise. The most robust mode where none is heard. Raises InputError beyond 1 000 000 bits.
    """
    start = int(np.searchsorted(LENGTHS, bits))
    if start == len(LENGTHS):
        raise InputError(f"header of {bits} bits exceeds the {LENGTHS[-1]} that a frame can carry")
    uses, threshold_db = _tables()
    cost = np.where(threshold_db <= snr_db, uses, np.inf)[:, start:]
    mode, longer = divmod(int(cost.argmin()), cost.shape[1])
    return (
        HeaderPlan(mode, start + longer)
        if np.isfinite(cost.min())
        else HeaderPlan(len(HEADER_MODES) - 1, start)
    )


def reached(bits: int, snr_db: float) -> bool:
    """Whether there are a plan and a preamble for so many bits that are heard at snr_db."""
    preamble_db = preamble_threshold_db(preamble_uses(snr_db))
    return max(cheapest_plan(bits, snr_db).threshold_db, preamble_db) <= snr_db


def preamble_uses(snr_db: float) -> int:
    """The shortest preamble that is lost less than once in 10 000 at snr_db; the longest if none is."""
    heard = (uses for uses in PREAMBLE_USES if preamble_threshold_db(uses) <= snr_db)
    return next(heard, PREAMBLE_USES[-1])


def preamble_threshold_db(uses: int) -> float:
    """SNR on AWGN from which a preamble of so many uses is lost less than once in 10 000."""
    return SMALL_BLOCK_DB - 10 * math.log10(2 * uses / WORD) + MARGIN_DB


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[modes, lengths] uses and thresholds in dB."""
    plans = [
        [HeaderPlan(mode, length) for length in range(len(LENGTHS))] for mode in range(len(HEADER_MODES))
    ]
    uses = np.array([[plan.uses for plan in row] for row in plans], dtype=np.float64)
    return uses, np.array([[plan.threshold_db for plan in row] for row in plans])
