"""The analog VAE link: N real latents per 4x4 pixels as symbols, two reals in each.

A payload: the latents of a picture, N/32 uses per pixel of it padded to multiples of 8. The rest of the
budget is not sent. The header's own field: N. The network: network.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from jscc_sim.channels import Equalised, EqualisedReals, symbols_of
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.learned.vae.network import (
    CHOICES,
    SNR_RANGE_DB,
    VAEArchitecture,
    VAECoder,
    decoded,
    latent_count,
    latents_of,
)
from jscc_sim.nn.loading import loaded
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import Stopwatch
from jscc_sim.systems.payload import read_fields, write_fields
from jscc_sim.units import noise_variance

VAE = "vae"
CHOICE_BITS = 2

_LARGEST = 1e3  # of a latent, whatever arrives: none is a tenth of that


@dataclass(frozen=True)
class LatentCount:
    """n: reals per 4x4 pixels of a picture of that size."""

    height: int
    width: int
    n: int

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""
        return latent_count(self.n, self.height, self.width) // 2

    def bits(self) -> Bits:
        """As the header holds them."""
        return write_fields([CHOICES.index(self.n)], [CHOICE_BITS])

    @classmethod
    def read(cls, header: FrameHeader) -> LatentCount:
        """Of a received header. Raises ImpossibleFrameError."""
        (choice,) = read_fields(header.fields, [CHOICE_BITS])
        if choice >= len(CHOICES):
            raise ImpossibleFrameError(f"impossible header: latents {choice}")
        return cls(header.height, header.width, CHOICES[choice])


@dataclass(frozen=True)
class VAELink(AnalogLink[LatentCount]):
    """n: real latents per 4x4 pixels that it sends, one of CHOICES; it receives any of them. model: folder of
    the weights, the released ones by default. equaliser: see channels; header_margin_db: see
    coding.protection.Protection. Raises InputError for another n."""

    format: ClassVar[int] = 3
    own_bits: ClassVar[int] = CHOICE_BITS

    n: int
    model: str = field(default="", repr=False)
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def __post_init__(self) -> None:
        if self.n not in CHOICES:
            raise InputError(f"{VAE}:{self.n} is none of {', '.join(f'{VAE}:{n}' for n in CHOICES)}")

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.prepare()
        _ = self._coder

    def version(self) -> str:
        """See System.version."""
        return f"{self._weights.identity} {SNR_RANGE_DB}"

    @property
    def name(self) -> str:
        """With its N."""
        return f"{VAE}:{self.n}"

    @property
    def system_id(self) -> int:
        """Of the weights."""
        return self._weights.id

    def least_uses(self, height: int, width: int) -> int:
        """All latents."""
        return LatentCount(height, width, self.n).uses

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[LatentCount]:
        """See AnalogLink.payload."""
        self.room(request)
        with watch.stage("encode"):
            latents = latents_of(self._coder, picture, self.n, _shown_snr_db(request.sender_snr_db))
        return Payload(symbols_of(latents), LatentCount(request.height, request.width, self.n))

    def fields(self, header: FrameHeader) -> LatentCount:
        """See AnalogLink.fields."""
        return LatentCount.read(header)

    def picture(
        self, heard: Equalised, header: FrameHeader, fields: LatentCount, watch: Stopwatch
    ) -> Picture:
        """See AnalogLink.picture."""
        with watch.stage("decode"):
            reals = EqualisedReals.of(heard, header.gain)
            least = noise_variance(SNR_RANGE_DB[1]) * np.repeat(heard.gain, 2) ** 2 / 2
            amplitude, noise = reals.gain, np.maximum(reals.noise_variance, least)
            means = np.clip(amplitude * reals.values / (amplitude**2 + noise), -_LARGEST, _LARGEST)
            trust = amplitude**2 / (amplitude**2 + noise)
            size, snr_db = (header.height, header.width), _shown_snr_db(header.sender_snr_db)
            return decoded(self._coder, means, trust, size, fields.n, snr_db)

    @cached_property
    def _weights(self) -> Checkpoint:
        return Checkpoint.find(VAE, self.model)

    @cached_property
    def _coder(self) -> VAECoder:
        return loaded(self._weights, VAEArchitecture, VAECoder)


def _shown_snr_db(snr_db: float) -> float:
    """As the network takes it: training has shown none that is better."""
    return min(snr_db, SNR_RANGE_DB[1])
