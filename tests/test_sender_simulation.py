"""A sender's own simulation measures what would happen, and never sends the worse of two frames."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from processes import photograph

from jscc_sim.allocation import BlockStatistics, EncoderInTheLoop, Lagrangian, Uniform
from jscc_sim.allocation.equal_slope import total_error
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.coding.interleaving import interleave, places
from jscc_sim.complexity import features
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import block_energies
from jscc_sim.systems.base import own_draws
from jscc_sim.systems.block_jscc import JUDGING, BlockJSCC
from jscc_sim.systems.simulation import STEPS, SenderSimulation
from jscc_sim.systems.tables import predicted
from jscc_sim.zoo import load_zoo

ZOO = load_zoo("linear")
PICTURE = photograph(160, 192)
BLOCKS, GRID = split(PICTURE)
CLEAN = AWGN(60.0)
BUDGET = 30 * 64


def simulation(channel=CLEAN, draws=1):
    return SenderSimulation(ZOO.bank, BLOCKS, GRID, 20.0, own_draws(channel), draws, JUDGING * draws, "mmse")


def known(channel=CLEAN):
    blocks = BlockStatistics(np.ones(len(GRID)), columns=GRID.columns)
    return predicted(ZOO.predictor, blocks, features(BLOCKS), ZOO.ratios, 20.0, channel, BUDGET)


@pytest.mark.parametrize("step", [-2, 0, 1])
def test_tables_are_what_the_coder_does(step):
    """The blocks of one colour of a chequerboard moved by a step, the others as planned."""
    plan, blocks = Lagrangian().allocate(known(), ZOO.ratios, BUDGET), known()
    found = simulation().tables(blocks, plan, 0)
    row, column = np.divmod(np.arange(len(GRID)), GRID.columns)
    moved = ((row + column) % 2 == 1) & (plan + step >= 0)
    index = np.where(moved, plan + step, plan)
    latents = ZOO.bank.encode(BLOCKS, GRID, index, 20.0)
    energy = block_energies(latents, index, ZOO.ratios)
    np.testing.assert_allclose(found.energy[moved, index[moved]], energy[moved], rtol=1e-6)
    mean_energy = float(blocks.energy[np.arange(len(plan)), plan].sum()) / ZOO.ratios.spent(plan)
    gain = mean_energy**-0.5
    sent = interleave((latents * np.float32(gain)).astype(np.complex64))
    received = equalise(own_draws(CLEAN)(sent, 0)).at(places(len(sent)))
    errors = block_errors(ZOO.bank.decode(received, gain, GRID, index, 20.0), BLOCKS)
    np.testing.assert_allclose(found.mse[moved, index[moved]], errors[moved], rtol=1e-6)


def test_beyond_what_is_measured_the_prediction_keeps_its_shape():
    plan = np.full(len(GRID), 3)
    blocks = known()
    found = simulation().tables(blocks, plan, 0)
    ratio = found.mse / blocks.mse_given(float(blocks.energy[:, 3].sum()) / ZOO.ratios.spent(plan))
    for k in range(3 + STEPS, len(ZOO.ratios)):
        np.testing.assert_allclose(ratio[:, k], ratio[:, 3 + STEPS], rtol=1e-9)


@pytest.mark.parametrize("snr_db", [3.0, 12.0])
def test_it_never_sends_the_frame_that_it_found_worse(snr_db):
    channel = AWGN(snr_db)
    errors = []
    for policy in (EncoderInTheLoop(), Lagrangian(), Uniform()):
        plan = BlockJSCC(ZOO, policy).plan(PICTURE, BUDGET, channel)
        tried = replace(simulation(channel, 2), sender_snr_db=plan.sender_snr_db)
        errors.append(tried.frame(plan.index, plan.header_uses)[0])
    assert errors[0] <= min(errors[1:]) * 1.0001


def test_frames_are_judged_on_draws_that_did_not_make_them():
    """Tables see the first draws alone, whole frames the next ones alone."""
    tried = []

    def trial(symbols, draw, start=0):
        tried.append(draw)
        return own_draws(CLEAN)(symbols, draw, start)

    plan = np.full(len(GRID), 3)
    fresh = SenderSimulation(ZOO.bank, BLOCKS, GRID, 20.0, trial, 2, 3, "mmse")
    fresh.tables(known(), plan, 0)
    assert set(tried) == {0, 1}
    tried.clear()
    fresh.frame(plan, 0)
    assert tried == [2, 3, 4]


def test_a_better_table_is_a_better_plan():
    """Where the prediction is wrong for every second block, trying finds it."""
    blocks, wrong = known(), np.where(np.arange(len(GRID)) % 2 == 0, 8.0, 1.0)[:, None]
    misled = replace(blocks, mse=blocks.mse * wrong, mse_given=lambda mean: blocks.mse_given(mean) * wrong)
    plan = Lagrangian(smoothing=0.0).allocate(misled, ZOO.ratios, BUDGET)
    tables = simulation().tables(misled, plan, 0)
    better = EncoderInTheLoop().allocate(tables, ZOO.ratios, BUDGET)
    assert total_error(tables, better, ZOO.ratios) < total_error(tables, plan, ZOO.ratios)
    assert simulation().frame(better, 0)[0] < 0.97 * simulation().frame(plan, 0)[0]
