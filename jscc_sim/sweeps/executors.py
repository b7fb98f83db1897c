"""Where trials run: processes of this machine, a Dask cluster, or any executor of concurrent.futures."""

from __future__ import annotations

import importlib.util
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jscc_sim.errors import InputError

T = TypeVar("T")

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
CONNECT_S = 10.0

GO_ON = "the same command goes on from the rows so far"

COUNT_AGAIN_S = 5.0

MOST_WORKERS = 1024
"""Processes of one machine; each takes some hundred megabytes."""

UNGUARDED = 70
"""Exit code of a worker whose script would run the sweep again."""


class Workers(ABC):
    """A place that runs trials. lost: it answers no more, and to call anything back would wait for ever."""

    lost = False

    @abstractmethod
    def start(self) -> Executor:
        """An executor to submit to; another one if the last one broke."""

    @abstractmethod
    def stop(self, executor: Executor, drop: bool = False) -> None:
        """Done with an executor: wait for what still runs, or drop it."""

    @abstractmethod
    def count(self) -> int:
        """How many trials can run at a time, >= 1. It may change."""


@dataclass(frozen=True)
class LocalProcesses(Workers):
    """`number` fresh processes (spawn), one thread each. They end with the process that began them."""

    number: int = 1

    def __post_init__(self) -> None:
        if self.number < 1:
            raise InputError(f"{self.number} workers is below 1")
        if self.number > MOST_WORKERS:
            raise InputError(f"{self.number} workers is above the limit of {MOST_WORKERS}")

    def start(self) -> Executor:
        """See Workers.start. Raises InputError for a main program that workers could not import."""
        script = _script()
        if script is not None and not script.exists():
            raise InputError(
                f"workers import the program that starts them, and {script} is no file: write it to one, "
                "with run(...) below `if __name__ == '__main__':`"
            )
        return _Pool(self.number, multiprocessing.get_context("spawn"), _begin)

    def stop(self, executor: Executor, drop: bool = False) -> None:
        """See Workers.stop. Raises InputError where workers were about to run the sweep themselves."""
        if drop and isinstance(executor, _Pool):
            executor.kill()
        executor.shutdown(cancel_futures=True)
        if isinstance(executor, _Pool) and executor.unguarded:
            raise InputError(
                f"{_script() or 'the main program'} calls run(...) as it is imported, which each worker "
                "does: put the call below `if __name__ == '__main__':`"
            )

    def count(self) -> int:
        """The number."""
        return self.number


class DaskCluster(Workers):
    """The workers of a Dask scheduler, such as tcp://HOST:8786; they may come and go. They need this
    package, and the pictures, zoos and policy files under the same paths. One thread a worker is best:
    a process runs one trial at a time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._client: Any = None
        self._count, self._counted_s = 1, -COUNT_AGAIN_S

    def start(self) -> Executor:
        """See Workers.start. Raises InputError where there is no Dask or no scheduler."""
        if not self._answers():
            raise InputError(f"the Dask scheduler at {self.address} does not answer within {CONNECT_S:g} s")
        self._client = self._connect()
        return self._client.get_executor(pure=False)

    def stop(self, executor: Executor, drop: bool = False) -> None:
        """See Workers.stop; the cluster stays."""
        if self.lost:
            return
        executor.shutdown(wait=False)
        self._client.close()

    def count(self) -> int:
        """Threads of all workers, asked for every few seconds. Raises InputError where the scheduler does not
        answer any more."""
        if time.monotonic() - self._counted_s > COUNT_AGAIN_S:
            if not self._answers():
                self.lost = True
                raise InputError(
                    f"the Dask scheduler at {self.address} has not answered for {CONNECT_S:g} s; {GO_ON}"
                )
            self._count = max(1, sum(self._client.nthreads().values()))
            self._counted_s = time.monotonic()
        return self._count

    def _answers(self) -> bool:
        """False for a scheduler that takes a connection and says nothing: Dask itself would wait for minutes.
        One that is not there is left to Dask, and so are addresses of other kinds than tcp."""
        place = urlsplit(self.address)
        try:
            if place.scheme != "tcp" or not place.hostname or not place.port:
                return True
            with socket.create_connection((place.hostname, place.port), CONNECT_S) as line:
                line.settimeout(CONNECT_S)
                return bool(line.recv(1))  # Dask greets whoever connects
        except TimeoutError:
            return False
        except (OSError, ValueError):
            return True

    def _connect(self) -> Any:
        if importlib.util.find_spec("distributed") is None:
            raise InputError("Dask is not installed: pip install 'jscc_sim[cluster]'")
        from distributed import Client

        logging.getLogger("distributed.client").addFilter(_is_news)
        try:
            return Client(self.address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"no Dask scheduler at {self.address}: {error}") from None


def _is_news(record: logging.LogRecord) -> bool:
    """Whether whoever runs a sweep should read what Dask's client says: a result that was lost with its
    worker is made again, and the rows are the same; where its scheduler is gone, the runner says so in a
    sentence, and the traceback beside it says no more."""
    return record.exc_info is None and "rescheduling" not in record.getMessage()


@dataclass(frozen=True)
class Given(Workers):
    """Anybody's executor that runs `number` trials at a time; it is not shut down."""

    executor: Executor
    number: int = 1

    def start(self) -> Executor:
        """See Workers.start."""
        return self.executor

    def stop(self, executor: Executor, drop: bool = False) -> None:
        """It belongs to the caller."""

    def count(self) -> int:
        """The number."""
        return self.number


class _Pool(ProcessPoolExecutor):
    """Processes begin while something is submitted: libraries read their thread counts as they load."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._begun: dict[int, BaseProcess] = {}

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        with _one_thread_each(), _interrupts_held():
            future = super().submit(fn, *args, **kwargs)
        self._begun |= self._processes or {}
        return future

    @property
    def unguarded(self) -> bool:
        """Whether a process ended because importing the main program led back to `run`."""
        return any(process.exitcode == UNGUARDED for process in self._begun.values())

    def kill(self) -> None:
        """End the processes, whatever they are at."""
        for process in list((self._processes or {}).values()):
            process.kill()


def end_if_imported() -> None:
    """In a worker that is importing the main program, which has no guard: end. It would wait for trials that
    the program itself, which waits for the worker, has claimed."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(UNGUARDED)


def _script() -> Path | None:
    """The file of the main program, which workers import; None where they do without, as in a notebook."""
    main = sys.modules["__main__"]
    name = getattr(main, "__file__", None)
    return None if name is None or getattr(main, "__spec__", None) else Path(name)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process that begins now is deaf to Ctrl-C from its first instruction, its imports included."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """In a new worker: Ctrl-C is the runner's business, and a runner that is killed takes it along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runner = multiprocessing.parent_process()
    if runner is not None:
        threading.Thread(target=_end_with, args=(runner,), daemon=True).start()


def _end_with(runner: BaseProcess) -> None:
    runner.join()
    os._exit(1)
