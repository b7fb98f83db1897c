"""CIEDE2000: how far colours are from each other, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jscc_sim.images import Picture
from jscc_sim.metrics.base import Metric

STRIP_SAMPLES = 1 << 18
"""Pixels that are converted at a time: each takes some hundred bytes meanwhile."""


@dataclass(frozen=True)
class CIEDE2000(Metric):
    """Mean colour difference over the pixels (sRGB, D65), CIE 142-2001; 1 is just noticeable, 0 is equal."""

    column: ClassVar[str] = "ciede2000"
    label: ClassVar[str] = "CIEDE2000"
    higher_is_better: ClassVar[bool] = False

    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        from skimage.color import deltaE_ciede2000, rgb2lab

        height, width = picture.shape[:2]
        rows, total = max(1, STRIP_SAMPLES // width), 0.0
        for top in range(0, height, rows):
            strip = slice(top, top + rows)
            total += float(deltaE_ciede2000(rgb2lab(reference[strip]), rgb2lab(picture[strip])).sum())
        return total / (height * width)
