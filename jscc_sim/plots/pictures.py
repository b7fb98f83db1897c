"""Pictures side by side: receptions, allocation maps, crops at equal CBR."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.plots.style import PAPER, WIDTHS, Width, add_footer, paper_figure, plain
from jscc_sim.units import BLOCK

ZOOM_BLOCKS = 4
LONGEST = 3.0
"""Sides of a picture that is shown as a whole, long to short: of a longer one nothing could be seen."""
LOST = "OUTAGE\nthe frame could not be decoded:\nscored as mid-grey"
CBR_TOLERANCE = 0.05
"""Within which receptions count as of equal CBR."""


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """One reception to show. index: [N] ratio of each block; uses: the ratio set's channel uses; cbr: what
    the whole frame spent, header included; coder: what coded it, if that is to be said; outage: whether it is
    the mid-grey of a frame that was lost."""

    label: str
    picture: Picture
    psnr_db: float | None
    index: NDArray[np.int64] | None
    uses: tuple[int, ...]
    cbr: float | None = None
    coder: str = ""
    outage: bool = False


TITLE_LETTERS = 44
"""Of a line above a panel."""


def reception_figure(original: Picture, reconstructions: Sequence[Reconstruction]) -> Figure:
    """The original, the last reconstruction's allocation over it if it has one, every reception, and a zoom
    of each where the first and the last of them differ most (of a single one: where most uses were spent, or
    else where most was lost). Of a picture longer than LONGEST times its width a part is shown, about it."""
    allocated = int(reconstructions[-1].index is not None)
    columns = 1 + allocated + len(reconstructions)
    top, left, side = _zoom_window(original, reconstructions)
    view = _view(original, top, left, side)
    panel, share = 3.4, view[2] / view[3]
    figure = Figure(figsize=(panel * columns, panel * (share + 1.0) + 0.7), dpi=150, layout="constrained")
    axes = figure.subplots(2, columns, height_ratios=(share, 1.0))
    part = "" if view[2:] == original.shape[:2] else f"\nrows {view[0]} to {view[0] + view[2] - 1}, "
    part += part and f"columns {view[1]} to {view[1] + view[3] - 1}"
    window = np.s_[top : top + side, left : left + side]
    _show(axes[0, 0], original, f"original{part}")
    _show(axes[1, 0], original[window], "original, zoomed")
    if allocated:
        overlay = _show_allocation(axes[0, 1], original, reconstructions[-1])
        _show_allocation(axes[1, 1], original, reconstructions[-1], (top, left, side))
        _colour_bar(figure, overlay, list(axes[:, 1]), reconstructions[-1].uses, 7)
    for column, reconstruction in enumerate(reconstructions, start=1 + allocated):
        _show(
            axes[0, column],
            reconstruction.picture,
            f"{reconstruction.label}\nPSNR {_quality(reconstruction)}{_coder(reconstruction)}",
        )
        _show(axes[1, column], reconstruction.picture[window], "zoomed")
        for row in axes[:, column] if reconstruction.outage else ():
            row.text(0.5, 0.5, LOST, transform=row.transAxes, ha="center", va="center", fontsize=10)
        _frame(axes[0, column], top, left, side)
    _frame(axes[0, 0], top, left, side)
    for place in axes[0]:
        place.set_xlim(view[1] - 0.5, view[1] + view[3] - 0.5)
        place.set_ylim(view[0] + view[2] - 0.5, view[0] - 0.5)
    return figure


def allocation_figure(
    original: Picture, reconstructions: Sequence[Reconstruction], *, width: Width = "full"
) -> Figure:
    """Where each reconstruction spent its channel uses: one map a reconstruction, all on one colour scale.

    Raises InputError for one without an allocation, and for different ratio sets.
    """
    for reconstruction in reconstructions:
        if reconstruction.index is None or reconstruction.uses != reconstructions[0].uses:
            raise InputError(
                f"{reconstruction.label} has no allocation on the ratio set {reconstructions[0].uses}"
            )
    columns = min(len(reconstructions), 3 if width == "full" else 2)
    rows = -(-len(reconstructions) // columns)
    panel = (WIDTHS[width] - 0.5) / columns
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, reconstruction in zip(grid.flat, reconstructions, strict=False):
            overlay = _show_allocation(axes, original, reconstruction)
            axes.set_title(plain(_caption(reconstruction)), fontsize=7)
        for axes in grid.flat[len(reconstructions) :]:
            axes.remove()
        _colour_bar(figure, overlay, list(grid.flat[: len(reconstructions)]), reconstructions[0].uses, 6)
        notes = ["Channel uses of each 32x32 block over the picture in grey."]
        add_footer(figure, rows * (panel * original.shape[0] / original.shape[1] + 0.45), {}, notes)
    return figure


def comparison_sheet(
    original: Picture,
    reconstructions: Sequence[Reconstruction],
    windows: Sequence[tuple[int, int]] | None = None,
    *,
    side: int = 96,
    width: Width = "full",
) -> Figure:
    """Crops of the original and of every reconstruction, all of about the same CBR: a row for each window.

    windows: (top, left) of each crop, `side` pixels square; by default two, where they differ most. Raises
    InputError for a reconstruction without its CBR, CBRs that differ by more than CBR_TOLERANCE, and windows
    outside the picture.
    """
    height, length = original.shape[:2]
    side = min(side, height, length)
    spent = [reconstruction.cbr for reconstruction in reconstructions if reconstruction.cbr is not None]
    if len(spent) < len(reconstructions) or not reconstructions:
        raise InputError("a comparison needs the CBR of every reconstruction")
    if max(spent) > min(spent) * (1 + CBR_TOLERANCE):
        listed = ", ".join(
            f"{reconstruction.label} {reconstruction.cbr:.4f}" for reconstruction in reconstructions
        )
        raise InputError(f"a comparison at unequal CBR says nothing: {listed}")
    if windows is None:
        windows = _telling_windows(original, reconstructions, side, 2)
    for top, left in windows:
        if not (0 <= top <= height - side and 0 <= left <= length - side):
            raise InputError(f"window {top}, {left} of {side} pixels is outside {height}x{length}")
    columns = 1 + len(reconstructions)
    panel = WIDTHS[width] / columns
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        grid = figure.subplots(len(windows), columns, squeeze=False)
        for row, (top, left) in zip(grid, windows, strict=True):
            window = np.s_[top : top + side, left : left + side]
            for axes, picture in zip(
                row, (original, *(reconstruction.picture for reconstruction in reconstructions)), strict=True
            ):
                _show(axes, picture[window], "")
        size = 7 if panel > 1.1 else 5.5
        for axes, title in zip(grid[0], ("original", *map(_caption, reconstructions)), strict=True):
            axes.set_title(plain(title), fontsize=size)
        places = "; ".join(f"{top}, {left}" for top, left in windows)
        notes = [f"Crops of {side}x{side} pixels at (row, column) {places}; PSNR of the whole picture."]
        add_footer(figure, len(windows) * panel + 0.35, {}, notes)
    return figure


def _caption(reconstruction: Reconstruction) -> str:
    words = [
        _quality(reconstruction),
        *([f"CBR {reconstruction.cbr:.4f}"] if reconstruction.cbr is not None else []),
    ]
    return "\n".join([reconstruction.label, *words]) + _coder(reconstruction)


def _coder(reconstruction: Reconstruction) -> str:
    return reconstruction.coder and f", coder {reconstruction.coder}"


def _quality(reconstruction: Reconstruction) -> str:
    return "lossless" if reconstruction.psnr_db is None else f"{reconstruction.psnr_db:.2f} dB"


def _telling_windows(
    original: Picture, reconstructions: Sequence[Reconstruction], side: int, count: int
) -> list[tuple[int, int]]:
    """(top, left) of squares that do not overlap, where the reconstructions' errors differ most."""
    errors = [
        np.square(reconstruction.picture.astype(np.float64) - original).mean(2)
        for reconstruction in reconstructions
    ]
    interest = np.ptp(errors, axis=0) if len(errors) > 1 else errors[0]
    found: list[tuple[int, int]] = []
    for _ in range(count):
        top, left = _busiest(interest, side)
        if any(abs(top - other[0]) < side and abs(left - other[1]) < side for other in found):
            break
        found.append((top, left))
        interest[top : top + side, left : left + side] = -interest.max() - 1
    return found


def _busiest(interest: NDArray[np.float64], side: int) -> tuple[int, int]:
    """(top, left), multiples of 8, of the square with the largest sum."""
    sums = np.pad(interest, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(windows[::8, ::8].argmax(), windows[::8, ::8].shape)
    return int(top) * 8, int(left) * 8


def _zoom_window(original: Picture, reconstructions: Sequence[Reconstruction]) -> tuple[int, int, int]:
    """(top, left, side) of the square of ZOOM_BLOCKS blocks to look at closely."""
    height, width = original.shape[:2]
    side = min(ZOOM_BLOCKS * BLOCK, height, width)
    if len(reconstructions) > 1:
        first, last = (
            np.square(s.picture.astype(np.float64) - original).mean(2)
            for s in (reconstructions[0], reconstructions[-1])
        )
        interest = first - last
    elif reconstructions[0].index is not None:
        interest = _spread(np.asarray(reconstructions[0].uses)[reconstructions[0].index], height, width)
    else:
        interest = np.square(reconstructions[0].picture.astype(np.float64) - original).mean(2)
    return *_busiest(interest, side), side


def _view(original: Picture, top: int, left: int, side: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the part of a picture that is shown: all of it, or of a long one what is
    about the zoom."""
    height, width = original.shape[:2]
    longest = round(LONGEST * min(height, width))
    rows, columns = min(height, longest), min(width, longest)
    first = [
        int(np.clip(at + side // 2 - shown // 2, 0, whole - shown))
        for at, shown, whole in ((top, rows, height), (left, columns, width))
    ]
    return first[0], first[1], rows, columns


def _spread(values: NDArray[np.int64], height: int, width: int) -> NDArray[np.float64]:
    """[N] values of blocks -> [H, W]."""
    grid = values.reshape(-(-height // BLOCK), -(-width // BLOCK)).astype(np.float64)
    return grid.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width]


def _show(axes: Axes, picture: Picture, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    lines = [textwrap.fill(line, TITLE_LETTERS) for line in title.splitlines()]
    axes.set_title(plain("\n".join(lines)), fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _show_allocation(
    axes: Axes,
    original: Picture,
    reconstruction: Reconstruction,
    window: tuple[int, int, int] | None = None,
) -> AxesImage:
    """The ratio of each block as colour over a grey picture, or over a window of it."""
    assert reconstruction.index is not None
    height, width = original.shape[:2]
    top, left, side_y, side_x = (
        (0, 0, height, width) if window is None else (*window[:2], window[2], window[2])
    )
    part = np.s_[top : top + side_y, left : left + side_x]
    _show(axes, original[part], "its uses, zoomed" if window else "channel uses of each block")
    axes.images[0].set_data(np.repeat(original[part].mean(2, keepdims=True), 3, 2).astype(np.uint8))
    levels = len(reconstruction.uses)
    colours = ListedColormap(mpl.colormaps["viridis"](np.linspace(0, 1, levels)))
    overlay = axes.imshow(
        _spread(reconstruction.index, height, width)[part],
        cmap=colours,
        norm=BoundaryNorm(np.arange(levels + 1) - 0.5, levels),
        alpha=0.6,
        interpolation="nearest",
    )
    return overlay


def _colour_bar(figure: Figure, overlay: Any, axes: Any, uses: tuple[int, ...], size: float) -> None:
    bar = figure.colorbar(overlay, ax=axes, ticks=range(len(uses)), location="left", shrink=0.9, pad=0.02)
    bar.ax.set_yticklabels([str(u) for u in uses], fontsize=size)


def _frame(axes: Axes, top: int, left: int, side: int) -> None:
    low, high = -0.5, side - 0.5  # edges of pixels, not their middles
    x, y = left + np.array([low, high, high, low, low]), top + np.array([low, low, high, high, low])
    axes.plot(x, y, color="white", linewidth=2.5)
    axes.plot(x, y, color="black", linewidth=1)
