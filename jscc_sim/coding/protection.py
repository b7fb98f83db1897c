"""A message that begins a frame and announces its own protection: bits to QPSK symbols and back.

    preamble   16, 64 or 512 uses   how the rest is protected: a Plan in 11 bits
    message    as planned           the bits, in segments, each with a CRC; LDPC

A receiver takes nothing but symbols, so every length is checked against what arrived before anything
of that length exists.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding import crc, ldpc, qam, small_block
from jscc_sim.coding.bits import Bits, whitening
from jscc_sim.coding.modes import (
    MARGIN_DB,
    PREAMBLE_USES,
    Plan,
    cheapest_plan,
    preamble_threshold_db,
    preamble_uses,
)
from jscc_sim.errors import OutageError

_NO_PREAMBLE = -10.0  # nats of evidence; a preamble at its threshold has 25 +- 7, a wrong one -100

WATERFALL_DB = 1.5
"""From one short block in a thousand lost to one in two."""


def protect(message: Bits, dependable_snr_db: float) -> NDArray[np.complex64]:
    """The symbols, each of unit power.

    dependable_snr_db: what the protection is made for: the SNR on AWGN, which one message in a
    thousand does not survive; on slow fading the SNR that all but 5 % of the fades exceed.
    """
    plan = cheapest_plan(len(message), dependable_snr_db)
    per_segment = plan.block_bits - crc.CRC_BITS
    padded = np.pad(message, (0, plan.segments * per_segment - len(message)))
    white = (padded ^ whitening(len(padded))).reshape(plan.segments, per_segment)
    coded = ldpc.encode(crc.attach(white), plan.coded_bits)
    preamble = small_block.encode(plan.number, 2 * preamble_uses(dependable_snr_db))
    return qam.map_bits(np.concatenate([preamble, coded.reshape(-1)]))


def protected_uses(bits: int, dependable_snr_db: float) -> int:
    """Channel uses of `protect`, without making them."""
    return preamble_uses(dependable_snr_db) + cheapest_plan(bits, dependable_snr_db).uses


def heard_from_db(bits: int, dependable_snr_db: float) -> float:
    """The SNR on AWGN at which about half of such messages, made for dependable_snr_db, arrive."""
    plan = cheapest_plan(bits, dependable_snr_db)
    preamble = preamble_threshold_db(preamble_uses(dependable_snr_db))
    return max(plan.threshold_db, preamble) - MARGIN_DB - WATERFALL_DB


def recover(heard: Equalised) -> tuple[Bits, int]:
    """The message of a whole received frame, zeros behind it, and the uses it took. Raises OutageError if
    there is no preamble or a CRC fails."""
    plan, start = _read_preamble(heard)
    end = start + plan.uses
    if end > len(heard.symbols):
        raise OutageError(f"header of {end} uses in a frame of {len(heard.symbols)}")
    llrs = qam.soft_bits_of(heard.part(start, end))
    blocks = ldpc.decode(llrs.reshape(plan.segments, plan.coded_bits), plan.block_bits)
    content, valid = crc.check(blocks)
    if not valid.all():
        raise OutageError(f"CRC fails in {int((~valid).sum())} of {plan.segments} header segments")
    white = content.reshape(-1)
    return white ^ whitening(len(white)), end


def _read_preamble(heard: Equalised) -> tuple[Plan, int]:
    """The plan, and where the message begins.

    Longest first: a shorter one, continued by other symbols, is strong evidence against a longer.
    """
    llrs, arrived = qam.soft_bits_of(heard.part(0, PREAMBLE_USES[-1])), len(heard.symbols)
    for uses in reversed(PREAMBLE_USES):
        if uses <= arrived:
            block = small_block.decode(llrs[: 2 * uses])
            if block.evidence > _NO_PREAMBLE:
                return Plan.of_number(block.value), uses
    raise OutageError(f"no header found in {arrived} received symbols")
