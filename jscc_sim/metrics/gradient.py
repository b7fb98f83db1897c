"""GMSD: how unevenly the edges of a picture are disturbed.

Source: Xue, Zhang, Mou & Bovik 2014, "Gradient magnitude similarity deviation", eq. (3) to (6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.images import Picture
from jscc_sim.metrics.base import Metric

STABILITY = 170.0
"""Their constant c, for samples of 0 to 255."""

LUMA = (0.299, 0.587, 0.114)
"""Of ITU-R BT.601."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class GMSD(Metric):
    """Gradient magnitude similarity deviation of the luma, 0 where equal; none below 4 pixels a side."""

    column: ClassVar[str] = "gmsd"
    label: ClassVar[str] = "GMSD"
    higher_is_better: ClassVar[bool] = False

    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        if min(picture.shape[:2]) < 4:
            return None
        one, other = (_gradient(_halved(p @ np.array(LUMA))) for p in (picture, reference))
        similarity = (2 * one * other + STABILITY) / (one**2 + other**2 + STABILITY)
        return float(similarity.std(ddof=1))  # as the authors' program has it


def _halved(luma: Array) -> Array:
    """Means of 2x2 samples; beyond an odd side there are zeros, as in the authors' program."""
    height, width = luma.shape
    even = np.pad(luma, ((0, height % 2), (0, width % 2)))
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)


def _gradient(plane: Array) -> Array:
    """Magnitude by the Prewitt operator; zeros around the plane."""
    padded = np.pad(plane, 1)
    rows = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    columns = (padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3
    return np.hypot(rows[:, :-2] - rows[:, 2:], columns[:-2] - columns[2:])
