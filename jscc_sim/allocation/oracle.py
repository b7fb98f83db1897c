"""Oracle: the least expected error over the true channel. An upper bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.equal_slope import least_error
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class Oracle(AllocationPolicy):
    """The least sum of errors expected with the channel's true state, which no sender knows.

    rounds: as for Lagrangian.
    """

    needs: ClassVar[tuple[str, ...]] = ("expected_mse",)
    beats_uniform: ClassVar[bool] = True
    realisable: ClassVar[bool] = False
    rounds: int = 4

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        return least_error(blocks, ratios, budget, self.rounds)
