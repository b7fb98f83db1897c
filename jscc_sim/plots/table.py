"""Tables of results, one row per trial: reading, checking, choosing rows, values in words."""

from __future__ import annotations

import dataclasses
import difflib
import os
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jscc_sim.errors import InputError, one_line
from jscc_sim.files import read_regular
from jscc_sim.inference import PRECISIONS
from jscc_sim.spreadsheets import unquoted
from jscc_sim.sweeps.row import ROW_METRICS, Row
from jscc_sim.systems.catalogue import BLOCK_JSCC
from jscc_sim.waveforms import SYMBOLS

LARGEST_BYTES, LARGEST_UNPACKED_BYTES = 1 << 30, 1 << 28
"""Of a table, and of one that comes packed."""

LONGEST_LINE = 1 << 20
MOST_COLUMNS = 1000
GZIP = b"\x1f\x8b"

Array = NDArray[np.float64]
Axis = Literal["cbr", "snr_db"]
COLUMN_OF: Mapping[Axis, str] = {"cbr": "cbr_budget", "snr_db": "snr_db"}
OTHER: Mapping[Axis, Axis] = {"cbr": "snr_db", "snr_db": "cbr"}
MEASURES = ROW_METRICS
"""Columns of quality that every table has."""


SCHEME = (
    "policy",
    "complexity",
    "system",
    "zoo",
    "companion",
    "precision",
    "waveform",
    "channel",
    "csi",
    "equaliser",
    "margin",
    "belief",
)
"""What tells one curve from another, besides the side information; `belief` is the SNR that a mistaken
sender believes in, `margin` that of the header where it is not the default one, or empty."""

TEXTS = (
    "image",
    "system",
    "zoo",
    "policy",
    "complexity",
    "channel",
    "csi",
    "equaliser",
    "side_info",
    "status",
    "coder",
    "companion",
    "precision",
    "waveform",
)
GIVEN = ("snr_db", "sender_snr_db", "cbr_budget", "repeat", "header_margin_db")
"""Numbers by which trials differ."""

NUMBERS = (
    *("height", "width", "snr_db", "sender_snr_db", "cbr_budget", "budget_uses", "uses", "header_uses"),
    *("cbr", "psnr_db", "mse", "ssim", "ms_ssim", "seconds", "repeat", "papr_db"),
    "header_margin_db",
    *("data_uses", "pilot_uses", "prefix_uses", "preamble_uses"),
)
CONTRACT = frozenset({*TEXTS, *NUMBERS, "outage", "seed"})
"""Columns that every table of results has."""

COUNTS = frozenset(
    {"height", "width", "cbr_budget", "budget_uses", "uses", "header_uses", "cbr", "mse", "seconds", "repeat"}
)
"""Numbers that are never below 0."""

LARGEST_NUMBER = 1e15
"""Beyond it sums and scales of axes overflow."""

TRUTHS = {**dict.fromkeys(("true", "1", "1.0"), True), **dict.fromkeys(("false", "0", "0.0"), False)}
"""Of an outage; where nothing was received there is none."""

LATER: Mapping[str, Any] = {
    **dict.fromkeys(("coder", "companion", "precision", "waveform"), ""),
    **dict.fromkeys(("papr_db", "header_margin_db"), np.nan),
    **dict.fromkeys(("data_uses", "pilot_uses", "prefix_uses", "preamble_uses"), np.nan),
}
"""Those of them that older tables lack, and what stands in for them."""

LONGEST_NAME = 500
"""Letters of a cell: a figure shows them."""

DERIVED = ("belief", "margin")
"""Columns that `check_table` adds: no file has them."""

MOST_VALUES = 12
"""Of a column that are named."""

DIGESTS = {
    "image": "pixels_sha256",
    "zoo": "zoo_sha256",
    "policy": "policy_sha256",
    "complexity": "complexity_sha256",
    "channel": "channel_sha256",
}
"""Names that stand for more than one thing in a table are told apart by its digest, if that is there. The
zoo's also tells apart systems that have no zoo."""

REFERENCE_TEXTS, REFERENCE_NUMBERS = ("scheme", "channel", "source"), ("snr_db", "cbr")
PICTURE_SETS: Mapping[str, frozenset[str]] = {"kodak": frozenset(f"kodim{n:02}" for n in range(1, 25))}
"""Sets of pictures that published curves are of: their names, without suffixes."""


def read_csv(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A table of results from what `jscc-sim export` wrote. Raises InputError, see `check_table`."""
    return check_table(_csv(path), str(path))


def check_table(table: pd.DataFrame, name: str = "table") -> pd.DataFrame:
    """The table with the types that the figures rely on, `belief` and `margin` columns, and what is in LATER.

    Raises InputError naming the column that is missing, or that holds something else than numbers.
    """
    table = table.assign(**{column: value for column, value in LATER.items() if column not in table})
    table = _typed(table, TEXTS, NUMBERS, name, more=("outage", "seed"))
    for column, digest in DIGESTS.items():
        if digest not in table:
            continue
        named, known = table[column] != "", table[digest].notna() & (table[digest].astype(str) != "")
        for told, rows in ((column, named & known), ("system", ~named & known & (column == "zoo"))):
            if (table[rows].groupby([told, "companion", "precision"])[digest].nunique() > 1).any():
                table.loc[rows, told] += " " + table.loc[rows, digest].astype(str).str[:7]
    lost = table["outage"].astype(object).where(table["outage"].notna(), "").astype(str).str.lower()
    strange = set(lost) - TRUTHS.keys() - {""}
    if strange:
        raise InputError(f"{name} has {min(strange)!r} in column outage, not true or false")
    table["outage"] = lost.map(TRUTHS).eq(True)
    unknown = set(table["status"]) - {"ok", "infeasible", "failed"}
    if unknown:
        raise InputError(f"{name} has rows of status {min(unknown)!r}, not ok, infeasible or failed")
    table["sender_snr_db"] = table["sender_snr_db"].fillna(table["snr_db"])
    wrong = table["sender_snr_db"] != table["snr_db"]
    table["belief"] = table["sender_snr_db"].map("{:g}".format).where(wrong, "")
    margin = table["header_margin_db"]
    table["margin"] = margin.map("{:g}".format).where(margin.notna(), "")
    table["companion"] = table["companion"].replace("auto", "")
    plain = table["waveform"].isin(("", SYMBOLS))  # worth a word only beside another
    table["waveform"] = table["waveform"].where(~plain, "" if plain.all() else SYMBOLS)
    unsaid = table["precision"].eq("") & table["system"].eq(BLOCK_JSCC)  # by older programs
    table.loc[unsaid, "precision"] = PRECISIONS[0]
    if table["precision"].isin(("", PRECISIONS[0])).all():
        table["precision"] = ""
    return table


def further_metrics(table: pd.DataFrame) -> list[str]:
    """Columns of quality beside MEASURES: numbers that are none of a row's own fields."""
    own = {*(field.name for field in dataclasses.fields(Row)), *CONTRACT, *DERIVED}
    return [name for name in table if name not in own and pd.api.types.is_float_dtype(table[name])]


def measured_by(table: pd.DataFrame, y: str) -> pd.DataFrame:
    """A checked table without the rows that lack a metric where the same frame has a row with it."""
    what = [name for name in (*TEXTS, *GIVEN) if name not in ("status", "coder")]
    has = table.groupby(what, dropna=False)[y].transform("count") > 0
    return table[~(has & table[y].isna())]


def read_references(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Published curves: scheme, channel, snr_db, cbr, source, pictures, and some of MEASURES. The last text
    says what their means are over, one of PICTURE_SETS or names without suffixes; a file may lack it. Raises
    InputError."""
    tables = []
    for path in paths:
        table = _csv(path)
        table = table if "pictures" in table else table.assign(pictures="")
        texts = (*REFERENCE_TEXTS, "pictures")
        measured = [name for name in MEASURES if name in table]
        if not measured:
            raise InputError(f"{path} has no column {' or '.join(MEASURES)}")
        typed = _typed(table, texts, (*REFERENCE_NUMBERS, *measured), str(path))
        for name in REFERENCE_NUMBERS:
            if typed[name].isna().any():
                raise InputError(f"{path} has a row without {name}")
        for name in {"ssim", "ms_ssim"} & set(measured):
            beyond = typed.loc[typed[name].abs() > 1, name]
            if len(beyond):
                raise InputError(f"{path} has {beyond.iloc[0]:g} in column {name}: its limits are -1 and 1")
        tables.append(typed[[*texts, *REFERENCE_NUMBERS, *measured]])
    return pd.concat(tables, ignore_index=True)


def published_metrics(references: pd.DataFrame) -> list[str]:
    """Which of MEASURES published curves give."""
    given = references.dropna(axis=1, how="all")
    return [name for name in MEASURES if name in given]


def of_other_pictures(references: pd.DataFrame, table: pd.DataFrame) -> pd.Series:
    """Which published curves are of other pictures than a table, as far as they say of which."""
    ours = {PurePath(name).stem for name in table["image"]}
    told = references["pictures"] if "pictures" in references else pd.Series("", references.index)
    return (
        told.astype(object)
        .fillna("")
        .map(lambda of: bool(of) and PICTURE_SETS.get(of, set(of.split())) != ours)
    )


def select(table: pd.DataFrame, column: str, values: Sequence[str]) -> pd.DataFrame:
    """Rows whose column has one of the values, written as on the command line (1/16 is a number too).

    Raises InputError for an unknown column and for a selection without rows.
    """
    if column not in table:
        known = [str(name) for name in table if name not in DERIVED]
        near = difflib.get_close_matches(column, known, 1)
        hint = f", but {near[0]}" if near else ""
        raise InputError(f"table has no column {column!r}{hint}; it has {', '.join(known)}")
    have = table[column]
    if pd.api.types.is_numeric_dtype(have) and not pd.api.types.is_bool_dtype(have):
        chosen = np.any([np.isclose(have, _number(value, column), rtol=1e-4) for value in values], axis=0)
    else:
        chosen = have.astype(str).isin(values).to_numpy()
    if not chosen.any():
        written = (format_value(column, value) or "''" for value in sorted(have.dropna().unique()))
        there = list(dict.fromkeys(written))
        named = ", ".join(there[:MOST_VALUES]) + ", ..." * (len(there) > MOST_VALUES)
        hint = "; the budgets are in cbr_budget" if column == "cbr" else ""
        raise InputError(f"no row has {column} {' or '.join(values)}; there are {named}{hint}")
    return table[chosen].reset_index(drop=True)


def stated(column: pd.Series) -> set[str]:
    """The values of a column, without the empty one of systems that have no such thing."""
    return set(column) - {""}


def place_name(axis: Axis, value: float) -> str:
    """`CBR 1/16` or `10 dB`."""
    return f"CBR {as_fraction(value)}" if axis == "cbr" else f"{value:g} dB"


def panel_name(axis: Axis, value: float) -> str:
    """The same where it stands alone: `SNR 10 dB`."""
    return place_name(axis, value) if axis == "cbr" else f"SNR {place_name(axis, value)}"


def as_fraction(value: float) -> str:
    """1/16 for 0.0625; a decimal for what is no simple fraction."""
    near = Fraction(value).limit_denominator(1000)
    simple = near.numerator < 10 and abs(float(near) - value) < 1e-5 * value  # six digits in a CSV
    return str(near) if simple else f"{value:.4g}"


def format_value(column: str, value: Any) -> str:
    """A cell for people: budgets as fractions, whole numbers without a point."""
    if column == "cbr_budget":
        return as_fraction(float(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _csv(path: str | os.PathLike[str]) -> pd.DataFrame:
    try:
        content = read_regular(path, LARGEST_BYTES)
        if content.startswith(GZIP):
            content = _unpacked(content)
        if len(content) > LONGEST_LINE and not {*b"\r\n"} & {*content[:LONGEST_LINE]}:
            raise ValueError(f"its first line has more than {LONGEST_LINE} bytes")
        columns = 1 + content[:LONGEST_LINE].lstrip().partition(b"\n")[0].partition(b"\r")[0].count(b",")
        if columns > MOST_COLUMNS:  # pandas takes the square of their number where they have one name
            raise ValueError(f"it has {columns} columns, and {MOST_COLUMNS} are the limit")
        table = pd.read_csv(
            BytesIO(content), keep_default_na=False, na_values=[""], dtype={"seed": str}, low_memory=False
        )
    except (OSError, zlib.error, ValueError) as error:  # pandas' ParserError is a ValueError
        reason = getattr(error, "strerror", None) or one_line(error)
        if isinstance(error, UnicodeDecodeError):
            reason = "it is no text, nor the store of a sweep"
        raise InputError(f"{path} cannot be read as a CSV table: {reason}") from None
    for column in table.select_dtypes(exclude="number"):
        table[column] = table[column].map(unquoted, na_action="ignore")
    return table


def _unpacked(content: bytes) -> bytes:
    """A little can become any amount."""
    unpacking = zlib.decompressobj(wbits=31)
    found = unpacking.decompress(content, LARGEST_UNPACKED_BYTES)
    if not unpacking.eof or unpacking.unused_data:
        much = f"it has more than {LARGEST_UNPACKED_BYTES} bytes unpacked, the limit"
        raise ValueError(much if len(found) == LARGEST_UNPACKED_BYTES else "it is no whole gzip file")
    return found


def _typed(
    table: pd.DataFrame, texts: Sequence[str], numbers: Sequence[str], name: str, more: Sequence[str] = ()
) -> pd.DataFrame:
    missing = [column for column in (*texts, *numbers, *more) if column not in table]
    if missing:
        raise InputError(f"{name} has no column {', '.join(missing)}")
    if not len(table):
        raise InputError(f"{name} has no rows")
    table = table.reset_index(drop=True)
    for column in texts:
        table[column] = table[column].astype(object).where(table[column].notna(), "").astype(str)
        longest = table[column].str.len().max()
        if longest > LONGEST_NAME:
            raise InputError(
                f"{name} has a text of {longest} letters in column {column}: the limit is {LONGEST_NAME}"
            )
    for column in numbers:
        try:
            table[column] = pd.to_numeric(table[column]).astype(float)
        except OverflowError:  # a whole number of hundreds of digits
            raise InputError(f"{name} has a number beyond {LARGEST_NUMBER:g} in column {column}") from None
        except (ValueError, TypeError):
            raise InputError(f"{name} has something else than numbers in column {column}") from None
        if np.isinf(table[column]).any():
            raise InputError(f"{name} has an infinite number in column {column}")
        if (table[column].abs() > LARGEST_NUMBER).any():
            raise InputError(f"{name} has a number beyond {LARGEST_NUMBER:g} in column {column}")
        if column in COUNTS and (table[column] < 0).any():
            raise InputError(f"{name} has {table[column].min():g}, below 0, in column {column}")
    return table


def _number(text: str, column: str) -> float:
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is no number, as {column} is") from None
