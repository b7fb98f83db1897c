"""What a picture is, and how large one may be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

BUILTIN = ("astronaut", "coffee", "chelsea", "motorcycle_left", "rocket")
"""Photographs inside scikit-image's wheel, usable wherever a file name is."""


def pixel_limit() -> int:
    """Most pixels of an image that is read or reconstructed: Pillow's decompression-bomb limit."""
    return Image.MAX_IMAGE_PIXELS or 2**31


def check_pixels(width: int, height: int) -> None:
    """Raises Pillow's DecompressionBombError for a size beyond the limit."""
    if width * height > pixel_limit():
        raise Image.DecompressionBombError
