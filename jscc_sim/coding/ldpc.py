"""5G LDPC codes of any length and rate (3GPP TS 38.212, through Sionna on the CPU)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits
from jscc_sim.errors import InputError
from jscc_sim.inference import building, inference

LARGEST_BLOCK = 8448
"""Most information bits of one block."""

LARGEST_LOW_RATE_BLOCK = 3824
"""Most information bits of a block whose own rate reaches 1/5; larger ones stop at 1/3."""

ITERATIONS = 20
"""Rounds of belief propagation where nothing tells when to stop; 40 would gain about 0.1 dB."""

MOST_ITERATIONS, ROUND = 40, 4
"""The same where a CRC tells, which is asked after each ROUND."""

SIONNA: dict[str, Any] = {"device": "cpu", "precision": "single"}
"""What all of Sionna's blocks here are told, for it has defaults that a program may change."""

_CHUNK_BITS = 1 << 16
"""Coded bits decoded at a time: larger batches leave the cache and are slower per block."""


@building()
def preload() -> None:
    """Import Sionna, which takes seconds, before a clock runs."""
    from sionna.phy.fec import ldpc as _  # noqa: F401


def encode(bits: Bits, n: int, bits_per_symbol: int | None = None) -> Bits:
    """bits: [B, k]. Returns [B, n] coded bits; what exceeds the lowest-rate code repeats it from its start.

    bits_per_symbol: interleave for that QAM, as 5G does: information bits take the better places of
    a symbol (3GPP TS 38.212, section 5.4.2.2). Raises InputError for k outside 12 to 8448 or a rate
    k/n above 0.95.
    """
    import torch

    encoder, _ = _code(bits.shape[1], _own_length(bits.shape[1], n), bits_per_symbol)
    with inference():
        coded = encoder(torch.from_numpy(bits.astype(np.float32))).numpy().astype(np.uint8)
    return np.asarray(np.resize(coded.T, (n, len(bits))).T)


def decode(llrs: NDArray[np.float64], k: int, bits_per_symbol: int | None = None) -> Bits:
    """llrs: [B, n] log of P(bit = 1) over P(bit = 0). Returns the [B, k] most likely bits.
    bits_per_symbol: as for `encode`."""
    import torch

    decoder, chunks = _begin(llrs, k, bits_per_symbol)
    with inference():
        found = [decoder(chunk)[0] for chunk in chunks]
    return np.asarray(torch.cat(found).numpy().astype(np.uint8))


def decode_until(
    good: Callable[[Bits], NDArray[np.bool_]],
    llrs: NDArray[np.float64],
    k: int,
    bits_per_symbol: int | None = None,
    most: int = MOST_ITERATIONS,
    all_or_none: bool = False,
) -> Bits:
    """As `decode`, but a block is done as soon as `good` says so, [B, k] -> [B], and the others go on for
    up to `most` iterations, a multiple of ROUND: for a CRC that can tell. all_or_none: once a block is lost
    those of later batches are not tried, and are zeros."""
    import torch

    decoder, chunks = _begin(llrs, k, bits_per_symbol)
    found = []
    with inference():
        for chunk in chunks:
            bits = np.zeros((len(chunk), k), dtype=np.uint8)
            open_, soft, state = np.arange(len(chunk)), chunk, None
            for _ in range(most // ROUND):
                guess, state = decoder(soft, num_iter=ROUND, msg_v2c=state)
                bits[open_] = guess.numpy()
                more = ~good(bits[open_])
                if not more.any():
                    break
                kept = torch.from_numpy(more)
                open_, soft, state = open_[more], soft[kept], state[kept]
            found.append(bits)
            if all_or_none and more.any():
                break
    bits = np.concatenate(found)
    return np.pad(bits, ((0, len(llrs) - len(bits)), (0, 0)))


def _begin(llrs: NDArray[np.float64], k: int, bits_per_symbol: int | None) -> tuple[Any, Sequence[Any]]:
    """The decoder, and its inputs in batches: repeated bits added up."""
    import torch

    count, n = llrs.shape
    own = _own_length(k, n)
    _, decoder = _code(k, own, bits_per_symbol)
    copies = np.pad(llrs, ((0, 0), (0, -n % own))).reshape(count, -1, own)
    soft = torch.from_numpy(copies.sum(axis=1).astype(np.float32))
    return decoder, torch.split(soft, max(_CHUNK_BITS // own, 1))


def _own_length(k: int, n: int) -> int:
    """Coded bits before any repetition."""
    if not 12 <= k <= LARGEST_BLOCK:
        raise InputError(f"block of {k} bits is outside the 12 to {LARGEST_BLOCK} of 5G LDPC codes")
    if k > 0.95 * n:
        raise InputError(f"{k} bits in {n} coded bits exceed a rate of 0.95")
    return min(n, 5 * k if k <= LARGEST_LOW_RATE_BLOCK else 3 * k)


@lru_cache(maxsize=64)
@building()
def _code(k: int, n: int, bits_per_symbol: int | None) -> tuple[Any, Any]:
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=bits_per_symbol, check_input=False, **SIONNA)
    return encoder, LDPC5GDecoder(encoder, num_iter=ITERATIONS, return_state=True, **SIONNA)
