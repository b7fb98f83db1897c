"""Whether what a command is to write can be written: found out before the work, not after it."""

from __future__ import annotations

import os
from pathlib import Path

from jscc_sim.errors import InputError
from jscc_sim.images import check_output_suffix


def writable(path: str | os.PathLike[str], picture: bool = False) -> None:
    """Raises InputError for an output that cannot be written. picture: by the suffix it is a lossless one."""
    target = Path(path)
    if picture:
        check_output_suffix(target)
    parent = target.parent
    if not parent.is_dir():
        raise InputError(f"output {path} cannot be written: folder {parent} does not exist")
    if target.is_dir() or not os.access(parent, os.W_OK):
        raise InputError(
            f"output {path} cannot be written: {'it is a folder' if target.is_dir() else 'no permission'}"
        )


def writable_folder(folder: Path) -> None:
    """The same for a folder, which may have to be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        what = "no permission" if there.is_dir() else f"{there} is a file"
        raise InputError(f"output folder {folder} cannot be made: {what}")
