"""Bits over the air in blocks, as `transport`, for content that can use what is left of a lost block: how
likely each of its bits is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding import crc, ldpc, qam, transport
from jscc_sim.coding.mcs import Scheme


def decode(heard: Equalised, scheme: Scheme, block_bits: int) -> NDArray[np.float64]:
    """As transport.decode; returns for each content bit the log of P(bit = 1) over P(bit = 0): certain in
    blocks whose CRC holds, in the others what belief propagation last thought."""
    soft = transport.soft_blocks(heard, scheme, block_bits)
    bits, whole = transport.decode_blocks(soft, scheme, block_bits)
    llrs = np.where(bits == 1, qam.LLR_LIMIT, -qam.LLR_LIMIT).reshape(len(whole), -1)
    if not whole.all():
        beliefs = ldpc.beliefs(soft[~whole], block_bits, scheme.bits_per_symbol)
        llrs[~whole] = beliefs[:, : -crc.LONG_CRC_BITS]
    return llrs.reshape(-1)
