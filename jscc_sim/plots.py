"""Figures: arrays and tables in, Matplotlib figures out. Nothing here knows torch."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.images import Picture, write_whole
from jscc_sim.units import BLOCK

ZOOM_BLOCKS = 4
FORMATS = (".png", ".pdf", ".svg")


@dataclass(frozen=True, eq=False)
class Shot:
    """One reception to show. index: [N] ratio of each block; uses: the ratio set's channel uses."""

    label: str
    picture: Picture
    psnr_db: float | None
    index: NDArray[np.int64] | None
    uses: tuple[int, ...]


def reception_figure(original: Picture, shots: Sequence[Shot]) -> Figure:
    """The original, the last shot's allocation over it, every reception, and a zoom of each where
    the first and the last shot differ most (of a single shot: where most uses were spent)."""
    columns = 2 + len(shots)
    height, width = original.shape[:2]
    panel = 3.4
    figure = Figure(figsize=(panel * columns, panel * (height / width + 1.0) + 0.7), layout="constrained")
    axes = figure.subplots(2, columns, height_ratios=(height / width, 1.0))
    top, left, side = _zoom_window(original, shots)
    _show(axes[0, 0], original, "original")
    _show_allocation(figure, axes[0, 1], original, shots[-1])
    window = np.s_[top : top + side, left : left + side]
    _show(axes[1, 0], original[window], "original, zoomed")
    _show_allocation(None, axes[1, 1], original, shots[-1], (top, left, side))
    for column, shot in enumerate(shots, start=2):
        quality = "lossless" if shot.psnr_db is None else f"{shot.psnr_db:.2f} dB"
        _show(axes[0, column], shot.picture, f"{shot.label}\nPSNR {quality}")
        _show(axes[1, column], shot.picture[window], "zoomed")
        _frame(axes[0, column], top, left, side)
    _frame(axes[0, 0], top, left, side)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, PDF or SVG by its suffix; all of the file or nothing."""
    check_figure_path(path)
    target = Path(path)
    kind = target.suffix.lower()[1:]
    write_whole(target, lambda handle: figure.savefig(handle, format=kind, dpi=150))


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless the suffix is one of FORMATS."""
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"figure {path} must end in one of {', '.join(FORMATS)}")


def _zoom_window(original: Picture, shots: Sequence[Shot]) -> tuple[int, int, int]:
    """(top, left, side) of the square of ZOOM_BLOCKS blocks to look at closely."""
    height, width = original.shape[:2]
    side = min(ZOOM_BLOCKS * BLOCK, height, width)
    if len(shots) > 1:
        first, last = (
            np.square(s.picture.astype(np.float64) - original).mean(2) for s in (shots[0], shots[-1])
        )
        interest = first - last
    elif shots[0].index is not None:
        interest = _spread(np.asarray(shots[0].uses)[shots[0].index], height, width)
    else:
        interest = np.zeros((height, width))
    sums = np.pad(interest, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(windows[::8, ::8].argmax(), windows[::8, ::8].shape)
    return int(top) * 8, int(left) * 8, side


def _spread(values: NDArray[np.int64], height: int, width: int) -> NDArray[np.float64]:
    """[N] values of blocks -> [H, W]."""
    grid = values.reshape(-(-height // BLOCK), -(-width // BLOCK)).astype(np.float64)
    return grid.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def _show(axes: Axes, picture: Picture, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def _show_allocation(
    figure: Figure | None,
    axes: Axes,
    original: Picture,
    shot: Shot,
    window: tuple[int, int, int] | None = None,
) -> None:
    """The ratio of each block as colour over a grey picture; with a colour bar if a figure is given."""
    if shot.index is None:
        axes.set_axis_off()
        return
    height, width = original.shape[:2]
    top, left, side_y, side_x = (
        (0, 0, height, width) if window is None else (*window[:2], window[2], window[2])
    )
    part = np.s_[top : top + side_y, left : left + side_x]
    _show(axes, original[part], "channel uses of each block" if figure else "its uses, zoomed")
    axes.images[0].set_data(np.repeat(original[part].mean(2, keepdims=True), 3, 2).astype(np.uint8))
    levels = len(shot.uses)
    colours = ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 1, levels)))
    overlay = axes.imshow(
        _spread(shot.index, height, width)[part],
        cmap=colours,
        norm=BoundaryNorm(np.arange(levels + 1) - 0.5, levels),
        alpha=0.6,
        interpolation="nearest",
    )
    if figure is not None:
        bar = figure.colorbar(overlay, ax=axes, ticks=range(levels), location="left", shrink=0.9)
        bar.ax.set_yticklabels([str(u) for u in shot.uses], fontsize=7)


def _frame(axes: Axes, top: int, left: int, side: int) -> None:
    x, y = [left, left + side, left + side, left, left], [top, top, top + side, top + side, top]
    axes.plot(x, y, color="white", linewidth=2.5)
    axes.plot(x, y, color="black", linewidth=1)
