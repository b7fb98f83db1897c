"""The KLT of 4x4 pixels beside the analog VAE link: fitted, split and heard as theory says."""

from __future__ import annotations

import numpy as np
import pytest
from processes import photograph

from jscc_sim.channels import AWGN
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.images import read_picture
from jscc_sim.learned.vae.link import VAE
from jscc_sim.learned.vae.network import CHOICES, latent_count
from jscc_sim.learned.vae.patch_klt import (
    PATCH_SAMPLES,
    PatchKLT,
    fit_patch_klt,
    patches_of,
    picture_of_patches,
)
from jscc_sim.metrics import mean_squared_error
from jscc_sim.nn.water_filling import water_filled
from jscc_sim.testing import sample_picture

PICTURE = read_picture("coffee")[64:192, 128:320]


@pytest.fixture(scope="module")
def klt():
    return PatchKLT.beside(Checkpoint.find(VAE))


def filled(deviation, noise):
    """Unit power for two coefficients in a use."""
    return water_filled(deviation, noise, len(deviation) / 2, np.ones(len(deviation)))


def test_patches_there_and_back():
    picture = sample_picture(21, 35)
    patches = patches_of(picture)
    assert patches.shape == (6 * 9, PATCH_SAMPLES)
    np.testing.assert_array_equal(patches[10].reshape(4, 4, 3), picture[4:8, 4:8])
    np.testing.assert_array_equal(picture_of_patches(patches, (21, 35)), picture)


def test_the_fit_is_the_principal_axes():
    pictures = [sample_picture(64, 96), photograph(50, 61)]
    fitted = fit_patch_klt(pictures)
    patches = np.concatenate([patches_of(p[: p.shape[0] // 4 * 4, : p.shape[1] // 4 * 4]) for p in pictures])
    np.testing.assert_allclose(fitted.mean, patches.mean(0))
    covariance = fitted.rotation @ np.cov(patches.T, bias=True) @ fitted.rotation.T
    variance = np.diag(covariance)
    assert (np.diff(variance) <= 0).all()
    np.testing.assert_allclose(covariance, np.diag(variance), atol=1e-6 * variance[0])
    np.testing.assert_allclose(fitted.rotation @ fitted.rotation.T, np.eye(PATCH_SAMPLES), atol=1e-9)


def test_water_filling_is_the_best_split():
    """No power moved from one coefficient to another lowers the error."""
    rng = np.random.default_rng(0)
    for noise in (1e-6, 0.05, 0.8, 50.0):
        deviation = 10.0 ** rng.uniform(0, 3, 8)
        power = filled(deviation, noise)
        assert power.sum() == pytest.approx(4.0, rel=1e-6)
        assert power.min() >= 0

        def error(split, deviation=deviation, noise=noise):
            return (deviation**2 * noise / (split + noise)).sum()

        for giver in np.flatnonzero(power > 0):
            for taker in range(8):
                moved = power.copy()
                step = min(1e-3, power[giver])
                moved[giver] -= step
                moved[taker] += step
                assert error(moved) >= error(power) * (1 - 1e-9)


@pytest.mark.parametrize("n", CHOICES)
def test_the_baseline_errs_as_theory_says(klt, n):
    """What is left out, and deviation**2 noise / (power + noise) of each coefficient that is sent."""
    picture = 64 + PICTURE // 2  # so that nothing is clipped
    patches = patches_of(picture)
    sent = (patches - klt.mean) @ klt.rotation[:n].T
    left_out = np.square(patches - klt.mean - sent @ klt.rotation[:n]).sum(1).mean() / PATCH_SAMPLES
    rounding = 1 / 12
    without_noise = klt.transmit(picture, n, None, np.random.default_rng(0))
    assert mean_squared_error(without_noise, picture) == pytest.approx(left_out + rounding, rel=0.02)
    noise = 10 ** (-8.0 / 10) / 2
    deviation = sent.std(0)
    expected = (deviation**2 * noise / (filled(deviation, noise) + noise)).sum() / PATCH_SAMPLES
    heard = klt.transmit(picture, n, AWGN(8.0), np.random.default_rng(0))
    assert mean_squared_error(heard, picture) == pytest.approx(left_out + expected + rounding, rel=0.05)


def test_the_baseline_splits_its_power_for_the_channel(klt):
    """Water-filled for the noise of a real dimension, one a use in all."""
    seen = []

    class Tap(AWGN):
        def __call__(self, symbols, rng):
            seen.append(symbols)
            return super().__call__(symbols, rng)

    klt.transmit(PICTURE, 4, Tap(0.0), np.random.default_rng(0))
    assert len(seen[0]) == latent_count(4, *PICTURE.shape[:2]) // 2
    power = seen[0].view(np.float32).reshape(-1, 4).astype(float).var(0)
    assert power.sum() == pytest.approx(2.0, rel=1e-4)
    deviation = ((patches_of(PICTURE) - klt.mean) @ klt.rotation[:4].T).std(0)
    np.testing.assert_allclose(power, filled(deviation, 0.5), rtol=1e-3, atol=1e-6)
