"""How figures look: sizes of a two-column paper, colours that survive colour blindness and grey, files."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import ArrayLike

from jscc_sim.errors import InputError
from jscc_sim.files import write_whole

FORMATS = (".png", ".pdf", ".svg")

Width = Literal["column", "full"]
WIDTHS: Mapping[Width, float] = {"column": 3.5, "full": 7.16}
"""Inches of one column, and of both, of a two-column paper."""

COLOURS = ("#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7")
"""Okabe & Ito's, without the yellow that vanishes on white, dark and light in turn for grey."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 1.5, 1, 1.5)))
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "ooo", "---")
REFERENCE = "0.45"
"""Grey of published curves."""

REFERENCE_MARKERS = ("+", "x", "d", "1", "*", "h", "2", "p", "|", "8", "3", "_", "4")

DEFAULTS: dict[Any, Any] = {k: v for k, v in mpl.rcParamsDefault.items() if not k.startswith("backend")}
"""Matplotlib's own settings: a user's matplotlibrc (usetex, tight boxes, other fonts) changes no figure. Its
backend is no matter of looks, and `rc_context` would not put it back."""

PAPER: dict[Any, Any] = {
    **DEFAULTS,
    "font.size": 7.5,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.88",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.8,
    "hatch.linewidth": 0.5,
    "figure.dpi": 300,
}
NOTE_SIZE, GAP = 6.3, 0.05
"""Points of the text under a figure; inches between its parts."""


def paper_figure(width: Width) -> Figure:
    """An empty figure of one of WIDTHS, to be drawn within `mpl.rc_context(PAPER)` and finished by
    `add_footer`."""
    if width not in WIDTHS:
        raise InputError(f"width {width!r} is not one of {', '.join(WIDTHS)}")
    figure = Figure(figsize=(WIDTHS[width], 1.0))
    FigureCanvasAgg(figure)
    return figure


def add_footer(figure: Figure, height: float, entries: Mapping[str, Artist], notes: Sequence[str]) -> None:
    """Give the axes `height` inches, and below them place the legend's entries and the notes, wrapped."""
    width = figure.get_figwidth()
    legend = _widest_legend(figure, entries, width - 2 * GAP) if entries else None
    text = _wrapped(figure, notes, width - 2 * GAP)
    below = GAP + (_size(text)[1] + 1.5 * GAP if notes else 0.0)
    footer = below + (_size(legend)[1] if legend else 0.0) + GAP
    whole = footer + height + 2 * GAP  # the layout lets titles stand out a little
    figure.set_size_inches(width, whole)
    text.set_position((GAP / width, GAP / whole))
    if legend:
        legend.set_bbox_to_anchor((0.5, below / whole), figure.transFigure)
    figure.set_layout_engine("constrained", rect=(0, footer / whole, 1, height / whole))


def draw_bounds(axes: Axes, at: ArrayLike, most: ArrayLike, colour: str) -> None:
    """Rates of which it is known that they are below `most`: a bar there, and an arrow down. On a logarithmic
    axis; never joined by a line, which would read as a measured rate."""
    below = 0.4 * np.asarray(most, float)
    look: Any = {"fmt": "none", "ecolor": colour, "elinewidth": 0.7, "capsize": 2.0, "capthick": 0.7}
    axes.errorbar(np.asarray(at), np.asarray(most), yerr=below, uplims=np.ones(below.shape, bool), **look)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, PDF or SVG by its suffix; all of the file or nothing."""
    check_figure_path(path)
    data = figure_bytes(figure, Path(path).suffix.lower()[1:])
    write_whole(path, lambda handle: handle.write(data))


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as a file of the kind png, pdf or svg: the same bytes whenever it is drawn."""
    undated: Any = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)
    buffer = BytesIO()
    with mpl.rc_context({**DEFAULTS, "pdf.fonttype": 42, "svg.hashsalt": "jscc_sim"}), _any_letters():
        figure.savefig(buffer, format=kind, dpi="figure", metadata=undated)
    return buffer.getvalue()


def check_figure_path(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless the suffix is one of FORMATS."""
    if Path(path).suffix.lower() not in FORMATS:
        raise InputError(f"figure {path} must end in one of {', '.join(FORMATS)}")


def plain(text: str) -> str:
    """For Matplotlib, names as they are: no dollar begins a formula, `_` at the start hides nothing, and what
    cannot be seen is escaped."""
    seen = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    return (" " * seen.startswith("_") + seen).replace("$", r"\$")


SHORTEST_LABEL = 12
"""Letters of a legend's line, at the least."""


def _widest_legend(figure: Figure, entries: Mapping[str, Artist], width: float) -> Legend:
    """The legend of as many columns as fit; long names in several lines where one column is too wide."""
    whole = max(map(len, entries), default=0)
    shapes = [(columns, whole) for columns in range(min(len(entries), 5), 0, -1)]
    shapes += [(1, letters) for letters in range(60, SHORTEST_LABEL - 1, -6)]
    for columns, letters in shapes:
        legend = figure.legend(
            entries.values(),
            [plain(label if len(label) <= letters else textwrap.fill(label, letters)) for label in entries],
            loc="lower center",
            ncols=columns,
            borderaxespad=0,
            borderpad=0.2,
        )
        if letters == SHORTEST_LABEL or _size(legend)[0] < width:
            break
        legend.remove()
    return legend


def _wrapped(figure: Figure, notes: Sequence[str], width: float) -> Text:
    """The notes, a line or more each, in lines as long as fit."""
    text = figure.text(0, 0, "", fontsize=NOTE_SIZE, color="0.25", va="bottom", linespacing=1.25)
    for letters in range(int(width * 72 / (0.45 * NOTE_SIZE)), 10, -2):
        text.set_text(plain("\n".join(textwrap.fill(note, letters) for note in notes)))
        if _size(text)[0] < width:
            break
    return text


@contextmanager
def _any_letters() -> Iterator[None]:
    """One that the font lacks is drawn as a box, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _size(artist: Artist) -> tuple[float, float]:
    """Width and height in inches."""
    figure = artist.get_figure(root=True)
    assert figure is not None
    with _any_letters():
        box = artist.get_window_extent()
    return box.width / figure.dpi, box.height / figure.dpi
