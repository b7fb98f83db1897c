"""The curves of a training run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from jscc_sim.errors import InputError
from jscc_sim.plots.lines import Panel, lines_figure

NAMES = {"loss": "loss", "loss_db": "loss (dB)", "validation_psnr_db": "validation PSNR (dB)"}


def training_figure(rows: Sequence[Mapping[str, float]]) -> Figure:
    """rows: of a training.csv. A panel for the loss, and one for each kind of validation figure, over the
    steps. Raises InputError without rows."""
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
        Panel("step", NAMES.get(kind, kind.replace("_", " ")), curves, marked=not kind.startswith("loss"))
        for kind, curves in panels.items()
    ]
    return lines_figure(drawn, [f"{rows[-1]['step']:.0f} steps in {rows[-1]['seconds'] / 60:.0f} minutes."],
                        width="full")  # fmt: skip
