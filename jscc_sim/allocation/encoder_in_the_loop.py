"""Encoder in the loop: the least error that the sender measured on its own decoder. Slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from jscc_sim.allocation.base import AllocationPolicy, BlockStatistics, Index
from jscc_sim.allocation.equal_slope import least_error
from jscc_sim.units import RatioSet


@final
@dataclass(frozen=True)
class EncoderInTheLoop(AllocationPolicy):
    """The least sum of errors that the sender finds by decoding its own symbols under its own noise.

    Realisable, and the best a sender can do without feedback. rounds: as for Lagrangian.
    """

    needs: ClassVar[tuple[str, ...]] = ("sender_measured_mse",)
    beats_uniform: ClassVar[bool] = True
    rounds: int = 4

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        return least_error(blocks, ratios, budget, self.rounds)
