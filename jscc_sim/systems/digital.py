"""Source and channel coding apart: an image codec's file, 5G LDPC, QAM.

The frame: a header (codec, modes, length of the file; see coding/protection.py), then the file's code
blocks, most of them of one mode and a few short ones for the rest (see coding/parts.py), their symbols in
turn, so that fades that pass hit all blocks alike. The modes are chosen from measured error rates and the
channel as the sender believes it to be, never from what becomes of the picture. One block that is lost makes
the frame an outage: what is left of a file is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Equalised, Received, equalise
from jscc_sim.codecs import CODECS, Codec, check_codec
from jscc_sim.coding import ldpc, qam, transport
from jscc_sim.coding.bits import BitReader, Bits, to_bits
from jscc_sim.coding.capacity import QAMS
from jscc_sim.coding.mcs import Scheme
from jscc_sim.coding.parts import MOST_TAIL, Parts, fullest
from jscc_sim.coding.protection import protect, protected_uses, recover
from jscc_sim.coding.waterfalls import MODES, measured_text, waterfalls
from jscc_sim.errors import BudgetError, ImpossibleFrameError, OutageError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.plugins import is_own, label
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch
from jscc_sim.systems.link_quality import check_noise_known, csit_snr_db, planning_snr_db

CODEC_BITS, MODE_BITS, BYTES_BITS, TAIL_BITS = 4, 6, 24, 4
PLUGIN = (1 << CODEC_BITS) - 1
"""In a header in place of the number of a codec that is anybody's: the receiver has to have the same."""

HEADER_BITS = CODEC_BITS + MODE_BITS + BYTES_BITS + MODE_BITS + TAIL_BITS


@dataclass(frozen=True, eq=False)
class CodedFile:
    """A picture's file and how it is sent. header_snr_db: what the header is made for."""

    data: bytes
    parts: Parts
    header_snr_db: float
    header_uses: int
    seconds: Mapping[str, float]

    @property
    def uses(self) -> int:
        """Channel uses of the whole frame."""
        return self.header_uses + self.parts.uses

    @property
    def coder(self) -> str:
        """The scheme of most blocks, by name."""
        return self.parts.main.mode.scheme.name


@dataclass(frozen=True)
class Digital(LinkSystem):
    """codec: of the picture; scheme: a fixed one for all blocks, None for the best that are dependable;
    csit: the sender knows the fading of each frame beforehand, and picks the modes that fit."""

    format: ClassVar[int] = 2

    codec: Codec
    scheme: Scheme | None = None
    csit: bool = field(default=False, metadata={"key": "informed"})
    equaliser: str = "mmse"

    def __post_init__(self) -> None:
        check_codec(label(self.codec), self.codec)

    @property
    def needs_csit(self) -> bool:  # type: ignore[override]
        """Whether the fading is known beforehand."""
        return self.csit

    def prepare(self) -> None:
        """See System.prepare."""
        self.codec.version()
        waterfalls()
        ldpc.prepare()

    def check(self, channel: Channel) -> None:
        """See System.check. Without knowledge of the fading the chain decodes what it is given."""
        if self.csit:
            check_noise_known(channel, self.equaliser, "what the sender knows would")

    def version(self) -> str:
        """See System.version."""
        return f"{self.codec.version()} {HEADER_BITS} {MOST_TAIL} {ldpc.MOST_ITERATIONS} {measured_text()}"

    def coded_file(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> CodedFile:
        """The largest file that fits, and its code blocks. Raises BudgetError if none does."""
        watch = Stopwatch()
        with watch.stage("allocation"):
            outage_db = _header_snr_db(belief, csit, max(budget, 1))
            header_uses = protected_uses(HEADER_BITS, outage_db)
            room = budget - header_uses
            if room < 1:
                raise BudgetError(f"budget of {budget} uses is below the {header_uses} of the frame's header")
            if self.scheme is None:
                snr_db = {
                    bits: planning_snr_db(belief, room, bits)
                    if csit is None
                    else csit_snr_db(csit, header_uses, room, bits)
                    for bits in QAMS
                }
                parts = fullest(room, MODES, lambda mode: mode.error_rate_at(snr_db))
            else:
                parts = fullest(room, [mode for mode in MODES if mode.scheme == self.scheme])
        with watch.stage("encode"):
            try:
                data = self._largest(picture, parts, room)
            except BudgetError:
                if csit is None:
                    raise
                parts = fullest(room, MODES)  # in a fade that nothing survives
                data = self._largest(picture, parts, room)
            assert parts is not None
            parts = parts.holding(8 * len(data))
        return CodedFile(data, parts, outage_db, header_uses, watch.seconds)

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits. Knowledge of the fading is left out."""
        self.coded_file(picture, budget, belief)

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        coded = self.coded_file(picture, budget, belief, csit)
        watch = Stopwatch()
        with watch.stage("frame"):
            front = protect(self._header(coded), coded.header_snr_db)
            bits = np.unpackbits(np.frombuffer(coded.data, np.uint8))
            symbols = np.concatenate([front, transmitted(bits, coded.parts)])
        if len(symbols) != coded.uses or len(symbols) > budget:
            raise BudgetError(f"frame of {len(symbols)} uses exceeds its budget of {budget} uses")
        height, width = picture.shape[:2]
        seconds = {**coded.seconds, **watch.seconds}
        return Frame(
            symbols,
            coded.header_uses,
            height,
            width,
            seconds=seconds,
            coder=coded.coder,
            header_snr_db=coded.header_snr_db,
        )

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode. Raises OutageError, too, for a code block that is lost; InputError for a
        file that arrived whole and cannot be decoded: that is no fault of the channel's."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            header, start = recover(equalised)
            parts, length = self._read(header)
            arrived = len(equalised.symbols) - start
            if parts.uses > arrived:
                raise ImpossibleFrameError(f"file of {parts.uses} uses, {arrived} arrived")
            bits, whole = received_bits(equalised.part(start, start + parts.uses), parts)
            if not whole.all():
                raise OutageError(f"code blocks are lost, of the file's {parts.blocks}")
        with watch.stage("decode"):
            picture = self.codec.decompress(np.packbits(bits[: 8 * length]).tobytes())
        return Reception(picture, watch.seconds)

    def _largest(self, picture: Picture, parts: Parts | None, room: int) -> bytes:
        """The largest file that the code blocks hold."""
        if parts is None:
            raise BudgetError(f"{room} uses hold no code block of a mode that is dependable")
        return self.codec.compress(picture, min(parts.bits, 8 * ((1 << BYTES_BITS) - 1)))

    @property
    def _codec_number(self) -> int:
        return list(CODECS).index(self.codec.name) if is_own(type(self.codec)) else PLUGIN

    def _header(self, coded: CodedFile) -> Bits:
        codec = to_bits(self._codec_number, CODEC_BITS)
        main, tail = (to_bits(MODES.index(part.mode), MODE_BITS) for part in coded.parts)
        length = to_bits(len(coded.data), BYTES_BITS)
        return np.concatenate([codec, main, length, tail, to_bits(coded.parts.tail.blocks, TAIL_BITS)])

    def _read(self, header: Bits) -> tuple[Parts, int]:
        """The code blocks, and the bytes of the file."""
        reader = BitReader(header)
        widths = CODEC_BITS, MODE_BITS, BYTES_BITS, MODE_BITS, TAIL_BITS
        codec, main, length, tail, tail_blocks = (reader.take(width) for width in widths)
        names = dict(enumerate(CODECS)) | {PLUGIN: "plug-in's"}
        if codec not in names or max(main, tail) >= len(MODES) or length < 1:
            raise ImpossibleFrameError(
                f"impossible header: codec {codec}, modes {main} and {tail}, {length} bytes"
            )
        if codec != self._codec_number:
            raise ImpossibleFrameError(f"the frame holds a {names[codec]} file, not one of {self.codec.name}")
        return Parts.of(8 * length, MODES[main], MODES[tail], tail_blocks), length


def transmitted(bits: Bits, parts: Parts) -> NDArray[np.complex64]:
    """The symbols of a file's bits, as many as `parts` hold at most, in the order of sending."""
    main, tail = np.split(np.pad(bits, (0, parts.bits - len(bits))), [parts.main.bits])
    blocks = [
        transport.encode(content, part.mode.scheme, part.mode.block_bits)
        for content, part in zip((main, tail), parts, strict=True)
        if part.blocks
    ]
    return np.concatenate(blocks)[parts.order()]


def received_bits(heard: Equalised, parts: Parts) -> tuple[Bits, NDArray[np.bool_]]:
    """The reverse, from what arrived of them: the content bits, and [blocks] if each CRC holds. Once a block
    is lost, and the file with it, not all others are tried."""
    block_after_block = heard.at(np.argsort(parts.order(), kind="stable"))
    ends = parts.main.uses, parts.uses
    found = [
        transport.decode(
            block_after_block.part(start, end), part.mode.scheme, part.mode.block_bits, all_or_none=True
        )
        for start, end, part in zip((0, parts.main.uses), ends, parts, strict=True)
        if part.blocks
    ]
    bits, whole = zip(*found, strict=True)
    return np.concatenate(bits), np.concatenate(whole)


def _header_snr_db(belief: Channel, csit: ChannelProbe | None, budget: int) -> float:
    """What the header may count on: to a sender that knows the fading, what its own uses will meet."""
    if csit is None:
        return planning_snr_db(belief, budget, qam.QPSK)
    found, whole = math.inf, csit_snr_db(csit, 0, budget, qam.QPSK)
    while whole < found:  # a header made for less is longer, and may meet other fades
        found = whole
        own = csit_snr_db(csit, 0, protected_uses(HEADER_BITS, found), qam.QPSK)
        whole = min(found, own)
    return found
