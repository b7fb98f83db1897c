"""How long a sweep will take, from one trial of each system."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jscc_sim.codecs.cache import VARIABLE
from jscc_sim.sweeps.row import OK
from jscc_sim.sweeps.trial import Trial
from jscc_sim.sweeps.work import forget_frames, run_trial
from jscc_sim.systems.spec import SystemSpec

TRIES = 5


def estimate_seconds(trials: Sequence[Trial], workers: int) -> float | None:
    """Wall time of the trials on idle cores. A trial of each system is run, its time scaled by the pixels:
    with all that its sender does once for each frame, without it for each further trial of that frame.
    Codecs are taken to have no files from before. None where none of a few trials of a system ends well."""
    by_system: dict[SystemSpec, list[Trial]] = {}
    for trial in trials:
        by_system.setdefault(trial.system, []).append(trial)
    seconds = 0.0
    for group in by_system.values():
        pace = next(filter(None, map(_seconds_per_pixel, group[:: -(-len(group) // TRIES)])), None)
        if pace is None:
            return None
        fresh, again = pace
        frames = {trial.frame: trial.height * trial.width for trial in group}
        seconds += again * sum(trial.height * trial.width for trial in group)
        seconds += max(fresh - again, 0.0) * sum(frames.values())
    return seconds / max(min(workers, len(trials)), 1)


def _seconds_per_pixel(trial: Trial) -> tuple[float, float] | None:
    """With a frame made afresh, and with one that is there. The first run, which loads, does not count."""
    if run_trial(trial).status != OK:
        return None
    forget_frames()
    with _no_files_kept():
        fresh = _seconds(trial)
    return fresh / (trial.height * trial.width), _seconds(trial) / (trial.height * trial.width)


def _seconds(trial: Trial) -> float:
    started = time.perf_counter()
    run_trial(trial)
    return time.perf_counter() - started


@contextmanager
def _no_files_kept() -> Iterator[None]:
    """Codecs neither find nor keep compressed files."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = ""
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
