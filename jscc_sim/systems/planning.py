"""Fit header and payload into one budget, whatever the policy and the entropy coder do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import BudgetError
from jscc_sim.units import RatioSet

ROUNDS = 8
SLACK_SHARE = 0.001

Index = NDArray[np.int64]


def plan_frame(
    allocate: Callable[[int], Index],
    header_uses: Callable[[Index], int],
    least_header_uses: int,
    ratios: RatioSet,
    budget: int,
) -> tuple[Index, int]:
    """The fullest allocation found whose payload and header fit, and its header's uses.

    allocate: payload budget -> [N] index; header_uses: its cost; least_header_uses: that of a map that
    says nothing. The payload is first given all that the least header leaves, then what the header that
    came of it leaves, a few times over; where that does not end in a frame, half as much is tried, down to
    the least payload that there is. If none fits nothing but a header is sent. Raises BudgetError if even
    that is too long.
    """
    best: tuple[int, Index, int] | None = None
    payload, least = budget - least_header_uses, ratios.uses[1]
    for tried in count(1):
        if payload < least or (best is not None and tried > ROUNDS):
            break
        index = allocate(payload)
        header, spent = header_uses(index), ratios.spent(index)
        room = budget - header
        if spent <= room:
            if best is None or spent > best[0]:
                best = spent, index, header
            if room <= payload or room - spent <= SLACK_SHARE * budget:
                break
            payload = room
        elif payload == least:
            break
        else:
            payload = room if least <= room < payload and tried < ROUNDS else max(payload // 2, least)
    if best is None or best[0] == 0:
        index = allocate(0)
        best = 0, index, header_uses(index)
    _, index, header = best
    if header > budget:
        raise BudgetError(f"budget of {budget} uses is below the {header} uses that the frame's header needs")
    return index, header
