"""`plot` and `report`: from a table of results to a figure, or to a page with all of them."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from jscc_sim.cli.outputs import replaces_nothing, say_written, writable
from jscc_sim.errors import InputError, printable
from jscc_sim.files import write_whole
from jscc_sim.plots import check_figure_path, save_figure
from jscc_sim.plots.curves import gain_figure, outage_figure, quality_figure
from jscc_sim.plots.results_file import read_results
from jscc_sim.plots.table import read_references, select


def plot(arguments: argparse.Namespace) -> int:
    """Draw one figure."""
    check_figure_path(arguments.out)
    replaces_nothing(arguments, arguments.out)
    writable(arguments.out)
    for name in ("reference", "no_bands", "relative_to"):
        if getattr(arguments, name) and arguments.y in ("gain_db", "outage"):
            raise InputError(f"--{name.replace('_', '-')} is of means of quality, not of {arguments.y}")
    references = _references(arguments.reference)
    parents = _parents(arguments.parent)
    table = _selected(read_results(arguments.file), arguments.where)
    x, width, outages = arguments.x, arguments.width, not arguments.without_outages
    if arguments.y == "outage":
        figure = outage_figure(table, x, width=width)
    elif arguments.y == "gain_db":
        figure = gain_figure(table, x, width=width, parents=parents, outages=outages)
    else:
        figure = quality_figure(
            table,
            x,
            arguments.y,
            width=width,
            references=references,
            other_pictures=arguments.other_pictures,
            parents=parents,
            outages=outages,
            bands=not arguments.no_bands,
            label=arguments.y_label,
            relative_to=arguments.relative_to,
        )
    save_figure(figure, arguments.out)
    print(arguments.out)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the page."""
    from jscc_sim.reports import report as page

    replaces_nothing(arguments, arguments.out)
    writable(arguments.out)
    references, parents = _references(arguments.reference), _parents(arguments.parent)
    table = _selected(read_results(arguments.file), arguments.where)
    title = arguments.title or f"Results of {Path(arguments.file).stem}"
    given = [("--where", word) for word in arguments.where] + [
        ("--parent", word) for word in arguments.parent
    ]
    options = "".join(f" {option} {shlex.quote(word)}" for option, word in given)
    source = shlex.quote(Path(arguments.file).name)
    text = page(table, title, source=source, options=options, references=references,
                other_pictures=arguments.other_pictures, parents=parents)  # fmt: skip
    write_whole(arguments.out, lambda handle: handle.write(printable(text).encode()))
    say_written(arguments.out, f"{len(table)} trials, {len(text) / 1e6:.1f} MB")
    return 0


def _selected(table: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    for condition in conditions:
        column, equals, values = condition.partition("=")
        if not equals:
            raise InputError(f"--where {condition} is not COLUMN=VALUE")
        table = select(table, column, values.split(","))
    return table


def _references(paths: Sequence[str]) -> pd.DataFrame | None:
    """Published curves of the files, and of every CSV of the folders."""
    files = [
        file
        for path in paths
        for file in (sorted(Path(path).glob("*.csv")) if Path(path).is_dir() else [path])
    ]
    if paths and not files:
        raise InputError(f"folder {paths[0]} holds no CSV of published curves")
    return read_references(files) if files else None


def _parents(pairs: Sequence[str]) -> dict[str, str]:
    parents = {}
    for pair in pairs:
        zoo, equals, parent = pair.partition("=")
        if not equals:
            raise InputError(f"--parent {pair} is not ZOO=PARENT")
        parents[zoo] = parent
    return parents
