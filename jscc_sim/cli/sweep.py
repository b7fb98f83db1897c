"""`sweep` and `export`: run a grid of experiments into a store, and write the store as CSV."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jscc_sim.cli.outputs import replaces_nothing, say_written, writable
from jscc_sim.cli.remarks import remark
from jscc_sim.errors import InputError
from jscc_sim.files import check_apart
from jscc_sim.sweeps import DaskCluster, Grid, LocalProcesses, Outcome, Trial, Workers, export_csv, run
from jscc_sim.sweeps.store import check_store_path, settled, store_files

INFEASIBLE_SHOWN = 3
"""Trials that no frame fits, named one by one."""


def sweep(arguments: argparse.Namespace) -> int:
    """Run what the store does not have of a grid. Exit code 1 if a trial failed."""
    workers = _workers(arguments)
    if arguments.store is None and not arguments.dry_run:
        raise InputError("--store FILE is missing: the rows need a place")
    if arguments.store is not None:
        check_store_path(arguments.store)
        check_apart(store_files(arguments.store), [arguments.grid])
    grid = Grid.from_toml(arguments.grid)
    grid = grid if arguments.device is None else grid.on(arguments.device)
    if arguments.executor == "processes":  # a cluster's machines have what they have
        for spec in grid.specs:
            spec.arithmetic.ready()
    trials = grid.trials()
    believed = [s.sender_snr_db for s in grid.specs if s.sender_snr_db is not None]
    systems = dict.fromkeys(trial.system for trial in trials)  # thousands of trials share one
    remark([(system, system.load()) for system in systems], [*grid.snr_db, *believed])
    if arguments.dry_run:
        _dry_run(trials, arguments.store, workers)
        return 0
    try:
        outcome = run(trials, arguments.store, workers, progress=True)
    except KeyboardInterrupt:
        have = len(settled(arguments.store) & {trial.key for trial in trials})
        print(
            f"jscc-sim: stopped with {have} of {len(trials)} trials in {arguments.store}; "
            "the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    _report(outcome, len(trials), arguments.store)
    return 1 if outcome.failures else 0


def export(arguments: argparse.Namespace) -> int:
    """The table of a store."""
    replaces_nothing(arguments, arguments.csv)
    writable(arguments.csv)
    count = export_csv(arguments.store, arguments.csv)
    say_written(arguments.csv, f"{count} rows")
    return 0


def _workers(arguments: argparse.Namespace) -> Workers:
    if arguments.executor == "dask":
        if arguments.scheduler is None:
            raise InputError("--executor dask needs --scheduler, such as tcp://HOST:8786")
        if arguments.workers is not None:
            raise InputError("--workers is for local processes; a Dask cluster brings its own")
        return DaskCluster(arguments.scheduler)
    if arguments.scheduler is not None:
        raise InputError(f"--scheduler {arguments.scheduler} needs --executor dask")
    return LocalProcesses(1 if arguments.workers is None else arguments.workers)


def _dry_run(trials: list[Trial], store: str | None, workers: Workers) -> None:
    """The number of trials, and an estimate of the time."""
    from jscc_sim.sweeps.estimate import estimate_seconds

    have = settled(store) if store is not None and Path(store).exists() else set()
    missing = [trial for trial in trials if trial.key not in have]
    executor = workers.start()
    count = workers.count()
    workers.stop(executor)
    print(f"{len(trials)} trials, {len(missing)} of them to run", flush=True)
    seconds = estimate_seconds(missing, count) if missing else 0.0
    if seconds is None:
        print("time unknown: the trials that were tried for it did not end well")
    else:
        print(f"about {_duration(seconds)} on {count} idle workers, from one trial of each system")


def _report(outcome: Outcome, count: int, store: str) -> None:
    for coordinates, error in outcome.failures:
        print(f"jscc-sim: failed: {coordinates}: {error}", file=sys.stderr)
    for coordinates, error in outcome.infeasible[:INFEASIBLE_SHOWN]:
        print(f"jscc-sim: infeasible: {coordinates}: {error}", file=sys.stderr)
    if (more := len(outcome.infeasible) - INFEASIBLE_SHOWN) > 0:
        print(f"jscc-sim: infeasible: {more} more, see column error of the table", file=sys.stderr)
    print(
        f"{store}: {count} trials, {outcome.ran} of them run now: {outcome.ok} ok, "
        f"{len(outcome.infeasible)} infeasible, {len(outcome.failures)} failed"
    )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
