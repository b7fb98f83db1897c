"""Slow, obvious twins of the compiled kernels."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.fft import dctn

from jscc_sim.cli.bench import plain_features as features  # noqa: F401


def luma(block):
    return block.astype(float) @ (0.299, 0.587, 0.114)


def dct_tiles(plane):
    """[16, 8, 8] orthonormal DCTs."""
    tiles = plane.reshape(4, 8, 4, 8).transpose(0, 2, 1, 3).reshape(16, 8, 8)
    return dctn(tiles, axes=(1, 2), norm="ortho")


def variance(block):
    return luma(block).var()


def gradient(block):
    y = luma(block)
    return np.mean(np.diff(y, axis=0) ** 2) + np.mean(np.diff(y, axis=1) ** 2)


def dct_activity(block):
    return np.abs(dct_tiles(luma(block)).reshape(16, 64)[:, 1:]).mean()


def is_hull_corner(cost, uses, k):
    """Whether ratio k ends a step of the descending lower hull: cheaper than all before it, and above no
    chord between two others. (Products, not quotients: exact for integers.)"""
    return all(cost[i] > cost[k] for i in range(k)) and all(
        (cost[k] - cost[i]) * (uses[j] - uses[i]) <= (cost[j] - cost[i]) * (uses[k] - uses[i])
        for i in range(k)
        for j in range(k + 1, len(uses))
    )


def hull_slopes(cost, uses):
    slope = np.zeros(cost.shape)
    for b in range(len(cost)):
        corner = 0
        for k in range(1, len(uses)):
            if is_hull_corner(cost[b], uses, k):
                slope[b, k] = (cost[b, corner] - cost[b, k]) / (uses[k] - uses[corner])
                corner = k
    return slope


def steps(slope, uses):
    """(slope, uses) of every step."""
    for row in slope:
        ends = [0, *np.flatnonzero(row)]
        for start, end in itertools.pairwise(ends):
            yield row[end], uses[end] - uses[start]


def critical_slope(slope, uses, budget):
    for critical in sorted({s for s, _ in steps(slope, uses)}, reverse=True):
        if sum(step for s, step in steps(slope, uses) if s >= critical) > budget:
            return critical
    return 0.0


def spend_steepest(cost, uses, index, left):
    index = index.copy()
    while True:
        moves = [
            ((cost[b, index[b]] - cost[b, k]) / (uses[k] - uses[index[b]]), -b, -k)
            for b in range(len(index))
            for k in range(index[b] + 1, len(uses))
            if uses[k] - uses[index[b]] <= left
        ]
        slope, b, k = max(moves, default=(0, 0, 0))
        if slope <= 0:
            return index, left
        left -= uses[-k] - uses[index[-b]]
        index[-b] = -k


def fit_to_budget(weights, uses, budget):
    """Try every scale at which a block reaches a ratio, from below; then heaviest first."""
    index = np.zeros(len(weights), int)
    for scale in sorted({u / w for w in weights if w > 0 for u in uses}):
        # a rounding error of the product must not lose the ratio that defines the scale
        rounded = np.array(
            [np.searchsorted(uses, w * scale * (1 + 1e-12), side="right") - 1 for w in weights]
        )
        if uses[rounded].sum() <= budget:
            index = rounded
    left = budget - uses[index].sum()
    raised = True
    while raised:
        raised = False
        for b in sorted(range(len(weights)), key=lambda b: -weights[b]):
            if index[b] + 1 < len(uses) and uses[index[b] + 1] - uses[index[b]] <= left:
                left -= uses[index[b] + 1] - uses[index[b]]
                index[b] += 1
                raised = True
    return index


def least_total(cost, uses, budget):
    """The least total cost of all allocations within the budget, by trying each."""
    choices = itertools.product(range(len(uses)), repeat=len(cost))
    return min(
        sum(cost[b, k] for b, k in enumerate(choice))
        for choice in choices
        if sum(uses[k] for k in choice) <= budget
    )


def slow_mixture_frequencies(shares, means, inverses, centres, half, table):
    """One boundary at a time, in Python's integers."""
    rows = []
    for n in range(means.shape[1]):
        row, before = [], 0
        edges = [int(centres[n]) - half + j for j in range(2 * half + 2)]
        for edge in [*edges, None]:
            below = 1 << 30
            if edge is not None:
                total = 0
                for k in range(means.shape[0]):
                    away = edge * 1024 - 512 - int(means[k, n])
                    place = (away * int(inverses[k, n])) // 2**14 + 8 * 2**16
                    whole, part = divmod(max(0, min(place, 16 * 2**16 - 1)), 256)
                    low, high = int(table[whole]), int(table[whole + 1])
                    total += int(shares[k, n]) * (low + (high - low) * part // 256)
                below = total // 2**24
            row.append(max(below - before, 0))
            before = max(before, below)
        rows.append(row)
    return np.array(rows, dtype=float)
