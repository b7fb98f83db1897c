"""Reverse water-filling: uses as the rate of a Gaussian source of the block's variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.fitting import fit_to_budget
from jscc_sim.errors import InputError
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class WaterFilling(AllocationPolicy):
    """Uses proportional to max(0, 0.5 log2(score / level)), the score taken for a variance.

    level: the error, in squared 8-bit steps, at which a block needs nothing; above 0.
    Source: Cover & Thomas, Elements of Information Theory, theorem 10.3.3.
    """

    needs: ClassVar[tuple[str, ...]] = ("score",)
    level: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.level < np.inf:
            raise InputError(f"water level of {self.level} is not above 0 and finite")

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        rate = 0.5 * np.log2(np.maximum(blocks.score, self.level) / self.level)
        return fit_to_budget(rate, ratios, budget)
