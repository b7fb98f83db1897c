"""How long work still takes: a bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from tqdm import tqdm

EVERY_SECONDS = 20.0

T = TypeVar("T")


def announced(items: Sequence[T], what: str, done: int = 0) -> Iterator[T]:
    """The items, `done` of them being behind us already."""
    if sys.stderr.isatty():
        yield from tqdm(items[done:], what, len(items), initial=done, delay=2)
        return
    spoken = time.monotonic()
    for number, item in enumerate(items[done:], done):
        if time.monotonic() - spoken > EVERY_SECONDS:
            spoken = time.monotonic()
            print(f"{what}: {number} of {len(items)}", file=sys.stderr, flush=True)
        yield item
