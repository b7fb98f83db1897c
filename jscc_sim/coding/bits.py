"""Numbers to bits, most significant first, and a reader that never runs past the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError

Bits = NDArray[np.uint8]

_SCRAMBLE_SEED = 38211


def to_bits(value: int, width: int) -> Bits:
    """[width] bits of a number in 0 to 2**width - 1."""
    if not 0 <= value < 1 << width:
        raise InputError(f"{value} does not fit into {width} bits")
    whole = np.frombuffer(int(value).to_bytes(-(-width // 8), "big"), np.uint8)
    return np.unpackbits(whole)[len(whole) * 8 - width :]


def to_int(bits: Bits) -> int:
    """The number whose bits these are; 0 for none."""
    return int.from_bytes(np.packbits(np.pad(bits, (-len(bits) % 8, 0))).tobytes(), "big")


def whitening(count: int) -> Bits:
    """[count] fixed random bits, to be added to what is sent: long runs of equal bits would give a QAM
    another mean power than 1, or look like what repeats. The sequence is one and the same, any length."""
    drawn = np.random.default_rng(_SCRAMBLE_SEED).bytes(-(-count // 8))
    return np.unpackbits(np.frombuffer(drawn, np.uint8), count=count)


class BitReader:
    """Takes numbers off the front of bits that may come from anyone."""

    def __init__(self, bits: Bits) -> None:
        self.rest = bits

    def take(self, width: int) -> int:
        """The next `width` bits as a number. Raises InputError where fewer are left."""
        if width > len(self.rest):
            raise InputError(f"{width} bits wanted, {len(self.rest)} left")
        head, self.rest = self.rest[:width], self.rest[width:]
        return to_int(head)
