"""Bits over the air in blocks, as `transport`, for content that can use what is left of a lost block: how
likely each of its bits is."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding import crc, ldpc, qam, transport
from jscc_sim.coding.mcs import Scheme
from jscc_sim.inference import building, inference


def decode(heard: Equalised, scheme: Scheme, block_bits: int) -> NDArray[np.float64]:
    """As transport.decode; returns for each content bit the log of P(bit = 1) over P(bit = 0): certain in
    blocks whose CRC holds, in the others what belief propagation last thought."""
    soft = transport.soft_blocks(heard, scheme, block_bits)
    bits, whole = transport.decode_blocks(soft, scheme, block_bits)
    llrs = np.where(bits == 1, qam.LLR_LIMIT, -qam.LLR_LIMIT).reshape(len(whole), -1)
    if not whole.all():
        beliefs = _beliefs(soft[~whole], block_bits, scheme.bits_per_symbol)
        llrs[~whole] = beliefs[:, : -crc.LONG_CRC_BITS]
    return llrs.reshape(-1)


def _beliefs(llrs: NDArray[np.float64], k: int, bits_per_symbol: int) -> NDArray[np.float64]:
    """llrs: [B, n] of the coded bits. Returns [B, k] of the information bits."""
    import torch

    own = min(llrs.shape[1], 5 * k)  # what exceeds the code of rate 1/5 repeats it
    copies = np.pad(llrs, ((0, 0), (0, -llrs.shape[1] % own))).reshape(len(llrs), -1, own)
    soft = torch.from_numpy(copies.sum(axis=1).astype(np.float32))
    with inference():
        return np.asarray(_decoder(k, own, bits_per_symbol)(soft).numpy().astype(np.float64))


@lru_cache(maxsize=64)
@building()
def _decoder(k: int, n: int, bits_per_symbol: int) -> Any:
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=bits_per_symbol, check_input=False, **ldpc.SIONNA)
    return LDPC5GDecoder(encoder, num_iter=ldpc.MOST_ITERATIONS, hard_out=False, **ldpc.SIONNA)
