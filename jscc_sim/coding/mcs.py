"""Modulation and coding schemes: square QAM and a rate of the LDPC code, after 5G's own table."""

from __future__ import annotations

from dataclasses import dataclass

from jscc_sim.errors import InputError

BLOCK_BITS = (512, 2048)
"""Information bits of a code block, CRC included: the lengths whose block error rates are measured."""


@dataclass(frozen=True)
class Scheme:
    """bits_per_symbol: 2, 4, 6 or 8; rate_1024: 1024 times the code rate, as 3GPP writes it."""

    bits_per_symbol: int
    rate_1024: float

    @property
    def name(self) -> str:
        """Such as `64qam-517`: modulation and rate_1024."""
        modulation = {2: "qpsk", 4: "16qam", 6: "64qam", 8: "256qam"}[self.bits_per_symbol]
        return f"{modulation}-{self.rate_1024:g}"

    @property
    def bits_per_use(self) -> float:
        """Information bits of a channel use."""
        return self.bits_per_symbol * self.rate_1024 / 1024

    def uses(self, block_bits: int) -> int:
        """Channel uses of a code block of so many information bits."""
        return -int(-block_bits * 1024 // (self.rate_1024 * self.bits_per_symbol))

    def coded_bits(self, block_bits: int) -> int:
        """Coded bits of such a block: they fill whole symbols."""
        return self.uses(block_bits) * self.bits_per_symbol


_TABLE = {
    2: (193, 308, 449, 602),
    4: (378, 434, 490, 553, 616, 658),
    6: (466, 517, 567, 616, 666, 719, 772, 822, 873),
    8: (682.5, 711, 754, 797, 841, 885, 916.5, 948),
}

SCHEMES = tuple(Scheme(bits, rate) for bits, rates in _TABLE.items() for rate in rates)
"""3GPP TS 38.214, table 5.1.3.1-2 (PDSCH, 256QAM) without its first row, whose rate needs repetition."""


def find_scheme(name: str) -> Scheme:
    """The scheme of a name. Raises InputError for another."""
    for scheme in SCHEMES:
        if scheme.name == name:
            return scheme
    raise InputError(f"mode {name!r} is not one of {', '.join(scheme.name for scheme in SCHEMES)}")
