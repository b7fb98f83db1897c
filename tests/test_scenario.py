"""What crops of training meet: how often and how much of it; fades are those of the simulator's channels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jscc_sim.channels import Fading
from jscc_sim.nn.conv import CELLS
from jscc_sim.nn.conv_bank import WEAKEST_FADE
from jscc_sim.training.scenario import (
    EXPONENTS,
    FADING_SHARE,
    LARGEST_K,
    MISMATCH_DB,
    MISMATCH_SHARE,
    RAYLEIGH_SHARE,
    SNR_LEAN,
    TOLD_BLOCK_DB,
    TOLD_FRAME_DB,
    TOLD_SHARE,
    Scenario,
    disturb,
    draw_scenario,
)
from jscc_sim.training.training_range import TrainingRange
from jscc_sim.units import STANDARD_RATIOS

USES = STANDARD_RATIOS.uses
CROPS = 6000
CHANNELS = 6


@pytest.fixture(scope="module")
def drawn():
    """Of two blocks a crop, that are much alike."""
    images = torch.rand(CROPS, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    return draw_scenario(images, USES, np.random.default_rng(0), TrainingRange())


def about(share):
    """Five standard deviations of a count of crops."""
    return pytest.approx(share, abs=5 * (share * (1 - share) / CROPS) ** 0.5)


def awgn(snr_db, crops=1, rows=4):
    return Scenario.plain(torch.full((crops, rows, rows), 5), torch.full((crops,), snr_db))


def symbols(scenario):
    """Latents of power other than 1 and that all are used."""
    generator = torch.Generator().manual_seed(0)
    latents = 3 * torch.randn(*scenario.index.shape, CHANNELS, CELLS, generator=generator)
    return latents, torch.ones(latents.shape[:-1], dtype=torch.bool)


def left_after(scenario, seed=1):
    """(what the decoder receives, the belief, and the SNR that it is told is left)."""
    latents, used = symbols(scenario)
    received, snrs_db = disturb(latents, used, scenario, torch.Generator().manual_seed(seed))
    return received, *snrs_db.unbind(-1)


# --- what is drawn --------------------------------------------------------------------------------


def test_snrs_lean_low(drawn):
    assert drawn.snr_db.min() >= -2
    assert drawn.snr_db.max() <= 20
    assert drawn.snr_db.mean().item() == pytest.approx(-2 + 22 / (1 + SNR_LEAN), abs=0.5)


def test_the_receiver_is_told_wrongly_in_half_of_the_crops(drawn):
    wrong = (drawn.told_error_db != 0).flatten(1)
    torch.testing.assert_close(wrong.any(1), wrong.all(1))
    assert wrong.all(1).float().mean().item() == about(TOLD_SHARE)
    errors = drawn.told_error_db.flatten(1)[wrong.all(1)]
    assert errors.mean().item() == pytest.approx(0, abs=0.15)
    assert (errors[:, 0] + errors[:, 1]).std().item() == pytest.approx(
        (4 * TOLD_FRAME_DB**2 + 2 * TOLD_BLOCK_DB**2) ** 0.5, rel=0.06
    )
    assert (errors[:, 0] - errors[:, 1]).std().item() == pytest.approx(2**0.5 * TOLD_BLOCK_DB, rel=0.06)


def test_half_of_the_fading_crops_are_rayleigh(drawn):
    fading = drawn.direct[drawn.direct < 1]
    assert len(fading) / CROPS == about(FADING_SHARE)
    assert (fading == 0).sum().item() / CROPS == about(FADING_SHARE * RAYLEIGH_SHARE)
    k = fading[fading > 0] / (1 - fading[fading > 0])
    assert 1 - 1e-4 <= k.min() < 1.1
    assert LARGEST_K / 1.1 < k.max() <= LARGEST_K * (1 + 1e-4)
    assert k.log().mean().exp().item() == pytest.approx(LARGEST_K**0.5, rel=0.15)


def test_few_senders_believe_another_snr(drawn):
    wrong = drawn.sender_snr_db != drawn.snr_db
    assert wrong.float().mean().item() == about(MISMATCH_SHARE)
    errors = (drawn.sender_snr_db - drawn.snr_db)[wrong]
    assert errors.std().item() == pytest.approx(MISMATCH_DB, rel=0.15)


def test_uses_grow_with_activity_up_to_in_proportion():
    """A smooth block beside a busy one: by how many octaves of uses, an octave of activity, at most."""
    images = torch.rand(2000, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    images[..., 32:] = images[..., 32:] / 2**4 + 0.5  # eight octaves
    found = draw_scenario(images, USES, np.random.default_rng(0), TrainingRange(uses=(64.0, 128.0)))
    uses = torch.tensor(USES, dtype=torch.float32)[found.index[:, 0]].clamp_min(4)
    octaves = (uses[:, 0] / uses[:, 1]).log2()
    assert octaves.mean() > 2
    assert octaves.quantile(0.95) > 0.7 * 8 * EXPONENTS[1]


def test_the_same_seed_gives_the_same():
    images = torch.rand(8, 3, 64, 64)
    first, second = (draw_scenario(images, USES, np.random.default_rng(3), TrainingRange()) for _ in range(2))
    for ours, theirs in zip(vars(first).values(), vars(second).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


# --- what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_a_plain_scenario_is_noise_that_both_ends_know(snr_db):
    scenario = awgn(snr_db, rows=16)
    latents, _ = symbols(scenario)
    received, belief, left_db = left_after(scenario)
    power = latents.square().mean().item() * 2
    noise = (received - latents).square().mean().item() * 2
    assert 10 * np.log10(power / noise) == pytest.approx(snr_db, abs=0.1)
    torch.testing.assert_close(belief, torch.full_like(belief, snr_db))
    torch.testing.assert_close(left_db, torch.full_like(left_db, snr_db - 10 * np.log10(power)))


@pytest.mark.parametrize("k", [0.0, 1.0, 10.0])
def test_fades_are_those_of_the_channel(k):
    """The mean noise after equalisation, fades limited, against that of as many draws of the simulator's."""
    plain = awgn(10.0, rows=24)
    scenario = Scenario(**{**vars(plain), "direct": torch.tensor([k / (k + 1)])})
    lost_db = (left_after(plain)[2] - left_after(scenario)[2]).double()
    mean = (10 ** (lost_db / 10)).mean().item()
    h = Fading(10.0, k, 1)(np.ones(200_000, np.complex64), np.random.default_rng(0)).estimate
    assert mean == pytest.approx(np.mean(1 / np.maximum(np.abs(h) ** 2, WEAKEST_FADE)), rel=0.03)


def test_a_constant_path_alone_is_awgn():
    plain = awgn(10.0)
    nearly = Scenario(**{**vars(plain), "direct": torch.tensor([1 - 1e-9])})
    for ours, theirs in zip(left_after(plain), left_after(nearly), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_told_errors_move_what_is_told_and_nothing_else():
    plain = awgn(4.0, crops=2)
    errors = torch.randn(2, 4, 4)
    wrong = Scenario(**{**vars(plain), "told_error_db": errors})
    received, belief, left_db = left_after(plain)
    received_too, belief_too, left_too = left_after(wrong)
    torch.testing.assert_close(received_too, received, rtol=0, atol=0)
    torch.testing.assert_close(belief_too, belief, rtol=0, atol=0)
    torch.testing.assert_close(left_too - left_db, errors)
