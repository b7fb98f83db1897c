"""The curves of a table: points over an axis, means over images, labels, what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jscc_sim.allocation import POLICIES
from jscc_sim.errors import InputError, counted
from jscc_sim.plots.table import COLUMN_OF, OTHER, SCHEME, Array, Axis, stated
from jscc_sim.statistics import interval, proportion

UNCOMPARED = "uncompared"
"""A column of tables of differences: whether there is no value to compare with."""

MOST_CODERS = 4
"""Coders of one curve that are named."""


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


class Curves:
    """Every curve of a checked table over one axis, with labels and styles that do not depend on the panel.

    outages: whether a frame that was lost counts, as the mid-grey picture that it is.
    """

    def __init__(self, table: pd.DataFrame, x: Axis, outages: bool = True) -> None:
        if x not in COLUMN_OF:
            raise InputError(f"axis {x!r} is not one of {', '.join(COLUMN_OF)}")
        self.x, self.outages = x, outages
        self.table = completed_beliefs(table) if x == "snr_db" else table
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


def completed_beliefs(table: pd.DataFrame) -> pd.DataFrame:
    """A sender that always believes 10 dB is right at 10 dB: that point belongs to its curve too. Where it is
    there already nothing is added."""
    same = [name for name in (*SCHEME, "side_info") if name != "belief"]
    added, redundant = [], []
    for _, rows in table.groupby(same):
        right = rows[rows["belief"] == ""]
        beliefs = set(rows["belief"]) - {""}
        for belief in sorted(beliefs):
            if not (rows["belief"].eq(belief) & rows["snr_db"].eq(float(belief))).any():
                added.append(right[right["snr_db"] == float(belief)].assign(belief=belief))
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


def _reason(rows: pd.DataFrame, y: str, outages: bool) -> str:
    """Why an image's rows at a point hold no value, or not all of them."""
    for status in ("infeasible", "failed"):
        if (rows["status"] == status).any():
            return status
    if not len(rows):
        return "not run"
    if not outages and rows["outage"].all():
        return "no frame arrived"
    if UNCOMPARED in rows and rows[UNCOMPARED].any():
        return "nothing to compare with"
    if y == "gain_db":
        return "outside uniform's envelope"
    return "lossless" if y == "psnr_db" else f"no {y}"
