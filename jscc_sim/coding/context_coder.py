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

from jscc_sim._kernels.context_code import (
    CODE_CONTEXTS,
    CODE_LEAST,
    CODE_ONE,
    CODE_SETS,
    CODE_TABLES,
    CODE_TREE,
    code_symbols,
)
from jscc_sim.errors import InputError

Ints = NDArray[np.int64]

MOST_BITS = 8

LEAST_COST = -math.log2(1 - CODE_LEAST / CODE_ONE)
"""Bits that every coded bit takes at least: so many bytes cannot hold more than so many."""


def encode(symbols: Ints, bits: int) -> bytes:
    """symbols: [C, H, W], 0 to 2**bits - 1; bits: 1 to 8. Returns the code, without zeros at its end.
    Raises InputError for other symbols."""
    if symbols.size and not 0 <= int(symbols.min()) <= int(symbols.max()) < 1 << bits <= 1 << MOST_BITS:
        raise InputError(f"symbols {symbols.min()} to {symbols.max()} do not fit into {bits} bits")
    longest = -(-symbols.size * bits * (16 - int(math.log2(CODE_LEAST)) + 1) // 8) + 8
    out = np.zeros(longest, np.uint8)
    length = code_symbols(
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
    code_symbols(symbols, bits, padded, True, *_fresh(len(symbols), bits))
    return symbols


def _fresh(channels: int, bits: int) -> tuple[Ints, Ints, Ints]:
    """Probabilities of a one and how often they have been asked, [tables, channels, nodes, contexts];
    weights of the tables, [sets, depth, tables]."""
    nodes = (1 << min(bits, CODE_TREE)) * (1 + max(bits - CODE_TREE, 0))
    shape = (CODE_TABLES, channels, nodes, CODE_CONTEXTS)
    weights = np.full((CODE_SETS, MOST_BITS, CODE_TABLES), round(0.2 * CODE_ONE))
    return np.full(shape, CODE_ONE // 2), np.zeros(shape, np.int64), weights
