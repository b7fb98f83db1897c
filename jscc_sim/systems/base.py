"""What every system is, and the composition that keeps a link honest.

A LinkSystem's `transmit` is its `encode`, the channel and its `decode`; nothing else passes between
the two ends, unless the side information is a genie's, which every table marks.
"""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Received, Symbols, papr_db
from jscc_sim.errors import ImpossibleFrameError, OutageError
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.inference import one_thread
from jscc_sim.units import RatioSet

MID_GREY = 128

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
        yield
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
    header_snr_db: see Frame. papr_db: peak to average power ratio of the frame's symbols; None where the
    system makes none."""

    picture: Picture
    uses: int
    header_uses: int
    outage: bool
    index: NDArray[np.int64] | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    coder: str = ""
    papr_db: float | None = None
    header_snr_db: float | None = None


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

    @abstractmethod
    def transmit(
        self,
        picture: Picture,
        channel: Channel,
        budget: int,
        rng: np.random.Generator,
        belief: Channel | None = None,
    ) -> Transmission:
        """picture: [H, W, 3] uint8; budget: most channel uses of the whole frame; belief: the channel
        as the sender believes it to be, the truth by default. Raises BudgetError if no frame fits."""


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
    @one_thread()  # a plug-in may have networks of its own
    def transmit(
        self,
        picture: Picture,
        channel: Channel,
        budget: int,
        rng: np.random.Generator,
        belief: Channel | None = None,
    ) -> Transmission:
        """See System.transmit."""
        self.check(channel)
        csit = true_fading(channel, rng) if self.needs_csit else None
        return self.send(self.encode(picture, budget, belief or channel, csit), channel, rng)

    @final
    def send(self, frame: Frame, channel: Channel, rng: np.random.Generator) -> Transmission:
        """A frame over the channel and through the receiver."""
        watch = Stopwatch()
        with watch.stage("channel"):
            received = channel(frame.symbols, rng)
        outage = False
        try:
            reception = self.decode(received, frame.header if self.genie else None)
            if reception.picture.shape[:2] != (frame.height, frame.width):
                raise ImpossibleFrameError("a header that the noise made of another")
        except OutageError:
            outage, reception = True, Reception(mid_grey(frame.height, frame.width))
        seconds = {**frame.seconds, **watch.seconds}
        for stage, spent in reception.seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
        return Transmission(
            reception.picture,
            len(frame.symbols),
            frame.header_uses,
            outage,
            frame.index,
            seconds,
            frame.coder,
            papr_db(frame.symbols),
            frame.header_snr_db,
        )


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
        return channel.disturb(_behind(start, symbols), fading, own_stream(draw), estimation).from_use(start)

    return probe


def own_draws(belief: Channel) -> ChannelProbe:
    """The channel as a sender can imagine it: its kind and SNR, every draw of it the sender's own."""

    def probe(symbols: Symbols, draw: int, start: int = 0) -> Received:
        return belief(_behind(start, symbols), own_stream(draw)).from_use(start)

    return probe


def _behind(start: int, symbols: Symbols) -> Symbols:
    """The symbols where a frame has them."""
    return np.concatenate([np.ones(start, np.complex64), symbols])
