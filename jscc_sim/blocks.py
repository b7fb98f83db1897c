"""Tile a picture into 32x32 blocks and put blocks back together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.units import BLOCK, DECODED, check_finite


@dataclass(frozen=True)
class BlockGrid:
    """The tiling of an H x W picture: rows x columns blocks in raster order."""

    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InputError(
                f"a picture of {self.height}x{self.width} pixels has no blocks; the least is 1x1"
            )

    @property
    def rows(self) -> int:
        """Blocks from top to bottom."""
        return -(-self.height // BLOCK)

    @property
    def columns(self) -> int:
        """Blocks from left to right."""
        return -(-self.width // BLOCK)

    def __len__(self) -> int:
        return self.rows * self.columns


def split(picture: Picture) -> tuple[NDArray[np.uint8], BlockGrid]:
    """[H, W, 3] uint8 -> blocks [N, 32, 32, 3] and their grid; edge pixels are repeated to fill."""
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
        raise InputError(f"a picture is [H, W, 3] uint8, not {list(picture.shape)} {picture.dtype}")
    grid = BlockGrid(*picture.shape[:2])
    below, right = grid.rows * BLOCK - grid.height, grid.columns * BLOCK - grid.width
    padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
    tiles = padded.reshape(grid.rows, BLOCK, grid.columns, BLOCK, 3).swapaxes(1, 2)
    return np.ascontiguousarray(tiles).reshape(len(grid), BLOCK, BLOCK, 3), grid


def reassemble(blocks: NDArray[np.float32], grid: BlockGrid) -> Picture:
    """Blocks [N, 32, 32, 3], 0 to 255, -> the [H, W, 3] uint8 picture: stitched, cropped, rounded.

    A coder whose decoder works across block borders has smoothed the seams already.
    """
    canvas = np.empty((grid.rows * BLOCK, grid.columns * BLOCK, 3), dtype=np.uint8)
    for row, tiles in enumerate(blocks.reshape(grid.rows, grid.columns, BLOCK, BLOCK, 3)):
        check_finite(tiles, DECODED)
        strip = np.rint(tiles.swapaxes(0, 1)).clip(0, 255)
        canvas[row * BLOCK : (row + 1) * BLOCK] = strip.reshape(BLOCK, grid.columns * BLOCK, 3)
    return np.ascontiguousarray(canvas[: grid.height, : grid.width])


def fill_missing(
    blocks: NDArray[np.float32], missing: NDArray[np.bool_], grid: BlockGrid
) -> NDArray[np.float32]:
    """Fill blocks that were not sent with the mean of their neighbours, spreading inwards from what
    arrived; mid-grey where nothing did. blocks: [N, 32, 32, 3]; missing: [N]. Returns a new array.
    """
    means = blocks.mean(axis=(1, 2)).reshape(grid.rows, grid.columns, 3).astype(np.float64)
    known = ~missing.reshape(grid.rows, grid.columns)
    if not known.any():
        means[:], known = 128.0, np.ones_like(known)
    while not known.all():
        value = np.pad(means * known[:, :, None], ((1, 1), (1, 1), (0, 0)))
        weight = np.pad(known.astype(np.float64), 1)
        near = value[:-2, 1:-1] + value[2:, 1:-1] + value[1:-1, :-2] + value[1:-1, 2:]
        count = weight[:-2, 1:-1] + weight[2:, 1:-1] + weight[1:-1, :-2] + weight[1:-1, 2:]
        reached = ~known & (count > 0)
        means[reached] = near[reached] / count[reached][:, None]
        known = known | reached
    filled = blocks.copy()
    filled[missing] = means.reshape(-1, 1, 1, 3)[missing]
    return filled
