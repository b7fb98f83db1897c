"""constriction's range coder with its 32-bit words as bytes, the zeros at their end left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jscc_sim.errors import InputError

OUTSIDE = AssertionError
"""What constriction raises for bits outside the code."""


def encoder() -> Any:
    """A constriction RangeEncoder."""
    import constriction

    return constriction.stream.queue.RangeEncoder()


def code_of(encoder: Any) -> bytes:
    """What was encoded."""
    return bytes(encoder.get_compressed().astype(">u4").tobytes().rstrip(b"\0"))


def decoder(code: bytes) -> Any:
    """A constriction RangeDecoder of a code and zeros."""
    import constriction

    words = np.frombuffer(code + bytes(-len(code) % 4 + 8), ">u4").astype(np.uint32)
    return constriction.stream.queue.RangeDecoder(words)


def frequencies() -> Any:
    """The model of symbols with a row of frequencies each, which are given with them."""
    import constriction

    return constriction.stream.model.Categorical(perfect=False)


def bytes_alike() -> Any:
    """The model of bytes of equal chances."""
    import constriction

    return constriction.stream.model.Uniform(256)


@contextmanager
def refusing(sentence: str) -> Iterator[None]:
    """InputError with a sentence where bits are outside the code."""
    try:
        yield
    except OUTSIDE:
        raise InputError(sentence) from None
