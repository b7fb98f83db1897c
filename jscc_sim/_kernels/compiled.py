"""How kernels are compiled, cached, and shared by threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError

try:
    import numba
    from numba.core.caching import FunctionCache
except ValueError as error:
    raise InputError(f"NUMBA_NUM_THREADS = {os.environ.get('NUMBA_NUM_THREADS')}: {error}") from None

MOST_THREADS = 1024
if numba.config.NUMBA_NUM_THREADS > MOST_THREADS:  # it would crash in the first kernel
    raise InputError(f"NUMBA_NUM_THREADS = {numba.config.NUMBA_NUM_THREADS} is above {MOST_THREADS}")

prange = numba.prange

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]
F = TypeVar("F", bound=Callable[..., object])

_REORDER = {"reassoc", "contract", "arcp"}
"""Sums may be reordered, which lets them use the vector units; infinities keep their meaning. Kernels on disk
know nothing of it: who changes it deletes `__pycache__` beside them."""


MANY = 2048
"""Rows of a kernel that several threads share."""

_alone = threading.Lock()


class _Cache(FunctionCache):  # type: ignore[misc]
    """Machine code on disk as far as that goes: what cannot be read or kept, on a full disk for one, is
    compiled and used all the same."""

    def load_overload(self, *key: Any) -> Any:
        """See FunctionCache."""
        try:
            return super().load_overload(*key)
        except Exception:  # a file that was cut short: whatever unpickling it raises
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, *entry: Any) -> None:
        """See FunctionCache."""
        with suppress(OSError):
            super().save_overload(*entry)


def njit(parallel: bool = False) -> Callable[[F], F]:
    """numba.njit that keeps its machine code on disk, or only in memory where no folder is writable.
    parallel: one call at a time, since not every threading layer of Numba's survives two."""

    def compiled(function: F) -> F:
        kernel: Any = numba.njit(parallel=parallel, fastmath=_REORDER)(function)
        if kernel is function:  # NUMBA_DISABLE_JIT
            return function
        with suppress(RuntimeError):  # numba: "cannot cache function: no locator available"
            kernel._cache = _Cache(function)
        if not parallel:
            return kernel  # type: ignore[no-any-return]

        @wraps(function)
        def one_at_a_time(*arguments: object) -> object:
            with _alone:
                return kernel(*arguments)

        return one_at_a_time  # type: ignore[return-value]

    return compiled


def parallel(function: F) -> F:
    """A kernel whose outermost loop is shared by threads; each turn writes its own row, so that their number
    changes nothing. Fewer rows than MANY take one thread: to wait for another would take longer."""
    kernel = njit(parallel=True)(function)

    @wraps(function)
    def launched(rows: Any, *arguments: object) -> object:
        with _launching:
            _launch_threads()
        threads = numba.get_num_threads()
        numba.set_num_threads(threads if len(rows) >= MANY else 1)
        try:
            return kernel(rows, *arguments)
        finally:
            numba.set_num_threads(threads)

    return cast(F, launched)


_launching = threading.Lock()
_launched: list[int] = []
"""Process numbers: of the one that launched numba's threads, which its forks inherit."""

_forks: list[int] = []
"""Process numbers: of this one, if it is a fork. OpenMP may believe to have the other's threads."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(os.getpid()))


def _launch_threads() -> None:
    """Numba's threads, once a process. With OpenMP that sets torch's number of threads too, which stays as it
    was. A forked process has none of the threads that it takes itself to have: OpenMP waits for them, or ends
    the process. Raises InputError where numba's are among them."""
    if _launched == [os.getpid()]:
        return
    if _launched:
        raise InputError(
            f"process {os.getpid()} was forked from one that had computed, whose threads it lacks: start it "
            "with multiprocessing.get_context('spawn')"
        )
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    numba.get_num_threads()  # launches
    if torch:
        torch.set_num_threads(before)
    if _forks:
        numba.set_num_threads(1)
    _launched.append(os.getpid())
