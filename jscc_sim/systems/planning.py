"""Fit header and payload into one budget, whatever the policy and the entropy coder do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import BudgetError
from jscc_sim.units import RatioSet

ROUNDS = 5
SLACK_SHARE = 0.001


def plan_frame(
    allocate: Callable[[int], NDArray[np.int64]],
    header_uses: Callable[[NDArray[np.int64]], int],
    most_header_uses: int,
    ratios: RatioSet,
    budget: int,
) -> tuple[NDArray[np.int64], int]:
    """The fullest allocation found whose payload and header fit, and its header's uses.

    allocate: payload budget -> [N] index; header_uses: its cost. Room for the header is reserved,
    the reserve follows what the header really took, a few times over; then the largest possible
    header is reserved, and last of all nothing but a header is sent. Raises BudgetError if even
    that is too long.
    """
    best: tuple[int, NDArray[np.int64], int] | None = None
    reserve = most_header_uses // 2
    for _ in range(ROUNDS):
        if reserve > budget:
            break
        index = allocate(budget - reserve)
        header = header_uses(index)
        total = ratios.spent(index) + header
        if total <= budget:
            if best is None or total > best[0]:
                best = total, index, header
            if header >= reserve or budget - total <= SLACK_SHARE * budget:
                break
            reserve = header
        else:
            reserve = max(header, reserve + 1)
    if best is None:
        index = allocate(max(0, budget - most_header_uses))
        header = header_uses(index)
        best = ratios.spent(index) + header, index, header
    total, index, header = best
    if total > budget:
        raise BudgetError(f"budget of {budget} uses is below the {header} uses that the frame's header needs")
    return index, header
