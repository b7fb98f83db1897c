"""Write pictures, without loss."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from jscc_sim.errors import InputError
from jscc_sim.files import write_whole
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
    check_output_suffix(path)
    image_format = OUTPUT_SUFFIXES[Path(path).suffix.lower()]
    write_whole(path, lambda handle: Image.fromarray(picture).save(handle, format=image_format))
