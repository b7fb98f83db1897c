"""Random: what a policy gains by chance alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.fitting import fit_to_budget
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class Random(AllocationPolicy):
    """Uses proportional to uniform random numbers: the control. seed: the same gives the same."""

    needs: ClassVar[tuple[str, ...]] = ()
    seed: int = 0

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        return fit_to_budget(np.random.default_rng(self.seed).random(len(blocks)), ratios, budget)
