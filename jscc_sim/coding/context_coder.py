"""Small numbers on a grid to bytes: adaptive binary arithmetic coding with mixed contexts.

Each number of B bits is coded bit by bit, the most significant first. Several adaptive tables, each with a
context of its own (none, the neighbours in the same channel, the same place in earlier channels), say how
likely a one is; their logits are weighted and summed, and the weights learn from every bit, as in Mahoney
2005 (adaptive weighing of context models). The coder is a carryless range coder of 32 bits. All of it is
integer arithmetic: both ends agree to the last bit. The tables start empty, so nothing is trained.

A code of its own, for one bit after the other: constriction's models are fixed before a call, and a call
per bit from Python takes seconds for a photograph.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jscc_sim._kernels import _njit
from jscc_sim.errors import InputError

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

MOST_BITS = 8
TABLES = 6
CONTEXTS = 64
"""Most contexts of a table."""

_TREE = 5  # bits whose values tell nodes apart; beyond, these and the depth
_ONE = 1 << 16  # probabilities are 16 bits, logits have 8 after the point, weights 16
_LEAST = 32  # nothing is less likely
_UNIT = 256  # logits
_LARGEST = 12 * _UNIT - 1
_WEIGHT = 1 << 16
_SETS = 8  # of weights, by how busy the place is
_MOST_SEEN = 127
_RATE = 20

_SQUASH = np.array([round(_ONE / (1 + math.exp(-x / _UNIT))) for x in range(-_LARGEST, _LARGEST + 1)])
_STRETCH = np.array([round(_UNIT * math.log((p + 0.5) / (4096 - p - 0.5))) for p in range(4096)])
_SHARE = np.array([round(_ONE / (n + 2.0)) for n in range(_MOST_SEEN + 1)])

LEAST_COST = -math.log2(1 - _LEAST / _ONE)
"""Bits that every coded bit takes at least: so many bytes cannot hold more than so many."""


def encode(symbols: Ints, bits: int) -> bytes:
    """symbols: [C, H, W], 0 to 2**bits - 1; bits: 1 to 8. Returns the code, without zeros at its end.
    Raises InputError for other symbols."""
    if symbols.size and not 0 <= int(symbols.min()) <= int(symbols.max()) < 1 << bits <= 1 << MOST_BITS:
        raise InputError(f"symbols {symbols.min()} to {symbols.max()} do not fit into {bits} bits")
    longest = -(-symbols.size * bits * (16 - int(math.log2(_LEAST)) + 1) // 8) + 8
    out = np.zeros(longest, np.uint8)
    length = _run(
        np.ascontiguousarray(symbols, dtype=np.int64), bits, out, False, *_fresh(len(symbols), bits)
    )
    assert length <= longest
    return out[:length].tobytes().rstrip(b"\0")


def decode(data: bytes, shape: tuple[int, int, int], bits: int) -> Ints:
    """The [C, H, W] symbols of `encode`'s bytes; of other bytes, others. Raises InputError for more
    symbols than so many bytes can hold, before they take memory."""
    decisions = math.prod(shape) * bits
    if decisions * LEAST_COST > 8 * (len(data) + 8):
        raise InputError(f"{len(data)} bytes cannot hold {math.prod(shape)} numbers of {bits} bits")
    symbols = np.zeros(shape, np.int64)
    padded = np.frombuffer(data + bytes(8), np.uint8).copy()
    _run(symbols, bits, padded, True, *_fresh(len(symbols), bits))
    return symbols


def _fresh(channels: int, bits: int) -> tuple[Ints, Ints, Ints]:
    """Probabilities of a one and how often they have been asked, [tables, channels, nodes, contexts];
    weights of the tables, [sets, depth, tables]."""
    nodes = (1 << min(bits, _TREE)) * (1 + max(bits - _TREE, 0))
    shape = (TABLES, channels, nodes, CONTEXTS)
    weights = np.full((_SETS, MOST_BITS, TABLES), round(0.2 * _WEIGHT))
    return np.full(shape, _ONE // 2), np.zeros(shape, np.int64), weights


@_njit()
def _run(
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
    context, logit = np.zeros(TABLES, np.int64), np.zeros(TABLES, np.int64)
    for k in range(channels):
        for i in range(height):
            for j in range(width):
                _look_around(symbols, k, i, j, bits, busy[i, j], context)
                set_ = min(busy[i, j] >> 5, _SETS - 1)
                symbol = 0
                for depth in range(bits):
                    if depth < _TREE:
                        node = 1 << depth | symbol
                    else:
                        node = (1 + depth - _TREE << _TREE) + (symbol >> depth - _TREE)
                    total = 0
                    for t in range(TABLES):
                        logit[t] = _STRETCH[chance[t, k, node, context[t]] >> 4]
                        total += weights[set_, depth, t] * logit[t]
                    total = min(max(total >> 16, -_LARGEST), _LARGEST)
                    one = min(max(_SQUASH[total + _LARGEST], _LEAST), _ONE - _LEAST)
                    bit = _code(coder, data, one, symbols[k, i, j] >> bits - 1 - depth & 1, decoding)
                    error = (bit << 16) - one
                    for t in range(TABLES):
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
def _look_around(symbols: Ints, k: int, i: int, j: int, bits: int, busy: int, context: Ints) -> None:
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
def _code(coder: Ints, data: Bytes, one: int, bit: int, decoding: bool) -> int:
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
