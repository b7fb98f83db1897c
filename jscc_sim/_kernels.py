"""All compiled code: arrays in, arrays out, nothing checked. The public functions above it validate.

N is the number of blocks, R of ratios. With NUMBA_DISABLE_JIT=1 all of it runs as plain Python.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError

try:
    import numba
    from numba import prange
    from numba.core.caching import FunctionCache
except ValueError as error:
    raise InputError(f"NUMBA_NUM_THREADS = {os.environ.get('NUMBA_NUM_THREADS')}: {error}") from None

MOST_THREADS = 1024
if numba.config.NUMBA_NUM_THREADS > MOST_THREADS:  # it would crash in the first kernel
    raise InputError(f"NUMBA_NUM_THREADS = {numba.config.NUMBA_NUM_THREADS} is above {MOST_THREADS}")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., object])

_REORDER = {"reassoc", "contract", "arcp"}
"""Sums may be reordered, which lets them use the vector units; infinities keep their meaning."""


MANY = 2048
"""Rows of a kernel that several threads share."""

_alone = threading.Lock()


class _Cache(FunctionCache):  # type: ignore[misc]
    """Machine code on disk as far as that goes: what cannot be read or kept, on a full disk for one, is
    compiled and used all the same."""

    def load_overload(self, *key: Any) -> Any:
        """See FunctionCache."""
        try:
            return super().load_overload(*key)
        except Exception:  # a file that was cut short: whatever unpickling it raises
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *entry: Any) -> None:
        """See FunctionCache."""
        with suppress(OSError):
            super().save_overload(*entry)


def _njit(parallel: bool = False) -> Callable[[F], F]:
    """numba.njit that keeps its machine code on disk, or only in memory where no folder is writable.
    parallel: one call at a time, since not every threading layer of Numba's survives two."""

    def compiled(function: F) -> F:
        kernel: Any = numba.njit(parallel=parallel, fastmath=_REORDER)(function)
        if kernel is function:  # NUMBA_DISABLE_JIT
            return function
        with suppress(RuntimeError):  # numba: "cannot cache function: no locator available"
            kernel._cache = _Cache(function)
        if not parallel:
            return kernel  # type: ignore[no-any-return]

        @wraps(function)
        def one_at_a_time(*arguments: object) -> object:
            with _alone:
                return kernel(*arguments)

        return one_at_a_time  # type: ignore[return-value]

    return compiled


def _parallel(function: F) -> F:
    """A kernel whose outermost loop is shared by threads; each turn writes its own row, so that their number
    changes nothing. Fewer rows than MANY take one thread: to wait for another would take longer."""
    kernel = _njit(parallel=True)(function)

    @wraps(function)
    def launched(rows: Any, *arguments: object) -> object:
        with _launching:
            _launch_threads()
        threads = numba.get_num_threads()
        numba.set_num_threads(threads if len(rows) >= MANY else 1)
        try:
            return kernel(rows, *arguments)
        finally:
            numba.set_num_threads(threads)

    return cast(F, launched)


_launching = threading.Lock()
_launched: list[int] = []
"""Process numbers: of the one that launched numba's threads, which its forks inherit."""

_forks: list[int] = []
"""Process numbers: of this one, if it is a fork. OpenMP may believe to have the other's threads."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(os.getpid()))


def _launch_threads() -> None:
    """Numba's threads, once a process. With OpenMP that sets torch's number of threads too, which stays as it
    was. A forked process has none of the threads that it takes itself to have: OpenMP waits for them, or ends
    the process. Raises InputError where numba's are among them."""
    if _launched == [os.getpid()]:
        return
    if _launched:
        raise InputError(
            f"process {os.getpid()} was forked from one that had computed, whose threads it lacks: start it "
            "with multiprocessing.get_context('spawn')"
        )
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    numba.get_num_threads()  # launches
    if torch:
        torch.set_num_threads(before)
    if _forks:
        numba.set_num_threads(1)
    _launched.append(os.getpid())


# --- complexity: blocks are [N, 32, 32, 3] uint8 -------------------------------------------------

_ORDER = np.arange(8)
_DCT = np.sqrt(np.where(_ORDER == 0, 1, 2) / 8)[:, None] * np.cos(
    np.pi / 8 * _ORDER[:, None] * (_ORDER + 0.5)
)  # [frequency, sample], orthonormal DCT-II
_BAND = np.digitize(_ORDER[:, None] + _ORDER, (1, 3, 6, 10))  # 0: DC; 1 to 4: u + v up to 2, 5, 9, 14
_COEFFICIENTS = 16 * np.bincount(_BAND.ravel())  # of each band in a block


# Loops where NumPy expressions would read as well: they compile five times as fast. A plane is [1024], its
# rows of 32 one after the other: one loop over it is vector code, two nested ones are not.


@_njit()
def _luma(block: Bytes) -> Floats:
    """[1024] BT.601 luma."""
    samples = block.reshape(3072)
    out = np.empty(1024)
    for i in range(1024):
        out[i] = 0.299 * samples[3 * i] + 0.587 * samples[3 * i + 1] + 0.114 * samples[3 * i + 2]
    return out


@_njit()
def _beyond_luma(block: Bytes, luma: Floats, channel: int) -> Floats:
    """[1024] BT.601 chroma but for its scale: 1.772 times Cb of channel 2, 1.402 times Cr of channel 0."""
    samples = block.reshape(3072)
    out = np.empty(1024)
    for i in range(1024):
        out[i] = samples[3 * i + channel] - luma[i]
    return out


@_njit()
def _variance(plane: Floats) -> float:
    mean = 0.0
    for i in range(len(plane)):
        mean += plane[i]
    mean /= len(plane)
    variance = 0.0
    for i in range(len(plane)):
        variance += (plane[i] - mean) ** 2
    return variance / len(plane)


@_njit()
def _squared_gradient(luma: Floats) -> float:
    total = 0.0
    for row in range(0, 1024, 32):
        for i in range(row, row + 31):
            total += (luma[i + 1] - luma[i]) ** 2
    for i in range(1024 - 32):
        total += (luma[i + 32] - luma[i]) ** 2
    return total / (32 * 31)


@_njit()
def _dct_down(plane: Floats) -> Floats:
    """[1024] DCTs of each column's runs of 8 samples, transposed. Frequencies are even or odd, so that sums
    and differences of opposite samples halve the work."""
    out = np.empty(1024)
    turned = np.empty((8, 32))
    for top in range(0, 1024, 256):
        a = plane[top : top + 256]
        for x in range(32):
            s0, d0 = a[x] + a[x + 224], a[x] - a[x + 224]
            s1, d1 = a[x + 32] + a[x + 192], a[x + 32] - a[x + 192]
            s2, d2 = a[x + 64] + a[x + 160], a[x + 64] - a[x + 160]
            s3, d3 = a[x + 96] + a[x + 128], a[x + 96] - a[x + 128]
            for u in range(0, 8, 2):
                turned[u, x] = _DCT[u, 0] * s0 + _DCT[u, 1] * s1 + _DCT[u, 2] * s2 + _DCT[u, 3] * s3
            for u in range(1, 8, 2):
                turned[u, x] = _DCT[u, 0] * d0 + _DCT[u, 1] * d1 + _DCT[u, 2] * d2 + _DCT[u, 3] * d3
        for x in range(32):
            for u in range(8):
                out[32 * x + top // 32 + u] = turned[u, x]
    return out


@_njit()
def _dct(luma: Floats) -> Floats:
    """[1024] the orthonormal 8x8 DCTs, each in its place."""
    return _dct_down(_dct_down(luma))


@_njit()
def _activity(spectrum: Floats) -> float:
    """Mean absolute AC coefficient."""
    total = 0.0
    for i in range(1024):
        total += abs(spectrum[i])
    for y in range(0, 1024, 256):
        for x in range(0, 32, 8):
            total -= abs(spectrum[y + x])
    return max(total, 0.0) / (16 * 63)


@_njit()
def _fill_features(block: Bytes, out: Floats) -> None:
    """The features of one block, before the logarithm."""
    luma = _luma(block)
    spectrum = _dct(luma)
    energy = np.zeros(256)  # of each coefficient of an 8x8 DCT, four across
    means = np.empty(16)
    for top in range(4):
        tiles = spectrum[256 * top : 256 * top + 256]
        for i in range(256):
            energy[i] += tiles[i] ** 2
        for x in range(4):
            means[4 * top + x] = tiles[8 * x] / 8
    bands = np.zeros(5)
    for i in range(256):
        bands[_BAND[i // 32, i % 8]] += energy[i]
    out[0] = _variance(luma)
    out[1] = _squared_gradient(luma)
    for band in range(1, 5):
        out[1 + band] = bands[band] / _COEFFICIENTS[band]
    out[6] = _variance(_beyond_luma(block, luma, 2)) / 1.772**2
    out[6] += _variance(_beyond_luma(block, luma, 0)) / 1.402**2
    out[7] = _variance(means)


@_parallel
def luma_variance(blocks: Bytes) -> Floats:
    """[N] variance of the luma."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _variance(_luma(blocks[b]))
    return out


@_parallel
def squared_gradient(blocks: Bytes) -> Floats:
    """[N] mean squared luma difference of neighbours: across plus down."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _squared_gradient(_luma(blocks[b]))
    return out


@_parallel
def dct_activity(blocks: Bytes) -> Floats:
    """[N] mean absolute AC coefficient of the 8x8 luma DCTs."""
    out = np.empty(len(blocks))
    for b in prange(len(blocks)):
        out[b] = _activity(_dct(_luma(blocks[b])))
    return out


@_parallel
def features(blocks: Bytes) -> Floats:
    """[N, 8] the features that complexity.FEATURES names, before the logarithm."""
    out = np.empty((len(blocks), 8))
    for b in prange(len(blocks)):
        _fill_features(blocks[b], out[b])
    return out


# --- allocation: slope[b, k] > 0 is what the step of block b that ends at ratio k takes off the cost
# per use, and never rises with k; 0 where no step ends at k. uses is [R], ascending from 0. --------


@_parallel
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


# --- adaptive binary arithmetic code of symbols [C, H, W], see coding/context_coder.py -----------------

CODE_TABLES, CODE_CONTEXTS = 6, 64
"""Adaptive tables of the code, and most contexts of a table."""

CODE_SETS = 8
"""Of the tables' weights, by how busy the place is."""

CODE_TREE = 5
"""Bits whose values tell nodes apart; beyond, these and the depth."""

CODE_ONE, CODE_LEAST = 1 << 16, 32
"""Probabilities have 16 bits; nothing is less likely than the least."""

_LOGIT = 256  # logits have 8 bits after the point, weights 16
_LARGEST = 12 * _LOGIT - 1
_MOST_SEEN, _RATE = 127, 20

_SQUASH = np.array([round(CODE_ONE / (1 + math.exp(-x / _LOGIT))) for x in range(-_LARGEST, _LARGEST + 1)])
_STRETCH = np.array([round(_LOGIT * math.log((p + 0.5) / (4096 - p - 0.5))) for p in range(4096)])
_SHARE = np.array([round(CODE_ONE / (n + 2.0)) for n in range(_MOST_SEEN + 1)])


@_njit()
def code_symbols(
    symbols: Ints, bits: int, data: Bytes, decoding: bool, chance: Ints, seen: Ints, weights: Ints
) -> int:
    """Code all symbols, or fill them in from the data. Returns the bytes used."""
    channels, height, width = symbols.shape
    coder = np.array([0, 0xFFFFFFFF, 0, 0])  # low, top, code, place
    if decoding:
        for _ in range(4):
            coder[2] = coder[2] << 8 | data[coder[3]]
            coder[3] += 1
    busy = np.zeros((height, width), np.int64)  # distances from the middle in earlier channels, mean of late
    context, logit = np.zeros(CODE_TABLES, np.int64), np.zeros(CODE_TABLES, np.int64)
    for k in range(channels):
        for i in range(height):
            for j in range(width):
                _contexts(symbols, k, i, j, bits, busy[i, j], context)
                set_ = min(busy[i, j] >> 5, CODE_SETS - 1)
                symbol = 0
                for depth in range(bits):
                    if depth < CODE_TREE:
                        node = 1 << depth | symbol
                    else:
                        node = (1 + depth - CODE_TREE << CODE_TREE) + (symbol >> depth - CODE_TREE)
                    total = 0
                    for t in range(CODE_TABLES):
                        logit[t] = _STRETCH[chance[t, k, node, context[t]] >> 4]
                        total += weights[set_, depth, t] * logit[t]
                    total = min(max(total >> 16, -_LARGEST), _LARGEST)
                    one = min(max(_SQUASH[total + _LARGEST], CODE_LEAST), CODE_ONE - CODE_LEAST)
                    bit = _code_bit(coder, data, one, symbols[k, i, j] >> bits - 1 - depth & 1, decoding)
                    error = (bit << 16) - one
                    for t in range(CODE_TABLES):
                        weights[set_, depth, t] += logit[t] * error * _RATE >> 20
                        count, old = seen[t, k, node, context[t]], chance[t, k, node, context[t]]
                        chance[t, k, node, context[t]] = old + (((bit << 16) - old) * _SHARE[count] >> 16)
                        seen[t, k, node, context[t]] = min(count + 1, _MOST_SEEN)
                    symbol = symbol << 1 | bit
                symbols[k, i, j] = symbol
                away = abs(2 * symbol + 1 - (1 << bits)) << 8 >> bits
                busy[i, j] += (away - busy[i, j]) >> 2
    if not decoding:
        _finish(coder, data)
    return coder[3]


@_njit()
def _contexts(symbols: Ints, k: int, i: int, j: int, bits: int, busy: int, context: Ints) -> None:
    """The contexts of a symbol, one for each table."""
    middle = (1 << bits) - 1  # twice the middle
    left = symbols[k, i, j - 1] if j > 0 else symbols[k, i - 1, j] if i > 0 else middle >> 1
    up = symbols[k, i - 1, j] if i > 0 else left
    corner = symbols[k, i - 1, j - 1] if i > 0 and j > 0 else up
    right = symbols[k, i - 1, j + 1] if i > 0 and j < symbols.shape[2] - 1 else up
    before = symbols[k - 1, i, j] if k > 0 else middle >> 1
    spread = abs(left - up) + abs(up - corner) + abs(up - right) << 2 >> bits
    far = abs(2 * left - middle) + abs(2 * up - middle) << 2 >> bits
    gradient = min(max(left + up - corner, 0), middle)
    context[1] = 3 * (left + up) + right + corner << 3 >> bits
    context[2] = (left << 3 >> bits) << 3 | up << 3 >> bits
    context[3] = far << 3 | min(spread, 7)
    context[4] = (before << 3 >> bits) << 3 | min(busy >> 5, 7)
    context[5] = (gradient << 4 >> bits) << 2 | min(spread, 3)


@_njit()
def _code_bit(coder: Ints, data: Bytes, one: int, bit: int, decoding: bool) -> int:
    """Code a bit whose probability of being a one is given, or find it in the data. Returns it."""
    low, top = coder[0], coder[1]
    split = low + ((top - low) >> 16) * one + (((top - low) & 0xFFFF) * one >> 16)
    if decoding:
        bit = 1 if coder[2] <= split else 0
    if bit:
        top = split
    else:
        low = split + 1
    while (low ^ top) >> 24 == 0:
        if decoding:
            following = data[coder[3]] if coder[3] < len(data) else 0
            coder[2] = (coder[2] << 8 & 0xFFFFFFFF) | following
        elif coder[3] < len(data):
            data[coder[3]] = top >> 24
        coder[3] += 1
        low, top = low << 8 & 0xFFFFFFFF, (top << 8 & 0xFFFFFFFF) | 255
    coder[0], coder[1] = low, top
    return bit


@_njit()
def _finish(coder: Ints, data: Bytes) -> None:
    """The number from low to top with most zeros at its end."""
    low, top = coder[0], coder[1]
    number = low
    for shift in (8, 16, 24):
        rounded = (low + (1 << shift) - 1) >> shift << shift
        if rounded <= top:
            number = rounded
    for shift in (24, 16, 8, 0):
        if coder[3] < len(data):
            data[coder[3]] = number >> shift & 255
        coder[3] += 1


# --- LDPC codes ------------------------------------------------------------------------------------

_SURE = np.float32(1 - 2.0**-23)
"""The largest tanh(LLR / 2) that a check may claim: an LLR of 16.6."""

_MOST_CHECKED = 32
"""Bits that one check holds: at most 19 in 5G's codes."""


@_njit()
def belief_propagation(
    soft: NDArray[np.float32],
    messages: NDArray[np.float32],
    starts: Ints,
    places: NDArray[np.int32],
    iterations: int,
) -> NDArray[np.float32]:
    """[V] beliefs after so many rounds in which all checks speak at once (sum-product, flooding).

    soft: [V] what the channel says of each bit, log of P(0) over P(1), as the beliefs. messages: [E, Z] what
    each check says to each of its bits, changed in place. starts, places: see LiftedGraph.
    """
    one = np.float32(1)
    limit = np.float32(16)
    beliefs = soft.copy()
    for e in range(len(places)):
        for i in range(places.shape[1]):
            beliefs[places[e, i]] += messages[e, i]
    heard = np.empty(_MOST_CHECKED, np.float32)
    later = np.empty(_MOST_CHECKED, np.float32)
    for _ in range(iterations):
        after = soft.copy()
        for row in range(len(starts) - 1):
            first, degree = starts[row], starts[row + 1] - starts[row]
            for i in range(places.shape[1]):
                for j in range(degree):
                    odds = math.exp(
                        min(max(beliefs[places[first + j, i]] - messages[first + j, i], -limit), limit)
                    )
                    heard[j] = (odds - one) / (odds + one)
                product = one
                for j in range(degree - 1, -1, -1):
                    later[j] = product
                    product *= heard[j]
                product = one
                for j in range(degree):
                    said = min(max(product * later[j], -_SURE), _SURE)
                    product *= heard[j]
                    messages[first + j, i] = math.log((one + said) / (one - said))
                    after[places[first + j, i]] += messages[first + j, i]
        beliefs = after
    return beliefs
