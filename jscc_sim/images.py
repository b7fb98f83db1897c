"""Read and write pictures: any common file becomes an [H, W, 3] uint8 array in sRGB."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from jscc_sim.errors import InputError

Picture = NDArray[np.uint8]

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm"})

BUILTIN = ("astronaut", "coffee", "chelsea", "motorcycle_left", "rocket")
"""Photographs inside scikit-image's wheel, usable wherever a file name is."""


def read_picture(source: str | os.PathLike[str]) -> Picture:
    """The picture of a file, or of a built-in photograph's name if no such file exists.

    Grey and palette images become RGB, transparency is flattened on white, 16 bits are scaled to
    8, the EXIF orientation is applied. Raises InputError for anything that is not a whole picture.
    """
    path = Path(source)
    if not os.path.exists(path):  # Path.exists raises for a name too long
        if str(source) in BUILTIN:
            return _builtin(str(source))
        raise InputError(f"image {source} does not exist")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > pixel_limit():
                    raise InputError(_bomb(source))
                image.load()
                return _as_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(_bomb(source)) from None
    except UnidentifiedImageError:
        raise InputError(f"{source} is not an image in a known format") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise InputError(f"image {source} cannot be read: {error}") from None


def pixel_limit() -> int:
    """Most pixels of an image that is read or reconstructed: Pillow's decompression-bomb limit."""
    return Image.MAX_IMAGE_PIXELS or 2**31


def write_picture(picture: Picture, path: str | os.PathLike[str]) -> None:
    """Write an [H, W, 3] uint8 array; the format follows the suffix. All of the file or nothing."""
    target = Path(path)
    image_format = Image.registered_extensions().get(target.suffix.lower())
    if image_format not in Image.SAVE:
        raise InputError(f"output {path} has no image suffix such as .png")
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


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """The picture files of a folder, sorted by name. Raises InputError if there are none."""
    root = Path(folder)
    if not root.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    found = sorted(p for p in root.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise InputError(f"folder {folder} holds no image files")
    return found


def _bomb(source: object) -> str:
    return f"image {source} has more than {pixel_limit()} pixels, the limit for one picture"


def _builtin(name: str) -> Picture:
    from skimage import data

    if name == "motorcycle_left":
        return np.ascontiguousarray(data.stereo_motorcycle()[0], dtype=np.uint8)
    return np.ascontiguousarray(getattr(data, name)(), dtype=np.uint8)


def _as_rgb(image: Image.Image) -> Picture:
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.nan_to_num(np.asarray(image, dtype=np.float64))
        deep = image.mode.startswith("I;16") or (image.mode == "I" and grey.max(initial=0) > 255)
        scaled = np.clip(np.rint(grey / 257 if deep else grey), 0, 255).astype(np.uint8)
        return np.repeat(scaled[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, rgba)
    return np.array(image.convert("RGB"))  # a copy: torch warns of arrays that cannot be written
