"""Write pictures, and files in general: all of a file or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from jscc_sim.errors import InputError
from jscc_sim.images.base import Picture

OUTPUT_SUFFIXES = {".bmp": "BMP", ".png": "PNG", ".ppm": "PPM", ".tif": "TIFF", ".tiff": "TIFF"}
"""Formats that give every picture back to the byte: what is written is what was measured."""


def check_output_suffix(path: str | os.PathLike[str]) -> None:
    """Raises InputError unless the suffix is that of a format of OUTPUT_SUFFIXES."""
    suffix = Path(path).suffix.lower()
    if suffix not in OUTPUT_SUFFIXES:
        what = f"the suffix {suffix}" if suffix else "no suffix"
        known = ", ".join(OUTPUT_SUFFIXES)
        raise InputError(f"output {path} has {what}, and pictures are written without loss, as {known}")


def write_picture(picture: Picture, path: str | os.PathLike[str]) -> None:
    """Write an [H, W, 3] uint8 array; the format follows the suffix, one of OUTPUT_SUFFIXES."""
    target = Path(path)
    check_output_suffix(target)
    image_format = OUTPUT_SUFFIXES[target.suffix.lower()]
    write_whole(target, lambda handle: Image.fromarray(picture).save(handle, format=image_format))


def write_whole(path: Path, write: Callable[..., object]) -> None:
    """Call write(handle) on a temporary neighbour and move it into place once it is complete.

    Raises InputError, naming the path, if anything of that fails; an earlier file stays whole.
    """
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as handle:
            temporary = Path(handle.name)
            write(handle)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: larger than the format allows
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"output {path} cannot be written: {reason}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
