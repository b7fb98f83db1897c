"""Tables of results, one row per trial: reading, checking, and the curves that are in them."""

from __future__ import annotations

import difflib
import os
import zlib
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jscc_sim.allocation import POLICIES
from jscc_sim.errors import InputError, counted, one_line
from jscc_sim.files import read_regular
from jscc_sim.metrics import psnr_of_mse
from jscc_sim.spreadsheets import unquoted
from jscc_sim.statistics import envelope_mse, gain_db, interval, lower_envelope, proportion

LARGEST_BYTES, LARGEST_UNPACKED_BYTES = 1 << 30, 1 << 28
"""Of a table, and of one that comes packed."""

LONGEST_LINE = 1 << 20
GZIP = b"\x1f\x8b"

Array = NDArray[np.float64]
Axis = Literal["cbr", "snr_db"]
COLUMN_OF: Mapping[Axis, str] = {"cbr": "cbr_budget", "snr_db": "snr_db"}
OTHER: Mapping[Axis, Axis] = {"cbr": "snr_db", "snr_db": "cbr"}
Quality = Literal["psnr_db", "ssim", "ms_ssim"]
MEASURES: tuple[Quality, ...] = ("psnr_db", "ssim", "ms_ssim")

SCHEME = (
    "policy",
    "complexity",
    "system",
    "zoo",
    "companion",
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
)
NUMBERS = (
    *("height", "width", "snr_db", "sender_snr_db", "cbr_budget", "budget_uses", "uses", "header_uses"),
    *("cbr", "psnr_db", "mse", "ssim", "ms_ssim", "seconds", "repeat", "papr_db"),
    "header_margin_db",
)
CONTRACT = frozenset({*TEXTS, *NUMBERS, "outage", "seed"})
"""Columns that every table of results has."""

LATER: Mapping[str, Any] = {"coder": "", "papr_db": np.nan, "companion": "", "header_margin_db": np.nan}
"""Those of them that older tables lack, and what stands in for them."""

LONGEST_NAME = 500
"""Letters of a cell: a figure shows them."""

DERIVED = ("belief", "margin")
"""Columns that `check_table` adds: no file has them."""

MOST_VALUES = 12
"""Of a column that are named."""

MOST_CODERS = 4
"""Coders of one curve that are named."""

TOLERANCE = 0.01
"""How far below uniform's smallest frame, relatively, a frame is compared with it."""

DIGESTS = {
    "image": "pixels_sha256",
    "zoo": "zoo_sha256",
    "policy": "policy_sha256",
    "complexity": "complexity_sha256",
}
"""Names that stand for more than one thing in a table are told apart by its digest, if that is there. The
zoo's also tells apart systems that have no zoo."""

REFERENCE_TEXTS, REFERENCE_NUMBERS = ("scheme", "channel", "source"), ("snr_db", "cbr", "psnr_db")
PICTURE_SETS: Mapping[str, frozenset[str]] = {"kodak": frozenset(f"kodim{n:02}" for n in range(1, 25))}
"""Sets of pictures that published curves are of: their names, without suffixes."""


@dataclass(frozen=True)
class LeftOut:
    """A place on the axis at which a curve has no point: why, and of how many images."""

    at: float
    why: str
    images: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of one scheme under one condition: means over images with their 95 % half-widths, NaN where
    they are of too few images to be shown.

    scheme: index of its style, the same with and without a genie; each: [images, points] what the means are
    of; frames, lost: [points] how many a mean
    is of, and how many were lost in outages and are not in it; spent: least share of the budget, in the
    mean over a point's frames; left_out: where some image has no value; coded_by: what coded its frames,
    where that is not all the zoo's own.
    """

    label: str
    scheme: int
    genie: bool
    at: Array
    x: Array
    mean: Array
    half_width: Array
    each: Array
    frames: Array
    lost: Array
    spent: float
    images: int
    left_out: tuple[LeftOut, ...]
    coded_by: str


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
        named = table[column] != ""
        for told, rows in ((column, named), ("system", ~named & (column == "zoo"))):
            if (table[rows].groupby([told, "companion"])[digest].nunique() > 1).any():
                table.loc[rows, told] += " " + table.loc[rows, digest].astype(str).str[:7]
    table["outage"] = table["outage"].astype(str).str.lower().isin(("true", "1", "1.0"))
    unknown = set(table["status"]) - {"ok", "infeasible", "failed"}
    if unknown:
        raise InputError(f"{name} has rows of status {min(unknown)!r}, not ok, infeasible or failed")
    table["sender_snr_db"] = table["sender_snr_db"].fillna(table["snr_db"])
    wrong = table["sender_snr_db"] != table["snr_db"]
    table["belief"] = table["sender_snr_db"].map("{:g}".format).where(wrong, "")
    margin = table["header_margin_db"]
    table["margin"] = margin.map("{:g}".format).where(margin.notna(), "")
    table["companion"] = table["companion"].replace("auto", "")
    return table


def read_references(paths: Sequence[str | os.PathLike[str]]) -> pd.DataFrame:
    """Published curves: scheme, channel, snr_db, cbr, psnr_db, source, pictures. The last says what their
    means are over, one of PICTURE_SETS or names without suffixes; a file may lack it. Raises InputError."""
    tables = []
    for path in paths:
        table = _csv(path)
        table = table if "pictures" in table else table.assign(pictures="")
        tables.append(_typed(table, (*REFERENCE_TEXTS, "pictures"), REFERENCE_NUMBERS, str(path)))
    return pd.concat(tables, ignore_index=True)


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
        there = list(dict.fromkeys(format_value(column, value) for value in sorted(have.dropna().unique())))
        named = ", ".join(there[:MOST_VALUES]) + ", ..." * (len(there) > MOST_VALUES)
        hint = "; the budgets are in cbr_budget" if column == "cbr" else ""
        raise InputError(f"no row has {column} {' or '.join(values)}; there are {named}{hint}")
    return table[chosen].reset_index(drop=True)


ALIKE = (
    "system", "companion", "channel", "csi", "equaliser", "margin", "side_info", "snr_db", "sender_snr_db",
    "image", "repeat",
)  # fmt: skip
"""Columns in which a policy's frames and the uniform ones that they are compared with agree."""


def why_no_gain(table: pd.DataFrame) -> str:
    """Why no frame of a checked table can be compared with a uniform one."""
    uniform = _is_uniform(table)
    if uniform.all() or not uniform.any():
        return "all its rows are uniform" if uniform.all() else "it has no rows of the policy uniform"
    for column in (*ALIKE, "zoo"):
        have, others = (set(table[column][chosen]) for chosen in (uniform, ~uniform))
        if not have & others:
            words = (
                ", ".join(sorted(format_value(column, v) for v in values)[:3]) for values in (have, others)
            )
            return "{} is {} in its uniform rows, {} in the others".format(column, *words)
    return "no other row has a uniform one of the same picture and link at its uses"


def with_gains(
    table: pd.DataFrame, parents: Mapping[str, str] | None = None, outages: bool = True
) -> pd.DataFrame:
    """A checked table's rows of other policies than uniform, with `gain_db` over uniform's envelope.

    The envelope is that of the same image, repeat, link and zoo; parents: for zoos specialised to a
    policy's blocks the zoo that they come from, whose uniform frames belong to the envelope too; outages:
    whether a uniform frame that was lost does, as the mid-grey that it is.
    NaN where there is no gain to speak of: below uniform's least uses, without uniform, without error.
    (Uses that are less than TOLERANCE below uniform's least meet that frame: never to a policy's favour.)
    """
    parents = _checked_parents(table, parents)
    uniform = table[_is_uniform(table) & (table["status"] == "ok")]
    uniform = uniform if outages else uniform[~uniform["outage"]]
    pools = {
        place: (rows["uses"].to_numpy(float), rows["mse"].to_numpy(float))
        for place, rows in uniform.groupby([*ALIKE, "zoo"], dropna=False)
    }
    others = table[~_is_uniform(table)].copy()

    def gain(row: dict[Hashable, Any]) -> float:
        zoos = {row["zoo"], parents.get(row["zoo"], row["zoo"])}
        found = [pools[place] for zoo in sorted(zoos) if (place := (*(row[k] for k in ALIKE), zoo)) in pools]
        if row["status"] != "ok" or not found:
            return np.nan
        uses, mse = (np.concatenate(values) for values in zip(*found, strict=True))
        least = uses.min()
        spent = least if 1 - TOLERANCE < row["uses"] / least < 1 else row["uses"]
        value = gain_db(row["mse"], spent, uses, mse)
        return value if np.isfinite(value) else np.nan

    others["gain_db"] = [gain(row) for row in others.to_dict("records")]
    return others


def has_uniform(rows: pd.DataFrame, table: pd.DataFrame, parents: Mapping[str, str] | None) -> pd.Series:
    """Whether a checked table holds uniform frames of the system and the zoo (or its parent) of each row:
    digital chains have none."""
    known = set(table.loc[_is_uniform(table), ["system", "zoo"]].itertuples(index=False, name=None))
    zoos = rows["zoo"].replace(dict(parents or {}))
    found = [
        bool({(system, zoo), (system, parent)} & known)
        for system, zoo, parent in zip(rows["system"], rows["zoo"], zoos, strict=True)
    ]
    return pd.Series(found, rows.index, dtype=bool)


@dataclass(frozen=True, eq=False)
class Envelope:
    """Uniform's envelope over CBR, a mean PSNR over images. scheme: that of the uniform frames in it."""

    scheme: tuple[str, ...]
    cbr: Array
    psnr_db: Array


def envelopes(rows: pd.DataFrame, parents: Mapping[str, str] | None = None) -> list[Envelope]:
    """Uniform's envelope for each zoo and link at which there are other policies too.

    Each image's lower convex envelope in the (uses, MSE) plane, at equal CBR, then in dB; over the CBRs
    that every image's envelope reaches; none where an image has no uniform frame. rows: checked, of one
    SNR; those of a genie count only where there are no others.
    """
    parents = _checked_parents(rows, parents)
    honest = rows[rows["side_info"] != "genie"]
    rows = honest if len(honest) else rows
    uniform = rows[_is_uniform(rows) & (rows["status"] == "ok")]
    link = [name for name in SCHEME if name not in ("policy", "complexity", "zoo")]
    found = []
    for (zoo, *place), others in rows[~_is_uniform(rows)].groupby(["zoo", *link]):
        pool = uniform[uniform["zoo"].isin({zoo, parents.get(zoo, zoo)})]
        pool = pool[(pool[link] == place).all(axis=1)]
        if pool["cbr_budget"].nunique() > 1 and set(others["image"]) <= set(pool["image"]):
            own = pool[pool["zoo"] == zoo]
            scheme = tuple((own if len(own) else pool)[list(SCHEME)].iloc[0])
            found.append(Envelope(scheme, *_mean_envelope(pool)))
    return found


def _mean_envelope(pool: pd.DataFrame) -> tuple[Array, Array]:
    hulls = []
    for (image, _), rows in pool.groupby(["image", "repeat"]):
        samples = 3 * rows["height"].iloc[0] * rows["width"].iloc[0]
        hulls.append((image, samples, *lower_envelope(rows["uses"], rows["mse"])))
    ends = [(uses[0] / samples, uses[-1] / samples) for _, samples, uses, _ in hulls]
    low, high = np.max(ends, axis=0)
    cbr = np.unique([*np.linspace(low, high, 60), *pool["cbr"][pool["cbr"].between(low, high)]])
    psnr = [[psnr_of_mse(envelope_mse(c * s, uses, mse)) or np.nan for c in cbr] for _, s, uses, mse in hulls]
    frame = pd.DataFrame(psnr, index=[hull[0] for hull in hulls])
    return cbr, frame.groupby(level=0).mean().mean(skipna=False).to_numpy()


class Curves:
    """Every curve of a checked table over one axis, with labels and styles that do not depend on the panel.

    outages: whether a frame that was lost counts, as the mid-grey picture that it is.
    """

    def __init__(self, table: pd.DataFrame, x: Axis, outages: bool = True) -> None:
        if x not in COLUMN_OF:
            raise InputError(f"axis {x!r} is not one of {', '.join(COLUMN_OF)}")
        self.x, self.outages = x, outages
        self.table = _completed_beliefs(table) if x == "snr_db" else table
        keys = sorted(set(self.table[list(SCHEME)].itertuples(index=False, name=None)), key=_order)
        wrong = self.table["belief"].any()  # said even where it is all that there is
        varies = [len(stated(self.table[name])) > 1 or (name == "belief" and wrong) for name in SCHEME]
        one = "policy" if stated(self.table["policy"]) else "system"
        varying = [number for number, told in enumerate(varies) if told] or [SCHEME.index(one)]
        short = {key: _label(key, varying, brief=True) for key in keys}
        unique = len(set(short.values())) == len(short)
        self.labels = short if unique else {key: _label(key, varying, brief=False) for key in keys}
        self.order = {key: number for number, key in enumerate(keys)}

    def panels(self, table: pd.DataFrame | None = None) -> list[tuple[float, pd.DataFrame]]:
        """(value, rows) of each SNR for curves over CBR, of each CBR budget for curves over SNR; of these
        curves' own table, or of another with some of its rows."""
        return list((self.table if table is None else table).groupby(COLUMN_OF[OTHER[self.x]]))

    def of(self, rows: pd.DataFrame, y: str) -> Iterator[Curve]:
        """The curves of a panel: y over the axis, each point a mean over all images or left out."""
        for key, side_info, mine in self.groups(rows):
            points, each, left_out = self._points(mine, y)
            at, place, mean, half_width, frames, lost, spent = np.array(points, float).reshape(-1, 7).T
            yield Curve(
                self.labels[key] + (" (genie)" if side_info == "genie" else ""),
                self.order[key],
                side_info == "genie",
                at,
                place,
                mean,
                half_width,
                np.array(each, float).reshape(len(each), mine["image"].nunique()).T,
                frames,
                lost,
                spent.min(initial=1.0),
                mine["image"].nunique(),
                tuple(left_out),
                _coded_by(mine if self.outages else mine[~mine["outage"]]),
            )

    def _points(
        self, mine: pd.DataFrame, y: str
    ) -> tuple[list[tuple[float, ...]], list[Array], list[LeftOut]]:
        """(budget or SNR, its place on the axis, mean, half-width, frames, frames lost, share of the budget
        spent) of each point, its value of each image, and what is left out."""
        points: list[tuple[float, ...]] = []
        values: list[Array] = []
        left_out = []
        images = set(mine["image"])
        for at, rows in mine.groupby(COLUMN_OF[self.x]):
            sent = rows[rows["status"] == "ok"]
            kept = sent if self.outages else sent[~sent["outage"]]
            valued = set(kept["image"]) - set(kept.loc[kept[y].isna(), "image"])
            without = sorted(images - valued)
            reasons = Counter(_reason(rows[rows["image"] == image], y, self.outages) for image in without)
            left_out += [LeftOut(at, why, reasons[why]) for why in sorted(reasons)]
            if not reasons:
                each = kept.groupby("image")[[y, "cbr", "cbr_budget"]].mean()
                result = interval(each[y])
                place = each["cbr"].mean() if self.x == "cbr" else at
                spent = (each["cbr"] / each["cbr_budget"]).mean()
                frames, lost = len(kept), len(sent) - len(kept)
                points.append((at, place, result.mean, result.shown, frames, lost, spent))
                values.append(each[y].to_numpy(float))
        return points, values, left_out

    def outage(self, rows: pd.DataFrame) -> Iterator[tuple[Curve, Array]]:
        """The curves of a panel's outage rate, and [2, points] the ends of its exact 95 % intervals."""
        sent = rows[rows["status"] == "ok"].groupby([*SCHEME, "side_info", COLUMN_OF[self.x]])["outage"]
        counts = sent.agg(["sum", "size"])
        for curve, (key, side_info, _) in zip(self.of(rows, "outage"), self.groups(rows), strict=True):
            pairs = [counts.loc[(*key, side_info, at)] for at in curve.at]
            ends = np.array([proportion(int(lost), int(all_)) for lost, all_ in pairs]).reshape(-1, 2)
            yield curve, ends.T

    def groups(self, rows: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], str, pd.DataFrame]]:
        """(scheme, side information, rows) of each curve, in the order of the labels."""
        found = dict(list(rows.groupby([*SCHEME, "side_info"])))
        for place in sorted(found, key=lambda p: (self.order[p[:-1]], p[-1] == "genie")):
            yield place[:-1], place[-1], found[place]


def coders(rows: pd.DataFrame) -> dict[str, int]:
    """Frames by what coded them, the most frequent first; without those whose system has one coder alone."""
    counts = Counter(rows.loc[(rows["status"] == "ok") & (rows["coder"] != ""), "coder"])
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def _coded_by(rows: pd.DataFrame) -> str:
    """`conv 21, linear 3 of 24 frames`; empty where one coder made them all, a zoo's its own."""
    counts = coders(rows)
    zoo, commonest = str(rows["zoo"].iloc[0]) if len(rows) else "", next(iter(counts), "")
    own = zoo in ("", commonest) or zoo.startswith(f"{commonest} ")  # a digest may follow the name
    if not counts or (len(counts) == 1 and own):
        return ""
    words = [f"{name} {frames}" for name, frames in list(counts.items())[:MOST_CODERS]]
    words += [counted(len(counts) - MOST_CODERS, "other")] * (len(counts) > MOST_CODERS)
    return f"{', '.join(words)} of {sum(counts.values())} frames"


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
        except (ValueError, TypeError):
            raise InputError(f"{name} has something else than numbers in column {column}") from None
        if np.isinf(table[column]).any():
            raise InputError(f"{name} has an infinite number in column {column}")
    return table


def _completed_beliefs(table: pd.DataFrame) -> pd.DataFrame:
    """A sender that always believes 10 dB is right at 10 dB: that point belongs to its curve too."""
    same = [name for name in (*SCHEME, "side_info") if name != "belief"]
    added, redundant = [], []
    for _, rows in table.groupby(same):
        right = rows[rows["belief"] == ""]
        beliefs = set(rows["belief"]) - {""}
        added += [right[right["snr_db"] == float(b)].assign(belief=b) for b in sorted(beliefs)]
        if right["snr_db"].nunique() == 1 and {f"{snr:g}" for snr in right["snr_db"]} <= beliefs:
            redundant += list(right.index)
    return pd.concat([table.drop(index=redundant), *added], ignore_index=True) if added else table


def _order(key: tuple[str, ...]) -> tuple[Any, ...]:
    """Our policies in their order, others after them, by name."""
    known = list(POLICIES)
    name = key[0].partition(" ")[0].partition(":")[0]
    return (known.index(name) if name in known else len(known), *key)


def _label(key: tuple[str, ...], varying: Sequence[int], brief: bool) -> str:
    words = []
    for number in varying:
        name, value = SCHEME[number], key[number]
        if brief:
            value = value.rpartition("/")[2]
        if name == "companion":
            value = value and "no companion"
        elif name == "margin":
            value = value and f"header made for {value} dB less"
        elif name == "belief":
            value = f"sender believes {value} dB" if value else "sender knows the SNR"
        elif name in ("csi", "complexity", "equaliser"):
            value = value and f"{value} {'CSI' if name == 'csi' else name.replace('complexity', 'score')}"
        elif name == "system" and "+ideal" in value:
            value = f"{value} (bound)"
        policy = POLICIES.get(value.partition(" ")[0].partition(":")[0]) if name == "policy" else None
        words.append(value if policy is None or policy.realisable else f"{value} (not realisable)")
    return ", ".join(filter(None, words))


def _is_uniform(table: pd.DataFrame) -> pd.Series:
    return table["policy"].str.split(" ").str[0] == "uniform"


def _reason(rows: pd.DataFrame, y: str, outages: bool) -> str:
    """Why an image's rows at a point hold no value, or not all of them."""
    for status in ("infeasible", "failed"):
        if (rows["status"] == status).any():
            return status
    if not len(rows):
        return "not run"
    if not outages and rows["outage"].all():
        return "no frame arrived"
    if y == "gain_db":
        return "outside uniform's envelope"
    return "lossless" if y == "psnr_db" else f"no {y}"


def _checked_parents(table: pd.DataFrame, parents: Mapping[str, str] | None) -> Mapping[str, str]:
    known = set(table["zoo"])
    for zoo in (word for pair in (parents or {}).items() for word in pair):
        if zoo not in known:
            raise InputError(f"table has no zoo {zoo!r}; it has {', '.join(sorted(known))}")
    return parents or {}


def _number(text: str, column: str) -> float:
    try:
        return float(Fraction(text)) if "/" in text else float(text)
    except (ValueError, ZeroDivisionError):
        raise InputError(f"{text!r} is no number, as {column} is") from None
