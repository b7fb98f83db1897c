"""scikit-learn's 1 797 handwritten digits of 8x8 pixels: which are learnt from, and which are shown.

A fifth is held out for figures alone; of the rest, some are for choices. Their source: E. Alpaydin and
C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.images import Picture

HELD_OUT, VALIDATION = 360, 237
COLUMNS = 20
"""Of a sheet: the held-out fifth is 18 rows of them."""

_SEED = 2024
_WHITE = 16
"""The largest value of scikit-learn's pixels."""


@dataclass(frozen=True, eq=False)
class DigitSet:
    """pixels: [N, 8, 8] uint8; labels: [N] 0 to 9."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pixels)

    def sheet(self, columns: int = COLUMNS) -> Picture:
        """The digits in one grey picture, row by row; black where the last row ends early."""
        rows = -(-len(self) // columns)
        tiles = np.zeros((rows * columns, 8, 8), np.uint8)
        tiles[: len(self)] = self.pixels
        grey = tiles.reshape(rows, columns, 8, 8).swapaxes(1, 2).reshape(8 * rows, 8 * columns)
        return np.repeat(grey[..., None], 3, axis=2)


@dataclass(frozen=True, eq=False)
class DigitSplit:
    """training: what networks and baselines are fitted to; validation: for choices; held_out: for figures."""

    training: DigitSet
    validation: DigitSet
    held_out: DigitSet


def load_digits() -> DigitSplit:
    """The digits, always split alike. Raises InputError where scikit-learn is missing."""
    try:
        from sklearn.datasets import load_digits as load
    except ImportError:
        raise InputError("the digits are scikit-learn's: pip install 'jscc_sim[digits]'") from None
    found = load()
    pixels = np.rint(found.images * (255 / _WHITE)).astype(np.uint8)
    order = np.random.default_rng(_SEED).permutation(len(pixels))
    parts = np.split(order, (HELD_OUT, HELD_OUT + VALIDATION))
    held_out, validation, training = (DigitSet(pixels[at], found.target[at].astype(np.int64)) for at in parts)
    return DigitSplit(training, validation, held_out)
