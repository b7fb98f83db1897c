"""Compressed files on disk, so that a grid over SNRs does not encode twice.

In the folder that JSCC_SIM_CACHE names, or `jscc_sim` in the user's cache folder; an empty JSCC_SIM_CACHE
switches it off. A folder that cannot be written is as good as none. Anything in it may be deleted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from jscc_sim.errors import InputError
from jscc_sim.files import read_regular, write_whole
from jscc_sim.images import Picture, pixel_limit

VARIABLE = "JSCC_SIM_CACHE"


def cached(
    codec: str, version: str, picture: Picture, make: Callable[[int], bytes]
) -> Callable[[int], bytes]:
    """make, which gives the file of a level, or what it gave before for the same version and pixels."""
    root = folder()
    if root is None:
        return make
    content = hashlib.sha256(f"{version} {picture.shape}".encode() + picture.tobytes()).hexdigest()

    def file(level: int) -> bytes:
        key = f"{codec} {content} {level}"
        return _remembered(root / codec / content / f"{level}.bin", key, partial(make, level))

    return file


def folder() -> Path | None:
    """Where files are kept; None if they are not."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return Path(named) if named else None
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jscc_sim"
    except RuntimeError:  # no home
        return None


def _remembered(path: Path, key: str, make: Callable[[], bytes]) -> bytes:
    """What is at a path, if it was sealed under this key: a file that was moved there is none."""
    try:
        sealed = read_regular(path, 4 * pixel_limit())
        if _seal(key, sealed[32:]) == sealed[:32]:
            return sealed[32:]
    except OSError:
        pass
    data = make()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda handle: handle.write(_seal(key, data) + data), follow=False)
    except (OSError, InputError):
        pass  # slower next time, and nothing else
    return data


def _seal(key: str, data: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + data).digest()
