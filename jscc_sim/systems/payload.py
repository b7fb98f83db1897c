"""What systems with a protected header and a payload of their own share: sizes, fields, power."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Equalised
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.header import LONGEST_SIDE
from jscc_sim.images import pixel_limit
from jscc_sim.units import ENCODED, check_finite

Array = NDArray[np.float64]

SIDE_BITS = 16
"""Of a picture's height and width in a header."""


def check_sides(height: int, width: int) -> None:
    """Raises InputError for a picture whose size no header holds."""
    if max(height, width) > LONGEST_SIDE:
        raise InputError(f"side of {max(height, width)} pixels is above the limit of {LONGEST_SIDE}")


def header_protection(belief: Channel, budget: int, margin_db: float | None, payload: int = 0) -> Protection:
    """What a sender makes its header for. payload: uses that the payload cannot do without."""
    return Protection(belief.outage_snr_db(), budget, margin_db, payload)


def write_fields(values: Sequence[int], widths: Sequence[int]) -> Bits:
    """A header's numbers in so many bits each."""
    return np.concatenate([to_bits(value, width) for value, width in zip(values, widths, strict=True)])


def read_fields(message: Bits, widths: Sequence[int]) -> list[int]:
    """The numbers of a header, height and width the first two. Raises ImpossibleFrameError."""
    reader = BitReader(message)
    try:
        values = [reader.take(width) for width in widths]
    except InputError as error:
        raise ImpossibleFrameError(f"impossible header: {error}") from None
    check_pixels(values[0], values[1], pixel_limit())
    return values


def check_pixels(height: int, width: int, limit: int) -> None:
    """Raises ImpossibleFrameError for a size that a header should not claim."""
    if not 0 < height * width <= limit:
        raise ImpossibleFrameError(f"image of {height} x {width} pixels; the limit is {limit} pixels")


def part_of(equalised: Equalised, start: int, uses: int) -> Equalised:
    """The payload's uses. Raises ImpossibleFrameError where fewer arrived."""
    arrived = len(equalised.symbols) - start
    if uses > arrived:
        raise ImpossibleFrameError(f"payload of {uses} uses, {arrived} arrived")
    return equalised.part(start, start + uses)


def unit_power_gain(reals: Array) -> float:
    """What makes their symbols ones of unit mean power; 1 for silence."""
    check_finite(reals, ENCODED)
    power = 2 * float(np.square(reals).mean())
    return 1 / math.sqrt(power) if power > 0 else 1.0
