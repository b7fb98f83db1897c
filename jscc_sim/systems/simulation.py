"""A sender's simulation: its own frames, decoded under draws of the channel before anything is sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from multiprocessing import parent_process

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jscc_sim.allocation import BlockStatistics
from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import equalise
from jscc_sim.coding.interleaving import interleave, places
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, Latents, block_energies, pool_gain
from jscc_sim.systems.base import ChannelProbe

STEPS = 3
"""How many ratios up and down from its plan a block is measured at."""

LEAST = 1e-9

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SenderSimulation:
    """One picture, the coders, and a channel to try them on. draws: of the channel, for tables; judging: for
    whole frames, others than those: a frame made by tables would seem better than it is on the draws that
    made it."""

    bank: Bank
    blocks: NDArray[np.uint8]
    grid: BlockGrid
    sender_snr_db: float
    probe: ChannelProbe
    draws: int
    judging: int
    equaliser: str

    def frame(self, index: Index, start: int) -> tuple[float, Latents]:
        """A frame as it would be sent: the sum of its blocks' errors, and its latents. start: uses of its
        header."""
        latents = self.bank.encode(self.blocks, self.grid, index, self.sender_snr_db)
        judged = range(self.draws, self.draws + self.judging)
        return float(self._errors(latents, index, pool_gain(latents), start, judged).sum()), latents

    def tables(self, known: BlockStatistics, plan: Index, start: int) -> BlockStatistics:
        """The predicted tables, brought to what was measured around a plan [N]. start: uses of its header.

        Each probe moves the black or the white blocks of a chequerboard by some ratios, so that every
        block is measured among neighbours as the plan has them. Ratios further than STEPS from the plan
        are taken to be as far from their prediction as the nearest measured one.
        """
        assert known.energy is not None
        assert known.mse_given is not None
        ratios, rows = self.bank.ratios, np.arange(len(plan))
        row, column = np.divmod(rows, self.grid.columns)
        mean_energy = float(known.energy[rows, plan].sum()) / max(ratios.spent(plan), 1) or 1.0
        energy, errors = (np.full(known.energy.shape, np.nan) for _ in range(2))
        moves = [(0, rows)]
        moves += [(step, rows[(row + column) % 2 == colour]) for step in _STEPS for colour in (0, 1)]
        hidden = True if parent_process() is not None else None  # a sweep's worker has no terminal
        for step, moving in tqdm(moves, "trying", leave=False, delay=2, disable=hidden):
            moved = moving[(plan[moving] + step >= 0) & (plan[moving] + step < len(ratios))]
            index = plan.copy()
            index[moved] += step
            latents = self.bank.encode(self.blocks, self.grid, index, self.sender_snr_db)
            energy[moved, index[moved]] = block_energies(latents, index, ratios)[moved]
            errors[moved, index[moved]] = self._errors(
                latents, index, 1 / math.sqrt(mean_energy), start, range(self.draws)
            )[moved]
        nearest = np.clip(np.arange(len(ratios)), plan[:, None] - STEPS, plan[:, None] + STEPS)
        energy = known.energy * _correction(energy, known.energy, nearest)
        correction = _correction(errors, known.mse_given(mean_energy), nearest)

        def mse_given(mean: float) -> Floats:
            assert known.mse_given is not None
            return known.mse_given(mean) * correction

        return replace(known, mse=mse_given(mean_energy), energy=energy, mse_given=mse_given)

    def _errors(self, latents: Latents, index: Index, gain: float, start: int, draws: range) -> Floats:
        """[N] mean squared error of each block, the mean over the draws."""
        symbols, errors = interleave((latents * np.float32(gain)).astype(np.complex64)), np.zeros(len(index))
        where = places(len(symbols))
        for draw in draws:
            received = equalise(self.probe(symbols, draw, start), self.equaliser).at(where)
            decoded = self.bank.decode(received, gain, self.grid, index, self.sender_snr_db)
            errors += block_errors(decoded, self.blocks) / len(draws)
        return errors


_STEPS = [step for step in range(-STEPS, STEPS + 1) if step]


def _correction(measured: Floats, predicted: Floats, nearest: Index) -> Floats:
    """[N, R] measured over predicted; where nothing was measured, that of the nearest ratio."""
    return np.take_along_axis(measured / np.maximum(predicted, LEAST), nearest, axis=1)
