"""Convex envelopes of rate-distortion points, and confidence intervals over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats has the same by name, and takes a second to load

CONFIDENCE = 0.95
FEWEST = 5
"""Values below which an interval is computed, but not shown: of two it is seven times as wide as of five, and
hides what it is drawn about."""


@dataclass(frozen=True)
class Interval:
    """A mean with the half-width of its 95 % confidence interval."""

    mean: float
    half_width: float
    count: int

    @property
    def shown(self) -> float:
        """The half-width for a figure or a table: NaN of fewer than FEWEST values."""
        return self.half_width if self.count >= FEWEST else float("nan")

    def text(self, places: int, sign: str = "") -> str:
        """`1.54 ± 0.15`; without half-width where none is shown. sign: `+` to have one in any case."""
        half = f" ± {self.shown:.{places}f}" if np.isfinite(self.shown) else ""
        return f"{self.mean:{sign}.{places}f}{half}"


def lower_envelope(uses: ArrayLike, mse: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The lower convex hull of points (uses, mse), left to right, ending at the least mse.

    Time sharing between two allocations reaches every point on it.
    """
    points = np.column_stack([np.asarray(uses, float), np.asarray(mse, float)])
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    hull: list[NDArray[np.float64]] = []
    for point in points:
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) <= 0:
            hull.pop()
        if not hull or point[1] < hull[-1][1]:
            if hull and point[0] == hull[-1][0]:
                hull.pop()
            hull.append(point)
    corners = np.array(hull)
    return corners[:, 0], corners[:, 1]


def envelope_mse(uses: float, hull_uses: NDArray[np.float64], hull_mse: NDArray[np.float64]) -> float:
    """MSE on an envelope at `uses`; constant beyond its last corner, NaN before its first."""
    if uses < hull_uses[0]:
        return float("nan")
    return float(np.interp(uses, hull_uses, hull_mse))


def gain_db(mse: float, uses: float, uniform_uses: ArrayLike, uniform_mse: ArrayLike) -> float:
    """A policy's gain on one image: dB of uniform's lower convex envelope at the same uses over mse."""
    reference = envelope_mse(uses, *lower_envelope(uniform_uses, uniform_mse))
    return float(10 * np.log10(reference / mse)) if mse > 0 else float("inf")


def gaussian_distortion(variance: ArrayLike, bits: float) -> float:
    """Least sum of squared errors of independent Gaussians described by so many bits together.

    variance: [N] >= 0. Reverse water-filling: every component that matters ends with the same error.
    Source: Cover & Thomas 2006, theorem 10.3.3.
    """
    falling = np.sort(np.asarray(variance, float))[::-1]
    kept = falling[falling > 0]
    if not len(kept):
        return 0.0
    count = np.arange(1, len(kept) + 1)
    level = np.exp2((np.cumsum(np.log2(kept)) - 2 * bits) / count)
    below = np.append(kept[1:], 0.0) <= level
    active = int(np.argmax(below & (level <= kept)))
    if not (below & (level <= kept)).any():
        return float(kept.sum())
    return float(level[active] * count[active] + kept[active + 1 :].sum())


def interval(values: ArrayLike) -> Interval:
    """Mean of paired differences, or of any sample, with its Student-t 95 % interval (NaN for one)."""
    sample = np.asarray(values, float)
    count = len(sample)
    if count < 2:
        return Interval(float(sample.mean()), float("nan"), count)
    error = sample.std(ddof=1) / np.sqrt(count)
    quantile = special.stdtrit(count - 1, (1 + CONFIDENCE) / 2)
    return Interval(float(sample.mean()), float(error * quantile), count)


def proportion(count: int, trials: int) -> tuple[float, float]:
    """Ends of the exact (Clopper-Pearson) 95 % interval of a rate seen as `count` of `trials` > 0."""
    tail, missed = (1 - CONFIDENCE) / 2, trials - count
    low = special.betaincinv(count, missed + 1, tail) if count else 0.0
    high = special.betaincinv(count + 1, missed, 1 - tail) if missed else 1.0
    return float(low), float(high)


def _turn(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
