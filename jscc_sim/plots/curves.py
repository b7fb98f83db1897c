"""Tables of results in, curves and bars out: quality, gain over uniform, outage.

Every function takes a table with one row per trial (the columns of `table.CONTRACT`) and returns a
figure with one panel per SNR (over CBR) or per CBR budget (over SNR). A point is a mean over images, and
is left out, and named below, unless every image of its curve has a value there: means over different
pictures do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jscc_sim.errors import InputError
from jscc_sim.plots import footnotes, style
from jscc_sim.plots.differences import chosen_rows, differences
from jscc_sim.plots.gains import envelopes, has_uniform, why_no_gain, with_gains
from jscc_sim.plots.page import NAMES, Page
from jscc_sim.plots.series import Curve, Curves, completed_beliefs
from jscc_sim.plots.style import PAPER, WIDTHS, Width, add_footer, paper_figure
from jscc_sim.plots.table import (
    MEASURES,
    OTHER,
    SCHEME,
    Axis,
    as_fraction,
    check_table,
    further_metrics,
    measured_by,
    of_other_pictures,
    published_metrics,
)
from jscc_sim.statistics import FEWEST

MANY, SINGLE = {1: "bars", 2: "bands"}, {1: "dots", 2: "thin lines"}
"""What stands for the spread of a point, and of a curve of more: of many images, and of few."""


def quality_figure(
    table: pd.DataFrame,
    x: Axis = "cbr",
    y: str = "psnr_db",
    *,
    width: Width = "column",
    references: pd.DataFrame | None = None,
    other_pictures: bool = False,
    parents: Mapping[str, str] | None = None,
    outages: bool = True,
    bands: bool = True,
    label: str = "",
    relative_to: Sequence[str] = (),
) -> Figure:
    """Mean quality, y the column of any metric, called `label` on the axis, over CBR (as spent) or SNR, with
    95 % bands over images, or, of fewer than FEWEST, a thin line for each; of a curve that is one point a
    bar, or dots; bands: whether there are any. The axis is scaled by the lines.

    PSNR over CBR also shows uniform's lower envelope where other policies are in the table; references:
    published curves of `read_references`, drawn thin; other_pictures: whether those of other
    pictures than the table's are drawn too, and marked; parents: see `with_gains`; outages:
    whether lost frames count, as mid-grey; relative_to: `COLUMN=VALUE` of the curve that differences to it
    are drawn of, image by image, such as `system=hevc+ldpc`. Raises InputError.
    """
    known = [*MEASURES, *further_metrics(table)]
    if y not in known:
        raise InputError(f"{y!r} is none of the table's metrics, which are {', '.join(known)}")
    if references is not None and y not in published_metrics(references):
        raise InputError(f"published curves give {', '.join(published_metrics(references))}, not {y}")
    if references is not None and relative_to:
        raise InputError("published curves have no single images: there are no differences to them")
    checked = measured_by(check_table(table), y)
    reference = checked
    if relative_to:
        checked = completed_beliefs(checked) if x == "snr_db" else checked
        reference = chosen_rows(checked, relative_to)
        checked = differences(checked, y, relative_to, outages)
    curves = Curves(checked, x, outages)
    page = Page(curves, width)
    sources: list[str] = []
    left_out = ""
    if references is not None:
        references, left_out = _comparable(references, curves.table, other_pictures)

    def draw(axes: Axes, value: float, rows: pd.DataFrame) -> list[Curve]:
        drawn = list(curves.of(rows, y))
        for curve in drawn:
            line = _line(axes, curve)
            if len(curve.at):
                page.add(curve.label, line)
            if bands:
                _draw_spread(axes, curve)
        if x == "cbr" and y == "psnr_db" and not relative_to:
            for below in envelopes(rows if outages else rows[~rows["outage"]], parents):
                (line,) = axes.plot(below.cbr, below.psnr_db, linewidth=0.8, linestyle=(0, (1, 1.5)))
                line.set_color(style.COLOURS[curves.order[below.scheme] % len(style.COLOURS)])
                page.add(f"envelope of {curves.labels[below.scheme]}", line)
        page.place(axes)
        if references is not None:
            _draw_references(page, axes, value, rows, references.dropna(subset=y), y, sources)
        if relative_to:
            axes.axhline(0, color="black", linewidth=0.6)
        said = ("difference in " if relative_to else "") + (label or NAMES.get(y, y))
        axes.set_ylabel(style.plain(said) + ("" if outages else ", without outages"))
        return drawn

    page.draw(draw)
    page.scale(bands, whole=bool(relative_to))
    page.note(footnotes.compared(curves, reference, relative_to) if relative_to else "")
    shapes = sorted({min(len(curve.x), 2) for _, curve in page.drawn} - {0}, reverse=True)
    many, single = (" and ".join(words[n] for n in shapes) for words in (MANY, SINGLE))
    paired = "paired " if relative_to else ""
    page.note(
        footnotes.over_images(page, many, single, paired) if bands and shapes else footnotes.means(page)
    )
    page.note(*footnotes.left_out(page), *(footnotes.unspent(page) if x == "snr_db" else []))
    page.note(footnotes.lost(curves.table) if outages else footnotes.arrived(page))
    if references is not None:
        page.note(*footnotes.published(x, sources, left_out))
    return _finished(page)


def gain_figure(
    table: pd.DataFrame,
    x: Axis = "cbr",
    *,
    width: Width = "column",
    parents: Mapping[str, str] | None = None,
    outages: bool = True,
) -> Figure:
    """Bars of each policy's gain in dB over uniform's lower convex envelope at equal uses, image by
    image, with paired 95 % intervals. Parameters and errors as for `quality_figure`."""
    curves = Curves(check_table(table), x, outages)
    gains = with_gains(curves.table, parents, outages)
    if not gains["gain_db"].notna().any():
        raise InputError(f"table has no gain over uniform: {why_no_gain(curves.table)}")
    compared = has_uniform(gains, curves.table, parents)
    without = [curves.labels[key] for key, *_ in curves.groups(gains[~compared])]
    page = Page(curves, width, rows=gains[compared])

    def draw(axes: Axes, _: float, rows: pd.DataFrame) -> list[Curve]:
        drawn = list(curves.of(rows, "gain_db"))
        places = sorted({at for curve in drawn for at in curve.at})
        barred = [curve for curve in drawn if len(curve.at)]
        bar = 0.8 / max(len(barred), 1)
        for number, curve in enumerate(barred):
            left = np.searchsorted(places, curve.at) + bar * (number - (len(barred) - 1) / 2)
            bars = axes.bar(
                left,
                curve.mean,
                bar,
                facecolor="white" if curve.genie else _colour(curve),
                edgecolor=_colour(curve) if curve.genie else "white",
                hatch=style.HATCHES[curve.scheme % len(style.HATCHES)],
                linewidth=0.4,
            )
            error: dict[str, Any] = {
                "elinewidth": 0.7,
                "capsize": 1.6,
                "capthick": 0.7,
                "ecolor": "black",
                "fmt": "none",
            }
            axes.errorbar(left, curve.mean, yerr=curve.half_width, **error)
            if 1 < curve.images < FEWEST:
                axes.plot(left, curve.each.T, "o", color="white", markeredgecolor="black", markersize=2.5)
            page.add(curve.label, bars)
        axes.axhline(0, color="black", linewidth=0.6)
        axes.set_xticks(range(len(places)), [as_fraction(p) if x == "cbr" else f"{p:g}" for p in places])
        axes.grid(visible=False, axis="x")
        axes.set_ylabel("gain over uniform (dB)")
        return drawn

    page.draw(draw, x_label="CBR budget" if x == "cbr" else NAMES[x])
    page.note("Gain over uniform's lower convex envelope in the (uses, MSE) plane, image by image, in dB.")
    page.note(footnotes.over_images(page, "whiskers", "dots", "paired "))
    page.note(*footnotes.left_out(page), *footnotes.unspent(page))
    named = ", ".join(dict.fromkeys(without))
    page.note(f"Without uniform frames, so not compared: {named}." if without else "")
    page.note(footnotes.lost(gains[compared]) if outages else footnotes.arrived(page))
    return _finished(page)


def outage_figure(table: pd.DataFrame, x: Axis = "snr_db", *, width: Width = "column") -> Figure:
    """Share of frames that are lost, with exact 95 % intervals; where none was lost, the end of
    the interval as a bound, which no line joins. Errors as for `quality_figure`."""
    curves = Curves(check_table(table), x)
    page = Page(curves, width)
    lowest: list[float] = []

    def draw(axes: Axes, _: float, rows: pd.DataFrame) -> list[Curve]:
        found = list(curves.outage(rows))
        drawn = [curve for curve, _ in found]
        places = np.concatenate([np.zeros(1), *(curve.x for curve in drawn)])[1:]
        span = np.ptp(places) if len(places) else 0.0
        aside = 0.012 * span * (np.arange(len(found)) - (len(found) - 1) / 2)
        for shift, (curve, (low, high)) in zip(aside, found, strict=True):
            seen, at = curve.mean > 0, curve.x + shift
            page.add(curve.label, _line(axes, curve, np.where(seen, curve.mean, np.nan)))
            axes.vlines(at[seen], low[seen], high[seen], color=_colour(curve), linewidth=0.7)
            style.draw_bounds(axes, at[~seen], high[~seen], _colour(curve))
            lowest.extend([*curve.mean[seen], *high[~seen]])
        page.place(axes)
        axes.set_yscale("log")
        axes.set_ylim(0.3 * min(lowest, default=0.1), 1.3)
        axes.set_ylabel("outage rate")
        return drawn

    page.draw(draw)
    page.note("Share of frames that are lost, over images and repeats; bars: exact 95 % intervals; "
              "arrows down from a bar: none lost, the rate is below the bar.")  # fmt: skip
    page.note(*footnotes.left_out(page), *(footnotes.unspent(page) if x == "snr_db" else []))
    return _finished(page)


def _finished(page: Page) -> Figure:
    """What all curves have in common is said first, what coded them last."""
    return page.finish(footnotes.conditions(page.curves), footnotes.coders(page))


def overhead_figure(table: pd.DataFrame, *, width: Width = "column") -> Figure:
    """The header's share of a frame over the picture's pixels, in the mean over pictures, a curve for each
    CBR budget. Frames without a header, that is a genie's, do not count. Raises InputError."""
    every = check_table(table)
    every = every[every["side_info"] != "genie"]
    rows = every[every["status"] == "ok"]
    if not len(rows):
        raise InputError("table has no frame with a header")
    if rows[[*SCHEME[:-1], "snr_db"]].drop_duplicates().shape[0] > 1:
        raise InputError("table has more than one system, channel or SNR; select one")
    pixels = (every["height"] * every["width"]).rename("pixels")
    pictures = every["image"].groupby(pixels).nunique()
    share = (rows["header_uses"] / rows["uses"]).groupby([rows["cbr_budget"], pixels])
    sent = rows["image"].groupby([rows["cbr_budget"], pixels]).nunique()
    whole = sent == pictures.reindex(sent.index.get_level_values("pixels")).to_numpy()
    with mpl.rc_context(PAPER):
        figure = paper_figure(width)
        axes = figure.subplots()
        entries: dict[str, Artist] = {}
        for number, (budget, curve) in enumerate(share.mean()[whole].groupby(level=0)):
            (entries[f"CBR {as_fraction(budget)}"],) = axes.plot(
                curve.index.get_level_values(1),
                curve.to_numpy(),
                color=style.COLOURS[number % len(style.COLOURS)],
                marker=style.MARKERS[number % len(style.MARKERS)],
                linestyle=style.DASHES[number % len(style.DASHES)],
            )
        axes.set(xscale="log", yscale="log", xlabel="pixels", ylabel="header's share of the frame")
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1.0))
        where = f"{', '.join(sorted(set(rows['channel'])))} at {rows['snr_db'].iloc[0]:g} dB"
        counts = sorted(set(pictures))
        many = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        notes = [f"Means over {many} pictures of each size; policy {rows['policy'].iloc[0]}, {where}."]
        missing = [f"{size:.0f} pixels at CBR {as_fraction(budget)}" for budget, size in sent.index[~whole]]
        notes += [f"Left out, not all pictures have a frame: {', '.join(missing)}."] * bool(missing)
        add_footer(figure, 0.3 + 0.62 * WIDTHS[width], entries, notes)
    return figure


def _line(axes: Axes, curve: Curve, values: Any = None) -> Artist:
    """Interrupted where a point is left out between others."""
    gaps = [gap.at for gap in curve.left_out if len(curve.x) and curve.x.min() < gap.at < curve.x.max()]
    x = np.concatenate([curve.x, gaps])
    y = np.concatenate([curve.mean if values is None else values, np.full(len(gaps), np.nan)])
    order = np.argsort(x, kind="stable")
    (line,) = axes.plot(
        x[order],
        y[order],
        color=_colour(curve),
        marker=style.MARKERS[curve.scheme % len(style.MARKERS)],
        linestyle=style.DASHES[curve.scheme % len(style.DASHES)],
        markerfacecolor="white" if curve.genie else _colour(curve),
        label=curve.label,
    )
    return line


def _draw_spread(axes: Axes, curve: Curve) -> None:
    """The interval of a curve as a band, of a point as a bar; or few images one by one: an interval says
    nothing."""
    point = len(curve.x) == 1
    if 1 < curve.images < FEWEST:
        look: dict[str, Any] = {"marker": "o", "markersize": 1.6} if point else {"linewidth": 0.35}
        axes.plot(curve.x, curve.each.T, color=_colour(curve), alpha=0.5, **look)
    low, high = curve.mean - curve.half_width, curve.mean + curve.half_width
    if point and np.isfinite(curve.half_width).all():
        axes.vlines(curve.x, low, high, color=_colour(curve), alpha=0.5, linewidth=0.7)
    axes.fill_between(curve.x, low, high, color=_colour(curve), alpha=0.13, linewidth=0)


def _colour(curve: Curve) -> str:
    return style.COLOURS[curve.scheme % len(style.COLOURS)]


def _comparable(
    references: pd.DataFrame, table: pd.DataFrame, other_pictures: bool
) -> tuple[pd.DataFrame, str]:
    """Published curves of the table's pictures, and a note on what is left out; or all, the others marked."""
    others = of_other_pictures(references, table)
    if not others.any():
        return references, ""
    if other_pictures:
        marked = references["scheme"].where(~others, references["scheme"] + ", other pictures")
        return references.assign(scheme=marked), ""
    sets = ", ".join(sorted(set(references.loc[others, "pictures"])))
    return references[~others], f"Published curves of other pictures ({sets}) are left out."


def _draw_references(
    page: Page,
    axes: Axes,
    value: float,
    rows: pd.DataFrame,
    references: pd.DataFrame,
    y: str,
    sources: list[str],
) -> None:
    """The published curves of a panel's channel and SNR (or CBR), within its own range."""
    x = page.curves.x
    low, high = page.limits
    fits = references["channel"].isin(set(rows["channel"])) & np.isclose(
        references[OTHER[x]], value, rtol=5e-3
    )
    fits &= references[x].between(low, high)
    for (scheme, source), points in references[fits].groupby(["scheme", "source"], sort=False):
        if source not in sources:
            sources.append(source)
        label = f"{scheme} [{sources.index(source) + 1}]"
        known = [name for name in page.entries if name.endswith("]")]
        number = known.index(label) if label in known else len(known)
        shown = points.sort_values(x)
        (line,) = axes.plot(
            shown[x],
            shown[y],
            color=style.REFERENCE,
            linewidth=0.6,
            marker=style.REFERENCE_MARKERS[number % len(style.REFERENCE_MARKERS)],
            linestyle=style.DASHES[number % len(style.DASHES)],
            markerfacecolor="none",
            markersize=4,
            markeredgewidth=0.6,
            zorder=1.5,
        )
        page.add(label, line)
