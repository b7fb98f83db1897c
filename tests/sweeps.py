"""Sweeps for tests: a small grid, stand-ins for `run_trial` that take no time, and the command line with
one of them: `python sweeps.py WORK sweep GRID.toml ...`."""

import functools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
from processes import photograph, save

from jscc_sim.sweeps import SystemSpec, Trial, table
from jscc_sim.sweeps.row import OK
from jscc_sim.systems.fingerprint import Fingerprint

GRID = """
seed = {seed}
images = ["a.png"]
channels = ["awgn", "rayleigh-slow"]
snr_db = [5, 10]
cbr = {cbr}
repeats = {repeats}
[[systems]]
name = "block-jscc"
zoo = "linear"
policy = "{policy}"
[[systems]]
name = "block-jscc"
zoo = "linear"
policy = "random"
"""
NOT_COMPARED = ["seconds", "stage_seconds", "git_commit"]
"""A commit may be edited while the tests run."""


def write_grid(folder, seed=0, cbr='["1/2"]', repeats=1, policy="uniform"):
    """A grid of 8 trials a repeat and CBR, with its picture."""
    save(photograph(40, 64), folder / "a.png")
    path = folder / "grid.toml"
    path.write_text(GRID.format(seed=seed, cbr=cbr, repeats=repeats, policy=policy))
    return path


def trial(repeat=0, **more):
    """A trial of nothing, for `pretend`."""
    fields = {
        "system": SystemSpec("block-jscc", zoo="linear"),
        "fingerprint": Fingerprint(1, "zoo", "policy", "complexity", True),
        **{"image": "a.png", "path": "/nowhere/a.png", "pixels_sha256": "pixels", "height": 40, "width": 64},
        **{"channel": "awgn", "csi": "perfect", "snr_db": 10.0, "cbr": Fraction(1, 6), "root_seed": 0},
    }
    return Trial(**{**fields, **more}, repeat=repeat)


def pretend(trial):
    """A row that the trial's key alone determines."""
    rng = np.random.default_rng(int(trial.key[:12], 16))
    uses = int(rng.integers(1, trial.budget + 1))
    return trial.row(
        OK, uses=uses, mse=rng.random(), outage=bool(rng.integers(2)), ratio_blocks={"0": uses}, seconds=1.0
    )


def pretend_slowly(trial):
    time.sleep(0.03)
    return pretend(trial)


def pretend_with_mark(trial):
    """A line for each call in a file beside the picture."""
    with (Path(trial.path).parent / "marks").open("a") as handle:
        handle.write(f"{os.getppid()} {trial.key}\n")
    return pretend_slowly(trial)


def pretend_for_a_minute(trial):
    (Path(trial.path).parent / "marks").touch()
    time.sleep(60)
    return pretend(trial)


def pretend_and_die(trial):
    """Repeat 3 takes its worker along."""
    if trial.repeat == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return pretend_slowly(trial)


def die_once(trial):
    """The worker of repeat 3 is killed, the first time."""
    mark = Path(trial.path)
    if trial.repeat == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return pretend_slowly(trial)


def whole_table(store):
    """The rows without what differs from run to run."""
    return table(store).drop(columns=NOT_COMPARED)


def command(work, *argv, cwd, **more):
    """The command line as a process of its own session, with another work."""
    words = [sys.executable, __file__, work, *map(str, argv)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(words, cwd=cwd, start_new_session=True, **pipes, **more)


def beside_progress(errors):
    """Standard error without the lines on how far a sweep is."""
    return "".join(line for line in errors.splitlines(keepends=True) if not line.startswith("trials: "))


def wait_for_rows(store, count, process, seconds=60):
    """Until that many rows are there, or the process has ended."""
    until = time.monotonic() + seconds
    while process.poll() is None:
        assert time.monotonic() < until, f"no {count} rows after {seconds} s"
        try:
            with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as db:
                if db.execute("SELECT count(*) FROM rows").fetchone()[0] >= count:
                    return
        except sqlite3.OperationalError:
            pass  # not made yet
        time.sleep(0.01)


def children(pid):
    """Process numbers of a process's workers, multiprocessing's own helper left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_text()
        except OSError:
            continue
        if parent == pid and "spawn_main" in words:
            found.append(int(path.name))
    return found


if __name__ == "__main__":
    import sweeps

    import jscc_sim.cli.sweep
    from jscc_sim.cli import main
    from jscc_sim.sweeps import run

    jscc_sim.cli.sweep.run = functools.partial(run, work=getattr(sweeps, sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
