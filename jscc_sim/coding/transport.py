"""Bits over the air in blocks: CRC, 5G LDPC, scrambling, QAM, and back. A block arrives whole or is known to
be lost."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding import crc, ldpc, qam
from jscc_sim.coding.bits import Bits, whitening
from jscc_sim.coding.mcs import Scheme


def blocks_for(bits: int, block_bits: int) -> int:
    """Code blocks that so many bits take, each with a CRC of its own."""
    return -(-bits // (block_bits - crc.LONG_CRC_BITS))


def capacity_bits(uses: int, scheme: Scheme, block_bits: int) -> int:
    """Bits that fit into so many channel uses, in whole code blocks."""
    return uses // scheme.uses(block_bits) * (block_bits - crc.LONG_CRC_BITS)


def encode(bits: Bits, scheme: Scheme, block_bits: int, scrambled: bool = True) -> NDArray[np.complex64]:
    """bits: [n], filled up with zeros to whole blocks. Returns [blocks_for(n) * scheme.uses] symbols of
    unit mean power; without scrambling only if the bits are random."""
    content = block_bits - crc.LONG_CRC_BITS
    blocks = np.pad(bits, (0, -len(bits) % content)).reshape(-1, content)
    coded = ldpc.encode(
        crc.attach(blocks, crc.LONG_CRC_BITS), scheme.coded_bits(block_bits), scheme.bits_per_symbol
    )
    flat = coded.reshape(-1)
    return qam.map_bits(flat ^ whitening(len(flat)) if scrambled else flat, scheme.bits_per_symbol)


def decode(
    heard: Equalised, scheme: Scheme, block_bits: int, scrambled: bool = True, all_or_none: bool = False
) -> tuple[Bits, NDArray[np.bool_]]:
    """heard: [blocks * scheme.uses]; all_or_none: see ldpc.decode_until. Returns the content bits, and
    [blocks] if each CRC holds."""
    return decode_blocks(soft_blocks(heard, scheme, block_bits, scrambled), scheme, block_bits, all_or_none)


def soft_blocks(
    heard: Equalised, scheme: Scheme, block_bits: int, scrambled: bool = True
) -> NDArray[np.float64]:
    """See `decode`. Returns [blocks, coded bits] log of P(1) over P(0), scrambling undone."""
    llrs = qam.soft_bits_of(heard, scheme.bits_per_symbol)
    if scrambled:
        llrs *= 1 - 2 * whitening(len(llrs)).astype(llrs.dtype)
    return llrs.reshape(-1, scheme.coded_bits(block_bits))


def decode_blocks(
    soft: NDArray[np.float64], scheme: Scheme, block_bits: int, all_or_none: bool = False
) -> tuple[Bits, NDArray[np.bool_]]:
    """What `soft_blocks` gives -> what `decode` returns. all_or_none: see ldpc.decode_until."""
    blocks = ldpc.decode_until(_holds, soft, block_bits, scheme.bits_per_symbol, all_or_none=all_or_none)
    content, whole = crc.check(blocks, crc.LONG_CRC_BITS)
    return content.reshape(-1), whole


_holds = partial(crc.holds, crc_bits=crc.LONG_CRC_BITS)
