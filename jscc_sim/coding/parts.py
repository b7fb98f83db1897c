"""How a file's bits are split over code blocks: most in blocks of one mode, the rest in a few short ones, so
that what whole blocks leave over of a frame is used too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding.mcs import BLOCK_BITS
from jscc_sim.coding.transport import blocks_for
from jscc_sim.coding.waterfalls import MOST_LOST, Mode
from jscc_sim.errors import InputError

_NEVER_LOST = 1e-12

MOST_TAIL = 15
"""Code blocks of the tail: as many as four bits count."""


class Part(NamedTuple):
    """So many code blocks of a mode."""

    mode: Mode
    blocks: int

    @property
    def uses(self) -> int:
        """Channel uses."""
        return self.blocks * self.mode.uses

    @property
    def bits(self) -> int:
        """Content bits that it holds."""
        return self.mode.capacity_bits(self.uses)


class Parts(NamedTuple):
    """A file's code blocks: first those of `main`, then those of `tail`."""

    main: Part
    tail: Part

    @property
    def blocks(self) -> int:
        """Code blocks of both."""
        return self.main.blocks + self.tail.blocks

    @property
    def uses(self) -> int:
        """Channel uses of both."""
        return self.main.uses + self.tail.uses

    @property
    def bits(self) -> int:
        """Content bits that they hold."""
        return self.main.bits + self.tail.bits

    @classmethod
    def of(cls, bits: int, main: Mode, tail: Mode, tail_blocks: int) -> Self:
        """As many blocks of the main mode as hold what the tail does not: what a receiver knows."""
        rest = max(bits - Part(tail, tail_blocks).bits, 0)
        return cls(Part(main, blocks_for(rest, main.block_bits)), Part(tail, tail_blocks))

    def holding(self, bits: int) -> Parts:
        """Of the parts in these modes, none longer than here, those of fewest uses that hold so many bits.
        Raises InputError for more bits than these do."""
        tails = range(self.tail.blocks + 1)
        found = (Parts.of(bits, self.main.mode, self.tail.mode, blocks) for blocks in tails)
        fitting = [parts for parts in found if parts.main.blocks <= self.main.blocks]
        if not fitting:
            raise InputError(f"{bits} bits are more than the {self.bits} of {self.blocks} code blocks")
        return min(fitting, key=lambda parts: parts.uses)

    def order(self) -> NDArray[np.int64]:
        """[uses] which symbol each use carries, of the blocks one after the other: all blocks are spread
        evenly over all uses, so that fades that pass hit them alike."""
        places = [(np.arange(mode.uses) + 0.5) / mode.uses for mode, _ in self]
        spread = np.concatenate([np.tile(x, part.blocks) for x, part in zip(places, self, strict=True)])
        return np.argsort(spread, kind="stable")


def fullest(
    uses: int, modes: Iterable[Mode], error_rate: Callable[[Mode], float] | None = None
) -> Parts | None:
    """The parts that hold most bits in so many uses; None if none holds any. error_rate: probability that a
    block of a mode is lost; all blocks together are lost with a probability of at most MOST_LOST. None where
    that does not matter. The tail is of the shortest blocks there are."""
    least = math.log1p(-MOST_LOST)
    logs = {mode: 0.0 if error_rate is None else _log_arrival(error_rate(mode)) for mode in modes}
    logs = {mode: log for mode, log in logs.items() if log >= least}
    tails = [mode for mode in logs if mode.block_bits == min(BLOCK_BITS)]
    found = (_fullest(uses, main, tails or [main], logs, least) for main in logs)
    best = max(found, key=lambda parts: (parts.bits, -parts.uses), default=None)
    return best if best is not None and best.bits else None


def _fullest(uses: int, main: Mode, tails: Sequence[Mode], logs: Mapping[Mode, float], least: float) -> Parts:
    """The same for one main mode. logs: of the probability that a block arrives; least: of all of them."""
    counts = np.arange(MOST_TAIL + 1)[:, None]
    arrival = least - counts * [logs[mode] for mode in tails]
    room = uses - counts * [mode.uses for mode in tails]
    mains = room // main.uses
    if logs[main] < -_NEVER_LOST:
        mains = np.clip(np.floor(arrival / logs[main] + 1e-9), -1, mains).astype(np.int64)
    possible = (mains >= 0) & (arrival <= 0)
    bits = _content(main) * mains + counts * [_content(mode) for mode in tails]
    count, tail = divmod(int(np.where(possible, bits, -1).argmax()), len(tails))
    return Parts(Part(main, int(mains[count, tail])), Part(tails[tail], count))


def _content(mode: Mode) -> int:
    return mode.capacity_bits(mode.uses)


def _log_arrival(lost: float) -> float:
    return math.log1p(-min(lost, 0.5))
