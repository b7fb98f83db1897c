"""The CRC that says whether a decoded block is right: 16 bits for headers, 24 for files."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits

CRC_BITS, LONG_CRC_BITS = 16, 24

_GENERATORS = {CRC_BITS: 0x1021, LONG_CRC_BITS: 0x864CFB}
"""gCRC16 and gCRC24A without their highest power."""


def attach(bits: Bits, crc_bits: int = CRC_BITS) -> Bits:
    """bits: [B, k]. Returns [B, k + crc_bits].

    CRC16 or CRC24A of 3GPP TS 38.212, section 5.1, inverted: the all-zero word, to which an LDPC
    decoder falls when it hears nothing, must not pass.
    """
    return np.concatenate([bits, _parity(bits, crc_bits)], axis=1)


def check(bits: Bits, crc_bits: int = CRC_BITS) -> tuple[Bits, NDArray[np.bool_]]:
    """bits: [B, k + crc_bits]. Returns the [B, k] bits without CRC, and [B] whether each CRC holds."""
    content, parity = bits[:, :-crc_bits], bits[:, -crc_bits:]
    return content, np.asarray((parity == _parity(content, crc_bits)).all(axis=1))


def holds(bits: Bits, crc_bits: int = CRC_BITS) -> NDArray[np.bool_]:
    """[B, k + crc_bits] -> [B] whether each CRC holds."""
    return check(bits, crc_bits)[1]


def _parity(bits: Bits, crc_bits: int) -> Bits:
    remainders = _remainders(bits.shape[1], crc_bits)
    return np.asarray(1 - (bits @ remainders).astype(np.int64) % 2, dtype=np.uint8)


@lru_cache(maxsize=64)
def _remainders(k: int, crc_bits: int) -> NDArray[np.float32]:
    """[k, crc_bits] what each bit, alone, leaves of a division by the generator, highest power first."""
    rows = np.zeros((k, crc_bits), dtype=np.float32)
    remainder = _GENERATORS[crc_bits]
    for row in reversed(rows):
        row[:] = [remainder >> power & 1 for power in reversed(range(crc_bits))]
        remainder <<= 1
        if remainder >> crc_bits:
            remainder ^= 1 << crc_bits | _GENERATORS[crc_bits]
    return rows
