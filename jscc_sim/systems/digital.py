"""Source and channel coding apart: an image codec's file, 5G LDPC, QAM.

The frame: a header (codec, mode, length of the file; see coding/protection.py), then the file's code
blocks, their symbols in turn, so that fades that pass hit all blocks alike. The mode is chosen from
measured error rates and the channel as the sender believes it to be, never from what becomes of the
picture. One block that is lost makes the frame an outage: what is left of a file is not trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Received, equalise
from jscc_sim.codecs import CODECS, Codec
from jscc_sim.coding import ldpc, qam, transport
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.capacity import QAMS
from jscc_sim.coding.mcs import Scheme
from jscc_sim.coding.protection import protect, protected_uses, recover
from jscc_sim.coding.waterfalls import MODES, Mode, dependable_modes, measured_text, roomiest, waterfalls
from jscc_sim.errors import BudgetError, ImpossibleFrameError, OutageError
from jscc_sim.frame import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.systems.base import Frame, LinkSystem, Reception, Stopwatch, Trial
from jscc_sim.systems.link_quality import foreseen_snr_db, informed_snr_db

CODEC_BITS, MODE_BITS, BYTES_BITS = 4, 6, 24
HEADER_BITS = CODEC_BITS + MODE_BITS + BYTES_BITS

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Shipment:
    """A picture's file and how it is sent. header_snr_db: what the header is made for."""

    data: bytes
    mode: Mode
    header_snr_db: float
    header_uses: int
    seconds: Mapping[str, float]

    @property
    def blocks(self) -> int:
        """Code blocks of the file."""
        return transport.blocks_for(8 * len(self.data), self.mode.block_bits)

    @property
    def uses(self) -> int:
        """Channel uses of the whole frame."""
        return self.header_uses + self.blocks * self.mode.uses


@dataclass(frozen=True)
class Digital(LinkSystem):
    """codec: of the picture; scheme: a fixed one, None for the best that is dependable; informed: the
    sender knows the fading of each frame beforehand, and picks the mode that fits."""

    codec: Codec
    scheme: Scheme | None = None
    informed: bool = False
    equaliser: str = "mmse"

    @property
    def foresees(self) -> bool:  # type: ignore[override]
        """Whether the fading is known beforehand."""
        return self.informed

    def prepare(self) -> None:
        """See System.prepare."""
        self.codec.version()
        waterfalls()
        ldpc.preload()

    def version(self) -> str:
        """See System.version."""
        return f"{self.codec.version()} {HEADER_BITS} {ldpc.MOST_ITERATIONS} {measured_text()}"

    def ship(
        self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None
    ) -> Shipment:
        """The largest file that fits, and its mode. Raises BudgetError if none does."""
        watch = Stopwatch()
        with watch.stage("allocation"):
            dependable_db = _snr_db(belief, foresight, max(budget, 1), qam.QPSK)
            header_uses = protected_uses(HEADER_BITS, dependable_db)
            room = budget - header_uses
            if room < 1:
                raise BudgetError(f"budget of {budget} uses is below the {header_uses} of the frame's header")
            if self.scheme is None:
                snr_db = {bits: _snr_db(belief, foresight, room, bits) for bits in QAMS}
                modes = dependable_modes(snr_db, room)
            else:
                modes = tuple(mode for mode in MODES if mode.scheme == self.scheme)
        with watch.stage("encode"):
            try:
                data, mode = self._largest(picture, modes, room)
            except BudgetError:
                if foresight is None:
                    raise
                data, mode = self._largest(picture, MODES, room)  # in a fade that nothing survives
        return Shipment(data, mode, dependable_db, header_uses, watch.seconds)

    def rehearse(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.rehearse. Knowledge of the fading is left out."""
        self.ship(picture, budget, belief)

    def encode(self, picture: Picture, budget: int, belief: Channel, foresight: Trial | None = None) -> Frame:
        """See LinkSystem.encode."""
        shipment = self.ship(picture, budget, belief, foresight)
        watch = Stopwatch()
        with watch.stage("frame"):
            front = protect(self._header(shipment), shipment.header_snr_db)
            bits = np.unpackbits(np.frombuffer(shipment.data, np.uint8))
            payload = transport.encode(bits, shipment.mode.scheme, shipment.mode.block_bits)
            symbols = np.concatenate([front, interleave(payload, shipment.blocks)])
        if len(symbols) != shipment.uses or len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        height, width = picture.shape[:2]
        seconds = {**shipment.seconds, **watch.seconds}
        coder = shipment.mode.scheme.name
        return Frame(symbols, shipment.header_uses, height, width, seconds=seconds, coder=coder)

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. Raises OutageError, too, for a code block that is lost; InputError for a
        file that arrived whole and cannot be decoded: that is no fault of the channel's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = recover(equalised)
            mode, length = self._read(header)
            blocks = transport.blocks_for(8 * length, mode.block_bits)
            end = start + blocks * mode.uses
            arrived = len(equalised.symbols)
            if end > arrived:
                raise ImpossibleFrameError(f"file of {end - start} uses, {arrived - start} arrived")
            order = deinterleave(np.arange(start, end), blocks)
            bits, whole = transport.decode(equalised.at(order), mode.scheme, mode.block_bits)
            if not whole.all():
                raise OutageError(f"{int((~whole).sum())} of {blocks} code blocks are lost")
        with watch.stage("decode"):
            picture = self.codec.decompress(np.packbits(bits[: 8 * length]).tobytes())
        return Reception(picture, watch.seconds)

    def _largest(self, picture: Picture, modes: tuple[Mode, ...], room: int) -> tuple[bytes, Mode]:
        """The largest file that fits into so many uses of one of the modes, and that mode."""
        mode = roomiest(modes, room)
        if mode is None:
            raise BudgetError(f"{room} uses hold no code block of a mode that is dependable")
        most_bits = min(mode.capacity_bits(room), 8 * ((1 << BYTES_BITS) - 1))
        return self.codec.compress(picture, most_bits), mode

    def _header(self, shipment: Shipment) -> Bits:
        codec = to_bits(list(CODECS).index(self.codec.name), CODEC_BITS)
        mode = to_bits(MODES.index(shipment.mode), MODE_BITS)
        return np.concatenate([codec, mode, to_bits(len(shipment.data), BYTES_BITS)])

    def _read(self, header: Bits) -> tuple[Mode, int]:
        """The mode, and the bytes of the file."""
        reader = BitReader(header)
        codec, mode, length = (reader.take(width) for width in (CODEC_BITS, MODE_BITS, BYTES_BITS))
        names = list(CODECS)
        if codec >= len(names) or mode >= len(MODES) or length < 1:
            raise ImpossibleFrameError(f"impossible header: codec {codec}, mode {mode}, {length} bytes")
        if names[codec] != self.codec.name:
            raise ImpossibleFrameError(f"the frame holds a {names[codec]} file, not one of {self.codec.name}")
        return MODES[mode], length


def interleave(symbols: NDArray[np.complex64], blocks: int) -> NDArray[np.complex64]:
    """Block after block -> one symbol of each block after the other."""
    return symbols.reshape(blocks, -1).T.reshape(-1)


def deinterleave(symbols: NDArray[T], blocks: int) -> NDArray[T]:
    """The reverse."""
    return symbols.reshape(-1, blocks).T.reshape(-1)


def _snr_db(belief: Channel, foresight: Trial | None, uses: int, bits_per_symbol: int) -> float:
    """What the sender may count on."""
    if foresight is None:
        return foreseen_snr_db(belief, uses, bits_per_symbol)
    return informed_snr_db(foresight, uses, bits_per_symbol)
