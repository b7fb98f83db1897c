"""Subtractive dither: errors as promised, distributions that are the same everywhere, exact codes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.stats import kstest, logistic

from jscc_sim.coding import dither


def random_prior(latents, rng, components=3):
    shape = components, latents
    return dither.Prior(rng.random(shape) + 0.1, rng.normal(0, 2, shape), np.exp(rng.normal(0, 0.7, shape)))


def test_the_error_is_uniform_and_independent_of_the_latents():
    """What plain rounding's is not."""
    rng = np.random.default_rng(0)
    latents = rng.normal(0, 0.3, (4000, 5))
    phase = dither.phases(*latents.shape)
    error = dither.quantise(latents, phase) + dither.dither(phase) - latents
    assert abs(error).max() <= 0.5
    assert kstest(error.ravel(), "uniform", (-0.5, 1)).pvalue > 1e-3
    for power in (1, 2):
        assert abs(np.corrcoef(error.ravel() ** power, latents.ravel() ** power)[0, 1]) < 0.03
    plain = np.rint(latents) - latents
    assert np.corrcoef(plain.ravel(), latents.ravel())[0, 1] < -0.3


def test_the_dither_and_the_distributions_are_pinned():
    """A file must decode on any machine: these hashes may not depend on it, nor on numpy's version."""
    phase = dither.phases(100, 16)
    assert hashlib.sha256(phase.astype(">i8").tobytes()).hexdigest()[:12] == "81c21611c8ff"
    counts = np.bincount(dither.phases(20000, 16).ravel(), minlength=dither.PHASES)
    assert abs(counts / 5000 - 1).max() < 0.07
    scales = np.array([[0.5, 3.0], [1.25, 0.75]])
    prior = dither.Prior(np.array([[1.0, 0.5], [0.25, 1.0]]), np.array([[-1.0, 0.5], [2.0, 0.25]]), scales)
    table = dither.frequencies(prior).astype(">i8")
    assert hashlib.sha256(table.tobytes()).hexdigest()[:12] == "9b6474ea2b12"


def test_the_exponential():
    x = np.linspace(-40, 40, 4001)
    np.testing.assert_allclose(dither.exponential(x), np.exp(x), rtol=1e-10)
    np.testing.assert_array_equal(dither.exponential(np.array([-1e9, 1e9])), dither.exponential(x[[0, -1]]))


def test_distributions_against_their_slow_twin():
    prior = random_prior(3, np.random.default_rng(1))
    table = dither.frequencies(prior)
    assert (table >= 1).all()
    np.testing.assert_array_equal(table, np.rint(table))
    np.testing.assert_allclose(table.sum(axis=2), 2.0**24, rtol=1e-5)
    shares = prior.weights / prior.weights.sum(axis=0)
    for latent, phase, k in ((0, 0, 0), (1, 17, -3), (2, 63, 5), (0, 40, 1)):
        u = (phase + 0.5) / dither.PHASES - 0.5
        edges = np.array([k + u - 0.5, k + u + 0.5])[:, None]
        below = logistic.cdf(edges, prior.means[:, latent], prior.scales[:, latent]) @ shares[:, latent]
        expected = (below[1] - below[0]) * 2.0**24
        assert table[latent, phase, k + dither.LARGEST] == pytest.approx(expected, abs=2)


def test_moments_and_draws_of_a_prior():
    prior = random_prior(4, np.random.default_rng(2))
    drawn = prior.draw(200_000, np.random.default_rng(3))
    np.testing.assert_allclose(drawn.mean(axis=0), prior.mean, atol=0.05)
    np.testing.assert_allclose(drawn.var(axis=0), prior.variance + 1 / 12, rtol=0.05)


@pytest.mark.parametrize("count", [1, 7, 3000])
def test_integers_come_back_in_as_many_bits_as_they_should(count, monkeypatch):
    rng = np.random.default_rng(4)
    prior = random_prior(5, rng)
    phase = dither.phases(count, 5)
    integers = dither.quantise(prior.draw(count, rng), phase)
    integers[0, :2] = -dither.LARGEST, dither.LARGEST
    data = dither.encode(integers, phase, prior)
    np.testing.assert_array_equal(dither.decode(data, phase, prior), integers)
    table = dither.frequencies(prior)
    chance = table[np.arange(5), phase, integers + dither.LARGEST] / table.sum(axis=2)[np.arange(5), phase]
    assert 8 * len(data) == pytest.approx(-np.log2(chance).sum(), rel=0.002, abs=65)
    monkeypatch.setattr(dither, "_ROWS", 40)
    assert dither.encode(integers, phase, prior) == data
    np.testing.assert_array_equal(dither.decode(data, phase, prior), integers)


def test_latents_beyond_all_integers_are_clipped():
    phase = dither.phases(1, 3)
    assert dither.quantise(np.array([[1e9, -1e9, 0.0]]), phase)[0, :2].tolist() == [31, -31]
