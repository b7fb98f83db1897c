"""5G LDPC codes of any length and rate (3GPP TS 38.212, sections 5.3.2 and 5.4.2), and belief propagation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jscc_sim._kernels.beliefs import belief_propagation
from jscc_sim.coding.base_graph import LiftedGraph, lifted_graph
from jscc_sim.coding.bits import Bits
from jscc_sim.errors import InputError

LARGEST_BLOCK = 8448
"""Most information bits of one block."""

LARGEST_LOW_RATE_BLOCK = 3824
"""Most information bits of a block whose own rate reaches 1/5; larger ones stop at 1/3."""

ITERATIONS = 20
"""Rounds of belief propagation where nothing tells when to stop; 40 would gain about 0.1 dB."""

MOST_ITERATIONS, ROUND = 40, 4
"""The same where a CRC tells, which is asked after each ROUND."""

LARGEST_LLR = 20.0
"""That one bit's channel, or a check, may claim."""


def prepare() -> None:
    """Compile what decodes, or load what was compiled before, before a clock runs."""
    decode(np.zeros((1, 24)), 12)


def encode(bits: Bits, n: int, bits_per_symbol: int = 1) -> Bits:
    """bits: [B, k]. Returns [B, n] coded bits; what exceeds the lowest-rate code repeats it from its start.

    bits_per_symbol: interleave for that QAM, as 5G does: information bits take the better places of
    a symbol (3GPP TS 38.212, section 5.4.2.2). Raises InputError for k outside 12 to 8448 or a rate
    k/n above 0.95, and where bits_per_symbol does not divide n, or the bits before they repeat.
    """
    own = _own_length(bits.shape[1], n, bits_per_symbol)
    graph = lifted_graph(bits.shape[1], own)
    coded = graph.encode(bits)[:, graph.sent(own)]
    shape = len(bits), bits_per_symbol, own // bits_per_symbol
    interleaved = coded.reshape(shape).swapaxes(1, 2).reshape(len(bits), own)
    return np.asarray(np.resize(interleaved.T, (n, len(bits))).T)


def decode(llrs: NDArray[np.float64], k: int, bits_per_symbol: int = 1) -> Bits:
    """llrs: [B, n] log of P(bit = 1) over P(bit = 0). Returns the [B, k] most likely bits.
    bits_per_symbol: as for `encode`."""
    return _most_likely(beliefs(llrs, k, bits_per_symbol, ITERATIONS))


def beliefs(
    llrs: NDArray[np.float64], k: int, bits_per_symbol: int = 1, iterations: int = MOST_ITERATIONS
) -> NDArray[np.float32]:
    """As `decode`; returns [B, k] log of P(bit = 1) over P(bit = 0)."""
    graph, words = _begin(llrs, k, bits_per_symbol)
    found = [_propagate(graph, word, graph.silence(), iterations) for word in words]
    return np.array(found, dtype=np.float32).reshape(len(words), k)


def decode_until(
    good: Callable[[Bits], NDArray[np.bool_]],
    llrs: NDArray[np.float64],
    k: int,
    bits_per_symbol: int = 1,
    most: int = MOST_ITERATIONS,
    all_or_none: bool = False,
) -> Bits:
    """As `decode`, but a block is done as soon as `good` says so, [B, k] -> [B], or after `most` iterations,
    a multiple of ROUND: for a CRC that can tell. all_or_none: once a block is lost the later ones are not
    tried, and are zeros."""
    graph, words = _begin(llrs, k, bits_per_symbol)
    bits = np.zeros((len(words), k), dtype=np.uint8)
    for block, word in enumerate(words):
        messages, arrived = graph.silence(), False
        for _ in range(most // ROUND):
            bits[block] = _most_likely(_propagate(graph, word, messages, ROUND))
            arrived = bool(good(bits[block : block + 1]).all())
            if arrived:
                break
        if all_or_none and not arrived:
            break
    return bits


def _begin(
    llrs: NDArray[np.float64], k: int, bits_per_symbol: int
) -> tuple[LiftedGraph, NDArray[np.float32]]:
    """The code, and what the channel says of each bit of its words, log of P(0) over P(1): repeated bits
    added up."""
    count, n = llrs.shape
    own = _own_length(k, n, bits_per_symbol)
    graph = lifted_graph(k, own)
    copies = np.pad(llrs, ((0, 0), (0, -n % own))).reshape(count, -(-n // own), own)
    shape = count, own // bits_per_symbol, bits_per_symbol
    soft = copies.sum(axis=1).reshape(shape).swapaxes(1, 2).reshape(count, own)
    words = np.zeros((count, graph.bits), dtype=np.float32)
    words[:, graph.fillers] = LARGEST_LLR
    words[:, graph.sent(own)] = -np.clip(soft, -LARGEST_LLR, LARGEST_LLR)
    return graph, words


def _propagate(
    graph: LiftedGraph, word: NDArray[np.float32], messages: NDArray[np.float32], iterations: int
) -> NDArray[np.float32]:
    """[k] log of P(1) over P(0), `messages` being where they had got to, and get to."""
    return -belief_propagation(word, messages, graph.starts, graph.places, iterations)[: graph.k]


def _most_likely(llrs: NDArray[np.float32]) -> Bits:
    return (llrs >= 0).astype(np.uint8)


def _own_length(k: int, n: int, bits_per_symbol: int) -> int:
    """Coded bits before any repetition, in whole symbols."""
    if not 12 <= k <= LARGEST_BLOCK:
        raise InputError(f"block of {k} bits is outside the 12 to {LARGEST_BLOCK} of 5G LDPC codes")
    if k > 0.95 * n:
        raise InputError(f"{k} bits in {n} coded bits exceed a rate of 0.95")
    own = min(n, 5 * k if k <= LARGEST_LOW_RATE_BLOCK else 3 * k)
    if own % bits_per_symbol:
        raise InputError(f"{own} coded bits are no whole symbols of {bits_per_symbol} bits")
    return own
