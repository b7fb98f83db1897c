"""How many times as fast is this checkout as an earlier commit? Both take turns, on an idle machine.

python experiments/speed.py COMMIT [--images FOLDER --pictures 24]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jscc_sim.images import BUILTIN, list_pictures

HERE = Path(__file__).resolve().parent.parent

PICTURE = """
import json, statistics, sys, time
import numpy as np
from jscc_sim.channels import AWGN
from jscc_sim.images import read_picture
from jscc_sim.metrics import measure
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.units import budget_uses, parse_cbr

options, zoo, picture = json.loads(sys.argv[1]), sys.argv[2], read_picture(sys.argv[3])[:512, :768]
system = SystemSpec("block-jscc", zoo, **options).load()
system.prepare()
budget = budget_uses(parse_cbr("1/16"), *picture.shape[:2])
taken = []
for turn in range(6):
    started = time.perf_counter()
    sent = system.transmit(picture, AWGN(10.0), budget, np.random.default_rng(0))
    quality = measure(sent.picture, picture)
    taken.append(time.perf_counter() - started)
print(statistics.median(taken[1:]), quality.psnr_db)
"""
"""Seconds of a transmission and of measuring it, all loaded, and its PSNR."""

SWEEP = """
import json, sys, tempfile, time
from pathlib import Path
from jscc_sim.sweeps import Grid, LocalProcesses, SystemSpec, run

if __name__ == "__main__":
    options, zoo, images = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3:]
    systems = [SystemSpec("block-jscc", zoo, policy, **options) for policy in ("uniform", "lagrangian")]
    cbrs = ["1/48", "1/24", "1/16", "1/12", "1/8"]
    grid = Grid(images, systems, ["awgn"], [1, 4, 7, 10, 20], cbrs)
    with tempfile.TemporaryDirectory() as folder:
        trials = grid.trials()
        started = time.perf_counter()
        outcome = run(trials, Path(folder) / "rows.sqlite", LocalProcesses(2))
        assert outcome.ok == len(trials), outcome
        print(time.perf_counter() - started, len(trials))
"""
"""Seconds of 5 SNRs x 5 CBRs x 2 policies with two workers, their start and imports with it; and trials."""

ESTIMATOR = """
import statistics, sys, time
import numba
from jscc_sim.blocks import split
from jscc_sim.complexity import features
from jscc_sim.images import read_picture

numba.set_num_threads(1)
blocks, taken = split(read_picture(sys.argv[2])[:512, :768])[0], []
for turn in range(50):
    started = time.perf_counter()
    features(blocks)
    taken.append(time.perf_counter() - started)
print(statistics.median(taken[1:]), blocks.nbytes / statistics.median(taken[1:]) / 1e9)
"""
"""Seconds of the features of a picture's blocks on one core, and GB/s."""

MEMORY = """
import json, resource, sys
import numpy as np
from jscc_sim.channels import AWGN
from jscc_sim.cli.bench import photograph
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.units import budget_uses, parse_cbr

picture = photograph(4000, 6000)
system = SystemSpec("block-jscc", sys.argv[2], **json.loads(sys.argv[1])).load()
system.transmit(picture, AWGN(10.0), budget_uses(parse_cbr("1/16"), 4000, 6000), np.random.default_rng(0))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 0)
"""
"""GiB at the peak of a picture of 24 megapixels."""

ARITHMETICS: Mapping[str, Mapping[str, object]] = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "fp32, 2 threads": {"threads": 2},
    "bf16, 2 threads": {"precision": "bf16", "threads": 2},
}
TURNS = 2


def main() -> None:
    """A line for each thing that is timed: before, now, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", help="what this checkout is compared with")
    parser.add_argument("--images", metavar="FOLDER", help="pictures (the built-in photographs)")
    parser.add_argument("--pictures", type=int, default=2, help="of them, in the sweeps (2)")
    parser.add_argument("--only", nargs="+", default=["picture", "sweep", "estimator", "memory"])
    options = parser.parse_args()
    images = [str(path) for path in list_pictures(options.images)] if options.images else list(BUILTIN)
    print(f"{'':<34} {'before':>10} {'now':>10} {'times':>7}")
    with earlier(options.commit) as before:
        for zoo in ("conv", "conv-small"):
            for name, how in ARITHMETICS.items() if "picture" in options.only else ():
                compare(f"picture, {zoo}, {name}, s and dB", before, PICTURE, how, zoo, images[0])
        if "estimator" in options.only:
            compare("features, 384 blocks, s and GB/s", before, ESTIMATOR, {}, images[0])
        for zoo in ("conv", "conv-small") if "sweep" in options.only else ():
            for name in ("fp32", "bf16"):
                words = (zoo, *images[: options.pictures])
                compare(f"sweep, {zoo}, {name}, s", before, SWEEP, ARITHMETICS[name], *words, turns=1)
        if "memory" in options.only:
            compare("24 megapixels, conv, GiB", before, MEMORY, {}, "conv", turns=1)


@contextmanager
def earlier(commit: str) -> Iterator[Path]:
    """A checkout of it."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        subprocess.run(
            ["git", "-C", HERE, "worktree", "add", "--detach", "--quiet", tree, commit], check=True
        )
        try:
            (tree / "jscc_sim" / "models").symlink_to(tree / "models")
            yield tree
        finally:
            subprocess.run(["git", "-C", HERE, "worktree", "remove", "--force", tree], check=True)


def compare(
    name: str, before: Path, program: str, how: Mapping[str, object], *words: str, turns: int = TURNS
) -> None:
    """Print the medians of what the two checkouts say in turns. how: the arithmetic of this one; the earlier
    one has single precision on one thread."""
    then, now = [], []
    for _ in range(turns):
        then.append(said(before, program, {}, *words))
        now.append(said(HERE, program, how, *words))
    (old, noted), (new, note) = (map(statistics.median, zip(*found, strict=True)) for found in (then, now))
    print(f"{name:<34} {old:>10.4f} {new:>10.4f} {old / new:>7.2f}   {noted:.4f} {note:.4f}", flush=True)


def said(tree: Path, program: str, how: Mapping[str, object], *words: str) -> tuple[float, float]:
    """The two numbers that a program in a checkout prints."""
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program)
        file.flush()
        environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "2"}
        command = [sys.executable, file.name, json.dumps(how), *words]
        out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    first, second = map(float, out.split())
    return first, second


if __name__ == "__main__":
    main()
