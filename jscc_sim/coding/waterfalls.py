"""Block error rates (waterfalls.csv, measured by experiments/measure_waterfalls.py), and modes they allow."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.mcs import BLOCK_BITS, SCHEMES, Scheme
from jscc_sim.coding.transport import capacity_bits

Array = NDArray[np.float64]

MOST_LOST = 0.01
"""Share of images that a mode may lose, all blocks of an image together."""

RELIABLE = 3
"""Errors from which a point says where its curve goes."""


class Point(NamedTuple):
    """A row of the table: how many blocks were sent at an SNR, and how many of them did not arrive as
    sent. mode: the scheme's name."""

    mode: str
    block_bits: int
    snr_db: float
    blocks: int
    errors: int

    @property
    def rate(self) -> float:
        """Share of the blocks that did not arrive as sent."""
        return self.errors / self.blocks


@dataclass(frozen=True, eq=False)
class Waterfall:
    """A measured curve: [P] SNRs in dB, blocks sent, and blocks that did not arrive as sent."""

    snr_db: Array
    blocks: NDArray[np.int64]
    errors: NDArray[np.int64]

    def error_rate(self, snr_db: Array | float) -> Array:
        """Probability that a block is lost at an SNR on AWGN.

        Between points, and beyond the outermost that saw RELIABLE errors and as many successes, along
        straight lines of the normal quantile of the rate over the SNR in dB: a code of finite length fails
        where the noise that it meets exceeds what it bears, and that is close to Gaussian.
        """
        from scipy.special import ndtr, ndtri

        telling = (self.errors >= RELIABLE) & (self.blocks - self.errors >= RELIABLE)
        at, score = self.snr_db[telling], -ndtri(self.errors[telling] / self.blocks[telling])
        wanted = np.asarray(snr_db, dtype=np.float64)
        found = np.interp(wanted, at, score)
        for end, inner in ((0, 1), (-1, -2)):
            slope = (score[end] - score[inner]) / (at[end] - at[inner])
            beyond = wanted < at[0] if end == 0 else wanted > at[-1]
            found = np.where(beyond, score[end] + slope * (wanted - at[end]), found)
        return np.asarray(ndtr(-found))


@dataclass(frozen=True)
class Mode:
    """How a file is sent: a scheme, and the information bits of its code blocks."""

    scheme: Scheme
    block_bits: int

    @property
    def uses(self) -> int:
        """Channel uses of a code block."""
        return self.scheme.uses(self.block_bits)

    def capacity_bits(self, uses: int) -> int:
        """Bits that fit into so many channel uses."""
        return capacity_bits(uses, self.scheme, self.block_bits)

    def error_rate(self, snr_db: Array | float) -> Array:
        """Probability that a code block is lost at an SNR on AWGN."""
        return waterfalls()[self].error_rate(snr_db)

    def error_rate_at(self, snr_db: Mapping[int, float]) -> float:
        """The same where each QAM, by its bits per symbol, meets an SNR of its own."""
        return float(self.error_rate(snr_db[self.scheme.bits_per_symbol]))


MODES = tuple(Mode(scheme, bits) for scheme in SCHEMES for bits in BLOCK_BITS)
"""Their order is what a frame's header says."""


@lru_cache(maxsize=1)
def waterfalls() -> dict[Mode, Waterfall]:
    """The measured curve of every mode."""
    curves: dict[tuple[str, int], list[Point]] = {}
    for point in read_points((files("jscc_sim.coding") / "waterfalls.csv").read_text()):
        curves.setdefault((point.mode, point.block_bits), []).append(point)
    found = {}
    for mode in MODES:
        _, _, *columns = zip(*curves[mode.scheme.name, mode.block_bits], strict=True)
        found[mode] = Waterfall(*map(np.array, columns))
    return found


@lru_cache(maxsize=1)
def measured_text() -> str:
    """The measured curves as text: what depends on them says so by it."""
    return str([[column.tolist() for column in vars(curve).values()] for curve in waterfalls().values()])


def read_points(text: str) -> list[Point]:
    """The rows of a table as experiments/measure_waterfalls.py writes it."""
    _, *rows = csv.reader(text.splitlines())
    return [Point(row[0], int(row[1]), float(row[2]), int(row[3]), int(row[4])) for row in rows]


def dependable_modes(snr_db: dict[int, float], uses: int) -> tuple[Mode, ...]:
    """Modes that lose an image which fills so many uses with a probability of at most MOST_LOST.
    snr_db: what a QAM of so many bits per symbol will meet."""
    found = []
    for mode in MODES:
        blocks = uses // mode.uses
        lost = mode.error_rate_at(snr_db)
        if blocks and -math.expm1(blocks * math.log1p(-min(lost, 0.5))) <= MOST_LOST:
            found.append(mode)
    return tuple(found)
