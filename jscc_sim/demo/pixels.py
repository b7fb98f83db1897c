"""What the page shows beside receptions, as pixels: errors, uses and PSNR of the blocks, constellations."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from jscc_sim.blocks import split
from jscc_sim.channels import Received, Symbols
from jscc_sim.channels.equalisation import equalise
from jscc_sim.images import Picture
from jscc_sim.metrics import block_errors, psnr_of_mse

GAIN = 8
"""By which errors are amplified to be seen."""

PSNR_RANGE_DB = (20.0, 45.0)
"""Of the colours of the blocks' PSNR, the same whatever is shown."""

CELLS = 97
"""Of a constellation, along each axis: odd, so that the axes run through the middle of cells."""

Rgba = NDArray[np.uint8]


def error_image(picture: Picture, original: Picture) -> Picture:
    """Both [H, W, 3] uint8. Returns GAIN times the absolute error of each sample, at most 255."""
    difference = np.abs(picture.astype(np.int16) - original)
    return np.minimum(GAIN * difference, 255).astype(np.uint8)


def level_colours(levels: int) -> NDArray[np.uint8]:
    """[levels, 3] colours of a ratio set, from few uses to many: those of the allocation in figures."""
    return _coloured(np.linspace(0, 1, levels))


def uses_image(allocation: NDArray[np.int64], ratios: tuple[int, ...]) -> Picture:
    """[rows, columns] uses of the blocks -> a pixel for each, [rows, columns, 3]."""
    return level_colours(len(ratios))[np.searchsorted(ratios, allocation)]


def block_psnr_db(picture: Picture, original: Picture) -> NDArray[np.float64]:
    """[rows, columns] PSNR of each 32x32 block, edges repeated to fill the last ones; inf without error."""
    blocks, grid = split(original)
    errors = block_errors(split(picture)[0].astype(np.float32), blocks)
    values = [psnr_of_mse(error) for error in errors]
    return np.array([np.inf if v is None else v for v in values]).reshape(grid.rows, grid.columns)


def psnr_image(psnr_db: NDArray[np.float64]) -> Picture:
    """[rows, columns] dB -> a pixel for each, [rows, columns, 3]; colours over PSNR_RANGE_DB."""
    low, high = PSNR_RANGE_DB
    return _coloured((psnr_db - low) / (high - low))


def equalised_symbols(received: Received) -> Symbols:
    """[uses] complex64 symbols, the fading that the receiver knows of undone by zero forcing."""
    return equalise(received, "zf").symbols


def constellation_image(symbols: Symbols) -> tuple[Rgba, float]:
    """[CELLS, CELLS, 4] uint8, how often symbols fell into each cell of the plane as colour on a logarithmic
    scale, none where none did; and half the side of that plane, which 98 % of them are within."""
    half = float(np.quantile(np.maximum(abs(symbols.real), abs(symbols.imag)), 0.98)) if len(symbols) else 0.0
    half = max(1.5, np.ceil(2 * half) / 2)
    edges = np.linspace(-half, half, CELLS + 1)
    counts, _, _ = np.histogram2d(-symbols.imag, symbols.real, (edges, edges))
    seen = np.log1p(counts) / max(np.log1p(counts.max()), 1.0)
    return np.dstack([_coloured(seen), np.where(counts > 0, 255, 0).astype(np.uint8)]), half


def _coloured(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """[...] 0 to 1, beyond clipped -> [..., 3]."""
    return np.asarray(mpl.colormaps["viridis"](np.clip(values, 0, 1), bytes=True))[..., :3]
