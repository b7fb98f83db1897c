"""The curves of a training run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from jscc_sim.errors import InputError, counted
from jscc_sim.plots.lines import Panel, lines_figure

LEAST_SPAN_DB = 1.0
"""Of an axis: a run of a minute has a few points within a tenth of a dB, which is no curve."""

FEW = 20
"""Rows of a log whose losses are points, too: one is no line."""

NAMES = {"loss": "loss", "loss_db": "loss (dB)", "validation_psnr_db": "validation PSNR (dB)"}


def training_figure(rows: Sequence[Mapping[str, float]], validated: str = "") -> Figure:
    """rows: of a training.csv. A panel for the loss, and one for each kind of validation figure, over the
    steps. validated: what those are of. Raises InputError without rows."""
    if not rows:
        raise InputError("a log of training without rows has no curves")
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    for column in dict.fromkeys(name for row in rows for name in row):
        if column.startswith(("loss", "validation")):
            kind = re.sub(r"_\d.*", "", column)
            here = [row for row in rows if column in row]
            points = [row["step"] for row in here], [row[column] for row in here]
            panels.setdefault(kind, {})[column.removeprefix(kind).strip("_") or NAMES.get(kind, kind)] = (
                points
            )
    drawn = [
        Panel(
            "step",
            NAMES.get(kind, kind.replace("_", " ")),
            curves,
            marked=not kind.startswith("loss") or len(rows) <= FEW,
            counts=round(rows[-1]["step"]),
            least_span=LEAST_SPAN_DB if kind.endswith("_db") else 0.0,
        )
        for kind, curves in panels.items()
    ]
    notes = [f"{counted(round(rows[-1]['step']), 'step')} in {_duration(rows[-1]['seconds'])}."]
    notes += [f"Validation: {validated}."] * (bool(validated) and len(drawn) > 1)
    return lines_figure(drawn, notes, width="full")


def _duration(seconds: float) -> str:
    return counted(round(seconds), "second") if seconds < 90 else counted(round(seconds / 60), "minute")
