"""Somebody's own encoder and decoder in torch as a system.

A frame's payload are the latents, brought to unit mean power over the picture whatever power the encoder
gives them; the decoder gets them on the encoder's scale again. How the two are called: nn/torch_coder.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from jscc_sim.channels import LEAST_GAIN, LEAST_VARIANCE, Equalised, symbols_of
from jscc_sim.coding import ldpc
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.inference import building
from jscc_sim.plugins import digest, errors_named, fact
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import Stopwatch
from jscc_sim.units import SNR_RANGE_DB, power_to_db

if TYPE_CHECKING:  # torch takes a second or two to load
    from jscc_sim.nn.torch_coder import TorchCoder

Network = Callable[..., Any]

RATE_BITS = 5
"""Of a header: which of the rates was taken."""


@dataclass(frozen=True)
class Rate:
    """The header's own field. uses: channel uses of the payload, which is not sent."""

    number: int
    uses: int

    def bits(self) -> Bits:
        """See HeaderFields.bits."""
        return to_bits(self.number, RATE_BITS)


@dataclass(frozen=True)
class TorchLink(AnalogLink[Rate]):
    """encoder, decoder: modules or functions, see nn.torch_coder.TorchCoder; or as many of each as there are
    rates, of which the largest that fits is taken. A subclass may define `networks` in their place.

    tile, multiple: how pictures of any size are coded, see TorchCoder. unbiased: whether the decoder gets
    symbols that are the encoder's and noise, or those that the equaliser leaves: `mmse` shrinks them.
    equaliser, header_margin_db: see AnalogLink.

    The encoder's snr_db is what the sender believes. The decoder's is what the receiver measures: the mean
    over the payload's uses of signal over noise power, under slow fading that of the frame, under fast fading
    the average. A result's key knows what the networks hold, weights and all, the code of functions that no
    file is known of, and the file of a subclass; what else they depend on a subclass adds to `version`.
    """

    own_bits: ClassVar[int] = RATE_BITS

    encoder: Network | Sequence[Network] | None = field(default=None, repr=False)
    decoder: Network | Sequence[Network] | None = field(default=None, repr=False)
    tile: int = 0
    multiple: int = 16
    unbiased: bool = True
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def __post_init__(self) -> None:
        for own in fields(self):
            if getattr(type(self), own.name, own.default) != own.default:
                raise InputError(
                    f"{self.name}.{own.name} takes no effect: write {own.name}: {own.type} = ..., and "
                    "@dataclass(frozen=True) above the class"
                )
        for name, side in (("tile", self.tile), ("multiple", self.multiple)):
            if isinstance(side, bool) or not isinstance(side, Integral):
                raise InputError(f"{self.name}: {name} = {side!r} is no whole number of pixels")
        if not isinstance(self.unbiased, bool):
            raise InputError(f"{self.name}: unbiased = {self.unbiased!r} is not True or False")

    def networks(self) -> tuple[Network | Sequence[Network], Network | Sequence[Network]]:
        """Encoder and decoder, or as many of each as there are rates; built at first use, once."""
        if self.encoder is None or self.decoder is None:
            raise InputError(f"{self.name} has no {'encoder' if self.encoder is None else 'decoder'}")
        return self.encoder, self.decoder

    def prepare(self) -> None:
        """See System.prepare."""
        ldpc.prepare()
        _ = self._coders

    def version(self) -> str:
        """See System.version."""
        return self._sha256

    def least_uses(self, height: int, width: int) -> int:
        """Of the least rate."""
        return min(coder.uses(height, width) for coder in self._coders)

    @property
    def system_id(self) -> int:
        """See AnalogLink.system_id."""
        return int(self._sha256[:4], 16)

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[Rate]:
        """See AnalogLink.payload."""
        room, size = self.room(request), (request.height, request.width)
        rates = [Rate(number, coder.uses(*size)) for number, coder in enumerate(self._coders)]
        rate = max((rate for rate in rates if rate.uses <= room), key=lambda rate: rate.uses)
        with watch.stage("encode"):
            latents = self._coders[rate.number].encode(picture, request.sender_snr_db)
        return Payload(symbols_of(latents), rate, coder=f"rate {rate.number}" if len(rates) > 1 else "")

    def fields(self, header: FrameHeader) -> Rate:
        """See AnalogLink.fields."""
        try:
            number = BitReader(header.fields).take(RATE_BITS)
        except InputError as error:
            raise ImpossibleFrameError(f"impossible header: {error}") from None
        if number >= len(self._coders):
            raise ImpossibleFrameError(
                f"impossible header: rate {number}, {self.name} has {len(self._coders)}"
            )
        return Rate(number, self._coders[number].uses(header.height, header.width))

    def picture(self, heard: Equalised, header: FrameHeader, fields: Rate, watch: Stopwatch) -> Picture:
        """See AnalogLink.picture."""
        variance = np.maximum(heard.noise_variance, LEAST_VARIANCE)
        measured_db = power_to_db(float((heard.gain**2 / variance).mean()))
        scale = header.gain * (np.maximum(heard.gain, LEAST_GAIN) if self.unbiased else 1.0)
        with watch.stage("decode"):
            return self._coders[fields.number].decode(
                heard.symbols / scale,
                variance / scale**2,
                header.height,
                header.width,
                float(np.clip(measured_db, *SNR_RANGE_DB)),
            )

    @property
    def name(self) -> str:
        """Of the class."""
        return type(self).__name__

    @cached_property
    def _built(self) -> tuple[list[TorchCoder], str]:
        """The networks by rate, and the hash of what they hold: before they run, since there are some that
        keep what depends on the last picture among their weights."""
        from jscc_sim.nn.torch_coder import TorchCoder

        with building(), errors_named(f"{self.name}: networks"):
            encoders, decoders = map(_listed, self.networks())
        if not 1 <= len(encoders) == len(decoders) <= 1 << RATE_BITS:
            raise InputError(
                f"{self.name} has {len(encoders)} encoders and {len(decoders)} decoders, not 1 to "
                f"{1 << RATE_BITS} and as many of each"
            )
        pairs = zip(encoders, decoders, strict=True)
        coders = [TorchCoder(*pair, tile=self.tile, multiple=self.multiple, name=self.name) for pair in pairs]
        return coders, digest(self.name, fact(encoders), fact(decoders))

    @property
    def _coders(self) -> list[TorchCoder]:
        return self._built[0]

    @property
    def _sha256(self) -> str:
        return self._built[1]


def _listed(networks: Network | Sequence[Network]) -> list[Network]:
    return list(networks) if isinstance(networks, list | tuple) else [cast(Network, networks)]
