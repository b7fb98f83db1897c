"""Runs what is missing of a list of trials on any executor, and survives what can be survived."""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from tqdm import tqdm

from jscc_sim.errors import InputError, one_line
from jscc_sim.files import check_apart
from jscc_sim.sweeps.executors import GO_ON, LocalProcesses, Workers, end_if_imported
from jscc_sim.sweeps.row import FAILED, INFEASIBLE, OK, Row
from jscc_sim.sweeps.store import LEASE_S, Claim, Database, Store, check_store_path, store_files
from jscc_sim.sweeps.trial import Trial
from jscc_sim.sweeps.work import run_trial

AHEAD = 2
"""Trials handed out per worker, so that none waits for the next."""

MOST_DEATHS = 2
"""Workers that a trial may take with it."""

BEAT_S, POLL_S = 5.0, 0.5

SAY_EVERY_S = 20.0
"""Between lines on how far it is, where no bar says so."""

Work = Callable[[Trial], Row]


@dataclass(frozen=True)
class Outcome:
    """How a list of trials stands. ran: how many this call had to run; infeasible, failures: (coordinates,
    error) of each that no frame fits, and of each that failed."""

    ran: int
    ok: int
    infeasible: tuple[tuple[str, str], ...]
    failures: tuple[tuple[str, str], ...]


def run(
    trials: Sequence[Trial],
    store: Database,
    workers: Workers | None = None,
    work: Work = run_trial,
    progress: bool = False,
) -> Outcome:
    """Run the trials that the store does not have, and commit a row as each finishes.

    Trials that are ok or infeasible are not run again; failed ones are. Another runner on the same store may
    do some of them; this one returns when all are over. A trial that fails does not stop the others, and
    one that kills its worker is tried again alone, twice at most. workers: one local process by default.
    work: what a worker does, a module's function. progress: a bar on standard error, or a line now and then
    if that is no terminal. Trials go out in the order given and one by one: those of one picture follow each
    other, so that a worker decodes it once, loads each system once, and makes once the frame that repeats
    share.

    A script calls it below `if __name__ == "__main__":`, for workers import the script.

    Raises InputError for a store that cannot be used, or a script without that line. KeyboardInterrupt goes
    through once the trials that are running have finished and are in the store; a second one drops them.
    """
    end_if_imported()
    todo = {trial.key: trial for trial in trials}
    check_store_path(store)
    check_apart(store_files(store), {trial.path for trial in todo.values()})
    with Store(store) as open_store:
        settled = open_store.settled()
        missing = [trial for key, trial in todo.items() if key not in settled]
        barred = progress and _is_terminal(sys.stderr)
        bar = tqdm(
            total=len(todo),
            initial=len(todo) - len(missing),
            unit="trial",
            file=sys.stderr,
            dynamic_ncols=True,
            smoothing=0.1,
            disable=not barred,
        )
        with bar:
            if missing:
                say = progress and not barred
                _Run(open_store, workers or LocalProcesses(), work, bar, missing, say).finish()
        results = open_store.results(todo)

    def named(status: str) -> tuple[tuple[str, str], ...]:
        found = ((trial, results[key]) for key, trial in todo.items() if key in results)
        return tuple((trial.coordinates, row.error or "") for trial, row in found if row.status == status)

    ok = sum(result.status == OK for result in results.values())
    return Outcome(len(missing), ok, named(INFEASIBLE), named(FAILED))


class _Run:
    """One call of `run`: who has which trial."""

    def __init__(
        self,
        store: Store,
        workers: Workers,
        work: Work,
        bar: tqdm,
        missing: Sequence[Trial],
        say: bool,
    ) -> None:
        """say: whether lines stand in for the bar."""
        self.store, self.workers, self.work, self.bar = store, workers, work, bar
        self.todo = deque(missing)
        self.elsewhere: list[Trial] = []
        self.suspects: deque[Trial] = deque()
        self.flying: dict[Future[Row], Trial] = {}
        self.deaths: Counter[str] = Counter()
        self.interrupts: list[int] = []
        self.failed = 0
        self.waiting_s: float | None = None
        self.said = False
        self.say, self.ended, self.spoken = say, bar.total - len(missing), -math.inf
        self._count(0)

    def finish(self) -> None:
        """Until every trial is over, or until Ctrl-C. That is noted and acted upon between two steps: raised
        wherever it comes, it could get lost, or come between two locks of the executor's."""
        with _noted_interrupts() as self.interrupts:
            executor, drop = self.workers.start(), True
            try:
                while not self.interrupts and (self.todo or self.suspects or self.flying or self.elsewhere):
                    if not self._advance(executor):
                        self._suspect_all()
                        executor = self._replace(executor)
                if self.interrupts:
                    self._land()
                drop = len(self.interrupts) > 1
            finally:
                for future in () if self.workers.lost else self.flying:
                    future.cancel()
                self.workers.stop(executor, drop)
        if self.interrupts:
            raise KeyboardInterrupt

    def _replace(self, broken: Executor) -> Executor:
        self.workers.stop(broken)
        fresh = self.workers.start()
        if fresh is broken:
            raise InputError(f"the executor broke, and it is not ours to replace; {GO_ON}")
        return fresh

    def _advance(self, executor: Executor) -> bool:
        """Hand trials out and take some rows in. Returns whether the executor is whole."""
        try:
            self._hand_out(executor)
        except BrokenExecutor:
            return False
        if not self.flying:  # what is left is with other runners
            self._say_who()
            time.sleep(POLL_S)
            self.todo.extend(self.elsewhere)
            self.elsewhere.clear()
            self.store.beat()
            return True
        finished: set[Future[Row]] = set()
        until = time.monotonic() + BEAT_S
        while not (finished or self.interrupts) and time.monotonic() < until:
            finished, _ = wait(self.flying, timeout=POLL_S, return_when=FIRST_COMPLETED)
        self.store.beat()
        lost = [future for future in finished if isinstance(_error_of(future), BrokenExecutor)]
        for future in finished.difference(lost):
            self._take_in(future)
        return not lost

    def _say_who(self) -> None:
        """Once, who is waited for."""
        if self.waiting_s is None:
            self.waiting_s = time.monotonic()
        if not self.said and self.elsewhere and time.monotonic() - self.waiting_s > BEAT_S:
            self.said = True
            whose = ", ".join(sorted(set(self.store.others.values())))
            self.bar.write(
                f"waiting for {len(self.elsewhere)} trials that another runner has, on {whose}; one that is "
                f"silent for {LEASE_S:g} s loses them",
                sys.stderr,
            )

    def _hand_out(self, executor: Executor) -> None:
        """Keep the workers busy; while a trial is under suspicion to kill them, with that one alone."""
        room = 1 if self.suspects else AHEAD * self.workers.count()
        while len(self.flying) < room and (self.suspects or self.todo):
            queue = self.suspects or self.todo
            claim = self.store.claim(queue[0].key)
            if claim is Claim.OURS:
                self.flying[self._submit(executor, queue[0])] = queue[0]
            elif claim is Claim.THEIRS:
                self.elsewhere.append(queue[0])
            else:
                self._count()
            queue.popleft()

    def _submit(self, executor: Executor, trial: Trial) -> Future[Row]:
        try:
            return executor.submit(self.work, trial)
        except BrokenExecutor:
            raise
        except Exception as error:
            raise InputError(f"the executor takes no more trials: {error}; {GO_ON}") from error

    def _take_in(self, future: Future[Row]) -> None:
        """Commit the row of a trial that is over."""
        trial, error = self.flying.pop(future), _error_of(future)
        self._commit(
            trial.row(FAILED, one_line(f"{type(error).__name__}: {error}")) if error else future.result()
        )

    def _commit(self, row: Row) -> None:
        self.store.add(row)
        self.failed += row.status == FAILED
        if self.failed:
            self.bar.set_postfix(failed=self.failed, refresh=False)
        self._count()

    def _count(self, trials: int = 1) -> None:
        """So many more are over."""
        self.bar.update(trials)
        self.ended += trials
        if self.say and time.monotonic() - self.spoken > SAY_EVERY_S:
            self.spoken = time.monotonic()
            print(f"trials: {self.ended} of {self.bar.total}", file=sys.stderr, flush=True)

    def _suspect_all(self) -> None:
        """A worker died and the executor with it: any trial that was flying may have been the cause. One
        that flew alone was."""
        wait(self.flying, timeout=BEAT_S)
        rowless = []
        for future, trial in list(self.flying.items()):
            if future.done() and not isinstance(_error_of(future), BrokenExecutor):
                self._take_in(future)
            else:
                rowless.append(trial)
        self.flying.clear()
        if len(rowless) == 1:
            trial = rowless.pop()
            self.deaths[trial.key] += 1
            if self.deaths[trial.key] < MOST_DEATHS:
                rowless.append(trial)
            else:
                self._commit(trial.row(FAILED, f"its worker died, {MOST_DEATHS} times"))
        self.suspects.extendleft(reversed(rowless))

    def _land(self) -> None:
        """Ctrl-C: call back what has not begun, and keep what has. Another one drops that."""
        for future in list(self.flying):
            if future.cancel():
                del self.flying[future]
        if self.flying:
            note = f"stopping once {len(self.flying)} trials that have begun are over; Ctrl-C drops them"
            self.bar.write(note, sys.stderr)
        while self.flying and len(self.interrupts) == 1:
            finished, _ = wait(self.flying, timeout=POLL_S, return_when=FIRST_COMPLETED)
            self.store.beat()
            for future in finished:
                if isinstance(_error_of(future), BrokenExecutor):
                    del self.flying[future]
                else:
                    self._take_in(future)


def _is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn on it: some terminals have no columns."""
    try:
        return stream.isatty() and os.get_terminal_size(stream.fileno()).columns > 0
    except OSError:  # a terminal that is no file
        return True


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Ctrl-C adds to the list for as long as this lasts. Threads other than the first never see one, nor do
    processes that were started to ignore it, as a shell script's in the background."""
    noted: list[int] = []
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield noted
        return
    before = signal.signal(signal.SIGINT, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _error_of(future: Future[Row]) -> BaseException | None:
    """What came of a future, as an error or None. Raises InputError where the executor dropped it."""
    if future.cancelled():
        raise InputError(f"the executor dropped its trials; {GO_ON}")
    return future.exception()
