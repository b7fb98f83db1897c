"""The kernels against their slow twins: compiled, as plain Python, and without a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys

import naive
import numpy as np
import pytest

from jscc_sim._kernels import blocks, slopes

RNG = np.random.default_rng(1)
USES = np.array([0, 8, 16, 32, 64])


def some_blocks():
    """Noise, flat black and white, stripes, a checkerboard, a colour ramp."""
    grid = np.indices((32, 32))
    blocks = RNG.integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    blocks[1], blocks[2] = 0, 255
    blocks[3] = (grid[0] % 2 * 255)[..., None]
    blocks[4] = (grid.sum(0) % 2 * 200)[..., None]
    blocks[5] = np.stack([grid[0] * 8, grid[1] * 8, 255 - grid[0] * 4], axis=-1)
    blocks[6] = (grid[1] // 8 * 60)[..., None]
    return blocks


def random_costs(count):
    """Falling, rising, constant and collinear rows of costs at USES, with ties among small integers."""
    cost = RNG.integers(0, 40, (count, len(USES))).astype(float)
    cost[::3] = -np.sort(-cost[::3], axis=1)
    if count > 3:
        cost[1], cost[2], cost[3] = 5.0, USES, 100.0 - USES
    return cost


@pytest.mark.parametrize(
    ("kernel", "twin"),
    [
        (blocks.luma_variance, naive.variance),
        (blocks.squared_gradient, naive.gradient),
        (blocks.dct_activity, naive.dct_activity),
        (lambda some: np.log2(1 + blocks.features(some)), naive.features),
    ],
)
def test_complexity(kernel, twin):
    some = some_blocks()
    np.testing.assert_allclose(kernel(some), [twin(block) for block in some], rtol=1e-9, atol=1e-9)


def test_hull_slopes():
    cost = random_costs(60)
    np.testing.assert_allclose(slopes.hull_slopes(cost, USES), naive.hull_slopes(cost, USES), rtol=1e-12)


def test_hull_slopes_never_rise():
    slope = slopes.hull_slopes(RNG.normal(0, 10, (200, len(USES))), USES)
    for row in slope:
        assert np.all(np.diff(row[row > 0]) <= 0)


def test_critical_slope():
    for count in (1, 2, 5, 20):
        slope = slopes.hull_slopes(random_costs(count), USES)
        total = sum(step for _, step in naive.steps(slope, USES))
        for budget in (0, 7, 8, total // 3, total - 1, total, total + 1):
            assert slopes.critical_slope(slope, USES, budget) == naive.critical_slope(slope, USES, budget)


def test_critical_slope_of_extreme_floats():
    slope = np.array([[0.0, 1e308, 1e-308, 5e-324, 0.0], [0.0, 0.0, 1.0, 0.0, np.nextafter(1.0, 0.0)]])
    for budget in range(0, 140, 8):
        assert slopes.critical_slope(slope, USES, budget) == naive.critical_slope(slope, USES, budget)


def test_steps_above():
    slope = np.array([[0.0, 5.0, 0.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 3.0, 0.0, 2.0]])
    assert slopes.steps_above(slope, 3.0).tolist() == [1, 0, 0]
    assert slopes.steps_above(slope, 2.5).tolist() == [3, 0, 2]
    assert slopes.steps_above(slope, 0.0).tolist() == [4, 0, 4]


def test_take_ties_in_block_order_and_no_further_than_fits():
    slope = np.array([[0.0, 0.0, 0.0, 3.0, 3.0], [0.0, 3.0, 0.0, 0.0, 1.0], [0.0, 3.0, 3.0, 0.0, 0.0]])
    index = np.zeros(3, np.int64)
    assert slopes.take_ties(slope, USES, 3.0, index, 50) == 2
    assert index.tolist() == [3, 1, 1]  # 32, then not 32 more; 8; 8, then not 8 more


def test_spend_steepest():
    for count in (1, 4, 12):
        cost = random_costs(count)
        for left in (0, 8, 50, 200):
            index = RNG.integers(0, 2, count)
            expected = naive.spend_steepest(cost, USES, index, left)
            found = index.copy()
            assert slopes.spend_steepest(cost, USES, found, left) == expected[1]
            np.testing.assert_array_equal(found, expected[0])


def test_spend_in_order():
    index = np.array([0, 3, 0])
    assert slopes.spend_in_order(np.array([2, 1, 0]), USES, index, 60) == 4
    assert index.tolist() == [1, 4, 2]  # 8 for block 2, 32 for block 1, 8 for block 0, 8 more for block 2


def test_no_blocks():
    assert blocks.features(np.zeros((0, 32, 32, 3), np.uint8)).shape == (0, 8)


@pytest.mark.parametrize(
    ("setting", "tests"),
    [
        ({"NUMBA_DISABLE_JIT": "1"}, "test"),
        (
            {"NUMBA_CACHE_DIR": "/dev/null", "NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator"},
            "spend",
        ),
    ],
    ids=["plain-python", "no-cache-folder"],
)
@pytest.mark.skipif("JSCC_SIM_KERNEL_TEST" in os.environ, reason="this is the inner run")
def test_elsewhere(setting, tests):
    """These tests again: without compilation, and where numba finds no folder to keep code in."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", tests, __file__],
        env={**os.environ, **setting, "JSCC_SIM_KERNEL_TEST": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
