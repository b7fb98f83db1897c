"""Envelopes against a slow twin, intervals against known answers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jscc_sim.statistics import envelope_mse, gain_db, interval, lower_envelope

POINTS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), min_size=1, max_size=12)


def slow_envelope(points, uses):
    """The least MSE at `uses` of any time sharing between two points; wasting uses is allowed."""
    reached = [m for u, m in points if u <= uses]
    for u, m in points:
        for v, n in points:
            if u <= uses < v:
                reached.append(m + (n - m) * (uses - u) / (v - u))
    return min(reached, default=math.nan)


@given(POINTS, st.floats(-1, 45))
@settings(max_examples=500, deadline=None)
def test_envelope_is_the_best_time_sharing(points, uses):
    hull = lower_envelope(*zip(*points, strict=True))
    expected = slow_envelope(points, uses)
    assert envelope_mse(uses, *hull) == pytest.approx(expected, rel=1e-9, nan_ok=True)


@given(POINTS)
@settings(max_examples=300, deadline=None)
def test_corners_are_given_points_falling_ever_more_slowly(points):
    uses, mse = lower_envelope(*zip(*points, strict=True))
    assert set(zip(uses, mse, strict=True)) <= set(points)
    assert uses[0] == min(points)[0]
    assert mse[-1] == min(m for _, m in points)
    slopes = np.diff(mse) / np.diff(uses)
    assert (slopes < 0).all()
    assert (np.diff(slopes) > 0).all()


def test_known_envelope():
    uses, mse = lower_envelope([30, 0, 10, 20, 20, 40], [1, 10, 9, 2, 5, 3])
    assert uses.tolist() == [0, 20, 30]
    assert mse.tolist() == [10, 2, 1]
    assert envelope_mse(10, uses, mse) == 6
    assert envelope_mse(99, uses, mse) == 1


def test_gain_is_against_the_envelope_at_the_same_uses():
    assert gain_db(3, 10, [0, 10, 20], [10, 9, 2]) == pytest.approx(10 * math.log10(6 / 3))
    assert gain_db(2, 20, [0, 20], [10, 2]) == 0
    assert math.isnan(gain_db(2, 5, [10, 20], [10, 2]))


def test_gain_over_a_lossless_reception_is_infinite():
    assert gain_db(0, 10, [0, 10], [10, 2]) == math.inf


def test_interval_of_known_numbers():
    """Standard error sqrt(2.5 / 5), t of 4 degrees of freedom 2.7764."""
    result = interval([1, 2, 3, 4, 5])
    assert result.mean == 3
    assert result.half_width == pytest.approx(2.776445 * math.sqrt(0.5), rel=1e-6)
    assert result.count == 5


def test_interval_of_equal_numbers_is_a_point():
    assert interval([2.5] * 4).half_width == 0


def test_one_value_has_no_interval():
    result = interval([7])
    assert result.mean == 7
    assert math.isnan(result.half_width)


def test_interval_covers_the_mean_in_95_of_100_samples():
    """Of 3000 samples: 95 % +- 4.5 standard errors."""
    samples = np.random.default_rng(0).normal(4, 3, (3000, 6))
    covered = [abs(r.mean - 4) <= r.half_width for r in map(interval, samples)]
    assert abs(np.mean(covered) - 0.95) < 4.5 * math.sqrt(0.95 * 0.05 / 3000)


def test_an_interval_in_words_is_of_five_values_or_more():
    assert interval([1.0, 2.0, 1.0, 2.0, 1.5]).text(2, "+") == "+1.50 ± 0.62"
    assert interval([1.0, 2.0, 1.0, 2.0]).text(2) == "1.50"
    assert interval([-1.0]).text(1, "+") == "-1.0"
