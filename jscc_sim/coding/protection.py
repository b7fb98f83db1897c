"""A message that begins a frame and announces its own protection: bits to QPSK symbols and back.

    preamble   16, 64 or 512 uses   how the rest is protected: a HeaderPlan in 11 bits
    message    as planned           the bits, in segments, each with a CRC; LDPC

A receiver takes nothing but symbols, so every length is checked against what arrived before anything
of that length exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding import crc, ldpc, qam, small_block
from jscc_sim.coding.bits import Bits, whitening
from jscc_sim.coding.modes import (
    MARGIN_DB,
    PREAMBLE_USES,
    HeaderPlan,
    cheapest_plan,
    preamble_threshold_db,
    preamble_uses,
    reached,
)
from jscc_sim.errors import InputError, OutageError

LARGEST_MARGIN_DB, MARGIN_STEP_DB = 10.0, 0.5
MARGIN_SHARE = 0.02
"""Of the payload, that a margin may cost."""

MOST_MARGIN_DB = 40.0
"""That a user may ask for."""

_NO_PREAMBLE = -10.0  # nats of evidence; a preamble at its threshold has 25 +- 7, a wrong one -100

WATERFALL_DB = 1.5
"""From one short block in a thousand lost to one in two."""


@dataclass(frozen=True)
class Protection:
    """What a sender of analog payload makes a header for. Such a payload degrades gently where the channel
    is worse than its sender believes; a header made for just that belief would be lost with all of it.

    outage_snr_db: see `protect`; budget: uses of the whole frame; margin_db: how much less than that the
    header is made for, by default the largest margin up to LARGEST_MARGIN_DB that a header can have, that
    costs at most MARGIN_SHARE of what the frame would carry without it, and leaves `payload` uses. Raises
    InputError for a margin outside 0 to MOST_MARGIN_DB.
    """

    outage_snr_db: float
    budget: int
    margin_db: float | None = None
    payload: int = 0

    def __post_init__(self) -> None:
        check_margin_db(self.margin_db)

    def made_for_db(self, bits: int) -> float:
        """The SNR that a header of so many bits is made for."""
        if self.margin_db is not None:
            return self.outage_snr_db - self.margin_db
        bare = protected_uses(bits, self.outage_snr_db)
        most = min(bare + MARGIN_SHARE * (self.budget - bare), self.budget - self.payload)
        margin_db = LARGEST_MARGIN_DB
        while margin_db > 0:
            snr_db = self.outage_snr_db - margin_db
            if reached(bits, snr_db) and protected_uses(bits, snr_db) <= most:
                return snr_db
            margin_db -= MARGIN_STEP_DB
        return self.outage_snr_db

    def uses(self, bits: int) -> int:
        """Channel uses of a header of so many bits."""
        return protected_uses(bits, self.made_for_db(bits))

    def protect(self, message: Bits) -> NDArray[np.complex64]:
        """Its symbols, each of unit power."""
        return protect(message, self.made_for_db(len(message)))


def check_margin_db(margin_db: float | None) -> None:
    """Raises InputError for a header's margin that nobody can want."""
    if margin_db is not None and not 0 <= margin_db <= MOST_MARGIN_DB:
        raise InputError(f"header margin of {margin_db:g} dB is outside 0 to {MOST_MARGIN_DB:g} dB")


def protect(message: Bits, outage_snr_db: float) -> NDArray[np.complex64]:
    """The symbols, each of unit power.

    outage_snr_db: what the protection is made for: the SNR on AWGN, which one message in a
    thousand does not survive; on slow fading the SNR that all but 5 % of the fades exceed.
    """
    plan = cheapest_plan(len(message), outage_snr_db)
    per_segment = plan.block_bits - crc.CRC_BITS
    padded = np.pad(message, (0, plan.segments * per_segment - len(message)))
    white = (padded ^ whitening(len(padded))).reshape(plan.segments, per_segment)
    coded = ldpc.encode(crc.attach(white), plan.coded_bits)
    preamble = small_block.encode(plan.number, 2 * preamble_uses(outage_snr_db))
    return qam.map_bits(np.concatenate([preamble, coded.reshape(-1)]))


def protected_uses(bits: int, outage_snr_db: float) -> int:
    """Channel uses of `protect`, without making them."""
    return preamble_uses(outage_snr_db) + cheapest_plan(bits, outage_snr_db).uses


def waterfall_snr_db(bits: int, outage_snr_db: float) -> float:
    """The SNR on AWGN at which about half of such messages, made for outage_snr_db, arrive."""
    plan = cheapest_plan(bits, outage_snr_db)
    preamble = preamble_threshold_db(preamble_uses(outage_snr_db))
    return max(plan.threshold_db, preamble) - MARGIN_DB - WATERFALL_DB


def recover(heard: Equalised) -> tuple[Bits, int]:
    """The message of a whole received frame, zeros behind it, and the uses it took. Raises OutageError if
    there is no preamble or a CRC fails."""
    plan, start = _read_preamble(heard)
    end = start + plan.uses
    if end > len(heard.symbols):
        raise OutageError(f"no readable header: its preamble names {end} uses, {len(heard.symbols)} arrived")
    llrs = qam.soft_bits_of(heard.part(start, end))
    soft = llrs.reshape(plan.segments, plan.coded_bits)
    blocks = ldpc.decode_until(crc.holds, soft, plan.block_bits, most=ldpc.ITERATIONS)
    content, valid = crc.check(blocks)
    if not valid.all():
        raise OutageError(f"CRC fails in {int((~valid).sum())} of {plan.segments} header segments")
    white = content.reshape(-1)
    return white ^ whitening(len(white)), end


def _read_preamble(heard: Equalised) -> tuple[HeaderPlan, int]:
    """The plan, and where the message begins.

    Longest first: a shorter one, continued by other symbols, is strong evidence against a longer.
    """
    llrs, arrived = qam.soft_bits_of(heard.part(0, PREAMBLE_USES[-1])), len(heard.symbols)
    for uses in reversed(PREAMBLE_USES):
        if uses <= arrived:
            block = small_block.decode(llrs[: 2 * uses])
            if block.evidence > _NO_PREAMBLE:
                return HeaderPlan.of_number(block.value), uses
    raise OutageError(f"no header found in {arrived} received symbols")
