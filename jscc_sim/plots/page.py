"""A figure of panels: their axes, what the legend shows, and the notes below."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from jscc_sim.errors import InputError
from jscc_sim.metrics import METRICS
from jscc_sim.plots.series import Curve, Curves
from jscc_sim.plots.style import PAPER, WIDTHS, Width, add_footer, paper_figure
from jscc_sim.plots.table import COLUMN_OF, OTHER, panel_name

NAMES = {
    "cbr": "channel bandwidth ratio (CBR)",
    "snr_db": "SNR (dB)",
    **{metric.column: metric.label for metric in METRICS.values()},
}

MOST_PANELS, MOST_CURVES = 12, 12
MOST_TICKS = 10
"""SNRs that each have their tick."""

BEYOND = 0.25
"""How far beyond the lines an axis may reach for the bands, as a share of what the lines span."""

Draw = Callable[[Axes, float, pd.DataFrame], "list[Curve]"]


class Page:
    """Panels, what the legend shall show, and the notes below."""

    def __init__(self, curves: Curves, width: Width, rows: pd.DataFrame | None = None) -> None:
        self.curves, self.width = curves, width
        self.panels = curves.panels(rows)
        self.entries: dict[str, Any] = {}
        self.drawn: list[tuple[float, Curve]] = []
        self.notes: list[str] = []
        if len(self.panels) > MOST_PANELS:
            other = COLUMN_OF[OTHER[curves.x]]
            raise InputError(
                f"{len(self.panels)} values of {other} need as many panels; at most {MOST_PANELS} fit"
            )
        most = max((sum(1 for _ in curves.groups(rows)) for _, rows in self.panels), default=0)
        if most > MOST_CURVES:
            raise InputError(f"{most} curves in one panel cannot be told apart; at most {MOST_CURVES} fit")

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the axis, the same in every panel: where the table has values, and a little beyond."""
        done = self.curves.table[self.curves.table["status"] == "ok"]
        low, high = (
            (float(pick(done[self.curves.x])) for pick in (np.min, np.max)) if len(done) else (0.0, 1.0)
        )
        beyond = 0.05 * (high - low or abs(high) or 1.0)
        return low - beyond, high + beyond

    def place(self, axes: Axes) -> None:
        """The axis of x: its ends, and ticks at the SNRs of the table where they are few."""
        axes.set_xlim(self.limits)
        snrs_db = sorted(set(self.curves.table["snr_db"]))
        if self.curves.x == "snr_db" and len(snrs_db) <= MOST_TICKS:
            axes.set_xticks(snrs_db, [f"{snr_db:g}" for snr_db in snrs_db])

    def add(self, label: str, artist: Artist | Any) -> None:
        self.entries.setdefault(label, artist)

    def note(self, *notes: str) -> None:
        self.notes += filter(None, notes)

    def draw(self, draw: Draw, x_label: str | None = None) -> None:
        with mpl.rc_context(PAPER):
            self.figure = paper_figure(self.width)
            columns = 1 if self.width == "column" else min(len(self.panels), 3)
            rows = -(-len(self.panels) // columns)
            self.height = rows * (0.3 + 0.62 * min(WIDTHS[self.width] / columns, WIDTHS["column"]))
            grid = self.figure.subplots(rows, columns, squeeze=False, sharey=True)
            for axes, (value, panel) in zip(grid.flat, self.panels, strict=False):
                axes.set_xlabel(x_label or NAMES[self.curves.x])
                if len(self.panels) > 1:
                    axes.set_title(panel_name(OTHER[self.curves.x], value))
                drawn = draw(axes, value, panel)
                if axes.get_yscale() == "linear":  # a low panel of the usual ticks may have two
                    axes.yaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 2.5, 5, 10), min_n_ticks=4))
                axes.label_outer()
                self.drawn += [(value, curve) for curve in drawn]
            for number in range(len(self.panels), grid.size):
                above = grid.flat[number - columns]
                grid.flat[number].remove()
                above.tick_params(labelbottom=True)
                above.set_xlabel(x_label or NAMES[self.curves.x])

    def scale(self, bands: bool, whole: bool = False) -> None:
        """Limits of y by what the lines and the bars of points show, and by the bands as far as they do not
        flatten the lines; whole: by all of the bands."""
        lines = [np.asarray(line.get_ydata(), float) for axes in self.figure.axes for line in axes.lines]
        bars = [c.mean + side * c.half_width for _, c in self.drawn for side in (-1, 1) if len(c.x) == 1]
        shown = np.concatenate([*lines, *(bars if bands else []), [np.nan]])
        shown = shown[np.isfinite(shown)]
        if not len(shown):
            return
        low, high = shown.min(), shown.max()
        span = max(high - low, 0.05 * abs(high)) or 1.0
        halves = [(c.mean, np.nan_to_num(c.half_width)) for _, c in self.drawn if bands]
        floor = min([low, *(end for mean, half in halves for end in mean - half)])
        ceiling = max([high, *(end for mean, half in halves for end in mean + half)])
        beyond = math.inf if whole else BEYOND * span
        low, high = max(floor, low - beyond), min(ceiling, high + beyond)
        self.figure.axes[0].set_ylim(low - 0.05 * span, high + 0.05 * span)

    def finish(self, first: str, last: Sequence[str]) -> Figure:
        """The figure, with a note ahead of the others and some behind. Raises InputError if it is empty."""
        if not any(len(curve.x) for _, curve in self.drawn):
            why = " ".join(self.notes)
            raise InputError(f"there is nothing to draw. {why}")
        genie = any(curve.genie for _, curve in self.drawn)
        with mpl.rc_context(PAPER):
            add_footer(
                self.figure,
                self.height,
                self.entries,
                [first, *self.notes, *last]
                + ["genie: side information free and error-free, for comparison only."] * genie,
            )
        return self.figure
