"""5G LDPC codes of any length and rate (3GPP TS 38.212, through Sionna on the CPU)."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits
from jscc_sim.errors import InputError

LARGEST_BLOCK = 8448
"""Most information bits of one block."""

LARGEST_LOW_RATE_BLOCK = 3824
"""Most information bits of a block whose own rate reaches 1/5; larger ones stop at 1/3."""

ITERATIONS = 20
"""Rounds of belief propagation. There is no early stop; 40 would gain about 0.1 dB."""

_CHUNK_BITS = 1 << 16
"""Coded bits decoded at a time: larger batches leave the cache and are slower per block."""


def preload() -> None:
    """Import Sionna, which takes seconds, before a clock runs."""
    from sionna.phy.fec import ldpc as _  # noqa: F401


def encode(bits: Bits, n: int) -> Bits:
    """bits: [B, k]. Returns [B, n] coded bits; what exceeds the lowest-rate code repeats it from its start.

    Raises InputError for k outside 12 to 8448 or a rate k/n above 0.95.
    """
    import torch

    encoder, _ = _code(bits.shape[1], _own_length(bits.shape[1], n))
    with torch.inference_mode():
        coded = encoder(torch.from_numpy(bits.astype(np.float32))).numpy().astype(np.uint8)
    return np.asarray(np.resize(coded.T, (n, len(bits))).T)


def decode(llrs: NDArray[np.float64], k: int) -> Bits:
    """llrs: [B, n] log of P(bit = 1) over P(bit = 0). Returns the [B, k] most likely bits."""
    import torch

    count, n = llrs.shape
    own = _own_length(k, n)
    _, decoder = _code(k, own)
    copies = np.pad(llrs, ((0, 0), (0, -n % own))).reshape(count, -1, own)
    soft = torch.from_numpy(copies.sum(axis=1).astype(np.float32))
    with torch.inference_mode():
        chunks = [decoder(chunk) for chunk in torch.split(soft, max(_CHUNK_BITS // own, 1))]
    return np.asarray(torch.cat(chunks).numpy().astype(np.uint8))


def _own_length(k: int, n: int) -> int:
    """Coded bits before any repetition."""
    if not 12 <= k <= LARGEST_BLOCK:
        raise InputError(f"block of {k} bits is outside the 12 to {LARGEST_BLOCK} of 5G LDPC codes")
    if k > 0.95 * n:
        raise InputError(f"{k} bits in {n} coded bits exceed a rate of 0.95")
    return min(n, 5 * k if k <= LARGEST_LOW_RATE_BLOCK else 3 * k)


@lru_cache(maxsize=64)
def _code(k: int, n: int) -> tuple[Any, Any]:
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    encoder = LDPC5GEncoder(k, n, device="cpu", check_input=False)
    return encoder, LDPC5GDecoder(encoder, num_iter=ITERATIONS, device="cpu")
