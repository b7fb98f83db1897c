"""Where foreign code runs: whatever goes wrong there is one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jscc_sim.errors import InputError, JsccError


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Whatever foreign code raises inside becomes an InputError that begins with `name`."""
    try:
        yield
    except JsccError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{name} raised {type(error).__name__}: {error}") from error
