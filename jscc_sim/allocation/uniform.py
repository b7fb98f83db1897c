"""Uniform: the same for every block, as nearly as the budget allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class Uniform(AllocationPolicy):
    """Every block at the largest ratio that fits, then evenly spread blocks at the next one up."""

    needs: ClassVar[tuple[str, ...]] = ()

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        count = len(blocks)
        base = ratios.largest_within(budget // count)
        if base == len(ratios) - 1:
            return np.full(count, base)
        step = ratios.uses[base + 1] - ratios.uses[base]
        raised = (budget - count * ratios.uses[base]) // step
        line = (np.arange(count + 1) * raised + count // 2) // count  # raise where it crosses an integer
        return base + np.diff(line)
