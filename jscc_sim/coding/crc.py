"""A 16-bit CRC that says whether a decoded block is right."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.bits import Bits

CRC_BITS = 16


def attach(bits: Bits) -> Bits:
    """bits: [B, k]. Returns [B, k + 16].

    CRC16 of 3GPP TS 38.212, section 5.1, inverted: the all-zero word, to which an LDPC decoder
    falls when it hears nothing, must not pass.
    """
    return np.concatenate([bits, _parity(bits)], axis=1)


def check(bits: Bits) -> tuple[Bits, NDArray[np.bool_]]:
    """bits: [B, k + 16]. Returns the [B, k] bits without CRC, and [B] whether each CRC holds."""
    content, parity = bits[:, :-CRC_BITS], bits[:, -CRC_BITS:]
    return content, np.asarray((parity == _parity(content)).all(axis=1))


def _parity(bits: Bits) -> Bits:
    import torch

    coded = _encoder(bits.shape[1])(torch.from_numpy(bits.astype(np.float32))).numpy()
    return np.asarray(1 - coded[:, -CRC_BITS:].astype(np.uint8), dtype=np.uint8)


@lru_cache(maxsize=64)
def _encoder(k: int) -> Any:
    from sionna.phy.fec.crc import CRCEncoder

    return CRCEncoder("CRC16", k=k, device="cpu")
