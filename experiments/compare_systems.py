"""Two systems of one table of results, image by image: what one has over the other, and how sure that is.

    python experiments/compare_systems.py results/baselines_vs_cbr.csv --system block-jscc --beside hevc+ldpc
    python experiments/compare_systems.py results/policies.csv --by policy --system oracle --beside lagrangian

A line for each channel, SNR and CBR budget: the mean over images of the difference in PSNR on the same
noise, with its paired 95 % interval (of five images or more), and in how many of the images it is above and
below. A lost frame counts as the mid-grey picture that it is; where there is one it is named, and the
difference without it follows.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from study import guarded

from jscc_sim.errors import InputError
from jscc_sim.plots.results_file import read_results
from jscc_sim.plots.table import as_fraction, select
from jscc_sim.statistics import Interval, interval

POINT = ["channel", "csi", "snr_db", "cbr_budget"]
DRAW = ["image", "repeat"]
TOLD = ["system", "zoo", "policy", "complexity", "equaliser", "side_info", "sender_snr_db"]
"""What else tells one frame from another."""


@dataclass(frozen=True)
class Difference:
    """PSNR of one above the other, in dB. above, below: images in which it is; images: those that have
    both."""

    found: Interval
    above: int
    below: int
    images: int

    def __str__(self) -> str:
        sides = f"above in {self.above}, below in {self.below} of {self.images} images"
        return f"{self.found.text(2, '+')} dB, {sides}"


@dataclass(frozen=True)
class Comparison:
    """At one point. cbr: spent by the two; counted: lost frames too, None where no image has both; arrived:
    without draws that either lost, None where none was or nothing is left; lost: which of the two -> the
    images of its lost frames; missing: images that do not have both."""

    place: str
    cbr: tuple[float, float]
    counted: Difference | None
    arrived: Difference | None
    lost: Mapping[str, Sequence[str]]
    missing: int


def main() -> None:
    """Print a line for each point that both have."""
    parser = argparse.ArgumentParser(prog="compare_systems.py", description=__doc__.partition("\n")[0])
    parser.add_argument("table", metavar="TABLE", help="a CSV of jscc-sim export, or the store of a sweep")
    parser.add_argument("--system", required=True, metavar="NAME", help="the one")
    parser.add_argument("--beside", required=True, metavar="NAME", help="the other")
    parser.add_argument("--by", default="system", metavar="COLUMN", help="the column of those names (system)")
    parser.add_argument(
        "--where", action="append", default=[], metavar="COLUMN=VALUE", help="these rows alone"
    )
    options = parser.parse_args()
    table = read_results(options.table)
    for words in options.where:
        column, equals, value = words.partition("=")
        if not equals:
            raise InputError(f"--where {words}: COLUMN=VALUE is missing its =")
        table = select(table, column, [value])
    print(f"{options.system} over {options.beside}, {options.table}")
    for found in compare(table, options.by, options.system, options.beside):
        print(line(found))


def compare(table: pd.DataFrame, by: str, one: str, other: str) -> list[Comparison]:
    """table: checked. by: the column in which the two have their names. Raises InputError where one has
    several frames for one draw of the channel, and where they have no point in common."""
    sides = []
    for name in (one, other):
        rows = select(table, by, [name])
        rows = rows.drop_duplicates([*POINT, *DRAW, *TOLD])  # a sender that knows, and one that believes it
        twice = rows.duplicated([*POINT, *DRAW])
        if twice.any():
            first = rows.loc[twice, [*POINT, *DRAW]].iloc[0]
            alike = rows[(rows[[*POINT, *DRAW]] == first).all(axis=1)]
            several = [column for column in TOLD if alike[column].nunique() > 1]
            raise InputError(f"{name} has several frames at one point: --where one {' or '.join(several)}")
        sides.append(rows)
    both = sides[0].merge(sides[1], on=[*POINT, *DRAW], suffixes=("_one", "_other"))
    if not len(both):
        raise InputError(f"{one} and {other} have no point in common")
    return [_comparison(point, rows, one, other) for point, rows in both.groupby(POINT)]


def line(found: Comparison) -> str:
    """In words."""
    if found.counted is None:
        return f"{found.place}: no image has a PSNR of both"
    words = [f"{found.place}, spent {found.cbr[0]:.4f} beside {found.cbr[1]:.4f}: {found.counted}"]
    if found.missing:
        words.append(f"{found.missing} images have no PSNR of both")
    for name, images in found.lost.items():
        named = "in every image" if len(set(images)) == found.counted.images else ", ".join(images)
        words.append(f"{len(images)} lost by {name} ({named})")
    if found.arrived is not None:
        words.append(f"without them {found.arrived}")
    return "; ".join(words)


def _comparison(point: tuple[object, ...], rows: pd.DataFrame, one: str, other: str) -> Comparison:
    channel, csi, snr_db, budget = point
    place = f"{channel}{'' if csi == 'perfect' else f' csi {csi}'} {snr_db:g} dB, CBR {as_fraction(budget)}"
    valued = rows[rows["psnr_db_one"].notna() & rows["psnr_db_other"].notna()]
    outages = {one: valued["outage_one"], other: valued["outage_other"]}
    lost = {name: valued.loc[was, "image"].tolist() for name, was in outages.items() if was.any()}
    left = valued[~valued["outage_one"] & ~valued["outage_other"]]
    missing = rows["image"].nunique() - valued["image"].nunique()
    cbr = (float(valued["cbr_one"].mean()), float(valued["cbr_other"].mean()))
    arrived = _difference(left) if lost else None
    return Comparison(place, cbr, _difference(valued), arrived, lost, missing)


def _difference(rows: pd.DataFrame) -> Difference | None:
    """Repeats are no further images."""
    each = (rows["psnr_db_one"] - rows["psnr_db_other"]).groupby(rows["image"]).mean()
    return (
        Difference(interval(each), int((each > 0).sum()), int((each < 0).sum()), len(each))
        if len(each)
        else None
    )


if __name__ == "__main__":
    guarded(main)
