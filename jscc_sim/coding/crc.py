"""The CRC that says whether a decoded block is right: 16 bits for headers, 24 for files."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits
from jscc_sim.coding.ldpc import SIONNA
from jscc_sim.inference import building

CRC_BITS, LONG_CRC_BITS = 16, 24


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
    import torch

    coded = _encoder(bits.shape[1], crc_bits)(torch.from_numpy(bits.astype(np.float32))).numpy()
    return np.asarray(1 - coded[:, -crc_bits:].astype(np.uint8), dtype=np.uint8)


@lru_cache(maxsize=64)
@building()
def _encoder(k: int, crc_bits: int) -> Any:
    from sionna.phy.fec.crc import CRCEncoder

    return CRCEncoder({CRC_BITS: "CRC16", LONG_CRC_BITS: "CRC24A"}[crc_bits], k=k, **SIONNA)
