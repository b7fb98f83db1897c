"""What systems with a protected header and a payload share: whose a frame is, fields, the payload's uses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jscc_sim.channels import Channel, Equalised
from jscc_sim.checkpoint import Checkpoint, released
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.header import FrameHeader
from jscc_sim.zoo import load_zoo, released_zoos

SOFTCAST, SOFTCAST_ID = "softcast", 0x50FC
"""A system without weights, and the id that its frames have in place of theirs."""


DECODED_BY = {"digits": "digits", "quantised": "quantised+uep", "vae": "vae:2"}
"""Released weights -> a system that reads frames of theirs."""


def header_protection(belief: Channel, budget: int, margin_db: float | None, payload: int = 0) -> Protection:
    """What a sender makes its header for. payload: uses that the payload cannot do without."""
    return Protection(belief.outage_snr_db(), budget, margin_db, payload)


def check_system(header: FrameHeader, name: str, system_id: int) -> None:
    """Raises ImpossibleFrameError for a frame that is not of the system of this name and id."""
    if header.system_id != system_id:
        maker, hint = _maker(header.system_id)
        raise ImpossibleFrameError(
            f"the frame is of {maker} ({header.system_id:04x}), not of {name} ({system_id:04x}){hint}"
        )


def write_fields(values: Sequence[int], widths: Sequence[int]) -> Bits:
    """A header's numbers in so many bits each."""
    bits = [to_bits(value, width) for value, width in zip(values, widths, strict=True)]
    return np.concatenate(bits, dtype=np.uint8)


def read_fields(fields: Bits, widths: Sequence[int]) -> list[int]:
    """The numbers of a header. Raises ImpossibleFrameError."""
    reader = BitReader(fields)
    try:
        return [reader.take(width) for width in widths]
    except InputError as error:
        raise ImpossibleFrameError(f"impossible header: {error}") from None


def part_of(equalised: Equalised, start: int, uses: int) -> Equalised:
    """The payload's uses. Raises ImpossibleFrameError where fewer arrived."""
    arrived = len(equalised.symbols) - start
    if uses > arrived:
        raise ImpossibleFrameError(f"payload of {uses} uses, {arrived} arrived")
    return equalised.part(start, start + uses)


def _maker(system_id: int) -> tuple[str, str]:
    """What makes frames of such an id, in words, and what a receiver of them is to be told."""
    if system_id == SOFTCAST_ID:
        return SOFTCAST, f": use --system {SOFTCAST}"
    for name in released_zoos():
        if load_zoo(name).id == system_id:
            return f"zoo {name}", f": use --zoo {name}"
    for name in released("system"):
        if Checkpoint.find(name).id == system_id:
            return (
                f"the weights of {name}",
                f": use --system {DECODED_BY[name]}" if name in DECODED_BY else "",
            )
    return "unknown weights", ""
