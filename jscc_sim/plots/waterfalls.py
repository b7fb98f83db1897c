"""Block error rates over SNR, a curve a mode, and image loss by decoding beside image loss by lot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from jscc_sim.plots.style import (
    COLOURS,
    DASHES,
    MARKERS,
    PAPER,
    WIDTHS,
    Width,
    add_footer,
    draw_bounds,
    paper_figure,
)
from jscc_sim.statistics import proportion

MODULATIONS = ("qpsk", "16qam", "64qam", "256qam")
FLOOR = 2e-4


def waterfall_figure(table: pd.DataFrame, *, width: Width = "full") -> Figure:
    """table: mode, block_bits, snr_db, blocks, errors, as coding/waterfalls.csv has them. A panel for each
    block length; whiskers are exact 95 % intervals, an arrow where no block was lost."""
    lengths = sorted(table["block_bits"].unique(), reverse=True)
    entries: dict[str, Artist] = {}
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        panels = figure.subplots(len(lengths), 1, sharex=True, squeeze=False)[:, 0]
        for axes, length in zip(panels, lengths, strict=True):
            for mode, curve in table[table["block_bits"] == length].groupby("mode", sort=False):
                number = MODULATIONS.index(str(mode).partition("-")[0])
                style = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 0.8}
                seen = curve["errors"].to_numpy() > 0
                ends = _ends(curve["errors"], curve["blocks"])
                at, rate = curve["snr_db"].to_numpy(), (curve["errors"] / curve["blocks"]).to_numpy()
                (line,) = axes.plot(at[seen], rate[seen], marker=MARKERS[number], markersize=2, **style)
                axes.vlines(at[seen], ends[0][seen], ends[1][seen], color=COLOURS[number], linewidth=0.6)
                draw_bounds(axes, at[~seen], ends[1][~seen], COLOURS[number])
                entries.setdefault(MODULATIONS[number], line)
            axes.set(yscale="log", ylim=(FLOOR, 1.3), ylabel="block error rate")
            axes.set_title(f"{length} information bits a block")
        panels[-1].set_xlabel("SNR (dB)")
        rates = {m: [r for r in dict.fromkeys(table["mode"]) if r.startswith(m + "-")] for m in MODULATIONS}
        words = [f"{m}: {', '.join(name.partition('-')[2] for name in names)}" for m, names in rates.items()]
        notes = [
            f"AWGN. Code rates times 1024, from left to right: {'; '.join(words)}.",
            "Whiskers: exact 95 % intervals; arrows: no block lost, the rate is below.",
        ]
        add_footer(figure, len(lengths) * (0.3 + 0.3 * WIDTHS[width]), entries, notes)
    return figure


def agreement_figure(
    snr_db: Sequence[float], lost: Mapping[str, Sequence[int]], frames: int, *, width: Width = "column"
) -> Figure:
    """Share of images lost over SNR. lost: way of running the chain -> how many of `frames` at each SNR."""
    entries: dict[str, Artist] = {}
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        axes = figure.subplots()
        for number, (name, counts) in enumerate(lost.items()):
            at = np.asarray(snr_db) + 0.012 * (number - (len(lost) - 1) / 2)
            ends = _ends(counts, [frames] * len(at))
            rate = np.asarray(counts) / frames
            (entries[name],) = axes.plot(
                at, rate, color=COLOURS[number], marker=MARKERS[number], linestyle=DASHES[number]
            )
            axes.vlines(at, ends[0], ends[1], color=COLOURS[number], linewidth=0.7)
        axes.set(xlabel="SNR (dB)", ylabel="share of images lost", ylim=(-0.03, 1.03))
        notes = [f"{frames} frames a point and way; bars: exact 95 % intervals."]
        add_footer(figure, 0.3 + 0.62 * WIDTHS[width], entries, notes)
    return figure


def _ends(counts: Sequence[int], trials: Sequence[int]) -> np.ndarray:
    """[2, N] exact 95 % intervals."""
    return np.array([proportion(int(c), int(n)) for c, n in zip(counts, trials, strict=True)]).T
