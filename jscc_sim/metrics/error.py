"""Mean squared error and PSNR, each defined once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.images import Picture
from jscc_sim.metrics.base import Metric

PEAK = 255.0


def mean_squared_error(picture: Picture, reference: Picture) -> float:
    """Mean squared error over all samples of two [H, W, 3] uint8 pictures."""
    if picture.shape != reference.shape:
        raise ValueError(f"pictures of shapes {picture.shape} and {reference.shape} cannot be compared")
    total = 0
    for row, other in zip(picture, reference, strict=True):
        difference = row.astype(np.int64) - other
        total += int(np.dot(difference.ravel(), difference.ravel()))
    return total / picture.size


def psnr_of_mse(mse: float) -> float | None:
    """PSNR in dB for peak 255; None for an mse of 0."""
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else None


def psnr_between(picture: Picture, reference: Picture) -> float | None:
    """PSNR in dB of two [H, W, 3] uint8 pictures; None where they are the same."""
    return psnr_of_mse(mean_squared_error(picture, reference))


def block_errors(blocks: NDArray[np.float32], reference: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[N] mean squared error of each of N blocks [N, 32, 32, 3]; the estimate is clipped to 0..255."""
    difference = np.clip(blocks, 0, PEAK) - reference
    return np.asarray(np.square(difference).mean(axis=(1, 2, 3)), dtype=np.float64)


@dataclass(frozen=True)
class PSNR(Metric):
    """10 log10(255**2 / MSE) over all RGB samples of the picture; none for equal pictures."""

    column: ClassVar[str] = "psnr_db"
    label: ClassVar[str] = "PSNR (dB)"

    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        return psnr_between(picture, reference)
