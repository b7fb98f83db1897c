"""Tiling: exact both ways for any size, and blocks that were not sent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jscc_sim.blocks import BlockGrid, fill_missing, reassemble, split
from jscc_sim.errors import InputError
from jscc_sim.learned.digits import network as digits
from jscc_sim.learned.vae import patch_klt
from jscc_sim.nn import pictures
from jscc_sim.nn.bank import pool_gain

SIDES = st.integers(1, 130)
SEEDS = st.integers(0, 2**32 - 1)
GRIDS = st.builds(
    lambda rows, columns: BlockGrid(32 * rows, 32 * columns), st.integers(1, 6), st.integers(1, 6)
)


def picture_of(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@given(SIDES, SIDES, SEEDS)
@settings(deadline=None)
def test_reassembled_blocks_are_the_picture(height, width, seed):
    picture = picture_of(height, width, seed)
    blocks, grid = split(picture)
    assert blocks.shape == (len(grid), 32, 32, 3)
    assert len(grid) == -(-height // 32) * -(-width // 32)
    np.testing.assert_array_equal(reassemble(blocks.astype(np.float32), grid), picture)


@given(SIDES, SIDES, SEEDS)
@settings(deadline=None)
def test_every_pixel_of_a_block_is_the_nearest_of_the_picture(height, width, seed):
    picture = picture_of(height, width, seed)
    blocks, grid = split(picture)
    b = seed % len(grid)
    y = np.minimum(b // grid.columns * 32 + np.arange(32), height - 1)
    x = np.minimum(b % grid.columns * 32 + np.arange(32), width - 1)
    np.testing.assert_array_equal(blocks[b], picture[y][:, x])


def test_one_pixel_fills_its_block():
    blocks, grid = split(np.full((1, 1, 3), (1, 2, 3), np.uint8))
    assert len(grid) == 1
    assert (blocks == (1, 2, 3)).all()


def test_values_are_rounded_and_clipped():
    blocks = np.full((1, 32, 32, 3), 128, np.float32)
    blocks[0, 0, 0], blocks[0, 0, 1] = (-40, 300, 127.6), (0.4, 254.6, 255.4)
    picture = reassemble(blocks, BlockGrid(20, 30))
    assert picture.shape == (20, 30, 3)
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [0, 255, 128]
    assert picture[0, 1].tolist() == [0, 255, 255]


@pytest.mark.parametrize(("height", "width"), [(0, 5), (5, 0), (-1, 5)])
def test_no_pixels_no_grid(height, width):
    with pytest.raises(InputError, match="has no blocks"):
        BlockGrid(height, width)


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture(picture):
    with pytest.raises(InputError):
        split(picture)


# --- blocks that were not sent --------------------------------------------------------------------


def random_case(grid, seed):
    rng = np.random.default_rng(seed)
    blocks = rng.uniform(0, 255, (len(grid), 32, 32, 3)).astype(np.float32)
    return blocks, rng.random(len(grid)) < rng.random()


@given(GRIDS, SEEDS)
@settings(deadline=None)
def test_what_arrived_stays_and_the_rest_lies_between(grid, seed):
    blocks, missing = random_case(grid, seed)
    before = blocks.copy()
    filled = fill_missing(blocks, missing, grid)
    np.testing.assert_array_equal(blocks, before)
    np.testing.assert_array_equal(filled[~missing], blocks[~missing])
    assert (filled[missing] == filled[missing][:, :1, :1]).all()
    if 0 < missing.sum() < len(grid):
        means = blocks[~missing].mean(axis=(1, 2))
        assert (filled[missing] >= means.min(axis=0) - 1e-3).all()
        assert (filled[missing] <= means.max(axis=0) + 1e-3).all()


@given(GRIDS, SEEDS)
@settings(deadline=None)
def test_what_lies_in_a_missing_block_does_not_matter(grid, seed):
    blocks, missing = random_case(grid, seed)
    other = blocks.copy()
    other[missing] = -7777
    np.testing.assert_allclose(
        fill_missing(blocks, missing, grid), fill_missing(other, missing, grid), atol=1e-3
    )


@given(GRIDS, SEEDS)
@settings(deadline=None)
def test_filling_knows_no_direction(grid, seed):
    """Upside down in, upside down out."""
    blocks, missing = random_case(grid, seed)
    np.testing.assert_allclose(
        fill_missing(blocks[::-1], missing[::-1], grid), fill_missing(blocks, missing, grid)[::-1], atol=1e-3
    )


def test_a_hole_is_the_mean_of_its_four_neighbours():
    grid = BlockGrid(96, 96)
    blocks = np.repeat(np.arange(9, dtype=np.float32) ** 2, 32 * 32 * 3).reshape(9, 32, 32, 3)
    missing = np.arange(9) == 4
    assert fill_missing(blocks, missing, grid)[4] == pytest.approx((1 + 9 + 25 + 49) / 4)


def test_filling_spreads_inwards():
    """Only the first of five arrived: all take its mean."""
    blocks = np.zeros((5, 32, 32, 3), np.float32)
    blocks[0] = 90
    assert (fill_missing(blocks, np.arange(5) > 0, BlockGrid(20, 160)) == 90).all()


def test_grey_where_nothing_arrived():
    filled = fill_missing(np.full((6, 32, 32, 3), 9, np.float32), np.ones(6, bool), BlockGrid(64, 96))
    assert (filled == 128).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_make_no_picture(value):
    """Cast, they would be any grey at all. Every way from a decoder to a picture."""
    blocks = np.full((2, 32, 32, 3), 9, np.float32)
    blocks[1, 3, 4, 1] = value
    image = torch.from_numpy(blocks[1]).permute(2, 0, 1)
    patches = np.full((1, 48), float(value))
    for attempt in (
        lambda: reassemble(blocks, BlockGrid(32, 64)),
        lambda: pictures.picture_of(image, 32, 32),
        lambda: digits.join(np.full((1, 64), value), 8, 8),
        lambda: patch_klt.picture_of_patches(patches, (4, 4)),
    ):
        with pytest.raises(InputError, match="the decoder gives samples that are not finite"):
            attempt()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_symbols_that_are_not_finite_are_not_sent(value):
    with pytest.raises(InputError, match="the encoder gives latents that are not finite"):
        pool_gain(np.array([1, value], np.complex64))
