"""Tables of results in, curves and bars out: quality, gain over uniform, outage.

Every function takes a table with one row per trial (the columns of `table.CONTRACT`) and returns a
figure with one panel per SNR (over CBR) or per CBR budget (over SNR). A point is a mean over images, and
is left out, and named below, unless every image of its curve has a value there: means over different
pictures do not compare.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
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
from jscc_sim.plots import style
from jscc_sim.plots.differences import chosen_rows, differences
from jscc_sim.plots.gains import envelopes, has_uniform, why_no_gain, with_gains
from jscc_sim.plots.series import Curve, Curves, completed_beliefs
from jscc_sim.plots.style import PAPER, WIDTHS, Width, add_footer, paper_figure
from jscc_sim.plots.table import (
    COLUMN_OF,
    MEASURES,
    OTHER,
    SCHEME,
    Axis,
    as_fraction,
    check_table,
    further_metrics,
    measured_by,
    of_other_pictures,
    panel_name,
    place_name,
    published_metrics,
    stated,
)
from jscc_sim.statistics import FEWEST

NAMES = {
    "cbr": "channel bandwidth ratio (CBR)",
    "snr_db": "SNR (dB)",
    **{metric.column: metric.label for metric in METRICS.values()},
}
MANY, SINGLE = {1: "bars", 2: "bands"}, {1: "dots", 2: "thin lines"}
"""What stands for the spread of a point, and of a curve of more: of many images, and of few."""

MOST_PANELS, MOST_CURVES = 12, 12
MOST_TICKS = 10
"""SNRs that each have their tick."""

BEYOND = 0.25
"""How far beyond the lines an axis may reach for the bands, as a share of what the lines span."""

NEARLY_ALL = 0.95
"""Share of a budget; whoever spends less is named where the axis does not show it."""

_log = logging.getLogger(__name__)

Draw = Callable[[Axes, float, pd.DataFrame], "list[Curve]"]


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
    page = _Page(curves, width)
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
    page.note(_compared(curves, reference, relative_to) if relative_to else "")
    shapes = sorted({min(len(curve.x), 2) for _, curve in page.drawn} - {0}, reverse=True)
    many, single = (" and ".join(words[n] for n in shapes) for words in (MANY, SINGLE))
    paired = "paired " if relative_to else ""
    page.note(_over_images(page, many, single, paired) if bands and shapes else _means(page))
    page.note(*_left_out(page), *(_unspent(page) if x == "snr_db" else []))
    page.note(_lost(curves.table) if outages else _arrived(page))
    if references is not None:
        page.note(*_published(x, sources, left_out))
    return page.finish()


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
    page = _Page(curves, width, rows=gains[compared])

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
    page.note(_over_images(page, "whiskers", "dots", "paired "))
    page.note(*_left_out(page), *_unspent(page))
    named = ", ".join(dict.fromkeys(without))
    page.note(f"Without uniform frames, so not compared: {named}." if without else "")
    page.note(_lost(gains[compared]) if outages else _arrived(page))
    return page.finish()


def outage_figure(table: pd.DataFrame, x: Axis = "snr_db", *, width: Width = "column") -> Figure:
    """Share of frames that are lost, with exact 95 % intervals; where none was lost, the end of
    the interval as a bound, which no line joins. Errors as for `quality_figure`."""
    curves = Curves(check_table(table), x)
    page = _Page(curves, width)
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
    page.note(*_left_out(page), *(_unspent(page) if x == "snr_db" else []))
    return page.finish()


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


class _Page:
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

    def finish(self) -> Figure:
        """The figure. Raises InputError if nothing is in it."""
        if not any(len(curve.x) for _, curve in self.drawn):
            why = " ".join(self.notes)
            raise InputError(f"there is nothing to draw. {why}")
        everywhere = _conditions(self.curves)
        genie = any(curve.genie for _, curve in self.drawn)
        with mpl.rc_context(PAPER):
            add_footer(
                self.figure,
                self.height,
                self.entries,
                [everywhere, *self.notes, *_coders(self)]
                + ["genie: side information free and error-free, for comparison only."] * genie,
            )
        return self.figure


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


def _published(x: Axis, sources: Sequence[str], left_out: str) -> list[str]:
    """What is said of published curves, that there are none too."""
    if not sources:
        why = "they are of other pictures" if left_out else "none is for these conditions"
        _log.warning("no published curve over %s is drawn: %s", x, why)
    named = [f"[{number}] {source}." for number, source in enumerate(sources, 1)]
    return [*named, left_out or "No published curve is for these conditions." * (not named)]


def _compared(curves: Curves, reference: pd.DataFrame, chosen: Sequence[str]) -> str:
    """To what differences are, by its label where it has one."""
    labels = {curves.labels[key] for key, *_ in curves.groups(reference)}
    name = labels.pop() if len(labels) == 1 else ", ".join(chosen)
    return f"Differences to {style.plain(name)}, image by image."


def _draw_references(
    page: _Page,
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


def _conditions(curves: Curves) -> str:
    """What all curves have in common."""
    table = curves.table
    words = []
    symbols = set(table["waveform"]) == {""}
    for column in ("system", "zoo", "policy", "precision", "waveform", "channel", "csi", "equaliser"):
        if column in ("csi", "equaliser") and symbols and set(table["channel"]) == {"awgn"}:
            continue
        if column == "waveform" and symbols:
            continue
        values = stated(table[column])
        if len(values) == 1:
            name = {"zoo": "zoo ", "policy": "policy ", "csi": "CSI ", "equaliser": "equaliser "}.get(
                column, ""
            )
            words.append(name + values.pop())
    panels = curves.panels()
    if len(panels) == 1:
        words.append(panel_name(OTHER[curves.x], panels[0][0]))
    return f"{', '.join(words)}." if words else ""


def _over_images(page: _Page, what: str, single: str, kind: str = "") -> str:
    """Over how many images the means are, and what is drawn about them: `what` of many, `single` of few."""
    counts = {curve.images for _, curve in page.drawn}
    if counts <= {1}:
        return "One image: no interval." if counts else ""
    few = (
        f"; {single}: the single images, too few for an interval"
        if any(1 < n < FEWEST for n in counts)
        else ""
    )
    many = f"; {what}: {kind}95 % intervals over images" if max(counts) >= FEWEST else ""
    return f"{_means(page)[:-1]}{many}{few}."


def _means(page: _Page) -> str:
    counts = sorted({curve.images for _, curve in page.drawn})
    if not counts:
        return ""
    one = f"{counts[0]} image{'s' * (counts[0] > 1)}"
    number = one if len(counts) == 1 else f"{counts[0]} to {counts[-1]} (not the same for every curve) images"
    return f"Mean over {number}."


def _left_out(page: _Page) -> list[str]:
    """A note on the points without a value: which, why, and for how many of the images. What holds of every
    point, as of a measure that pictures are too small for, is said once."""
    x, several = page.curves.x, len(page.panels) > 1
    everywhere = _of_every_point(page)
    places: dict[tuple[str, float, str], list[tuple[float, int, int]]] = {}
    for value, curve in page.drawn:
        for point in curve.left_out:
            label, at = ("", 0.0) if point.why in everywhere else (curve.label, point.at)
            places.setdefault((label, at, point.why), []).append((value, point.images, curve.images))
    words = []
    for (label, at, why), found in places.items():
        fewest, most = (pick(lost for _, lost, _ in found) for pick in (min, max))
        counts = f"{fewest}" if fewest == most else f"{fewest} to {most}"
        where = "".join(f", {place_name(OTHER[x], value)}" for value, _, _ in found) if several else ""
        place = "every point" if why in everywhere else f"{label} at {place_name(x, at)}{where}"
        words.append(f"{place} ({why}: {counts} of {max(count for _, _, count in found)} images)")
    return [f"Left out: {'; '.join(words)}."] if words else []


def _of_every_point(page: _Page) -> set[str]:
    """Why every point of every curve is left out: reasons that they share, of several points."""
    points = [
        {point.why for point in curve.left_out if point.at == at}
        for _, curve in page.drawn
        for at in {*curve.at, *(point.at for point in curve.left_out)}
    ]
    return set.intersection(*points) if len(points) > 1 else set()


def _coders(page: _Page) -> list[str]:
    """A note on curves whose frames were not all coded by the same coder, and that the zoo's own."""
    places: dict[tuple[str, str], list[float]] = {}
    for value, curve in page.drawn:
        if curve.coded_by:
            places.setdefault((curve.label, curve.coded_by), []).append(value)
    alike: dict[tuple[str, str], list[str]] = {}
    for (label, coded_by), values in places.items():
        alike.setdefault((coded_by, _in_panels(page, values)), []).append(label)
    words = [f"{'; '.join(labels)} by {coded_by}{where}" for (coded_by, where), labels in alike.items()]
    return [f"Coded: {'; '.join(words)}."] if words else []


def _unspent(page: _Page) -> list[str]:
    """A note on curves that spend much less than their budget, where the axis does not show what is spent."""
    least: dict[str, float] = {}
    for _, curve in page.drawn:
        least[curve.label] = min(curve.spent, least.get(curve.label, 1.0))
    words = [f"{label} {spent:.0%}" for label, spent in least.items() if spent < NEARLY_ALL]
    return [f"Spent of the budget at least: {', '.join(words)}."] if words else []


def _arrived(page: _Page) -> str:
    """How many frames the means are of that are not of all."""
    words = []
    for value, curve in page.drawn:
        points = [
            f"{frames:.0f} of {frames + lost:.0f} at {place_name(page.curves.x, at)}"
            for at, frames, lost in zip(curve.at, curve.frames, curve.lost, strict=True)
            if lost
        ]
        if points:
            words.append(f"{curve.label}{_in_panels(page, [value])} {', '.join(points)}")
    fewer = f" Means over fewer: {'; '.join(words)}." if words else ""
    return f"Frames lost in outages are left out.{fewer}"


def _in_panels(page: _Page, values: Sequence[float]) -> str:
    """` (10 dB, 20 dB)`, where there are several panels."""
    places = ", ".join(place_name(OTHER[page.curves.x], value) for value in values)
    return f" ({places})" if len(page.panels) > 1 else ""


def _lost(table: pd.DataFrame) -> str:
    sent = table[table["status"] == "ok"]
    lost = int(sent["outage"].sum())
    return f"{lost} of {len(sent)} frames were lost, and count as mid-grey." if lost else ""
