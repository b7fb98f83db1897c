"""The pictures of a folder."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from PIL import Image

from jscc_sim.errors import InputError, printable
from jscc_sim.images.heif import HEIF_SUFFIXES

FORMATS = frozenset({
    "AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "SUN",
    "TGA", "TIFF", "WEBP",
})  # fmt: skip
"""Pillow's formats of still pictures; the others are icons, films, vectors and data."""


NAMED = 5
"""Files that are skipped, by their names."""

_log = logging.getLogger(__name__)


def picture_suffixes() -> frozenset[str]:
    """Suffixes of the files that are taken for pictures, in lower case, with their dot."""
    registered = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in registered if name in FORMATS) | HEIF_SUFFIXES


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files of a folder, sorted by name; hidden ones are left out, and other files too, which a
    line on standard error (Python's logging) names.

    Raises InputError if there are none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    suffixes = picture_suffixes()
    files = sorted(path for path in root.iterdir() if not path.name.startswith(".") and path.is_file())
    found = [path for path in files if path.suffix.lower() in suffixes]
    if not found:
        raise InputError(f"folder {folder} holds no image files")
    if skipped := [printable(path.name) for path in files if path.suffix.lower() not in suffixes]:
        named = ", ".join(skipped[:NAMED]) + (", ..." if len(skipped) > NAMED else "")
        _log.warning("folder %s: skipped %d files that are no pictures: %s", folder, len(skipped), named)
    return found
