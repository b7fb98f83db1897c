"""What every system is, and the composition that keeps a link honest.

A LinkSystem's `transmit` is its `encode`, the channel and its `decode`; nothing else passes between
the two ends, unless the side information is a genie's, which every table marks.
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from numbers import Integral, Real
from typing import ClassVar, Protocol, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import AirTime, Channel, Received, Symbols
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError, one_line
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.inference import one_thread
from jscc_sim.plugins import errors_named
from jscc_sim.units import RatioSet

MID_GREY = 128

MOST_EXCESS, POWER_ROUNDING = 5 * math.sqrt(0.4), 1e-3
"""Of a frame's mean power above 1. Times the root of the uses: five standard deviations of QAM, whose mean
power is 1 over all files (1024QAM is the widest: E abs(s)**4 = 1.4). What single precision adds."""

OWN = 0x0F5E4D35
"""First number of the spawn keys of a sender's own random streams."""


class ChannelProbe(Protocol):
    """A channel to try symbols on. start: uses of the frame before them, so that they meet the fades that
    they will meet; draw: number of the draw. Returns what would be received of them."""

    def __call__(self, symbols: Symbols, draw: int, start: int = 0) -> Received: ...


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of a `with` block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started


@dataclass(frozen=True, eq=False)
class Frame:
    """What a sender made: symbols [uses] for the channel, the first `header_uses` of them the header.
    height, width: of the picture; index: [N] the ratio of each block, where the system has such a thing;
    coder: what coded it, where a system has several; header_snr_db: the SNR that the header was made for,
    None where there is none. `header` stays with the sender; it is there for genie side information."""

    symbols: Symbols
    header_uses: int
    height: int
    width: int
    header: FrameHeader | None = None
    index: NDArray[np.int64] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    coder: str = ""
    header_snr_db: float | None = None


@dataclass(frozen=True, eq=False)
class Reception:
    """What a receiver made of a frame."""

    picture: Picture
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Transmission:
    """One picture sent once. outage: nothing could be decoded, and `picture` is constant mid-grey.
    index: [N] the ratio of each block, where the system has such a thing. seconds: by stage. coder,
    header_snr_db: see Frame. papr_db: peak to average power ratio of what was sent; sent, received: the
    symbols and what the receiver measured of them; None where the system makes no symbols. air: what the uses
    carried; reason: why there was an outage, where the receiver knows."""

    picture: Picture
    uses: int
    header_uses: int
    outage: bool
    index: NDArray[np.int64] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    coder: str = ""
    papr_db: float | None = None
    header_snr_db: float | None = None
    sent: Symbols | None = field(default=None, repr=False)
    received: Received | None = field(default=None, repr=False)
    air: AirTime | None = None
    reason: str = ""


class System(ABC):
    """Anything that carries a picture over a channel within a budget of channel uses."""

    format: ClassVar[int] = 1
    """A number that changes with what the system sends of a picture, or makes of what arrives: what was
    measured at another one says nothing of it."""

    realisable: bool = True
    """False for one that uses what no sender or no code can have: a bound."""

    ratios: RatioSet | None = None
    """What the `index` of its frames points into; None where it has none."""

    def prepare(self) -> None:  # noqa: B027
        """Load all that is needed now, before a clock runs. Raises InputError for what is missing."""

    def version(self) -> str:
        """Of all that its results depend on and its fields do not show."""
        return ""

    def check(self, channel: Channel) -> None:  # noqa: B027
        """Raises InputError for a kind of channel on which its results would mean nothing."""

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:  # noqa: B027
        """Find out before anything is sent whether a frame fits. Raises BudgetError if none does."""

    @final
    @one_thread()  # a plug-in may have networks of its own
    def transmit(
        self,
        picture: Picture,
        channel: Channel,
        budget: int,
        rng: np.random.Generator,
        belief: Channel | None = None,
    ) -> Transmission:
        """picture: [H, W, 3] uint8; budget: most channel uses of the whole frame; belief: the channel
        as the sender believes it to be, the truth by default. Raises BudgetError if no frame fits, InputError
        where a plug-in fails or breaks its promise."""
        name, room = type(self).__name__, room_on_air(channel, budget)
        with errors_named(name):
            self.check(channel)
            sent = self._transmit(picture.copy(), channel, room, rng, belief or channel)
        check_transmission(name, sent, picture, room)
        check_index(name, sent.index, self.ratios, picture)
        return on_air(plain(sent), channel)

    @abstractmethod
    def _transmit(
        self, picture: Picture, channel: Channel, budget: int, rng: np.random.Generator, belief: Channel
    ) -> Transmission:
        """The same, with a belief, and a budget and uses that are symbols of header and payload alone. The
        picture is not to be changed."""


class LinkSystem(System):
    """A system of two ends that share nothing but the frame."""

    genie: bool = False
    """Whether the receiver is handed the header free of charge and of errors."""

    needs_csit: bool = False
    """Whether the sender may try its symbols on the true fading: upper bounds only."""

    @abstractmethod
    def encode(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """The frame of a picture: at most `budget` uses, payload of unit mean power."""

    @abstractmethod
    def decode(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """The picture in a received frame. Raises OutageError if its header cannot be decoded."""

    @final
    def _transmit(
        self, picture: Picture, channel: Channel, budget: int, rng: np.random.Generator, belief: Channel
    ) -> Transmission:
        csit = true_fading(channel, rng) if self.needs_csit else None
        return self.send(self.make_frame(picture, budget, belief, csit), channel, rng)

    @final
    def make_frame(
        self, picture: Picture, budget: int, belief: Channel, csit: ChannelProbe | None = None
    ) -> Frame:
        """What `encode` makes, checked. budget: symbols, `Channel.room` of the channel uses. Raises
        BudgetError if no frame fits, InputError where a plug-in fails or breaks its promise."""
        name = type(self).__name__
        with errors_named(name):
            frame = self.encode(picture, budget, belief, csit)
        check_frame(name, frame, picture, budget)
        check_index(name, frame.index, self.ratios, picture)
        return frame

    @final
    def read_frame(self, received: Received, genie: FrameHeader | None = None) -> Reception:
        """What `decode` makes, checked. Raises OutageError as it does, InputError where a plug-in fails or
        breaks its promise."""
        name = type(self).__name__
        with errors_named(name):
            reception = self.decode(received, genie)
        check_picture(name, getattr(reception, "picture", None))
        check_seconds(name, getattr(reception, "seconds", None))
        return reception

    @final
    def send(self, frame: Frame, channel: Channel, rng: np.random.Generator) -> Transmission:
        """A frame over the channel and through the receiver. Its uses are symbols: see `on_air`."""
        watch = Stopwatch()
        received: Received | None = None
        outage, reason = False, ""
        try:
            with watch.stage("channel"):
                received = channel(frame.symbols, rng)
            reception = self.read_frame(received, frame.header if self.genie else None)
            if reception.picture.shape[:2] != (frame.height, frame.width):
                raise ImpossibleFrameError("a header that the noise made of another")
        except OutageError as error:
            outage, reason, reception = True, one_line(error), Reception(mid_grey(frame.height, frame.width))
        seconds = {**frame.seconds, **watch.seconds}
        for stage, spent in reception.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
        return plain(
            Transmission(
                reception.picture,
                len(frame.symbols),
                frame.header_uses,
                outage,
                frame.index,
                seconds,
                frame.coder,
                channel.papr_db(frame.symbols),
                frame.header_snr_db,
                frame.symbols,
                received,
                reason=reason,
            )
        )


def room_on_air(channel: Channel, budget: int) -> int:
    """Symbols that fit into so many channel uses. Raises BudgetError where not even an empty frame does."""
    room = channel.room(budget)
    if room < 1 <= budget:
        least = channel.air_time(1).uses
        raise BudgetError(f"budget of {budget} uses is below the {least} of the waveform's shortest frame")
    return room


def on_air(sent: Transmission, channel: Channel) -> Transmission:
    """The same with the channel uses that its symbols take."""
    air = channel.air_time(sent.uses) if sent.uses else AirTime(0)
    return replace(sent, uses=air.uses, air=air)


def air_uses(air: AirTime | None) -> dict[str, int | None]:
    """What the uses carried, by the columns that tables have of it."""
    names = ("data", "pilots", "prefix", "preamble")
    return {f"{name.removesuffix('s')}_uses": None if air is None else getattr(air, name) for name in names}


def check_frame(name: str, frame: object, picture: Picture, budget: int) -> None:
    """Raises InputError, which begins with `name`, for a frame that is not what `encode` promises."""
    if not isinstance(frame, Frame):
        raise InputError(f"{name} encoded to a {type(frame).__name__}, not to a Frame")
    symbols, uses, (height, width) = frame.symbols, np.size(frame.symbols), picture.shape[:2]
    if not isinstance(symbols, np.ndarray) or symbols.dtype != np.complex64 or symbols.ndim != 1:
        array = isinstance(symbols, np.ndarray)
        kind = f"{symbols.dtype} {list(symbols.shape)}" if array else type(symbols).__name__
        raise InputError(f"{name} made symbols that are {kind}, not complex64 [uses]")
    if not np.isfinite(symbols).all():
        raise InputError(f"{name} made symbols that are not finite")
    if uses > budget:
        raise InputError(f"{name} made a frame of {uses} uses for a budget of {budget}")
    if not _is_count(frame.header_uses, uses):
        raise InputError(f"{name} says that {frame.header_uses} of {uses} uses are the header")
    check_notes(name, frame)
    if (frame.height, frame.width) != (height, width):
        raise InputError(f"{name} made a frame of {frame.height}x{frame.width} pixels of {height}x{width}")
    power = float(np.square(np.abs(symbols), dtype=np.float64).mean()) if uses else 0.0
    if power > 1 + MOST_EXCESS / math.sqrt(max(uses, 1)) + POWER_ROUNDING:
        raise InputError(f"{name} made symbols of mean power {power:.3f}, above 1")


def check_picture(name: str, picture: object) -> None:
    """Raises InputError, which begins with `name`, for what is no picture."""
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        kind = f"an array of {picture.dtype}" if isinstance(picture, np.ndarray) else type(picture).__name__
        raise InputError(f"{name} made {kind} of a picture, not an array of uint8")
    if picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise InputError(f"{name} made a picture of shape {list(picture.shape)}, not [H, W, 3]")


def check_transmission(name: str, sent: object, picture: Picture, budget: int) -> None:
    """Raises InputError, which begins with `name`, for what `transmit` does not promise."""
    if not isinstance(sent, Transmission):
        raise InputError(f"{name} returned a {type(sent).__name__}, not a Transmission")
    check_picture(name, sent.picture)
    if sent.picture.shape != picture.shape:
        shapes = f"{list(sent.picture.shape)} of one of {list(picture.shape)}"
        raise InputError(f"{name} made a picture of shape {shapes}")
    if not isinstance(sent.outage, bool):
        raise InputError(f"{name} says that an outage is {sent.outage!r}, not True or False")
    for what, uses, most in (("uses", sent.uses, budget), ("header uses", sent.header_uses, sent.uses)):
        if not _is_count(uses, most):
            raise InputError(f"{name} spent {uses} {what}, which is no whole number from 0 to {most}")
    check_notes(name, sent)
    if not _is_level(sent.papr_db):
        raise InputError(f"{name} says that its PAPR is {sent.papr_db!r}, which is no number of dB")


def check_notes(name: str, made: Frame | Transmission) -> None:
    """Raises InputError, which begins with `name`, for what tables could not hold."""
    check_seconds(name, made.seconds)
    if not isinstance(made.coder, str):
        raise InputError(f"{name} says that {made.coder!r} coded the picture, which is no name")
    if not _is_level(made.header_snr_db):
        raise InputError(f"{name} made its header for {made.header_snr_db!r}, which is no number of dB")


def check_seconds(name: str, seconds: object) -> None:
    """Raises InputError, which begins with `name`, for what is no time for each stage."""
    if not isinstance(seconds, Mapping):
        raise InputError(f"{name} says {seconds!r} of its seconds, not how many by stage")
    for stage, spent in seconds.items():
        if isinstance(spent, bool) or not isinstance(spent, Real) or not 0 <= float(spent) < math.inf:
            raise InputError(f"{name} took {spent!r} seconds to {stage}, which is no time")


def check_index(name: str, index: object, ratios: object, picture: Picture) -> None:
    """Raises InputError, which begins with `name`, for what is no ratio for each block."""
    if ratios is None or index is None:
        return
    if not isinstance(ratios, RatioSet):
        raise InputError(f"{name} has ratios that are a {type(ratios).__name__}, not a RatioSet")
    blocks = len(BlockGrid(*picture.shape[:2]))
    if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu" or index.shape != (blocks,):
        kind = f"{index.dtype} {list(index.shape)}" if isinstance(index, np.ndarray) else type(index).__name__
        raise InputError(f"{name} made an index that is {kind}, not whole numbers [{blocks}]")
    if not 0 <= index.min() <= index.max() < len(ratios):
        raise InputError(f"{name} made an index outside 0 to {len(ratios) - 1}, its ratios")


def plain(sent: Transmission) -> Transmission:
    """The same with numbers as Python has them, which JSON and tables hold."""
    levels = {"papr_db": sent.papr_db, "header_snr_db": sent.header_snr_db}
    return replace(
        sent,
        uses=int(sent.uses),
        header_uses=int(sent.header_uses),
        seconds={str(stage): float(spent) for stage, spent in sent.seconds.items()},
        **{name: None if level is None else float(level) for name, level in levels.items()},  # type: ignore[arg-type]
    )


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= int(value) <= most


def _is_level(value: object) -> bool:
    """A finite number, or None."""
    if value is None:
        return True
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def mid_grey(height: int, width: int) -> Picture:
    """What an outage counts as."""
    return np.full((height, width, 3), MID_GREY, np.uint8)


def own_stream(draw: int) -> np.random.Generator:
    """Random numbers of a sender's own: whatever the seed, no channel draws from such a stream.

    A channel's streams are spawned from a seed's, by their number alone; these, and all that is spawned from
    them, have OWN in front of it. (A seed that is a list would not do: NumPy takes [7, 1] for 2**32 + 7.)
    """
    return np.random.default_rng(np.random.SeedSequence(spawn_key=(OWN, draw), entropy=0))


def true_fading(channel: Channel, rng: np.random.Generator) -> ChannelProbe:
    """The channel with the fading that `rng` will bring, under noise that it will not."""
    state = copy.deepcopy(rng)

    def probe(symbols: Symbols, draw: int, start: int = 0) -> Received:
        fading, _, estimation = copy.deepcopy(state).spawn(3)
        return channel.foreseen(_behind(start, symbols), fading, own_stream(draw), estimation).from_use(start)

    return probe


def own_draws(belief: Channel) -> ChannelProbe:
    """The channel as a sender can imagine it: its kind and SNR, every draw of it the sender's own."""

    def probe(symbols: Symbols, draw: int, start: int = 0) -> Received:
        return belief.imagined(_behind(start, symbols), own_stream(draw)).from_use(start)

    return probe


def _behind(start: int, symbols: Symbols) -> Symbols:
    """The symbols where a frame has them."""
    return np.concatenate([np.ones(start, np.complex64), symbols])
