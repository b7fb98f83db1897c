"""Differences to rows that are chosen, image by image, which tell apart curves that are close."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from jscc_sim.errors import InputError
from jscc_sim.plots.series import UNCOMPARED
from jscc_sim.plots.table import SCHEME, select

POINT = ("image", "snr_db", "cbr_budget")
"""Columns in which rows agree that are compared."""

CURVES = (*SCHEME, "side_info")
"""Columns that may be chosen by."""

AIR = ("channel", "csi", "waveform")
"""And these, unless one of them is what is chosen."""


def chosen_rows(table: pd.DataFrame, chosen: Sequence[str]) -> pd.DataFrame:
    """The rows of a checked table of one scheme. chosen: `COLUMN=VALUE` each, which together say it. Raises
    InputError for a choice that is none, or of several schemes."""
    rows = table
    for word in chosen:
        column, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{word!r} to compare with is not COLUMN=VALUE")
        if column not in CURVES:
            raise InputError(f"{word}: {column or 'that'} tells no curves apart; {', '.join(CURVES)} do")
        rows = select(rows, column, [value])
    apart = set(CURVES) - set(_alike(chosen))
    several = [name for name in CURVES if name in apart and rows[name].nunique() > 1]
    if several:
        raise InputError(
            f"{', '.join(chosen)} is several curves, of different {', '.join(several)}: choose one of them"
        )
    return rows


def differences(table: pd.DataFrame, y: str, chosen: Sequence[str], outages: bool = True) -> pd.DataFrame:
    """The rows of a checked table with y less that of the chosen ones, the mean over their repeats; NaN where
    there is none, which UNCOMPARED says. chosen: see `chosen_rows`; outages: whether lost frames count.
    Raises InputError, also where the chosen ones have no value at all."""
    rows, same = chosen_rows(table, chosen), _alike(chosen)
    kept = rows[rows["status"].eq("ok") & (outages | ~rows["outage"])]
    reference = kept.groupby(same)[y].agg(lambda values: values.mean(skipna=False)).rename("reference")
    if not reference.notna().any():
        why = "none of its frames arrived" if not outages else f"it has no {y}"
        raise InputError(f"{', '.join(chosen)} is nothing to compare with: {why}")
    less = (table[y] - table.join(reference, on=same)["reference"]).round(9)  # a mean is exact to less
    return table.assign(**{y: less, UNCOMPARED: table[y].notna() & less.isna()})


def _alike(chosen: Sequence[str]) -> list[str]:
    """Columns in which a row agrees with the one that it is compared with."""
    named = {word.partition("=")[0] for word in chosen}
    return [*POINT, *(name for name in AIR if name not in named)]
