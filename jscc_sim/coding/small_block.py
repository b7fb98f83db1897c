"""Eleven bits, decoded by comparing with all 2048 words: short, and far stronger than LDPC there.

The extended BCH code (32, 11) of minimum distance 12, repeated as often as it takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits, to_bits

BITS = 11
"""Information bits of a word."""

WORD = 32
"""Coded bits of a word before repetition."""

_GENERATOR = to_bits(0o5423325, WORD - BITS)  # Lin and Costello, Error Control Coding, appendix C


def _codebook() -> Bits:
    """[2048, 32]: the word of each number."""
    rows = np.array([np.pad(_GENERATOR, (shift, BITS - 1 - shift)) for shift in range(BITS)])
    numbers = np.array([to_bits(value, BITS) for value in range(1 << BITS)])
    words = numbers @ rows % 2
    return np.concatenate([words, words.sum(axis=1, keepdims=True) % 2], axis=1).astype(np.uint8)


_WORDS = _codebook()
_SIGNS = 2.0 * _WORDS - 1.0


@dataclass(frozen=True)
class SmallBlock:
    """A decoded number and the evidence for it: nats by which it beats n bits of pure chance."""

    value: int
    evidence: float


def encode(value: int, n: int) -> Bits:
    """The [n] coded bits of a number in 0 to 2047; n: a multiple of 32."""
    return np.asarray(np.tile(_WORDS[value], n // WORD))


def decode(llrs: NDArray[np.float64]) -> SmallBlock:
    """The most likely number. llrs: [n] logarithms of P(bit = 1) over P(bit = 0)."""
    value = int(np.argmax(_SIGNS @ llrs.reshape(-1, WORD).sum(axis=0)))
    agreement = np.tile(_SIGNS[value], len(llrs) // WORD) * llrs
    return SmallBlock(value, float((np.log(2.0) - np.logaddexp(0.0, -agreement)).sum()))
