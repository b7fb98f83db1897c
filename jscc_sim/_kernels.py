"""All compiled code: arrays in, arrays out, nothing checked. The public functions above it validate.

N is the number of blocks, R of ratios. With NUMBA_DISABLE_JIT=1 all of it runs as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., object])

_REORDER = {"reassoc", "contract", "arcp"}
"""Sums may be reordered, which lets them use the vector units; infinities keep their meaning."""


def _njit(parallel: bool = False) -> Callable[[F], F]:
    """numba.njit that keeps its machine code on disk, or only in memory where no folder is writable."""

    def compiled(function: F) -> F:
        try:
            kernel: F = numba.njit(cache=True, parallel=parallel, fastmath=_REORDER)(function)
        except RuntimeError:  # numba: "cannot cache function: no locator available"
            kernel = numba.njit(parallel=parallel, fastmath=_REORDER)(function)
        return kernel

    return compiled


# --- complexity: blocks are [N, 32, 32, 3] uint8 -------------------------------------------------

_ORDER = np.arange(8)
_DCT = np.sqrt(np.where(_ORDER == 0, 1, 2) / 8)[:, None] * np.cos(
    np.pi / 8 * _ORDER[:, None] * (_ORDER + 0.5)
)  # [frequency, sample], orthonormal DCT-II
_BAND = np.digitize(_ORDER[:, None] + _ORDER, (1, 3, 6, 10))  # 0: DC; 1 to 4: u + v up to 2, 5, 9, 14
_COEFFICIENTS = 16 * np.bincount(_BAND.ravel())  # of each band in a block


# Loops where NumPy expressions would read as well: they compile five times as fast.


@_njit()
def _luma(block: Bytes) -> Floats:
    """[32, 32] BT.601 luma."""
    out = np.empty((32, 32))
    for y in range(32):
        for x in range(32):
            out[y, x] = 0.299 * block[y, x, 0] + 0.587 * block[y, x, 1] + 0.114 * block[y, x, 2]
    return out


@_njit()
def _chroma(block: Bytes, luma: Floats, channel: int, scale: float) -> Floats:
    """[32, 32] BT.601 chroma: Cb of channel 2 and scale 1.772, Cr of channel 0 and scale 1.402."""
    out = np.empty((32, 32))
    for y in range(32):
        for x in range(32):
            out[y, x] = (block[y, x, channel] - luma[y, x]) / scale
    return out


@_njit()
def _variance(plane: Floats) -> float:
    height, width = plane.shape
    mean = 0.0
    for y in range(height):
        for x in range(width):
            mean += plane[y, x]
    mean /= height * width
    variance = 0.0
    for y in range(height):
        for x in range(width):
            variance += (plane[y, x] - mean) ** 2
    return variance / (height * width)


@_njit()
def _squared_gradient(luma: Floats) -> float:
    total = 0.0
    for y in range(32):
        for x in range(31):
            total += (luma[y, x + 1] - luma[y, x]) ** 2 + (luma[x + 1, y] - luma[x, y]) ** 2
    return total / (32 * 31)


@_njit()
def _dct_down(plane: Floats) -> Floats:
    """[32, 32] DCTs of each column's runs of 8 samples, transposed."""
    out = np.empty((32, 32))
    for u in range(32):
        row = np.zeros(32)
        for i in range(8):
            for x in range(32):
                row[x] += _DCT[u % 8, i] * plane[u // 8 * 8 + i, x]
        for x in range(32):
            out[x, u] = row[x]
    return out


@_njit()
def _dct(luma: Floats) -> Floats:
    """[32, 32] the orthonormal 8x8 DCTs, each in its place."""
    return _dct_down(_dct_down(luma))


@_njit()
def _activity(spectrum: Floats) -> float:
    """Mean absolute AC coefficient."""
    total = 0.0
    for u in range(32):
        for v in range(32):
            if _BAND[u % 8, v % 8] > 0:
                total += abs(spectrum[u, v])
    return total / (16 * 63)


@_njit()
def _fill_features(block: Bytes, out: Floats) -> None:
    """The features of one block, before the logarithm."""
    luma = _luma(block)
    spectrum = _dct(luma)
    energy = np.zeros(5)
    means = np.empty((4, 4))
    for u in range(32):
        for v in range(32):
            band = _BAND[u % 8, v % 8]
            energy[band] += spectrum[u, v] ** 2
            if band == 0:
                means[u // 8, v // 8] = spectrum[u, v] / 8
    out[0] = _variance(luma)
    out[1] = _squared_gradient(luma)
    for band in range(1, 5):
        out[1 + band] = energy[band] / _COEFFICIENTS[band]
    out[6] = _variance(_chroma(block, luma, 2, 1.772)) + _variance(_chroma(block, luma, 0, 1.402))
    out[7] = _variance(means)


@_njit(parallel=True)
def luma_variance(blocks: Bytes) -> Floats:
    """[N] variance of the luma."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _variance(_luma(blocks[b]))
    return out


@_njit(parallel=True)
def squared_gradient(blocks: Bytes) -> Floats:
    """[N] mean squared luma difference of neighbours: across plus down."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _squared_gradient(_luma(blocks[b]))
    return out


@_njit(parallel=True)
def dct_activity(blocks: Bytes) -> Floats:
    """[N] mean absolute AC coefficient of the 8x8 luma DCTs."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _activity(_dct(_luma(blocks[b])))
    return out


@_njit(parallel=True)
def features(blocks: Bytes) -> Floats:
    """[N, 8] the features that complexity.FEATURES names, before the logarithm."""
    out = np.empty((len(blocks), 8))
    for b in prange(len(blocks)):
        _fill_features(blocks[b], out[b])
    return out


# --- allocation: slope[b, k] > 0 is what the step of block b that ends at ratio k takes off the cost
# per use, and never rises with k; 0 where no step ends at k. uses is [R], ascending from 0. --------


@_njit(parallel=True)
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


@_njit()
def critical_slope(slope: Floats, uses: Ints, budget: int) -> float:
    """The slope whose steps no longer fit all once every steeper step is taken; 0 if all steps fit.

    Radix search: floats of one sign order like their bits, so six histograms of 11 bits find it.
    """
    bits = slope.view(np.int64)
    prefix = 0
    left = budget
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


@_njit()
def steps_above(slope: Floats, critical: float) -> Ints:
    """[N] where each block ends that takes all its steps steeper than `critical`."""
    index = np.zeros(len(slope), np.int64)
    for b in range(len(slope)):
        for k in range(slope.shape[1]):
            if slope[b, k] > critical:
                index[b] = k
    return index


@_njit()
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


@_njit()
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


@_njit()
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


@_njit()
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


# --- mixtures: K components of N integers each, see coding/mixture.py ------------------------------


@_njit()
def mixture_frequencies(
    shares: Ints, means: Ints, inverses: Ints, centres: Ints, half: int, table: Ints
) -> Floats:
    """[N, 2 * half + 3] frequencies, in units of 2**-30: below the window around the centre, each of
    its values, above it. shares [K, N] of 2**24; means [K, N] in 2**-10; inverses [K, N] of the scales in
    2**-20; table: the normal distribution at -8, -8 + 2**-8, ... 8, in 2**-30."""
    count, width = means.shape[1], 2 * half + 3
    frequencies = np.empty((count, width))
    for n in range(count):
        before = 0
        for j in range(width):
            below = 1 << 30
            if j < width - 1:
                edge = (centres[n] - half + j) * 1024 - 512
                total = 0
                for k in range(len(means)):
                    place = ((edge - means[k, n]) * inverses[k, n] >> 14) + (8 << 16)
                    place = min(max(place, 0), (16 << 16) - 1)
                    low = table[place >> 8]
                    total += shares[k, n] * (low + ((table[(place >> 8) + 1] - low) * (place & 255) >> 8))
                below = total >> 24
            frequencies[n, j] = max(below - before, 0)
            before = max(before, below)
    return frequencies
