"""Where foreign code runs: whatever goes wrong there is one sentence, and what it prints is not output."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from io import StringIO
from typing import Any

from jscc_sim.errors import InputError, JsccError, one_line, out_of_memory, printable

STOPS = (KeyboardInterrupt, GeneratorExit)
"""What ends a program or a generator, and is no fault of whoever is running."""

_said: set[str] = set()


@contextmanager
def errors_named(name: str, through: tuple[type[JsccError], ...] = (JsccError,)) -> Iterator[None]:
    """Whatever foreign code raises inside becomes an InputError that begins with `name`, but for memory that
    runs out, and for what is raised in the words of this package: errors of the classes `through`. What it
    prints is put aside."""
    known: tuple[type[BaseException], ...] = (*through, *STOPS)
    try:
        with prints_aside(name):
            yield
    except known:
        raise
    except BaseException as error:
        if out_of_memory(error):
            raise
        raise InputError(f"{name} raised {type(error).__name__}: {one_line(error)}") from error


@contextmanager
def prints_aside(name: str) -> Iterator[None]:
    """What foreign code prints inside is no output of ours: it goes to standard error, the first time, in a
    line that begins with `name`."""
    printed = StringIO()
    _enter()
    token = _aside.set(printed)
    try:
        yield
    finally:
        _aside.reset(token)
        _leave()
        if name not in _said and (words := one_line(printed.getvalue())):
            _said.add(name)
            print(f"{name} printed: {printable(words)}", file=sys.stderr)


class _PerThread:
    """Standard output, but for threads in which foreign code runs. (contextlib.redirect_stdout is of the
    whole program: of two threads the second would restore what the first had put there, for good.)"""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __getattr__(self, name: str) -> Any:
        aside = _aside.get()
        return getattr(self.stream if aside is None else aside, name)


_aside: ContextVar[StringIO | None] = ContextVar("aside", default=None)
_lock = threading.Lock()
_inside: list[_PerThread] = []
"""What stands for standard output, as often as code runs inside."""


def _enter() -> None:
    with _lock:
        if not _inside:
            _inside.append(_PerThread(sys.stdout))
            sys.stdout = _inside[0]  # type: ignore[assignment]
        else:
            _inside.append(_inside[0])


def _leave() -> None:
    with _lock:
        ours = _inside.pop()
        if not _inside and sys.stdout is ours:
            sys.stdout = ours.stream
