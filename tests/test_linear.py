"""The linear coder against its closed form, on blocks drawn from the bank's own statistics.

Source: Lee & Petersen 1976. Statistical bounds are 4.5 standard errors (one seed in 100 000).
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from jscc_sim.blocks import BlockGrid, split
from jscc_sim.channels import Equalised, Fading, complex_normal, equalise
from jscc_sim.nn import linear
from jscc_sim.nn.bank import block_energies, block_slices
from jscc_sim.nn.linear import LinearBank
from jscc_sim.units import BLOCK_SAMPLES, STANDARD_RATIOS, RatioSet, noise_variance

Z = 4.5
BLOCKS = 240
GRID = BlockGrid(32 * 12, 32 * 20)
FULL = RatioSet((0, 100, 1536))


def bank_of(ratios=STANDARD_RATIOS, spread=1.3, seed=0):
    """A random rotation and variances that fall with a power of the rank, in random order."""
    rng = np.random.default_rng(seed)
    colour, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    variance = 3e4 * rng.permutation(np.arange(1, BLOCK_SAMPLES + 1)) ** -spread
    return LinearBank(np.array([120.0, 110.0, 100.0]), colour, variance, ratios)


def draw(bank, seed=1, count=BLOCKS):
    """Gaussian blocks of the bank's statistics, not rounded."""
    rng = np.random.default_rng(seed)
    return bank.inverse(rng.normal(size=(count, BLOCK_SAMPLES)) * np.sqrt(bank.variance))


def send(bank, blocks, index, snr_db, grid=GRID, seed=2):
    """Blocks after AWGN at unit symbol power."""
    latents = bank.encode(blocks, grid, index, snr_db)
    variance = noise_variance(snr_db)
    noisy = latents + complex_normal(len(latents), variance, np.random.default_rng(seed))
    payload = Equalised(noisy, np.ones(len(noisy)), np.full(len(noisy), variance))
    return bank.decode(payload, 1.0, grid, index, snr_db)


def water_level(deviation, senders, uses, half):
    """Exact: as many coefficients as stay above the water, with the power of all uses between them."""
    order = np.argsort(-deviation)
    for active in range(len(deviation), 0, -1):
        at = order[:active]
        level = (uses + senders[at].sum() * half) / (senders[at] @ deviation[at])
        if deviation[at[-1]] * level > half:
            return level
    raise AssertionError("the first coefficient always gets power")


def closed_form_mse(variance, uses, snr_db):
    """Least mean squared error per sample of a linear code of `uses` uses of unit mean power."""
    variance = np.sort(variance)[::-1]
    sent, half = 2 * uses, noise_variance(snr_db) / 2
    deviation = np.sqrt(variance[:sent])
    power = np.maximum(deviation * water_level(deviation, np.ones(sent), uses, half) - half, 0)
    return (np.sum(variance[:sent] * half / (power + half)) + variance[sent:].sum()) / BLOCK_SAMPLES


def within(values, expected):
    return abs(values.mean() - expected) <= Z * values.std(ddof=1) / math.sqrt(len(values))


# --- transform ------------------------------------------------------------------------------------


def test_transform_keeps_distances_and_inverts():
    bank = bank_of()
    blocks = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    coefficients = bank.transform(blocks)
    np.testing.assert_allclose(bank.inverse(coefficients), blocks, atol=1e-9)
    np.testing.assert_allclose(
        np.square(coefficients).sum(axis=1), np.square(blocks - bank.mean).sum(axis=(1, 2, 3)), rtol=1e-12
    )
    distance = np.linalg.norm(blocks[0].astype(float) - blocks[1])
    assert np.linalg.norm(coefficients[0] - coefficients[1]) == pytest.approx(distance, rel=1e-12)


def test_transform_order_is_component_then_frequency():
    bank = LinearBank(np.zeros(3), np.eye(3), np.ones(BLOCK_SAMPLES))
    blocks = np.zeros((1, 32, 32, 3), np.uint8)
    blocks[..., 1] = 10
    expected = np.zeros(BLOCK_SAMPLES)
    expected[1024] = 10 * 32
    np.testing.assert_allclose(bank.transform(blocks)[0], expected, atol=1e-9)


# --- power ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [-5, 5, 20])
@pytest.mark.parametrize("seed", range(3))
def test_power_is_water_filled_over_all_that_the_frame_sends(snr_db, seed):
    bank, half = bank_of(), noise_variance(snr_db) / 2
    index = np.random.default_rng(seed).integers(0, 12, BLOCKS)
    uses = STANDARD_RATIOS.array[index]
    senders = np.array([(2 * uses > i).sum() for i in range(BLOCK_SAMPLES)], float)
    sent = senders > 0
    deviation = np.sqrt(np.sort(bank.variance)[::-1])
    level = water_level(deviation[sent], senders[sent], uses.sum(), half)
    expected = np.maximum(deviation * level - half, 0)
    np.testing.assert_allclose(bank.power(index, snr_db)[sent], expected[sent], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("snr_db", [-5, 10, 30])
@pytest.mark.parametrize("kind", ["uniform", "mixed"])
def test_mean_power_of_average_blocks_is_1(snr_db, kind):
    bank = bank_of()
    index = np.full(BLOCKS, 6) if kind == "uniform" else np.arange(BLOCKS) % 12
    energy = block_energies(bank.encode(draw(bank), GRID, index, snr_db), index, bank.ratios)
    # Blocks of one ratio are alike; a frame is 20 groups of each of the 12 ratios.
    groups = energy.reshape(20, 12).sum(axis=1) / STANDARD_RATIOS.array[index].reshape(20, 12).sum(axis=1)
    assert within(groups, 1)


# --- error ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr_db", [-3, 10, 25])
@pytest.mark.parametrize("ratio", [1, 4, 7, 11])
def test_error_is_that_of_the_closed_form(ratio, snr_db):
    bank = bank_of()
    index, blocks = np.full(BLOCKS, ratio), draw(bank)
    error = np.square(send(bank, blocks, index, snr_db) - blocks).mean(axis=(1, 2, 3))
    assert within(error, closed_form_mse(bank.variance, bank.ratios.uses[ratio], snr_db))


def test_closed_form_is_the_least():
    """No other split of the same power does better: the twin above is a minimum, not just a formula."""
    variance, uses, half = np.sort(bank_of().variance)[::-1], 64, noise_variance(5) / 2
    deviation = np.sqrt(variance[: 2 * uses])
    power = np.maximum(deviation * water_level(deviation, np.ones(2 * uses), uses, half) - half, 0)
    assert power.sum() == pytest.approx(uses)

    def error(p):
        return (variance[: 2 * uses] * half / (p + half)).sum()

    rng = np.random.default_rng(0)
    for _ in range(200):
        other = power * rng.uniform(0.8, 1.2, len(power)) + rng.uniform(0, 0.01, len(power))
        assert error(other * uses / other.sum()) > error(power)


def test_nearly_lossless_at_the_full_ratio_and_high_snr():
    bank = bank_of(FULL, spread=0.5)
    blocks = np.random.default_rng(0).integers(0, 256, (BLOCKS, 32, 32, 3), np.uint8)
    decoded = send(bank, blocks, np.full(BLOCKS, 2), 60)
    assert np.square(decoded - blocks).mean() < 0.1


def test_more_uses_and_less_noise_never_hurt():
    bank = bank_of()
    blocks = draw(bank)

    def error(ratio, snr_db):
        return np.square(send(bank, blocks, np.full(BLOCKS, ratio), snr_db) - blocks).mean()

    by_ratio, by_snr = [error(k, 10) for k in range(12)], [error(6, s) for s in (-10, 0, 10, 20, 30)]
    assert (np.diff(by_ratio) < 0).all()
    assert (np.diff(by_snr) < 0).all()


# --- what a bank promises -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_symbols_are_as_many_as_the_ratios_say(seed):
    bank = bank_of()
    index = np.random.default_rng(seed).integers(0, 12, BLOCKS)
    latents = bank.encode(draw(bank), GRID, index, 10)
    assert latents.dtype == np.complex64
    assert latents.shape == (bank.ratios.spent(index),)
    assert np.diff(block_slices(index, bank.ratios)).tolist() == [bank.ratios.uses[k] for k in index]


def test_batches_make_no_difference(monkeypatch):
    bank, index = bank_of(), np.arange(BLOCKS) % 12
    blocks = draw(bank)
    whole = send(bank, blocks, index, 10)
    monkeypatch.setattr(linear, "BATCH", 7)
    np.testing.assert_allclose(send(bank, blocks, index, 10), whole, atol=1e-4)


def test_frame_gain_is_undone():
    bank, index, gain = bank_of(), np.arange(BLOCKS) % 12, 3.7
    latents = bank.encode(draw(bank), GRID, index, 10)
    ones, variance = np.ones(len(latents)), np.full(len(latents), 0.1)
    plain = bank.decode(Equalised(latents, ones, variance), 1.0, GRID, index, 10)
    louder = (gain * latents).astype(np.complex64)
    gained = bank.decode(Equalised(louder, ones, gain**2 * variance), gain, GRID, index, 10)
    np.testing.assert_allclose(gained, plain, atol=1e-3)


def test_zf_and_mmse_give_the_same_picture():
    bank, index = bank_of(), np.arange(BLOCKS) % 12
    latents = bank.encode(draw(bank), GRID, index, 10)
    received = Fading(10, 0, 1)(latents, np.random.default_rng(0))
    zf, mmse = (bank.decode(equalise(received, m), 1.0, GRID, index, 10) for m in ("zf", "mmse"))
    np.testing.assert_allclose(mmse, zf, atol=1e-2)


def test_blocks_that_were_not_sent_are_filled():
    bank = bank_of()
    index = np.full(BLOCKS, 7)
    index[[0, 50]] = 0
    decoded = send(bank, draw(bank), index, 20)
    neighbours = decoded[[30, 70, 49, 51]].mean(axis=(0, 1, 2))
    np.testing.assert_allclose(decoded[50], np.broadcast_to(neighbours, (32, 32, 3)), rtol=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (20, 70)])
def test_frame_without_payload(size):
    bank = bank_of()
    blocks, grid = split(np.full((*size, 3), 200, np.uint8))
    decoded = send(bank, blocks, np.zeros(len(grid), np.int64), 10, grid)
    assert (decoded == 128).all()


def test_without_noise_nothing_is_undefined():
    """A recording may state a noise variance of 0; below the water level there is no power either."""
    bank, index = bank_of(), np.full(BLOCKS, 11)
    latents = bank.encode(draw(bank), GRID, index, -5)
    payload = Equalised(latents, np.ones(len(latents)), np.zeros(len(latents)))
    assert np.isfinite(bank.decode(payload, 1.0, GRID, index, -5)).all()
