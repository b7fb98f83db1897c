"""Proportional: uses as the complexity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.fitting import fit_to_budget
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class Proportional(AllocationPolicy):
    """Uses proportional to the block's score."""

    needs: ClassVar[tuple[str, ...]] = ("score",)

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        return fit_to_budget(blocks.score, ratios, budget)
