"""Lagrangian: the least predicted error. The default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.equal_slope import least_error
from jscc_sim.allocation.smoothing import smoothed
from jscc_sim.errors import InputError
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class Lagrangian(AllocationPolicy):
    """The least sum of predicted errors, energy priced where known; never predicted to be above Uniform's.

    rounds: how often the price of energy is measured anew; smoothing: the share that a block's neighbours
    have in its errors, 0 to 1. Source: Shoham & Gersho 1988.
    """

    needs: ClassVar[tuple[str, ...]] = ("predicted_mse",)
    beats_uniform: ClassVar[bool] = True
    rounds: int = 4
    smoothing: float = 0.3

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing <= 1:
            raise InputError(f"smoothing {self.smoothing:g} is outside 0 to 1")

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        return least_error(smoothed(blocks, self.smoothing), ratios, budget, self.rounds)
