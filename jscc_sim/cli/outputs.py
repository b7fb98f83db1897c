"""Whether what a command is to write can be written: found out before the work, not after it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from jscc_sim.checkpoint import MANIFEST, WEIGHTS, models_folder
from jscc_sim.errors import InputError
from jscc_sim.files import check_apart, check_writable, is_stdout
from jscc_sim.images import check_output_suffix
from jscc_sim.plugins import plugin_file
from jscc_sim.recording import recording_files
from jscc_sim.sweeps.store import store_files
from jscc_sim.zoo import CALIBRATION

Output = str | os.PathLike[str]


def writable(path: Output, picture: bool = False) -> None:
    """Raises InputError for an output that cannot be written. picture: by the suffix it is a lossless one."""
    if picture:
        check_output_suffix(path)
    check_writable(path)


def writable_folder(folder: Path) -> None:
    """The same for a folder, which may have to be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "no permission" if there.is_dir() else f"{there} is a file"
        raise InputError(f"output folder {folder} cannot be made: {what}")


def replaces_nothing(arguments: argparse.Namespace, *outputs: Output) -> None:
    """Raises InputError for an output that is a file which the command reads, or another of its outputs."""
    check_apart(outputs, files_read(arguments))


def files_read(arguments: argparse.Namespace) -> Iterator[Path]:
    """What a command's options name to be read, whichever command it is, and the released weights."""
    given = {name: value for name, value in vars(arguments).items() if value not in (None, "", [])}
    for name in ("image", "images", "file", "grid", "reference"):
        names = given.get(name, [])
        for path in map(Path, [names] if isinstance(names, str) else names):
            yield from path.glob("*.csv") if path.is_dir() else [path]
    for name in {"file", "store"} & given.keys():
        yield from store_files(given[name])
    if "recording" in given:
        yield from recording_files(given["recording"])
    if "zoo" in given:
        yield from (Path(given["zoo"]) / name for name in (MANIFEST, WEIGHTS, CALIBRATION))
    for name in ("policy", "complexity", "channel", "system", "codec"):
        found = plugin_file(given.get(name, ""))
        if found is not None:
            yield found
    yield from models_folder().glob("*/*")


def say_written(path: Output, text: str) -> None:
    """What became of an output, on standard output unless that is the output."""
    print(f"{path}: {text}", file=sys.stderr if is_stdout(path) else sys.stdout)
