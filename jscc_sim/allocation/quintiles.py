"""Thresholds on variance quintiles: the classroom baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.fitting import fit_to_budget
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class VarianceQuintiles(AllocationPolicy):
    """The busier a block's quintile, the larger its ratio: uses as 1 to 2 to 3 to 4 to 5."""

    needs: ClassVar[tuple[str, ...]] = ("score",)

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        thresholds = np.quantile(blocks.score, (0.2, 0.4, 0.6, 0.8))
        quintile = np.searchsorted(thresholds, blocks.score).astype(np.float64)
        return fit_to_budget(1 + quintile, ratios, budget)
