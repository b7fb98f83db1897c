"""Allocation by slopes.

slope[b, k] > 0 is what the step of block b that ends at ratio k takes off the cost per use, and never rises
with k; 0 where no step ends at k. uses is [R], ascending from 0.
"""

from __future__ import annotations

import numpy as np

from jscc_sim._kernels.compiled import Floats, Ints, njit, parallel, prange


@parallel
def hull_slopes(cost: Floats, uses: Ints) -> Floats:
    """[N, R] slopes of the descending part of each block's lower convex hull. cost: [N, R]."""
    slope = np.zeros(cost.shape)
    for b in prange(len(cost)):
        corner = np.zeros(len(uses), np.int64)  # the hull so far, a stack that begins at ratio 0
        top = 0
        for k in range(1, len(uses)):
            if cost[b, k] >= cost[b, corner[top]]:
                continue
            steep = (cost[b, corner[top]] - cost[b, k]) / (uses[k] - uses[corner[top]])
            while top > 0 and steep > slope[b, corner[top]]:
                slope[b, corner[top]] = 0.0
                top -= 1
                steep = (cost[b, corner[top]] - cost[b, k]) / (uses[k] - uses[corner[top]])
            slope[b, k] = steep
            top += 1
            corner[top] = k
    return slope


@njit()
def critical_slope(slope: Floats, uses: Ints, budget: int) -> float:
    """The slope whose steps no longer fit all once every steeper step is taken; 0 if all steps fit.

    Radix search: floats of one sign order like their bits, so six histograms of 11 bits find it.
    """
    bits = slope.view(np.int64)
    prefix = 0
    left = budget - len(slope) * uses[0]
    for shift in (55, 44, 33, 22, 11, 0):
        wanted = np.zeros(2048, np.int64)
        for b in range(len(slope)):
            corner = 0
            for k in range(1, len(uses)):
                if slope[b, k] > 0:
                    digits = bits[b, k] >> shift
                    if digits >> 11 == prefix:
                        wanted[digits & 2047] += uses[k] - uses[corner]
                    corner = k
        steepest_first = np.cumsum(wanted[::-1])
        fitting = int(np.searchsorted(steepest_first, left, side="right"))
        if fitting == 2048:
            return 0.0
        if fitting > 0:
            left -= steepest_first[fitting - 1]
        prefix = (prefix << 11) | (2047 - fitting)
    critical: float = np.array([prefix]).view(np.float64)[0]
    return critical


@njit()
def steps_above(slope: Floats, critical: float) -> Ints:
    """[N] where each block ends that takes all its steps steeper than `critical`."""
    index = np.zeros(len(slope), np.int64)
    for b in range(len(slope)):
        for k in range(slope.shape[1]):
            if slope[b, k] > critical:
                index[b] = k
    return index


@njit()
def take_ties(slope: Floats, uses: Ints, critical: float, index: Ints, left: int) -> int:
    """Take, in block order, the steps of slope `critical` that fit: changes index, returns what is left."""
    for b in range(len(slope)):
        for k in range(index[b] + 1, len(uses)):
            if slope[b, k] == 0:
                continue
            step = uses[k] - uses[index[b]]
            if slope[b, k] != critical or step > left:
                break
            index[b] = k
            left -= step
    return left


@njit()
def _steepest_move(cost: Floats, uses: Ints, k: int, left: int) -> tuple[int, float]:
    """End and slope of one block's best step from ratio k that takes at most `left` uses."""
    end, best = k, 0.0
    for j in range(k + 1, len(uses)):
        if uses[j] - uses[k] > left:
            break
        slope = (cost[k] - cost[j]) / (uses[j] - uses[k])
        if slope > best:
            end, best = j, slope
    return end, best


@njit()
def spend_steepest(cost: Floats, uses: Ints, index: Ints, left: int) -> int:
    """Take the steepest step that fits, again and again: changes index, returns what is left."""
    end = index.copy()
    slope = np.zeros(len(index))
    for b in range(len(index)):
        end[b], slope[b] = _steepest_move(cost[b], uses, index[b], left)
    while True:
        best = -1
        for b in range(len(index)):
            if uses[end[b]] - uses[index[b]] > left:
                end[b], slope[b] = _steepest_move(cost[b], uses, index[b], left)
            if slope[b] > 0 and (best < 0 or slope[b] > slope[best]):
                best = b
        if best < 0:
            return left
        left -= uses[end[best]] - uses[index[best]]
        index[best] = end[best]
        end[best], slope[best] = _steepest_move(cost[best], uses, index[best], left)


@njit()
def spend_in_order(order: Ints, uses: Ints, index: Ints, left: int) -> int:
    """Raise blocks in turn, a ratio each, round after round: changes index, returns what is left."""
    raised = True
    while raised:
        raised = False
        for b in order:
            if index[b] + 1 < len(uses) and uses[index[b] + 1] - uses[index[b]] <= left:
                left -= uses[index[b] + 1] - uses[index[b]]
                index[b] += 1
                raised = True
    return left
