"""From weights to ratios: uses proportional to weight, rounded so that the budget is kept."""

from __future__ import annotations

import numpy as np

from jscc_sim._kernels import slopes
from jscc_sim.allocation.base import Floats, Index
from jscc_sim.units import RatioSet


def fit_to_budget(weights: Floats, ratios: RatioSet, budget: int) -> Index:
    """[N] index: weights times the largest common scale whose rounding down to the set fits.

    What rounding leaves over is spent heaviest first, a ratio each, round after round, while
    anything fits. weights: [N], finite and >= 0; zeros get uses only when the rest is at the top.
    """
    # A block reaches ratio k at the scale uses/weight: the same search as that for a slope.
    reached = np.zeros((len(weights), len(ratios)))
    reached[:, 1:] = weights[:, None] / ratios.array[1:]
    index = slopes.steps_above(reached, slopes.critical_slope(reached, ratios.array, budget))
    heaviest_first = np.argsort(-weights, kind="stable")
    slopes.spend_in_order(heaviest_first, ratios.array, index, budget - ratios.spent(index))
    return index
