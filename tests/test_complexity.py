"""Estimators and features: what they say of pictures, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass

import naive
import numpy as np
import pytest

from jscc_sim.complexity import (
    ESTIMATORS,
    FEATURES,
    ComplexityEstimator,
    DctActivity,
    GradientEnergy,
    Variance,
    features,
    load_estimator,
)
from jscc_sim.errors import InputError

NOISE = np.random.default_rng(2).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def grey(plane):
    """One block of an [32, 32] plane."""
    return np.repeat(plane.astype(np.uint8)[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_flat_is_zero_and_noise_is_busier_than_a_ramp(name):
    estimator = load_estimator(name)
    flat, ramp = grey(np.full((32, 32), 90)), grey(np.indices((32, 32))[1] * 4)
    score = estimator.score(np.concatenate([flat, ramp, NOISE]))
    assert score.dtype == np.float64
    assert score[0] == pytest.approx(0, abs=1e-9)
    assert 0.1 < score[1] < score[2:].min()


def test_known_values():
    stripes = grey(np.indices((32, 32))[0] % 2 * 100)
    assert Variance().score(stripes) == pytest.approx([2500])
    assert GradientEnergy().score(stripes) == pytest.approx([10000])
    wave = np.cos(np.pi / 8 * 3 * (np.indices((32, 32))[0] % 8 + 0.5))  # 1 of 63 coefficients, sqrt(8 * 4)
    assert DctActivity().score(grey(128 + 100 * wave)) == pytest.approx([100 * np.sqrt(32) / 63], rel=0.03)


def test_features_separate_what_they_are_named_for():
    y, x = np.indices((32, 32))
    coarse = 128 + 60 * np.cos(np.pi / 8 * (y + 0.5))
    fine = 128 + 60 * np.cos(np.pi / 8 * 7 * (y + 0.5)) * np.cos(np.pi / 8 * 7 * (x + 0.5))
    steps = (y // 8 + x // 8) % 2 * 100
    colour = np.zeros((1, 32, 32, 3), np.uint8)
    colour[0, :, :16], colour[0, :, 16:] = (201, 0, 0), (0, 0, 255)
    table = np.concatenate([features(b) for b in (grey(coarse), grey(fine), grey(steps), colour)])
    assert table.shape == (4, len(FEATURES))
    column = dict(zip(FEATURES, table.T, strict=True))
    bands = [column[name] for name in FEATURES if name.startswith("energy")]
    assert np.argmax([band[0] for band in bands]) == 0
    assert np.argmax([band[1] for band in bands]) == 3
    assert max(band[2] for band in bands) == pytest.approx(0, abs=1e-6)
    assert column["mean_variance"] == pytest.approx(
        [0, 0, np.log2(2501), column["luma_variance"][3]], abs=0.05
    )
    assert column["chroma_variance"][:3] == pytest.approx(0, abs=1e-6)
    assert column["chroma_variance"][3] > 13


def test_views_and_read_only_blocks_are_taken():
    view = np.concatenate([NOISE, NOISE])[::2, ::-1]
    frozen = NOISE.copy()
    frozen.flags.writeable = False
    np.testing.assert_allclose(features(view), [naive.features(b) for b in view])
    np.testing.assert_array_equal(Variance().score(frozen), Variance().score(NOISE))


@pytest.mark.parametrize("measure", [features, Variance().score])
@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (NOISE.astype(float), "array of float64, not a uint8"),
        (NOISE.tolist(), "a list, not a uint8"),
        (NOISE[0], r"shape \[32, 32, 3\], not \[N, 32, 32, 3\]"),
        (NOISE[:, :16], r"shape \[4, 16, 32, 3\]"),
    ],
)
def test_bad_blocks(measure, blocks, message):
    with pytest.raises(InputError, match=message):
        measure(blocks)


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "a NoneType, not an array"),
        (np.array(["busy"] * 4), "array of <U4, not an array of numbers"),
        (np.zeros((4, 1)), r"shape \[4, 1\] for 4 blocks"),
        (np.array([0, 1, 2, np.nan]), "not finite"),
        (np.array([0, 1, 2, -1]), "negative"),
        (ZeroDivisionError("no"), "Returns raised ZeroDivisionError: no"),
    ],
)
def test_bad_estimators(outcome, message):
    @dataclass(frozen=True)
    class Returns(ComplexityEstimator):
        def _score(self, blocks):
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

    with pytest.raises(InputError, match=message):
        Returns().score(NOISE)


def test_integer_scores_become_floats():
    @dataclass(frozen=True)
    class Counts(ComplexityEstimator):
        def _score(self, blocks):
            return np.arange(len(blocks))

    assert Counts().score(NOISE).dtype == np.float64
