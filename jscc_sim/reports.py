"""One self-contained HTML page of a table of results: tables, figures, how each was made and on what.

Nothing in the page asks for anything outside it: style inline, figures as data URIs, and a content
security policy under which a browser would refuse to.
"""

from __future__ import annotations

import base64
import html
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jscc_sim.errors import InputError
from jscc_sim.metrics import psnr_of_mse
from jscc_sim.plots.curves import gain_figure, outage_figure, quality_figure
from jscc_sim.plots.gains import with_gains
from jscc_sim.plots.page import NAMES
from jscc_sim.plots.series import Curves, coders
from jscc_sim.plots.style import figure_bytes
from jscc_sim.plots.table import (
    COLUMN_OF,
    CONTRACT,
    MEASURES,
    OTHER,
    Axis,
    check_table,
    format_value,
    further_metrics,
    published_metrics,
)
from jscc_sim.statistics import FEWEST, Interval, interval
from jscc_sim.versions import version_of

MADE_WITH = ("jscc_sim", "matplotlib", "numpy", "pandas")
MOST_VALUES, MOST_FAILURES = 12, 50
OUTCOMES = frozenset({
    *("key", "height", "width", "budget_uses", "uses", "header_uses", "cbr", "mse", "outage", "seconds"),
    *("coder", "papr_db"),
    *("status", "belief", "margin", "ratio_blocks", "stage_seconds", "error", *MEASURES),
})  # fmt: skip
"""Columns that do not say what was run."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
body {{ font: 15px/1.45 system-ui, sans-serif; color: #222; max-width: 68em }}
body {{ margin: 2em auto; padding: 0 1em }}
h1 {{ font-size: 1.5em }} h2 {{ font-size: 1.15em; margin-top: 2em }}
table {{ border-collapse: collapse; font-size: 0.85em; font-variant-numeric: tabular-nums }}
th, td {{ padding: 0.2em 0.7em; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top }}
td.number, td:first-child {{ white-space: nowrap }} td.number {{ text-align: right }}
.wide {{ overflow-x: auto }} figure {{ margin: 1em 0 }} img {{ max-width: 100%; background: #fff }}
figcaption, .how {{ color: #555; font-size: 0.85em }} code {{ background: #f3f3f3; overflow-wrap: anywhere }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def report(
    table: pd.DataFrame,
    title: str,
    *,
    source: str = "TABLE.csv",
    options: str = "",
    references: pd.DataFrame | None = None,
    other_pictures: bool = False,
    parents: Mapping[str, str] | None = None,
) -> str:
    """The page. table: one row per trial; source, options: the name of its file, and what the commands
    beside the figures must add to draw the same; references, other_pictures, parents: see
    `plots.curves.quality_figure`.

    Raises InputError.
    """
    table = check_table(table, source)
    parts = [
        _summary(table),
        *_figures(table, f"{source}{options}", references, other_pictures, parents),
        _points(table),
        _gains(table, parents),
        _troubles(table),
        _provenance(table),
        _paragraph("Page made with " + ", ".join(f"{name} {version_of(name)}" for name in MADE_WITH)
                   + f", Python {platform.python_version()}."),
    ]  # fmt: skip
    return PAGE.format(title=html.escape(title), body="\n".join(filter(None, parts)))


def _summary(table: pd.DataFrame) -> str:
    counts = table["status"].value_counts()
    trials = ", ".join(
        f"{counts[status]} {status}" for status in ("ok", "infeasible", "failed") if status in counts
    )
    lost = int(table.loc[table["status"] == "ok", "outage"].sum())
    genie = (table["side_info"] == "genie").any()
    images = table["image"].nunique()
    words = [
        f"{len(table)} trials ({trials}) on {images} images; {lost} frames lost in outages.",
        "CBR is complex channel uses per colour sample, header and ratio map included; SNR is Es/N0, the "
        "average under fading; a lost frame counts as a mid-grey picture. Intervals are 95 % over images, "
        f"and not shown for fewer than {FEWEST}.",
        "Rows marked genie have free and error-free side information: for comparison only." if genie else "",
    ]
    return "\n".join(_paragraph(line) for line in words if line)


def _figures(
    table: pd.DataFrame,
    source: str,
    references: pd.DataFrame | None,
    other_pictures: bool,
    parents: Mapping[str, str] | None,
) -> Iterator[str]:
    """Every figure that the table has points for; what cannot be drawn says why."""
    axes: list[Axis] = [axis for axis in COLUMN_OF if table[COLUMN_OF[axis]].nunique() > 1] or ["cbr"]
    policies = set(table["policy"])
    yield "<h2>Figures</h2>"
    for x in axes:
        for y in (*MEASURES, *further_metrics(table)):
            published = references if references is not None and y in published_metrics(references) else None
            draw = partial(quality_figure, table, x, y, width="full", references=published,
                           other_pictures=other_pictures, parents=parents)  # fmt: skip
            if table[y].notna().any():
                added = (
                    "" if published is None else " --reference FILE" + " --other-pictures" * other_pictures
                )
                yield _figure(draw, f"{source} --x {x} --y {y}{added}")
        if "uniform" in policies and len(policies) > 1:
            draw = partial(gain_figure, table, x, width="full", parents=parents)
            yield _figure(draw, f"{source} --x {x} --y gain_db")
        if table["outage"].any():
            yield _figure(partial(outage_figure, table, x, width="full"), f"{source} --x {x} --y outage")


def _figure(draw: Callable[[], Figure], words: str) -> str:
    how = html.escape(f"jscc-sim plot {words} --width full --out FIGURE.svg")
    try:
        data = base64.b64encode(figure_bytes(draw(), "svg")).decode()
    except InputError as error:
        return f'<p class="how"><code>{how}</code>: {html.escape(str(error))}</p>'
    image = f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{data}">'
    return f"<figure>{image}<figcaption><code>{how}</code></figcaption></figure>"


def _points(table: pd.DataFrame) -> str:
    """Every point of every curve, with what the figures do not show."""
    known = [name for name in (*MEASURES, *further_metrics(table)) if table[name].notna().any()]
    measured = [name for name in known if name != "psnr_db"]
    head = ["scheme", "SNR dB", "CBR budget", "images", "frames", "CBR spent", "header", "PSNR dB",
            "of mean MSE", "without outages", *(NAMES.get(name, name) for name in measured), "outage",
            "coder", "PAPR dB", "seconds"]  # fmt: skip
    rows = []
    for (scheme, snr_db, budget), group in _places(table, table):
        good = group[group["status"] == "ok"]
        where = [
            scheme,
            f"{snr_db:g}",
            format_value("cbr_budget", budget),
            good["image"].nunique(),
            len(good),
        ]
        if not len(good):
            rows.append(
                [*where, *[""] * (len(head) - len(where) - 1), "/".join(sorted(set(group["status"])))]
            )
            continue
        each = good.groupby("image")
        arrived = good[~good["outage"]]
        kept = _of_images(arrived, "psnr_db").reindex(each.groups)
        psnr_mse = psnr_of_mse(each["mse"].mean().mean())
        rows.append(
            [
                *where,
                f"{each['cbr'].mean().mean():.5f}",
                f"{good['header_uses'].sum() / max(good['uses'].sum(), 1):.2%}",
                _spread(_of_images(good, "psnr_db"), 2),
                "" if psnr_mse is None else f"{psnr_mse:.2f}",
                f"{_spread(kept, 2)}, {len(arrived)} frames" if 0 < len(arrived) < len(good) else "",
                *(_spread(_of_images(good, y), 4) for y in measured),
                f"{good['outage'].mean():.2%}",
                _coders(good),
                _spread(each["papr_db"].mean(), 1),
                f"{good['seconds'].mean():.2f}",
            ]
        )
    return _table(
        "Points",
        "Means over images; where some have no value (a lossless picture no PSNR, one of which no frame "
        "arrived none without outages), over how many that have. frames: images times repeats.",
        head,
        rows,
    )


def _coders(rows: pd.DataFrame) -> str:
    """`conv`, or `conv 21, linear 3` where frames have several."""
    counts = coders(rows)
    return next(iter(counts), "") if len(counts) < 2 else ", ".join(f"{n} {c}" for n, c in counts.items())


def _gains(table: pd.DataFrame, parents: Mapping[str, str] | None) -> str:
    gains = with_gains(table, parents)
    rows = []
    for (scheme, snr_db, budget), group in _places(gains, table):
        each = group.groupby("image")["gain_db"].mean().dropna()
        if len(each):
            where = [scheme, f"{snr_db:g}", format_value("cbr_budget", budget), len(each)]
            rows.append([*where, _spread(each, 3), f"{each.min():.3f}", f"{each.max():.3f}"])
    how = (
        "Image by image, against uniform's lower convex envelope in the (uses, MSE) plane; paired intervals."
    )
    head = ["scheme", "SNR dB", "CBR budget", "images", "gain dB", "least", "most"]
    return _table("Gain over uniform", how, head, rows) if rows else ""


def _places(rows: pd.DataFrame, table: pd.DataFrame) -> list[tuple[tuple[str, float, float], pd.DataFrame]]:
    """((label, snr_db, cbr_budget), rows), with the labels and in the order of the whole table's figures."""
    curves = Curves(table, "cbr")
    places: list[tuple[tuple[str, float, float], pd.DataFrame]] = []
    for key, side_info, mine in curves.groups(rows):
        label = curves.labels[key] + (" (genie)" if side_info == "genie" else "")
        keys = [COLUMN_OF[OTHER["cbr"]], COLUMN_OF["cbr"]]
        places += [((label, snr_db, budget), rows) for (snr_db, budget), rows in mine.groupby(keys)]
    return places


def _troubles(table: pd.DataFrame) -> str:
    bad = table[table["status"] != "ok"]
    if not len(bad):
        return ""
    columns = ["status", "image", "policy", "zoo", "channel", "snr_db", "cbr_budget", "repeat"]
    columns += ["error"] if "error" in bad else []
    columns += ["seed"]  # last: it is long, and for whoever repeats the trial
    shown = bad.head(MOST_FAILURES)
    rows = [[format_value(name, row[name]) for name in columns] for row in shown.to_dict("records")]
    how = "Left out of every curve." + (
        f" The first {len(shown)} of {len(bad)}." if len(bad) > len(shown) else ""
    )
    return _table("Infeasible and failed trials", how, columns, rows)


def _provenance(table: pd.DataFrame) -> str:
    """Every column that says what was run, with its values."""
    columns = [name for name in table if name in CONTRACT] + [name for name in table if name not in CONTRACT]
    outcomes = {*OUTCOMES, *further_metrics(table)}
    given = {name for name in columns if table[name].replace("", np.nan).notna().any()}
    columns = [name for name in columns if name in given - outcomes]
    rows = []
    for name in columns:
        values = list(dict.fromkeys(format_value(name, value) for value in table[name].dropna()))
        many = f"{len(values)} different values, such as {values[0]}" if len(values) > MOST_VALUES else ""
        rows.append([name, many or ", ".join(values)])
    return _table(
        *("What was run, and on what", "Columns of the table that identify its trials."),
        *(["", "values"], rows),
        aligned=False,
    )


def _of_images(rows: pd.DataFrame, y: str) -> pd.Series:
    """Mean of each image's frames; none where one of them has no value."""
    return rows.groupby("image")[y].agg(lambda values: values.mean(skipna=False))


def _spread(values: Any, places: int) -> str:
    """Mean and half-width of the interval, if there are enough values to show one, and how many values there
    are if not all; empty without."""
    every = np.asarray(values, float)
    sample = every[np.isfinite(every)]
    if not len(sample):
        return ""
    result: Interval = interval(sample)
    fewer = f" ({len(sample)} of {len(every)} images)" if len(sample) < len(every) else ""
    return f"{result.text(places)}{fewer}"


def _table(
    title: str, how: str, head: Sequence[str], rows: Sequence[Sequence[Any]], aligned: bool = True
) -> str:
    """aligned: whether cells that begin with a number are one, and not a list that needs more than a line."""

    def cells(tag: str, values: Sequence[Any]) -> str:
        looks = (_align(value) if aligned else "" for value in values)
        return "".join(
            f"<{tag}{look}>{html.escape(str(value))}</{tag}>"
            for look, value in zip(looks, values, strict=True)
        )

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<h2>{html.escape(title)}</h2>\n<p class="how">{html.escape(how)}</p>\n<div class="wide"><table>\n'
        f"<thead><tr>{cells('th', head)}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _align(value: Any) -> str:
    return ' class="number"' if str(value)[:1].isdigit() or str(value)[:2].strip("-")[:1].isdigit() else ""


def _paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>"
