"""Where foreign code runs: whatever goes wrong there is one sentence, and what it prints is not output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO

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
    try:
        with redirect_stdout(printed):
            yield
    finally:
        if name not in _said and (words := one_line(printed.getvalue())):
            _said.add(name)
            print(f"{name} printed: {printable(words)}", file=sys.stderr)
