"""What a sweep's runner costs: time and memory over many trials that do nothing.

    python experiments/runner_overhead.py

prints the time per trial with one local process, the same over the first and the last tenth of the
trials, and how far the memory of runner and worker grew from the first tenth to the last.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from jscc_sim.sweeps import LocalProcesses, Row, SystemSpec, Trial, run, table
from jscc_sim.systems.fingerprint import Fingerprint

SYSTEM, MADE = SystemSpec("block-jscc"), Fingerprint(1, "zoo", "policy", "complexity", True)


def main() -> None:
    """Run the trials and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trials", type=int, default=20_000)
    count = parser.parse_args().trials
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "rows.sqlite"
        run([empty_trial(-1)], store, LocalProcesses(1), nothing)  # imports and files are warm
        started = time.time()
        with Memory() as memory:
            outcome = run([empty_trial(i) for i in range(count)], store, LocalProcesses(1), nothing)
        seconds = time.time() - started
        if outcome.ok != count:
            raise SystemExit(f"only {outcome.ok} of {count} trials: {outcome.failures[:1]}")
        rows = table(store).query("repeat >= 0").sort_values("repeat")
        size = store.stat().st_size
    tenth = count // 10
    gaps = 1e3 * np.diff(rows["seconds"].to_numpy())
    first, last = (float(np.median(part)) for part in (gaps[:tenth], gaps[-tenth:]))
    worker = rows["uses"].to_numpy(float) / 1024
    grown = worker[-tenth] - worker[tenth]
    print(f"{count} empty trials, one process: {1e3 * seconds / count:.2f} ms a trial, start included")
    print(f"median of the first tenth {first:.2f} ms, of the last tenth {last:.2f} ms")
    print("memory from the first tenth to the last, and at the end:")
    print(f"  runner {memory.grown_mib():+.1f} MiB, {memory.mib[-1]:.0f} MiB")
    print(f"  worker {grown:+.1f} MiB, {worker[-1]:.0f} MiB")
    print(f"store  {size / count:.0f} bytes a row")


def nothing(trial: Trial) -> Row:
    """A row that says when it was made and how much memory its process had: as seconds and as uses."""
    return trial.row("ok", uses=resident_kib(), seconds=time.time())


def empty_trial(repeat: int) -> Trial:
    """A trial of nothing."""
    picture = ("none", "/none", "pixels", 512, 768)
    return Trial(SYSTEM, MADE, *picture, "awgn", "perfect", 10.0, Fraction(1, 16), repeat, 0)


def resident_kib() -> int:
    """Memory of this process (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


class Memory:
    """Samples this process's memory ten times a second while a `with` block runs."""

    def __init__(self) -> None:
        self.mib: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def grown_mib(self) -> float:
        """From the first tenth of the samples to the last tenth: at its end `run` reads the store."""
        return self.mib[len(self.mib) * 9 // 10] - self.mib[len(self.mib) // 10]

    def _sample(self) -> None:
        while not self._over.wait(0.1):
            self.mib.append(resident_kib() / 1024)


if __name__ == "__main__":
    main()
