"""Whether a JPEG is whole: one cut and closed with an end marker decodes without a word, its rest grey."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

FORMATS = ("JPEG", "MPO")
"""As Pillow calls them; the latter is several JPEGs in a file, of which the first is read."""

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")
"""One that ends entropy-coded data: neither a stuffed byte nor a restart."""

_END, _ARITHMETIC = b"\xd9", b"\xc9\xca\xcb\xcd\xce\xcf"

_FILLER = bytes(np.random.default_rng(0).integers(1, 255, 256, np.uint8))
"""Anything that is no marker."""


def is_whole(path: Path, image: Image.Image) -> bool:
    """Whether the JPEG of a file, which is decoded in `image`, has data for all of its picture.

    libjpeg takes missing data for zeros and only warns, which Pillow does not pass on. More data before the
    end marker changes nothing of a picture that has all it needs, and another has its missing part made of
    it. Arithmetic coding leaves trailing zeros out and is believed.
    """
    data = path.read_bytes()
    end = _end_of_picture(data)
    if end is None:
        return True
    try:
        with JpegImageFile(io.BytesIO(data[:end] + _FILLER + data[end : end + 2])) as longer:
            return np.array_equal(np.asarray(image), np.asarray(longer))
    except (OSError, SyntaxError):  # the filler stands where a table is cut
        return False


def _end_of_picture(data: bytes) -> int | None:
    """Where the end marker of the first picture stands; None if there is none, or it cannot be told by it."""
    at = 2
    while found := _MARKER.search(data, at):
        kind = found[1]
        if kind == _END:
            return found.end() - 2
        if kind in _ARITHMETIC:
            return None
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return None
