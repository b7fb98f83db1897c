"""An adaptive binary arithmetic code of symbols [C, H, W], see coding/context_coder.py."""

from __future__ import annotations

import math

import numpy as np

from jscc_sim._kernels.compiled import Bytes, Ints, njit

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


@njit()
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


@njit()
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


@njit()
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


@njit()
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
