"""The picture that the page sends: built in, or dropped onto it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from jscc_sim.errors import InputError
from jscc_sim.images import Picture, read_picture

MOST_PIXELS = 2_000_000
"""Of a picture that is sent as it is: a page must answer."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """One picture. name: of its file, or of a built-in photograph; pixels: [H, W, 3] uint8; note: a sentence
    on how it was scaled, or empty."""

    name: str
    pixels: Picture
    note: str = ""


@lru_cache(maxsize=4)
def choose(source: str) -> Chosen:
    """The picture of a file, or of a built-in photograph's name; the same object for the same source. Raises
    InputError, which knows the file by its last name."""
    name = os.path.basename(source)
    try:
        pixels = read_picture(source)
    except InputError as error:
        raise InputError(str(error).replace(source, name)) from None
    small = scaled_down(pixels)
    if small is pixels:
        return Chosen(name, pixels)
    (height, width), (less, narrower) = pixels.shape[:2], small.shape[:2]
    note = (
        f"{name} has {height}x{width} pixels, {height * width / 1e6:.1f} million: the page sends it "
        f"scaled to {less}x{narrower}. The command sends all of it."
    )
    return Chosen(name, small, note)


def scaled_down(pixels: Picture, most: int = MOST_PIXELS) -> Picture:
    """[H, W, 3] uint8: the picture itself, or one of the same shape and at most so many pixels."""
    height, width = pixels.shape[:2]
    if height * width <= most:
        return pixels
    share = math.sqrt(most / (height * width))
    size = max(1, math.floor(width * share)), max(1, math.floor(height * share))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
