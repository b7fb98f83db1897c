"""What a sender knows of its blocks: tables of error by ratio, predicted, or measured by trial."""

from __future__ import annotations

import math
from multiprocessing import parent_process

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jscc_sim.allocation import BlockStatistics, Uniform
from jscc_sim.blocks import Grid
from jscc_sim.channels import Channel, equalise
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, block_energies
from jscc_sim.prediction import Predictor
from jscc_sim.systems.base import Trial
from jscc_sim.units import RatioSet

BACK_OFF_DB = 1.5
"""Second noise level at which a sender measures its blocks, to know what a lower gain would cost."""

Floats = NDArray[np.float64]


def predicted(
    predictor: Predictor,
    ratios: RatioSet,
    score: Floats,
    described: Floats,
    sender_snr_db: float,
    belief: Channel,
    budget: int,
) -> BlockStatistics:
    """Tables from a zoo's calibration, averaged over what fading leaves of the SNR. described: [N, 8]
    features of the blocks."""
    energy = predictor.predict_energy(described, sender_snr_db)
    snrs_db = belief.effective_snrs_db()

    def mse_given(mean_energy: float) -> Floats:
        lost_db = 10 * math.log10(max(mean_energy, 1e-12))
        tables = [predictor.predict_mse(described, sender_snr_db, snr - lost_db) for snr in snrs_db]
        return np.asarray(np.mean(tables, axis=0))

    mse = mse_given(_uniform_energy(ratios, energy, budget))
    return BlockStatistics(score, mse, energy, mse_given)


def measured(
    bank: Bank,
    score: Floats,
    blocks: NDArray[np.uint8],
    grid: Grid,
    sender_snr_db: float,
    budget: int,
    trial: Trial,
    draws: int,
    equaliser: str,
) -> BlockStatistics:
    """Tables from trial transmissions of the whole picture, at two noise levels. There are as many
    maps as ratios; each mixes all of them, and over the maps each block gets every ratio once."""
    ratios, rows = bank.ratios, np.arange(len(grid))
    places = np.random.default_rng(0).permutation(len(grid))
    maps = [(places + turn) % len(ratios) for turn in range(len(ratios))]
    latents = [bank.encode(blocks, grid, index, sender_snr_db) for index in maps]
    energy = np.empty((len(grid), len(ratios)))
    for x, index in zip(latents, maps, strict=True):
        energy[rows, index] = block_energies(x, index, ratios)
    reference = _uniform_energy(ratios, energy, budget)
    hidden = True if parent_process() is not None else None  # a sweep's worker has no terminal
    tables = []
    for level_db in (0.0, BACK_OFF_DB):
        gain = 10 ** (-level_db / 20) / math.sqrt(reference)
        errors = np.zeros((len(grid), len(ratios)))
        steps = list(zip(latents, maps, strict=True))
        for x, index in tqdm(steps, "trying", leave=False, delay=2, disable=hidden):
            for draw in range(draws):
                received = trial((x * np.float32(gain)).astype(np.complex64), draw)
                decoded = bank.decode(equalise(received, equaliser), gain, grid, index, sender_snr_db)
                errors[rows, index] += block_errors(decoded, blocks) / draws
        tables.append(np.minimum.accumulate(errors, axis=1))
    slope = np.log(np.maximum(tables[1], 1e-9) / np.maximum(tables[0], 1e-9)) / BACK_OFF_DB

    def mse_given(mean_energy: float) -> Floats:
        lost_db = 10 * math.log10(max(mean_energy, 1e-12) / reference)
        return np.asarray(tables[0] * np.exp(slope * np.clip(lost_db, -2 * BACK_OFF_DB, 2 * BACK_OFF_DB)))

    return BlockStatistics(score, tables[0], energy, mse_given)


def _uniform_energy(ratios: RatioSet, energy: Floats, budget: int) -> float:
    """Mean energy per use of the uniform allocation: the reference gain of every table."""
    index = Uniform().allocate(BlockStatistics(np.zeros(len(energy))), ratios, budget)
    total = float(energy[np.arange(len(index)), index].sum())
    return total / max(ratios.spent(index), 1) or 1.0
