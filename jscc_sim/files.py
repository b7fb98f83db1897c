"""A user's files: read if they are regular and within a bound; written whole, through links, never over
what is read."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from jscc_sim.errors import InputError

if sys.platform != "win32":
    import fcntl

Name = str | os.PathLike[str]

STDOUT = "-"
"""The output that is standard output; a file of that name is ./- as a Path."""

PARTIAL = ".partial"
"""Suffix of an output that is not complete."""


def check_regular(path: Name, most_bytes: int) -> None:
    """Raises OSError for what is no regular file, which might be waited for or never end, or a larger one."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    if found.st_size > most_bytes:
        raise OSError(errno.EFBIG, f"its {found.st_size} bytes are more than {most_bytes}, the limit")


def read_regular(path: Name, most_bytes: int) -> bytes:
    """All of a file. Raises OSError, see check_regular."""
    check_regular(path, most_bytes)
    return Path(path).read_bytes()


def check_apart(outputs: Iterable[Name], inputs: Iterable[Name]) -> None:
    """Raises InputError if an output is a file that is read, by whatever name or link, or another output."""
    taken = {mark: f"{source}, which is read" for source in inputs for mark in _marks(source)}
    for output in outputs:
        marks = _marks(output)
        for mark in marks & taken.keys():
            raise InputError(f"output {output} would replace {taken[mark]}")
        taken.update(dict.fromkeys(marks, f"{output}, which is written too"))


def write_whole(path: Name, write: Callable[..., object], follow: bool = True) -> None:
    """Call write(handle) on a temporary neighbour and move it into place once it is complete.

    A link is written through, unless not follow: then it is replaced, as is whatever else is there. Into
    pipes and character devices goes what is complete, and so it does into standard output for "-". Raises
    InputError, naming the path, if anything of that fails; an earlier file stays whole.
    """
    try:
        if follow and _is_stream(path):
            _pour(path, write)
        else:
            _replace(Path(os.path.realpath(path)) if follow else Path(path), write)
    except BrokenPipeError:  # who reads it has had enough
        raise
    except (OSError, ValueError) as error:  # ValueError: larger than the format allows
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"output {path} cannot be written: {reason}") from None


def check_writable(path: Name) -> None:
    """Raises InputError for an output that cannot be written, as far as can be told before."""
    try:
        if _is_stream(path):
            why = "" if path == STDOUT or os.access(path, os.W_OK) else "no permission"
        else:
            parent = Path(os.path.realpath(path)).parent
            there = f"folder {Path(path).parent if parent == Path(path).parent.resolve() else parent}"
            why = "" if parent.is_dir() else f"{there} does not exist"
            why = why or ("" if os.access(parent, os.W_OK) else "no permission")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
    if why:
        raise InputError(f"output {path} cannot be written: {why}")


def is_stdout(path: Name) -> bool:
    """Whether what is written there comes out of standard output: "-", or /dev/stdout."""
    if isinstance(path, str) and path == STDOUT:
        return True
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # no such file, or no stream of the system's
        return False


def _marks(path: Name) -> set[object]:
    """What a file is told by: links and case do not count in the second, which only a file has that is
    there."""
    try:
        real = os.path.realpath(path)
        found = os.stat(path)
    except OSError:
        return {real}
    except ValueError:  # no file has such a name
        return set()
    return {real, (found.st_dev, found.st_ino)}


def _is_stream(path: Name) -> bool:
    """Whether bytes are to be written into what is there, instead of a file in its place. Raises OSError
    for what takes no output."""
    if is_stdout(path):
        return True
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISREG(mode):
        real = os.path.realpath(path)
        return not (os.path.exists(real) and os.path.samefile(path, real))  # /dev/fd/3: it has no name now
    if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
        return True
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a folder")
    raise OSError(errno.EINVAL, "it is neither a file, a pipe nor a character device")


def _pour(path: Name, write: Callable[..., object]) -> None:
    content = BytesIO()  # pictures are not written from front to back
    write(content)
    if not is_stdout(path):
        with open(path, "wb") as handle:
            handle.write(content.getvalue())
        return
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        raise ValueError("standard output takes no bytes")
    sys.stdout.flush()
    binary.write(content.getvalue())
    binary.flush()


def _replace(path: Path, write: Callable[..., object]) -> None:
    _tidy(path.parent)
    temporary = None
    try:
        with _partial(path) as handle:
            temporary = Path(handle.name)
            write(handle)
        temporary.chmod(_mode(path))
        temporary.replace(path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Permissions of the earlier file, or of a new one."""
    try:
        return stat.S_IMODE(path.stat().st_mode) & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _partial(path: Path) -> IO[Any]:
    """A temporary neighbour, locked for as long as it is open: nobody tidies it away."""
    while True:
        handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 (the caller closes it)
            dir=path.parent, prefix=f".{path.name[:40]}.", suffix=PARTIAL, delete=False
        )
        if _locked(handle, wait=True) and os.fstat(handle.fileno()).st_nlink == 0:  # tidied meanwhile
            handle.close()
            continue
        return handle


@lru_cache(maxsize=1024)
def _tidy(folder: Path) -> None:
    """Remove what killed programs left, once a process: what is not complete and nobody holds."""
    try:
        names = [e.name for e in os.scandir(folder) if e.name.startswith(".") and e.name.endswith(PARTIAL)]
        for name in names:
            with open(folder / name, "rb") as handle:
                if stat.S_ISREG(os.fstat(handle.fileno()).st_mode) and _locked(handle, wait=False):
                    (folder / name).unlink()
    except OSError:  # another one was quicker, or it is not ours
        pass


def _locked(handle: IO[Any], wait: bool) -> bool:
    """Lock an open file, if the system and its disk know how to."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
