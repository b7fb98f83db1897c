"""A table of results from the file that holds it: an exported CSV, or the SQLite store of a sweep itself."""

from __future__ import annotations

import os
import sys

import pandas as pd

from jscc_sim.errors import InputError
from jscc_sim.files import check_regular
from jscc_sim.plots.table import check_table, read_csv

SQLITE = b"SQLite format 3\0"


def read_results(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A checked table, see `check_table`. Raises InputError for a file that is neither."""
    try:
        check_regular(path, sys.maxsize)
        with open(path, "rb") as handle:
            stored = handle.read(len(SQLITE)) == SQLITE
    except OSError as error:
        raise InputError(f"table {path} cannot be read: {error.strerror}") from None
    if not stored:
        return read_csv(path)
    from jscc_sim.sweeps import table

    return check_table(table(path), str(path))
