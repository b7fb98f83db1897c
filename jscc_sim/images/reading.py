"""Read a picture, whatever it is kept in."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from jscc_sim.errors import InputError, one_line
from jscc_sim.files import check_regular
from jscc_sim.images import jpeg
from jscc_sim.images.base import BUILTIN, Picture, check_pixels, pixel_limit
from jscc_sim.images.colour import flattened
from jscc_sim.images.depth import eight_bits
from jscc_sim.images.heif import is_heif, open_heif
from jscc_sim.images.orientation import orientation_of, upright
from jscc_sim.images.tiff import PREFIXES, read_tiff

PIXEL_BYTES, PROFILE_BYTES = 16, 1 << 26
"""Four samples of 32 bits, and what a file holds beside its pixels."""

_HEAD = 256
"""Bytes that tell a family of formats."""


def read_picture(source: str | os.PathLike[str]) -> Picture:
    """The picture of a file, or of a built-in photograph's name if no such file exists: [H, W, 3] in sRGB.

    Grey and palette images become RGB, transparency is flattened on white, the EXIF orientation is applied.
    What the file declares counts, never what its values look like: unsigned samples of any depth are scaled
    from 0..maximum to 0..255 and rounded once, floats (TIFF, PFM) from 0..1; then a colour profile is undone,
    in 8 bits (relative colorimetric; PNG's gAMA is not looked at). Raises InputError for anything that is not
    a whole picture, or cannot be read right: signed samples, floats beyond 0..1.
    """
    path = Path(source)
    if not os.path.exists(path):  # Path.exists raises for a name too long
        if str(source) in BUILTIN:
            return _builtin(str(source))
        raise InputError(f"image {source} does not exist")
    try:
        check_regular(path, PIXEL_BYTES * pixel_limit() + PROFILE_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata that nobody asked for
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _decoded(path)
    except InputError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(
            f"image {source} has more than {pixel_limit()} pixels, the limit for one picture"
        ) from None
    except UnidentifiedImageError:
        raise InputError(f"{source} is not an image in a known format") from None
    except Exception as error:  # decoders raise all kinds for damaged files
        reason = getattr(error, "strerror", None) or one_line(error) or type(error).__name__
        raise InputError(f"image {source} cannot be read: {reason}") from None


def _decoded(path: Path) -> Picture:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(PREFIXES):
        return flattened(read_tiff(path))
    with open_heif(path) if is_heif(head) else Image.open(path) as image:
        check_pixels(*image.size)
        levels = eight_bits(path, image)
        if image.format in jpeg.FORMATS and not jpeg.is_whole(path, image):
            raise InputError(f"image {path} cannot be read: it is cut short, its JPEG data ends too early")
        return flattened(upright(levels, orientation_of(image)))


def _builtin(name: str) -> Picture:
    from skimage import data

    if name == "motorcycle_left":
        return np.ascontiguousarray(data.stereo_motorcycle()[0], dtype=np.uint8)
    return np.ascontiguousarray(getattr(data, name)(), dtype=np.uint8)
