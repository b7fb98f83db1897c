"""All tables and figures of results/, made again from weights and pictures; goes on where it was stopped.

python -m experiments --images FOLDER [--train FOLDER] [--workers 2] [--only NAME ...]
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from jscc_sim.errors import InputError, guarded
from jscc_sim.images import list_pictures

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results"

PARTS: dict[str, str] = {
    "waterfalls": "waterfalls.py",
    "gnu_radio": "gnu_radio.py",
    "psnr_vs_cbr": "psnr_vs_cbr.py IMAGES",
    "policies": "policies.py IMAGES",
    "psnr_vs_snr": "psnr_vs_snr.py IMAGES",
    "side_information": "side_information.py IMAGES",
    "snr_mismatch": "snr_mismatch.py IMAGES",
    "baselines_vs_cbr": "baselines_vs_cbr.py IMAGES",
    "baselines_vs_snr": "baselines_vs_snr.py IMAGES",
    "fading": "fading.py IMAGES",
    "baselines_fading": "baselines_fading.py IMAGES",
    "ofdm": "ofdm.py IMAGES",
    "ofdm_papr": "ofdm_papr.py IMAGES",
    "ofdm_receiver": "ofdm_receiver.py IMAGES --zoo conv-small",
    "ofdm_abstraction": "ofdm_abstraction.py IMAGES",
    "learned_codecs": "learned_codecs.py IMAGES",
    "power": "power.py TRAIN",
    "allocation_headroom": "allocation_headroom.py TRAIN",
}
"""Commands, in an order in which trials share what others have made: files of codecs, rows."""

PICTURES = 24
"""Kodak's, of which the committed tables are."""


def main() -> None:
    """Run them one after the other, each as anybody would, and write the index of what came of it."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("--images", metavar="FOLDER", required=True, help="pictures to measure on")
    parser.add_argument("--train", metavar="FOLDER", help="training pictures, for experiments on those")
    parser.add_argument("--workers", type=int, default=1, help="local processes (1)")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--out", default=str(RESULTS), metavar="FOLDER", help="where the files go (results)")
    parser.add_argument("--quick", action="store_true", help="small versions, where there are some")
    parser.add_argument(
        "--dry-run", action="store_true", help="the commands, and how long as many pictures took last"
    )
    options = parser.parse_args()
    for folder in (options.images, options.train):
        if folder is not None and not (folder and Path(folder).is_dir()):
            raise InputError(f"{folder!r} is no folder of pictures")
    if options.workers < 1:
        raise InputError(f"{options.workers} workers is below 1")
    commands = {
        name: words for name in options.only or PARTS if (words := command(PARTS[name], options)) is not None
    }
    for name in options.only or PARTS:
        if name not in commands and options.only:
            raise InputError(f"{name} needs --train FOLDER")
        if name not in commands:
            print(f"{name}: left out, --train is not given")
    share = len(list_pictures(options.images)) / PICTURES / options.workers
    hours = {name: share * hours_last(name) for name in commands}
    if options.dry_run:
        for name, words in commands.items():
            known = f"{hours[name]:6.2f} h" if hours[name] else "not known"
            print(f"{known:>9}  {shlex.join(['python', *words])}")
        print(
            f"{sum(hours.values()):6.2f} h  in all, of transmissions alone, as long as a picture took last",
            end="",
        )
        print(" without --quick" * options.quick)
        return
    failed = [
        name
        for name, words in tqdm(commands.items(), "experiments", disable=None)
        if subprocess.run([sys.executable, *words], cwd=HERE.parent, check=False).returncode
    ]
    if Path(options.out).resolve() == RESULTS:
        for script in ("results_index.py", "documented.py"):
            subprocess.run([sys.executable, HERE / script], check=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}; the same command tries them again")


def command(part: str, options: argparse.Namespace) -> list[str] | None:
    """The words behind `python`; None for one whose pictures are not given."""
    script, *words = part.split()
    found = [f"experiments/{script}"]
    for word in words:
        if word == "TRAIN":
            if options.train is None:
                return None
            found += [str(Path(options.train).resolve())]
        elif word == "IMAGES":
            found += ["--images", str(Path(options.images).resolve()), "--workers", str(options.workers)]
            found += ["--quick"] if options.quick else []
        else:
            found.append(word)
    return [*found, "--out", str(Path(options.out).resolve())]


def hours_last(name: str) -> float:
    """Of one worker, as the rows of the committed tables say; 0 where they are of no trials."""
    total = 0.0
    for path in RESULTS.glob("*.json"):
        table, script = path.with_suffix(".csv"), PARTS[name].split()[0]
        if table.exists() and f"experiments/{script}" in json.loads(path.read_text())["command"].split():
            total += float(pd.read_csv(table).get("seconds", pd.Series(dtype=float)).sum()) / 3600
    return total


if __name__ == "__main__":
    guarded(main, "stopped; the same command goes on from the rows so far")
