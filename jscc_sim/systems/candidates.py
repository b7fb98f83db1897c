"""The frames that block JSCC's sender chooses from: coders of a family, each with an allocation that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Uniform, total_error
from jscc_sim.blocks import BlockGrid
from jscc_sim.errors import BudgetError
from jscc_sim.nn.bank import Latents
from jscc_sim.systems.base import ChannelProbe
from jscc_sim.systems.planning import plan_frame
from jscc_sim.systems.simulation import SenderSimulation
from jscc_sim.units import db_to_power
from jscc_sim.zoo import Zoo

CLOSE_DB = 1.5
"""Coders of a family whose predicted errors differ by less are tried. On validation pictures the prediction
alone loses up to 0.33 dB and trying within 1 dB nothing, see experiments/companion_choice.py; the rest is
reserve."""

Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FittedAllocation:
    """An allocation [N] that fits, the uses of its header, and the sum of the blocks' errors that the sender
    expects, 0 where it predicts nothing; latents: of the frame, where it was made to be tried."""

    index: Index
    header_uses: int
    expected: float
    latents: Latents | None = None


class Candidate(NamedTuple):
    """A frame that a sender may send: the coder, what is known of the blocks with it, the allocation."""

    zoo: Zoo
    known: BlockStatistics
    fitted: FittedAllocation


@dataclass(frozen=True, eq=False)
class CandidateTest:
    """A picture to be sent, and a channel to try its frames on."""

    blocks: NDArray[np.uint8]
    grid: BlockGrid
    sender_snr_db: float
    probe: ChannelProbe
    equaliser: str

    def simulation(self, zoo: Zoo, draws: int, judging: int) -> SenderSimulation:
        """With a zoo's coders."""
        known = (zoo.bank, self.blocks, self.grid, self.sender_snr_db, self.probe)
        return SenderSimulation(*known, draws, judging, self.equaliser)

    def best(self, candidates: Sequence[Candidate], steady: bool) -> Candidate:
        """The one that promises least error; where another promises almost as little, both are tried. steady:
        one draw of the channel tells of all. Of fades, which differ, the promises are means."""
        least = min(candidate.fitted.expected for candidate in candidates)
        if not steady:
            return min(candidates, key=lambda candidate: candidate.fitted.expected)
        close = [c for c in candidates if c.fitted.expected <= least * db_to_power(CLOSE_DB)]
        if len(close) == 1:
            return close[0]
        made = ((c, *tried(self.simulation(c.zoo, 0, 1), c.fitted)) for c in close)
        best, _, fitted = min(made, key=lambda one: one[1])
        return best._replace(fitted=fitted)


def tried(simulation: SenderSimulation, fitted: FittedAllocation) -> tuple[float, FittedAllocation]:
    """The sum of a frame's errors where it is tried, and the frame with its latents."""
    error, latents = simulation.frame(fitted.index, fitted.header_uses)
    return error, replace(fitted, latents=latents)


def fit_allocation(
    policy: AllocationPolicy,
    zoo: Zoo,
    known: BlockStatistics,
    grid: BlockGrid,
    budget: int,
    header_uses: Callable[[Index], int],
) -> FittedAllocation:
    """A policy's allocation; uniform's, whose header is the shortest, where that is held to be better and
    the policy asks for it, or where the policy's leaves no room for any payload. header_uses: of an
    allocation. Raises BudgetError if none fits."""
    least = header_uses(np.zeros(len(grid), np.int64))

    def fitted(tried: AllocationPolicy) -> FittedAllocation:
        try:
            index, header = plan_frame(
                lambda payload: tried.allocate(known, zoo.ratios, payload),
                header_uses,
                least,
                zoo.ratios,
                budget,
            )
        except BudgetError as error:
            raise BudgetError(f"{error} ({grid.height}x{grid.width} pixels)") from None
        expected = 0.0 if known.mse is None else total_error(known, index, zoo.ratios)
        return FittedAllocation(index, header, expected)

    found = fitted(policy)
    if not found.index.any():
        return fitted(Uniform())
    return min(found, fitted(Uniform()), key=lambda f: f.expected) if policy.beats_uniform else found
