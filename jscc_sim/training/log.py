"""training.csv: what a run did, a row now and then. A resumed run goes on with the earlier rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from jscc_sim.errors import InputError
from jscc_sim.files import read_regular
from jscc_sim.images import write_whole

LOG = "training.csv"

LARGEST_BYTES = 1 << 26
"""Of a log."""

Row = Mapping[str, float]
"""Column -> value: step, seconds of training until then, loss or loss_db, rate, and `validation_...` where
the network was tried on pictures held out."""


class Log:
    """The rows so far, whole on disk after each."""

    def __init__(self, path: Path, step: int) -> None:
        """Go on from a checkpoint of this step: what an interrupted run did after it is done again."""
        self.path = path
        earlier = read_log(path) if step and path.exists() else []
        self.rows: list[Row] = [row for row in earlier if row["step"] <= step]
        self.seconds_before = self.rows[-1]["seconds"] if self.rows else 0.0

    def add(self, row: Row) -> None:
        """Write one more. Raises InputError."""
        self.rows.append(row)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([format(row[c], ".10g") if c in row else "" for c in columns] for row in self.rows)
        write_whole(self.path, lambda handle: handle.write(text.getvalue().encode()))


def read_log(path: Path) -> list[Row]:
    """The rows of a training.csv. Raises InputError for another file."""
    try:
        text = io.StringIO(read_regular(path, LARGEST_BYTES).decode(), newline="")
        rows = [{c: float(v) for c, v in row.items() if v} for row in csv.DictReader(text)]
    except (OSError, ValueError, TypeError, AttributeError, csv.Error) as error:
        raise InputError(f"{path} is not a log of training: {error}") from None
    if not all(math.isfinite(row.get(name, math.nan)) for row in rows for name in ("step", "seconds")):
        raise InputError(f"{path} is not a log of training: a row lacks its step or seconds")
    return list(rows)


def column(figure: str) -> str:
    """The column of a figure of `Task.validate`: `validation_psnr_db` of `PSNR`."""
    return "_".join(["validation", *figure.lower().replace("psnr", "psnr_db").split()])
