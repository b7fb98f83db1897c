"""The analog VAE link: N real latents per 4x4 pixels as symbols, two reals in each.

The frame: a header (size, N, weights, gain, the SNR that the sender believed; see coding/protection.py), then
the latents in a fixed random order, which spreads fades over the picture, scaled so that a picture's have
unit mean power per use: N/32 uses per pixel of a picture padded to multiples of 8. The rest of the budget
is not sent. The network: nn/vae_link.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import LEAST_VARIANCE, Channel, Received, equalise, reals_of, symbols_of
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import Bits
from jscc_sim.coding.protection import Protection, recover
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError
from jscc_sim.header import GAIN_BITS, FrameHeader, gain_code, gain_of
from jscc_sim.images import Picture
from jscc_sim.nn.loading import loaded
from jscc_sim.nn.vae_link import (
    CHOICES,
    SNR_RANGE_DB,
    VAEArchitecture,
    VAECoder,
    decoded,
    latent_count,
    latents_of,
)
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch
from jscc_sim.systems.payload import (
    SIDE_BITS,
    check_sides,
    header_protection,
    part_of,
    read_fields,
    unit_power_gain,
    write_fields,
)
from jscc_sim.units import noise_variance

VAE = "vae"

CHOICE_BITS, MODEL_BITS, SNR_BITS = 2, 16, 7
FIELDS = (SIDE_BITS, SIDE_BITS, CHOICE_BITS, MODEL_BITS, GAIN_BITS, SNR_BITS)
HEADER_BITS = sum(FIELDS)

_LOWEST_SNR_DB, _HIGHEST_SNR_DB = -30, 60  # whole decibels; those of units.SNR_RANGE_DB
_ORDER_SEED = 2014
_LARGEST = 1e3  # of a latent, whatever arrives: none is a tenth of that


@dataclass(frozen=True)
class LatentHeader:
    """What a receiver must know. n: reals per 4x4 pixels; model: 16 bits of the weights' hash; gain:
    amplitude factor of the payload; snr_db: whole, what the sender believed."""

    height: int
    width: int
    n: int
    model: int
    gain: float
    snr_db: int

    def bits(self) -> Bits:
        """HEADER_BITS of them."""
        choice, snr = CHOICES.index(self.n), self.snr_db - _LOWEST_SNR_DB
        return write_fields((self.height, self.width, choice, self.model, gain_code(self.gain), snr), FIELDS)

    @classmethod
    def parse(cls, message: Bits) -> LatentHeader:
        """Raises ImpossibleFrameError."""
        height, width, choice, model, gain, snr = read_fields(message, FIELDS)
        if choice >= len(CHOICES) or snr > _HIGHEST_SNR_DB - _LOWEST_SNR_DB:
            raise ImpossibleFrameError(f"impossible header: latents {choice}, SNR {snr}")
        return cls(height, width, CHOICES[choice], model, gain_of(gain), snr + _LOWEST_SNR_DB)

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""
        return latent_count(self.n, self.height, self.width) // 2


@dataclass(frozen=True)
class VAELink(LinkSystem):
    """n: real latents per 4x4 pixels that it sends, one of CHOICES; it receives any of them. model: folder of
    the weights, the released ones by default. equaliser: see channels; header_margin_db: see
    coding.protection.Protection. Raises InputError for another n."""

    format: ClassVar[int] = 2

    n: int
    model: str = field(default="", repr=False)
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def __post_init__(self) -> None:
        if self.n not in CHOICES:
            raise InputError(f"{VAE}:{self.n} is none of {', '.join(f'{VAE}:{n}' for n in CHOICES)}")

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.preload()
        _ = self._coder

    def version(self) -> str:
        """See System.version."""
        return f"{self._weights.identity} {HEADER_BITS} {SNR_RANGE_DB}"

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self._check(picture, budget, belief)

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        self._check(picture, budget, belief)
        height, width = picture.shape[:2]
        watch = Stopwatch()
        with watch.stage("encode"):
            snr_db = round(min(belief.snr_db, SNR_RANGE_DB[1]))
            latents = latents_of(self._coder, picture, self.n, snr_db)
            gain = unit_power_gain(latents)
        with watch.stage("frame"):
            header = LatentHeader(height, width, self.n, self._weights.id, gain, snr_db)
            front = self._protection(picture, budget, belief).protect(header.bits())
            payload = symbols_of(gain * latents[order_of(len(latents))])
        return Frame(np.concatenate([front, payload]), len(front), height, width, seconds=watch.seconds)

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            message, start = recover(equalised)
            header = LatentHeader.parse(message)
            if header.model != self._weights.id:
                raise ImpossibleFrameError(
                    f"the frame is of the weights {header.model:04x}, not of {self._weights.id:04x} ({VAE})"
                )
            part = part_of(equalised, start, header.uses)
        with watch.stage("decode"):
            heard = reals_of(part.symbols)
            amplitude = np.repeat(part.gain, 2) * header.gain
            least = LEAST_VARIANCE + noise_variance(SNR_RANGE_DB[1]) * part.gain**2
            noise = np.repeat(np.maximum(part.noise_variance, least), 2) / 2
            means, trust = np.empty(len(heard)), np.empty(len(heard))
            order = order_of(len(heard))
            means[order] = np.clip(amplitude * heard / (amplitude**2 + noise), -_LARGEST, _LARGEST)
            trust[order] = amplitude**2 / (amplitude**2 + noise)
            size = header.height, header.width
            picture = decoded(self._coder, means, trust, size, header.n, header.snr_db)
        return Reception(picture, watch.seconds)

    @cached_property
    def _weights(self) -> Checkpoint:
        return Checkpoint.find(VAE, self.model)

    @cached_property
    def _coder(self) -> VAECoder:
        return loaded(self._weights, VAEArchitecture, VAECoder)

    def _protection(self, picture: Picture, budget: int, belief: Channel) -> Protection:
        payload = latent_count(self.n, *picture.shape[:2]) // 2
        return header_protection(belief, budget, self.header_margin_db, payload)

    def _check(self, picture: Picture, budget: int, belief: Channel) -> None:
        height, width = picture.shape[:2]
        check_sides(height, width)
        front = self._protection(picture, budget, belief).uses(HEADER_BITS)
        payload = latent_count(self.n, height, width) // 2
        if budget < front + payload:
            raise BudgetError(
                f"budget of {budget} uses is below the {front + payload} uses that {VAE}:{self.n} needs for "
                f"{height}x{width} pixels, {front} of them for the header"
            )


def order_of(count: int) -> NDArray[np.int64]:
    """[count] the order in which latents are sent."""
    return np.random.default_rng(_ORDER_SEED).permutation(count)
