"""What the experiments share: their options, one store of rows, and a table with its provenance."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from jscc_sim import errors
from jscc_sim.errors import InputError, printable
from jscc_sim.images import BUILTIN, list_pictures, write_whole
from jscc_sim.plots import save_figure
from jscc_sim.plots.table import CONTRACT, check_table, read_references
from jscc_sim.statistics import interval
from jscc_sim.sweeps import Given, Grid, LocalProcesses, Trial, run, table
from jscc_sim.sweeps.row import git_commit

REFERENCES = Path(__file__).resolve().parent.parent / "results" / "reference"
REPLAYED = ("cbr_fraction", "format", "header_margin_db", "companion")
"""Columns of a published table besides the figures' own."""

QUICK_IMAGES, QUICK_ZOO = 3, "conv-small"


class Study:
    """One experiment, from its command line to its files. name: what its files are called; quick: a small
    version is asked for."""

    def __init__(self, name: str, about: str, zoo: str = "conv") -> None:
        self.parser = argparse.ArgumentParser(prog=f"{name}.py", description=about)
        self.parser.add_argument("--images", metavar="FOLDER", help="pictures (the built-in photographs)")
        self.parser.add_argument("--workers", type=int, default=1, help="local processes (1)")
        self.parser.add_argument(
            "--quick", action="store_true", help=f"3 images, zoo {QUICK_ZOO}, few points"
        )
        self.parser.add_argument("--zoo", help=f"({zoo})")
        add_out(self.parser)
        self.name, self._zoo = name, zoo

    def parse(self) -> argparse.Namespace:
        """Read the command line. Experiments add options of their own to `parser` before."""
        self.options = self.parser.parse_args()
        self.quick: bool = self.options.quick
        self.zoo: str = self.options.zoo or (QUICK_ZOO if self.quick else self._zoo)
        self.folder = made_folder(self.options.out)
        if self.quick:
            self.name += "_quick"
        return self.options

    @property
    def images(self) -> list[str]:
        """The pictures to send."""
        found = sources(self.options.images)
        return found[:QUICK_IMAGES] if self.quick else found

    def rows(self, *grids: Grid) -> pd.DataFrame:
        """The rows of the grids: those that are missing in the store of the folder are made first.
        Prints how long that took. Ends the program if a trial fails."""
        trials: dict[str, Trial] = {trial.key: trial for grid in grids for trial in grid.trials()}
        store, started = self.folder / "rows.sqlite", time.monotonic()
        with ThreadPoolExecutor(1) as here:  # one worker needs no process, which would load all again
            count = self.options.workers
            workers = Given(here) if count == 1 else LocalProcesses(count)
            outcome = run(list(trials.values()), store, workers, progress=True)
        minutes = (time.monotonic() - started) / 60
        print(f"{len(trials)} trials with {self.options.workers} workers: {minutes:.1f} minutes")
        for coordinates, error in outcome.failures:
            print(f"failed: {coordinates}: {error}", file=sys.stderr)
        if outcome.failures:
            raise SystemExit(1)
        found = table(store)
        return check_table(found[found["key"].isin(trials)].reset_index(drop=True))

    def publish(
        self,
        rows: pd.DataFrame,
        figures: Mapping[str, Figure],
        part: str = "",
        summary: Mapping[str, Any] | None = None,
    ) -> None:
        """`write` rows, with what is the same in all of them. `jscc-sim plot` and `report` read the CSV, and
        any row of it can be sent again with `jscc_sim.sweeps.replay`."""
        shown = [column for column in rows.columns if column in CONTRACT or column in REPLAYED]
        own, baselines = rows[rows["zoo"] != ""], rows[rows["zoo"] == ""]
        provenance = {
            "trials": len(rows),
            "root_seed": rows["root_seed"].unique().tolist(),
            "zoos": dict(own.groupby("zoo")["zoo_sha256"].first()),
            "baselines": dict(baselines.groupby("system")["zoo_sha256"].first()),
            "versions": json.loads(str(rows["versions"].iloc[0])) if len(rows) else {},
            "git_commit": sorted(map(str, rows["git_commit"].unique())),
            **(summary or {}),
        }
        self.write(rows[shown], figures, part, provenance)

    def write(
        self, table: pd.DataFrame, figures: Mapping[str, Figure], part: str, summary: Mapping[str, Any]
    ) -> None:
        """Write NAME.csv, NAME.json (the command and a summary), and each figure as PNG and PDF, its key
        added to the name. part: is added to the name."""
        name = f"{self.name}_{part}" if part else self.name
        path = write_table(table, self.folder / f"{name}.csv")
        made = [path, write_json({**made_by(), **summary}, path.with_suffix(".json"))]
        for suffix, figure in figures.items():
            made += save_both(figure, self.folder, f"{name}{suffix}")
        print("\n".join(map(str, made)))


def file_part(channel: str) -> str:
    """A channel's name as part of a file's."""
    return channel.replace(":", "_").replace("-", "_")


def add_out(parser: argparse.ArgumentParser) -> None:
    """The option of the folder that `made_folder` makes."""
    parser.add_argument("--out", default="out", metavar="FOLDER", help="where the files go (out)")


def made_folder(name: str) -> Path:
    """A folder that is there from now on. Raises InputError."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"folder {folder} cannot be made: {error.strerror}") from None
    return folder


def made_by() -> dict[str, Any]:
    """What every JSON begins with: the command that is running, the commit of the code that runs, when and
    on what."""
    today = datetime.now(UTC).date().isoformat()
    return {"command": command(), "git_commit": [str(git_commit())], "date": today, "machine": machine()}


def machine() -> str:
    """The processor's name and its cores."""
    name = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux knows better
        told = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
        name = told[0].partition(":")[2].strip() if told else name
    return f"{name}, {os.cpu_count()} cores"


def command() -> str:
    """The command that is running, folders by their last name."""
    script = f"experiments/{Path(sys.argv[0]).name}"
    return shlex.join(["python", script, *map(_last_name, sys.argv[1:])])


def write_table(table: pd.DataFrame, path: Path) -> Path:
    """Write a CSV. Returns the path."""
    write_whole(path, lambda handle: table.to_csv(handle, index=False, float_format="%.6g"))
    return path


def write_json(content: Mapping[str, Any], path: Path) -> Path:
    """Write it for people too. Returns the path."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_whole(path, lambda handle: handle.write(printable(text).encode()))
    return path


def save_both(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Save a figure as PNG and PDF. Returns the paths."""
    made = [folder / f"{stem}.{kind}" for kind in ("png", "pdf")]
    for path in made:
        save_figure(figure, path)
    return made


def sources(folder: str | None) -> list[str]:
    """The pictures of a folder; without one the built-in photographs."""
    return list(BUILTIN) if folder is None else [str(path) for path in list_pictures(folder)]


def references(*names: str) -> pd.DataFrame:
    """The published curves of these files."""
    return read_references([REFERENCES / f"{name}.csv" for name in names])


def means(rows: pd.DataFrame, by: Sequence[str], across: str, value: str = "psnr_db") -> str:
    """A table of means over images, to print; none where an image has no value."""
    table = rows.pivot_table(value, list(by), across, aggfunc=_mean_of_all, sort=False)
    return str(table.round(2).to_string())


def words_of(differences: pd.Series) -> str:
    """Paired differences of images in dB: `+1.54 ± 0.15, above in 24 of 24`; without interval of few images;
    empty where one has none."""
    if differences.isna().any():
        return ""
    found = interval(differences)
    return f"{found.text(2, '+')}, above in {int((differences > 0).sum())} of {found.count}"


def guarded(main: Callable[[], None]) -> None:
    """See jscc_sim.errors.guarded; rows that were made are kept."""
    errors.guarded(main, "stopped; the same command goes on from the rows so far")


def _mean_of_all(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def _last_name(word: str) -> str:
    return Path(word).name if "/" in word else word
