"""The third tab: rows of a sweep that was run elsewhere, as figures."""

from __future__ import annotations

import os
import shlex
from functools import lru_cache

import pandas as pd

from jscc_sim.api import load, plot
from jscc_sim.demo import markup
from jscc_sim.errors import InputError, JsccError, counted, one_line
from jscc_sim.plots.table import MEASURES, Axis, further_metrics, select

ALWAYS = (*MEASURES, "gain_db", "outage")
"""What can be drawn of any table."""


def measures(source: str) -> list[str]:
    """What can be drawn of a file: its metrics, gain and outage; ALWAYS if it is no table."""
    try:
        return [*MEASURES, *further_metrics(_table(source)), "gain_db", "outage"]
    except JsccError:
        return list(ALWAYS)


def results_figure(source: str, axis: Axis, y: str, where: str = "") -> tuple[str, str]:
    """(HTML, command line of the same) of a store or a CSV. axis: `cbr` or `snr_db`; y: of `measures`; where:
    conditions COLUMN=VALUE,VALUE with blanks between them. What goes wrong is said in the HTML."""
    name = os.path.basename(source)
    line = ["jscc-sim", "plot", name, "--x", axis, "--y", y, "--width", "full", "--out", "figure.pdf"]
    try:
        rows = _table(source)
        for condition in shlex.split(where):
            column, equals, values = condition.partition("=")
            if not equals:
                raise InputError(f"{condition} is not COLUMN=VALUE")
            rows = select(rows, column, values.split(","))
            line += ["--where", condition]
        drawn = markup.figure(plot(rows, axis, y, width="full"), f"{y} over {axis}")
    except ValueError as error:  # of shlex: a quotation mark that nothing closes
        return markup.whole(markup.error(f"where {where}: {one_line(error)}")), ""
    except JsccError as error:
        return markup.whole(markup.error(one_line(str(error).replace(source, name)))), ""
    said = f"{name}: {counted(len(rows), 'row')}, {counted(rows['image'].nunique(), 'picture')}"
    return markup.whole(markup.note(said), drawn), shlex.join(line)


@lru_cache(maxsize=2)
def _table(source: str) -> pd.DataFrame:
    return load(source)
