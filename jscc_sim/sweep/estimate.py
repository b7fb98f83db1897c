"""How long a sweep will take, from one trial of each system."""

from __future__ import annotations

import time
from collections.abc import Sequence

from jscc_sim.sweep.row import OK
from jscc_sim.sweep.spec import SystemSpec
from jscc_sim.sweep.trial import Trial, run_trial

TRIES = 5


def estimate_seconds(trials: Sequence[Trial], workers: int) -> float | None:
    """Wall time of the trials on idle cores. A trial of each system is run, twice since the first one
    loads it, and its time scaled by the pixels. None where none of a few trials of a system ends well."""
    by_system: dict[SystemSpec, list[Trial]] = {}
    for trial in trials:
        by_system.setdefault(trial.system, []).append(trial)
    seconds = 0.0
    for group in by_system.values():
        pace = next(filter(None, map(_seconds_per_pixel, group[:: -(-len(group) // TRIES)])), None)
        if pace is None:
            return None
        seconds += pace * sum(trial.height * trial.width for trial in group)
    return seconds / max(min(workers, len(trials)), 1)


def _seconds_per_pixel(trial: Trial) -> float | None:
    if run_trial(trial).status != OK:
        return None
    started = time.perf_counter()
    run_trial(trial)
    return (time.perf_counter() - started) / (trial.height * trial.width)
