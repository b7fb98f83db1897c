"""What analog links share: header with its margin, gain, interleaver, equaliser and noise per use.

A system makes a payload: symbols that the channel may disturb, and the header's fields without which they
cannot be read. All else of a frame is made here: one gain that brings the payload to unit mean power, the
order of sending, the header, the budget; and all that is undone at the receiver before a payload is read.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim import header as framing
from jscc_sim.channels import Channel, Equalised, Received, Symbols, equalise
from jscc_sim.coding.bits import Bits
from jscc_sim.coding.interleaving import deinterleave, interleave
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.nn.bank import pool_gain
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch
from jscc_sim.systems.payload import check_system, header_protection, part_of


class HeaderFields(Protocol):
    """The fields of a header that are a system's own."""

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""

    def bits(self) -> Bits:
        """As the header holds them."""


Fields = TypeVar("Fields", bound=HeaderFields)


@dataclass(frozen=True)
class FrameRequest:
    """What a frame is to be made of and for. height, width: of the picture; budget: uses of the whole frame;
    belief: the channel as the sender believes it to be; protection: of the header; csit: see
    LinkSystem.encode."""

    height: int
    width: int
    budget: int
    belief: Channel
    protection: Protection
    csit: ChannelProbe | None = None

    @property
    def sender_snr_db(self) -> float:
        """Of the belief, as the receiver will know it."""
        return framing.quantise_snr_db(self.belief.snr_db)

    def header_uses(self, own_bits: int) -> int:
        """Channel uses of a header with so many bits of the system's own."""
        return self.protection.uses(self._bits(own_bits))

    def header_snr_db(self, own_bits: int) -> float:
        """The SNR that such a header is made for."""
        return self.protection.made_for_db(self._bits(own_bits))

    def _bits(self, own_bits: int) -> int:
        return framing.header_bits(self.height, self.width, own_bits)


@dataclass(frozen=True, eq=False)
class Payload(Generic[Fields]):
    """What a system sends of a picture. symbols: [fields.uses] complex64, before the gain, in the system's
    own order; system_id: where it is another than the system's; index, coder: see Frame."""

    symbols: Symbols
    fields: Fields
    system_id: int | None = None
    index: NDArray[np.int64] | None = None
    coder: str = ""


class AnalogLink(LinkSystem, Generic[Fields]):
    """A link whose payload degrades with the channel. A subclass says what it sends, `payload`, and how it is
    read, `fields` and `picture`. equaliser: see channels; header_margin_db: see coding.protection.Protection;
    most_pixels_per_use: that a frame may claim, where it comes from anyone."""

    equaliser: str = "mmse"
    header_margin_db: float | None = None
    most_pixels_per_use: float = math.inf

    own_bits: ClassVar[int] = 0
    """Of the header's fields that are the system's own, where that is the same number for all frames."""

    @property
    @abstractmethod
    def name(self) -> str:
        """As messages call the system."""

    @property
    @abstractmethod
    def system_id(self) -> int:
        """16 bits that a receiver knows its frames by: of the weights' hash, where there are any."""

    @abstractmethod
    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[Fields]:
        """What is sent of a picture. Raises BudgetError if no frame fits."""

    @abstractmethod
    def fields(self, header: FrameHeader) -> Fields:
        """A received header's own fields. Raises ImpossibleFrameError for what no sender writes."""

    @abstractmethod
    def picture(self, heard: Equalised, header: FrameHeader, fields: Fields, watch: Stopwatch) -> Picture:
        """What a received payload shows. heard: [fields.uses] in the order of `payload`, not yet divided by
        the gain."""

    def least_uses(self, height: int, width: int) -> int:
        """Of a payload, that no frame of such a picture can do without."""
        return 0

    def check_header(self, header: FrameHeader) -> None:
        """Raises ImpossibleFrameError for a frame of another system."""
        check_system(header, self.name, self.system_id)

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self.room(self.request(picture, budget, belief))

    @final
    def room(self, request: FrameRequest) -> int:
        """Uses that a header of `own_bits` leaves the payload. Raises BudgetError if they are too few."""
        height, width = request.height, request.width
        front, least = request.header_uses(self.own_bits), self.least_uses(height, width)
        if request.budget < front + least:
            raise BudgetError(
                f"budget of {request.budget} uses is below the {front + least} uses that {self.name} needs "
                f"for {height}x{width} pixels, {front} of them for the header"
            )
        return request.budget - front

    @final
    def request(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> FrameRequest:
        """Raises InputError for a picture whose size no header holds."""
        height, width = picture.shape[:2]
        framing.check_size(height, width)
        least = self.least_uses(height, width)
        protection = header_protection(belief, budget, self.header_margin_db, least)
        return FrameRequest(height, width, budget, belief, protection, csit)

    @final
    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        watch = Stopwatch()
        request = self.request(picture, budget, belief, csit)
        payload = self.payload(picture, request, watch)
        if len(payload.symbols) != payload.fields.uses:
            raise InputError(
                f"{self.name}: payload of {len(payload.symbols)} uses, where the header says "
                f"{payload.fields.uses}"
            )
        with watch.stage("frame"):
            gain = pool_gain(payload.symbols)
            header = FrameHeader(
                request.height,
                request.width,
                self.system_id if payload.system_id is None else payload.system_id,
                framing.quantise_gain(gain),
                request.sender_snr_db,
                payload.fields.bits(),
            )
            analog = interleave((payload.symbols * np.float32(gain)).astype(np.complex64))
            front = analog[:0] if self.genie else framing.encode_header(header, request.protection)
            symbols = np.concatenate([front, analog])
        if len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        return Frame(
            symbols,
            len(front),
            request.height,
            request.width,
            header,
            payload.index,
            watch.seconds,
            payload.coder,
            None if self.genie else request.header_snr_db(len(header.fields)),
        )

    @final
    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. genie: the header, where the side information is a genie's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = genie, 0
            if header is None:
                decoded = framing.decode_header(equalised, self.most_pixels_per_use)
                header, start = decoded.header, decoded.uses
            self.check_header(header)
            fields = self.fields(header)
            heard = deinterleave(part_of(equalised, start, fields.uses))
        return Reception(self.picture(heard, header, fields, watch), watch.seconds)
