"""What a policy is given, and what it promises."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.plugins import errors_named
from jscc_sim.units import RatioSet

Floats = NDArray[np.float64]
Index = NDArray[np.int64]

TABLES = ("predicted_mse", "sender_measured_mse", "expected_mse")
"""Where an [N, R] table of errors can come from: the calibration, the sender's own trials, or the
true channel, which no sender knows."""


@dataclass(frozen=True, eq=False)
class BlockStatistics:
    """What is known of an image's N blocks, in block order, at the R ratios of a set.

    score: [N] complexity, >= 0.
    mse: [N, R] mean squared error per sample of each block at each ratio, in squared 8-bit steps, at
        the gain of the uniform allocation.
    energy: [N, R] sum of abs(x)**2 of the block's symbols before the frame's gain.
    mse_given: the mse table as a function of the frame's mean energy per use, sum(energy)/sum(uses):
        the higher it is, the lower the gain that brings it to 1, and the noisier every block.
    columns: blocks from left to right of the picture; None where neighbours are nothing to each other.
    Raises InputError where shapes disagree, or a value is negative or not finite.
    """

    score: Floats
    mse: Floats | None = None
    energy: Floats | None = None
    mse_given: Callable[[float], Floats] | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        if self.score.ndim != 1:
            raise InputError(f"block scores have shape {list(self.score.shape)}, not [N]")
        if self.columns is not None and (self.columns < 1 or len(self) % self.columns):
            raise InputError(f"{len(self)} blocks are no whole rows of {self.columns}")
        for name in ("score", "mse", "energy"):
            values = getattr(self, name)
            if values is None:
                continue
            if name != "score" and (values.ndim != 2 or len(values) != len(self)):
                raise InputError(f"block {name} has shape {list(values.shape)}, not [{len(self)}, R]")
            if not np.isfinite(values).all() or values.min(initial=0) < 0:
                raise InputError(f"block {name} holds a value that is negative or not finite")

    def __len__(self) -> int:
        return len(self.score)

    def among(self, ratios: Index) -> BlockStatistics:
        """The same blocks with tables of some of the ratios. ratios: their indices."""
        given = self.mse_given
        return replace(
            self,
            mse=None if self.mse is None else self.mse[:, ratios],
            energy=None if self.energy is None else self.energy[:, ratios],
            mse_given=given and (lambda mean_energy: given(mean_energy)[:, ratios]),
        )


@dataclass(frozen=True)
class AllocationPolicy(ABC):
    """Shares a budget of channel uses out among blocks. A plug-in defines `_allocate`.

    A ratio set may withhold some of its ratios; the plug-in is shown the others, unless the budget does not
    hold the least of them for every block.

    needs: of "score" and the TABLES, what the plug-in reads; the system fills the table in.
    realisable: whether a sender could know that; False marks an upper bound.
    beats_uniform: ask the system to send the uniform allocation, whose header is shorter, where the
    policy's own table says that it is better.
    """

    needs: ClassVar[tuple[str, ...]] = ("score",)
    realisable: ClassVar[bool] = True
    beats_uniform: ClassVar[bool] = False

    @final
    def allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        """[N] int64 index into the ratio set of each block; their uses sum to at most `budget`.

        Raises InputError for a negative budget or a table that is missing or does not fit the
        ratio set, and where the plug-in fails or breaks its promise.
        """
        name = type(self).__name__
        _check_needs(name, self.needs, blocks, ratios)
        budget = operator.index(budget)
        if budget < 0:
            raise InputError(f"{name}: budget of {budget} uses is below 0")
        if len(blocks) == 0:
            return np.zeros(0, np.int64)
        offered, chosen = ratios.offered(len(blocks), budget), ratios
        if len(offered) < len(ratios):
            blocks, chosen = blocks.among(offered), ratios.among(offered)
        with errors_named(name):
            index = self._allocate(blocks, chosen, min(budget, len(blocks) * chosen.uses[-1]))
        return offered[_checked(name, index, len(blocks), chosen, budget)]

    @abstractmethod
    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> Index:
        """[N] integer index into `ratios`, N >= 1. budget: from what N blocks at the least ratio take to what
        they take at the largest."""


def _check_needs(name: str, needs: tuple[str, ...], blocks: BlockStatistics, ratios: RatioSet) -> None:
    for need in needs:
        if need not in ("score", *TABLES):
            raise InputError(f"{name} needs {need!r}, which is none of score, {', '.join(TABLES)}")
        if need in TABLES and blocks.mse is None:
            raise InputError(f"{name} needs {need}, a table that the block statistics lack")
    for table in (blocks.mse, blocks.energy):
        if table is not None and table.shape[1] != len(ratios):
            raise InputError(f"{name}: tables of {table.shape[1]} ratios for a set of {len(ratios)}")


def _checked(name: str, index: object, count: int, ratios: RatioSet, budget: int) -> Index:
    """The index as int64, if it is one for `count` blocks within the budget."""
    if not isinstance(index, np.ndarray):
        raise InputError(f"{name} returned a {type(index).__name__}, not an array")
    if index.dtype.kind not in "iu":
        raise InputError(f"{name} returned an array of {index.dtype}, not of integers")
    if index.shape != (count,):
        raise InputError(f"{name} returned shape {list(index.shape)} for {count} blocks")
    low, high = int(index.min()), int(index.max())
    if low < 0 or high >= len(ratios):
        raise InputError(f"{name} returned index {low if low < 0 else high}, outside 0 to {len(ratios) - 1}")
    index = index.astype(np.int64)
    if ratios.spent(index) > budget:
        raise InputError(f"{name} spent {ratios.spent(index)} uses of a budget of {budget}")
    return index
