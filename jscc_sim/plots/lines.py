"""Plain curves, a panel each way of looking: for tables that are no table of trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from jscc_sim.plots.style import COLOURS, DASHES, MARKERS, PAPER, WIDTHS, Width, add_footer, paper_figure


@dataclass(frozen=True)
class Panel:
    """curves: label -> (x, y), or (x, y, half-widths of y's intervals) for a band; a NaN is a gap. A label
    has one look in all panels of a figure; x_name: how a tick at each point's x is called, else ticks are the
    usual ones; marked: whether points have markers; counts: whether x counts something, from 0 to so many;
    least_span: what the axis of y spans at least."""

    x: str
    y: str
    curves: Mapping[str, tuple[Sequence[float], ...]]
    title: str = ""
    log_x: bool = False
    x_name: Callable[[float], str] | None = None
    marked: bool = True
    counts: int | None = None
    least_span: float = 0.0


def lines_figure(panels: Sequence[Panel], notes: Sequence[str] = (), *, width: Width = "column") -> Figure:
    """The panels side by side, one legend below them, then the notes."""
    labels = list(dict.fromkeys(label for panel in panels for label in panel.curves))
    entries: dict[str, Artist] = {}
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            for label, (x, y, *half_widths) in panel.curves.items():
                number = labels.index(label)
                style = {
                    "color": COLOURS[number % len(COLOURS)],
                    "marker": MARKERS[number % len(MARKERS)] if panel.marked else "",
                    "linestyle": DASHES[number % len(DASHES)],
                }
                (entries[label],) = axes.plot(np.asarray(x), np.asarray(y), **style)
                for half in half_widths:
                    low, high = np.subtract(y, half), np.add(y, half)
                    axes.fill_between(np.asarray(x), low, high, color=style["color"], alpha=0.13, linewidth=0)
            axes.set(xlabel=panel.x, ylabel=panel.y, title=panel.title)
            if panel.log_x:
                axes.set_xscale("log")
            if panel.x_name is not None:
                places = sorted({float(at) for x, *_ in panel.curves.values() for at in x})
                axes.set_xticks(places, [panel.x_name(at) for at in places])
                axes.minorticks_off()
            if panel.counts is not None:
                axes.set_xlim(0, 1.03 * panel.counts)
                axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator("auto", integer=True))
            low, high = axes.get_ylim()
            if high - low < panel.least_span:
                axes.set_ylim((low + high - panel.least_span) / 2, (low + high + panel.least_span) / 2)
        add_footer(figure, 0.3 + 0.75 * WIDTHS[width] / len(panels), entries, notes)
    return figure
