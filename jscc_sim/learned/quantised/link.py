"""The quantised autoencoder over the air without an entropy code: an error spoils a latent, not the file.

The latents are sent as bits of fixed number, Gray-labelled, plane by plane: the most significant bits of
all latents, then the next. Planes have code blocks of their own, each with a mode that is dependable at an
SNR lower by the plane's margin than what the sender believes, so that the planes are lost one after the
other, the finest first. A block that is lost still says how likely each bit is, and the receiver takes the
latents' expected values. The header's own fields: rate and modes. The blocks' symbols are interleaved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import groupby, product
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Received, equalise
from jscc_sim.codecs.learned import MOST_PIXELS
from jscc_sim.coding import ldpc, soft_transport, transport
from jscc_sim.coding.bits import BitReader, Bits
from jscc_sim.coding.capacity import QAMS
from jscc_sim.coding.interleaving import deinterleave, interleave
from jscc_sim.coding.protection import Protection
from jscc_sim.coding.waterfalls import MODES, Mode, dependable_modes, measured_text, waterfalls
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError
from jscc_sim.header import (
    LONGEST_SIDE,
    FrameHeader,
    decode_header,
    encode_header,
    header_bits,
    quantise_snr_db,
)
from jscc_sim.images import Picture
from jscc_sim.learned.quantised.codec import LADDER, Quantised, Rate, grid
from jscc_sim.systems.base import ChannelProbe, Frame, LinkSystem, Reception, Stopwatch
from jscc_sim.systems.link_quality import planning_snr_db
from jscc_sim.systems.payload import check_system, header_protection, part_of, write_fields

Array = NDArray[np.float64]

UEP = "quantised+uep"

MARGINS_DB = (4.0, 3.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0)
"""Of each plane, the most significant first. Planes of equal margin share code blocks. Of seven sets the best
in mean PSNR of three validation pictures at 10, 9, 8, 7 and 6 dB, the sender believing 10 dB, CBR 1/12."""

SHARES = (1.0, 0.5, 0.0)
"""Of the margins, tried in turn where the budget holds no picture."""

RATES = tuple(rate for rate in LADDER if rate.bits < 8)
"""Of rising number of bits and rising PSNR. The best at fixed length are the best in the adaptive code."""

CHANNEL_BITS, LEVEL_BITS = 6, 2
PLANE_BITS, MODE_BITS = 3, 6


class PlaneGroup(NamedTuple):
    """So many planes, and how their code blocks are sent."""

    planes: int
    mode: Mode


@dataclass(frozen=True)
class PlanePlan:
    """How a picture is sent. parts: their planes make up the rate's bits, the most significant first."""

    height: int
    width: int
    rate: Rate
    parts: tuple[PlaneGroup, ...]

    @property
    def latents(self) -> int:
        """How many there are."""
        return math.prod(grid(self.rate, self.height, self.width))

    def blocks(self, part: PlaneGroup) -> int:
        """Code blocks of a part."""
        return transport.blocks_for(part.planes * self.latents, part.mode.block_bits)

    @property
    def uses(self) -> int:
        """Channel uses of the payload."""
        return sum(self.blocks(part) * part.mode.uses for part in self.parts)

    @property
    def header_bits(self) -> int:
        """Bits of the header."""
        own = CHANNEL_BITS + LEVEL_BITS + len(self.parts) * (PLANE_BITS + MODE_BITS)
        return header_bits(self.height, self.width, own)

    def bits(self) -> Bits:
        """The header's fields that are the system's own."""
        fields = [(self.rate.channels - 1, CHANNEL_BITS), (self.rate.bits // 2 - 1, LEVEL_BITS)]
        for part in self.parts:
            fields += [(part.planes - 1, PLANE_BITS), (MODES.index(part.mode), MODE_BITS)]
        return write_fields(*zip(*fields, strict=True))

    @classmethod
    def read(cls, header: FrameHeader) -> PlanePlan:
        """Of a received header. Raises ImpossibleFrameError."""
        reader = BitReader(header.fields)
        try:
            channels = reader.take(CHANNEL_BITS) + 1
            rate = Rate(channels, 2 * reader.take(LEVEL_BITS) + 2)
            parts: list[tuple[int, int]] = []
            while sum(planes for planes, _ in parts) < rate.bits:
                parts.append((reader.take(PLANE_BITS) + 1, reader.take(MODE_BITS)))
        except InputError as error:
            raise ImpossibleFrameError(f"impossible header: {error}") from None
        planes, modes = zip(*parts, strict=True)
        if rate not in RATES or sum(planes) != rate.bits or max(modes) >= len(MODES):
            raise ImpossibleFrameError(f"impossible header: {rate}, planes {planes} of modes {modes}")
        groups = tuple(PlaneGroup(n, MODES[mode]) for n, mode in parts)
        return cls(header.height, header.width, rate, groups)


@dataclass(frozen=True)
class QuantisedUEP(LinkSystem):
    """codec: its network makes the latents; equaliser: see channels; header_margin_db: see
    coding.protection.Protection."""

    format: ClassVar[int] = 3

    codec: Quantised = field(default_factory=Quantised)
    equaliser: str = "mmse"
    header_margin_db: float | None = None

    def prepare(self) -> None:
        """See System.prepare."""
        _ = self.codec.coder
        waterfalls()
        ldpc.prepare()

    def version(self) -> str:
        """See System.version."""
        return f"{self.codec.version()} {MARGINS_DB} {RATES} {ldpc.MOST_ITERATIONS} {measured_text()}"

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self.plan(picture, budget, belief)

    def plan(self, picture: Picture, budget: int, belief: Channel) -> tuple[PlanePlan, int]:
        """The highest rate that fits, and the header's uses. Raises BudgetError if none does."""
        height, width = picture.shape[:2]
        if max(height, width) > LONGEST_SIDE or height * width > MOST_PIXELS:
            raise InputError(
                f"{height}x{width} pixels: the limits are a side of {LONGEST_SIDE} and {MOST_PIXELS} pixels"
            )
        snr_db = {bits: planning_snr_db(belief, max(budget, 1), bits) for bits in QAMS}
        for share in SHARES:
            dependable = {
                margin: _modes(snr_db, share * margin, max(budget, 1)) for margin in sorted(set(MARGINS_DB))
            }
            for rate in reversed(RATES):
                plan = _cheapest(height, width, rate, dependable)
                header_uses = self._protection(plan, budget, belief).uses(plan.header_bits)
                if header_uses + plan.uses <= budget:
                    return plan, header_uses
        raise BudgetError(
            f"budget of {budget} uses is below the {header_uses + plan.uses}, header and all, that "
            f"{height}x{width} pixels take at the lowest rate"
        )

    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """See LinkSystem.encode."""
        watch = Stopwatch()
        with watch.stage("allocation"):
            plan, header_uses = self.plan(picture, budget, belief)
        with watch.stage("encode"):
            symbols = self.codec.symbols(picture, plan.rate).reshape(-1)
            bits = planes_of(symbols, plan.rate.bits).reshape(-1)
        with watch.stage("frame"):
            snr_db, system_id = quantise_snr_db(belief.snr_db), self.codec.model.id
            header = FrameHeader(plan.height, plan.width, system_id, 1.0, snr_db, plan.bits())
            protection = self._protection(plan, budget, belief)
            front = encode_header(header, protection)
            payload, at = [], 0
            for part in plan.parts:
                end = at + part.planes * plan.latents
                payload.append(transport.encode(bits[at:end], part.mode.scheme, part.mode.block_bits))
                at = end
            sent = np.concatenate([front, interleave(np.concatenate(payload))])
        coder = f"{plan.rate.channels}x{plan.rate.bits}"
        return Frame(
            sent,
            header_uses,
            plan.height,
            plan.width,
            seconds=watch.seconds,
            coder=coder,
            header_snr_db=protection.made_for_db(plan.header_bits),
        )

    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """See LinkSystem.decode."""
        watch = Stopwatch()
        with watch.stage("frame"):
            equalised = equalise(received, self.equaliser)
            decoded = decode_header(equalised)
            check_system(decoded.header, UEP, self.codec.model.id)
            plan = PlanePlan.read(decoded.header)
            if plan.height * plan.width > MOST_PIXELS:
                raise ImpossibleFrameError(
                    f"image of {plan.height} x {plan.width} pixels; the limit is {MOST_PIXELS} pixels"
                )
            payload = deinterleave(part_of(equalised, decoded.uses, plan.uses))
            llrs, at = [], 0
            for part in plan.parts:
                end = at + plan.blocks(part) * part.mode.uses
                found = soft_transport.decode(payload.part(at, end), part.mode.scheme, part.mode.block_bits)
                llrs.append(found[: part.planes * plan.latents].reshape(part.planes, -1))
                at = end
        with watch.stage("decode"):
            symbols = expected_symbols(np.concatenate(llrs)).reshape(grid(plan.rate, plan.height, plan.width))
            picture = self.codec.synthesise(symbols.astype(np.float32), plan.rate, plan.height, plan.width)
        return Reception(picture, watch.seconds)

    def _protection(self, plan: PlanePlan, budget: int, belief: Channel) -> Protection:
        """The lowest rate does with a smaller margin where that makes it fit."""
        needed = plan.uses if plan.rate == RATES[0] else 0
        return header_protection(belief, budget, self.header_margin_db, needed)


def planes_of(symbols: NDArray[np.int64], bits: int) -> Bits:
    """[N] whole numbers -> [bits, N] their Gray labels, the most significant bits first."""
    gray = symbols ^ symbols >> 1
    return np.asarray(gray >> np.arange(bits)[::-1, None] & 1, dtype=np.uint8)


def expected_symbols(llrs: Array) -> Array:
    """[bits, N] log of P(1) over P(0) of the planes, independent of each other -> [N] expected numbers.

    A bit of the number is the exclusive or of the Gray bits down to its own, and the expectation of
    (-1)**bit of independent bits multiplies.
    """
    signs = np.cumprod(-np.tanh(llrs / 2), axis=0)
    return np.asarray((2.0 ** np.arange(len(llrs))[::-1]) @ (1 - signs) / 2)


def _modes(snr_db: dict[int, float], margin_db: float, uses: int) -> tuple[Mode, ...]:
    """Dependable at an SNR lower by a margin; the most robust ones where none is."""
    found = dependable_modes({bits: value - margin_db for bits, value in snr_db.items()}, uses)
    return found or tuple(mode for mode in MODES if mode.scheme == MODES[0].scheme)


def _cheapest(height: int, width: int, rate: Rate, dependable: dict[float, tuple[Mode, ...]]) -> PlanePlan:
    """The plan of fewest uses: planes of small pictures may join the code blocks of better protected ones.
    dependable: modes by margin."""
    groups = [(margin, len(list(run))) for margin, run in groupby(MARGINS_DB[: rate.bits])]
    latents, plans = math.prod(grid(rate, height, width)), []
    for joins in product((False, True), repeat=len(groups) - 1):
        merged = [groups[0]]
        for (margin, planes), join in zip(groups[1:], joins, strict=True):
            if join:
                merged[-1] = merged[-1][0], merged[-1][1] + planes
            else:
                merged.append((margin, planes))
        parts = [PlaneGroup(n, _shortest(dependable[margin], n * latents)) for margin, n in merged]
        plans.append(PlanePlan(height, width, rate, tuple(parts)))
    return min(plans, key=lambda plan: plan.uses)


def _shortest(modes: tuple[Mode, ...], bits: int) -> Mode:
    """The mode that takes fewest uses for so many bits."""
    return min(modes, key=lambda mode: transport.blocks_for(bits, mode.block_bits) * mode.uses)
