"""What the pages take from the package when they are built, so that no page repeats it.

{commands}         every command with its options, from the parser
{listing} KIND     what there is to choose from, as `jscc-sim KIND` lists it
{means} TABLE      means of a table in results/, and what made it

Docstrings, which are plain text with `code`, become reStructuredText.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective

from jscc_sim import listings
from jscc_sim.cli import build_parser

RESULTS = Path(__file__).resolve().parent.parent / "results"
HEADERS = {"cbr_fraction": "CBR {}", "snr_db": "{:g} dB"}
"""Of columns that stand for values of these."""

WIDTH = 88
"""Of a usage, in characters."""


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        """See Directive.run."""
        (commands,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
        return [_command(name, parser) for name, parser in commands.choices.items()]


class Listing(SphinxDirective):
    """A table of one kind."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """See Directive.run. What the options of systems mean is said with the commands."""
        kind = self.arguments[0]
        rows = [
            (code(entry["name"]), prose(_said(entry, kind != "systems")))
            for entry in getattr(listings, kind)()
        ]
        return [table(("name", "what it is"), rows)]


class Means(SphinxDirective):
    """Mean PSNR over all pictures of a table. where: COLUMN=VALUE[,VALUE] of the rows that count; rows,
    columns: what stands in those. Points that lack a picture are left out."""

    required_arguments = 1
    option_spec: ClassVar = dict.fromkeys(("where", "rows", "columns"), directives.unchanged_required)

    def run(self) -> list[nodes.Node]:
        """See Directive.run."""
        path = RESULTS / f"{self.arguments[0]}.csv"
        self.env.note_dependency(str(path))
        down, across = self.options["rows"], self.options["columns"]
        rows = selected(pd.read_csv(path), self.options.get("where", ""))
        means = means_of(rows, down, across)
        cells = [
            (code(name), *(nodes.Text("–" if pd.isna(value) else f"{value:.2f}") for value in values))
            for name, values in zip(means.index, means.to_numpy(), strict=True)
        ]
        made = json.loads(path.with_suffix(".json").read_text())
        said = f"Means over {rows['image'].nunique()} pictures. Made by "
        stale = f". Stale: {made['stale']}." if "stale" in made else "."
        note = nodes.paragraph("", "", nodes.Text(said), code(made["command"]), nodes.Text(plain(stale)))
        return [table((down, *(HEADERS[across].format(name) for name in means.columns)), cells), note]


def selected(rows: pd.DataFrame, where: str) -> pd.DataFrame:
    """Rows that have `COLUMN=VALUE[,VALUE]` of each word."""
    for word in where.split():
        column, _, values = word.partition("=")
        rows = rows[rows[column].astype(str).isin(values.split(","))]
    if rows.empty:
        raise ValueError(f"no row has {where}")
    return rows


def means_of(rows: pd.DataFrame, down: str, across: str) -> pd.DataFrame:
    """[rows, columns] mean PSNR in dB, columns rising, the best row of the last one first; NaN where a
    picture is missing."""
    by_image = rows.pivot_table("psnr_db", [down, "image"], across)
    every = by_image.groupby(level=0).count() == rows["image"].nunique()
    means = by_image.groupby(level=0).mean().where(every)
    means = means[sorted(means.columns, key=lambda column: Fraction(str(column)))]
    return means.sort_values(means.columns[-1], ascending=False)


def _said(entry: listings.Entry, meanings: bool) -> str:
    """Summary of an entry, and its parameters; of weights their number."""
    said, parameters = entry["summary"].rstrip("."), entry["parameters"]
    if isinstance(parameters, int):
        return f"{said}. {parameters:,} parameters, {entry['macs_per_pixel']:,.0f} multiplies per pixel."
    if not entry.get("realisable", True):
        said += "; not realisable, an upper bound"
    words = [f"`{name}`" + f": {what}" * bool(what and meanings) for name, what in parameters.items()]
    return f"{said}. Takes {'; '.join(words) if meanings else ', '.join(words)}." if words else f"{said}."


def _command(name: str, parser: argparse.ArgumentParser) -> nodes.section:
    parser.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)
    formatter = argparse.HelpFormatter(parser.prog)
    usage = parser.format_usage().removeprefix("usage: ")
    made = nodes.section("", nodes.title("", name), ids=[f"jscc-sim-{name}"], names=[f"jscc-sim {name}"])
    made += nodes.paragraph("", _sentence(parser.description))
    made += nodes.literal_block("", usage, language="text")
    options = nodes.definition_list()
    for action in parser._actions:
        if action.dest == "help":
            continue
        said = (action.help or "") % vars(action)
        term = nodes.term("", "", code(formatter._format_action_invocation(action)))
        options += nodes.definition_list_item("", term, nodes.definition("", nodes.paragraph("", said)))
    made += options
    if parser.epilog:
        made += nodes.paragraph("", _sentence(parser.epilog))
    return made


def _sentence(text: str | None) -> str:
    text = text or ""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def table(header: Sequence[str], rows: Iterable[Sequence[nodes.Node]]) -> nodes.table:
    """A table of cells."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in header), cols=len(header))
    group += nodes.thead("", _row(nodes.Text(word) for word in header))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, classes=["colwidths-auto"])


def _row(cells: Iterable[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def prose(text: str) -> nodes.inline:
    """Text with `code` in it."""
    return nodes.inline(
        "", "", *(code(part) if place % 2 else nodes.Text(part) for place, part in enumerate(text.split("`")))
    )


def code(text: object) -> nodes.literal:
    """Code within a line."""
    return nodes.literal("", str(text))


def plain(text: str) -> str:
    """Without marks of code."""
    return text.replace("`", "")


_NAMED = re.compile(r"\w+(, \w+)*: ")
_SPECIAL = re.compile(r"([\\*_|])")


def restructured(lines: Sequence[str]) -> list[str]:
    """A docstring as reStructuredText. A block of lines that are all indented is code; one that begins with
    `name: ` is a paragraph of its own; the rest is prose, in which nothing but backticks means anything."""
    made: list[str] = []
    for blank, found in groupby(lines, lambda line: not line.strip()):
        block = list(found)
        if blank:
            continue
        if all(line.startswith(" ") for line in block):
            made += ["::", "", *block, ""]
            continue
        for line in map(str.strip, block):
            made += [""] * bool(_NAMED.match(line)) + [line]
        made.append("")
    text = "\n".join(made)
    return [line if line.startswith(" ") else _escaped(line) for line in text.split("\n")]


def _escaped(line: str) -> str:
    parts = line.split("`")
    if len(parts) % 2 == 0:
        return _SPECIAL.sub(r"\\\1", line).replace("`", r"\`")
    return "".join(
        f"``{part}``" if place % 2 else _SPECIAL.sub(r"\\\1", part) for place, part in enumerate(parts)
    )


def _restructure(app, what, name, subject, options, lines):
    lines[:] = restructured(lines)


def setup(app):
    """See Sphinx's extensions."""
    for name, directive in (("commands", Commands), ("listing", Listing), ("means", Means)):
        app.add_directive(name, directive)
    app.connect("autodoc-process-docstring", _restructure)
    return {"parallel_read_safe": True}
