"""Samples of other than 8 bits, scaled to 8 by what the file declares, never by what they are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from jscc_sim.images.base import Picture

_DEEP = ("I", "F")
"""First letters of Pillow's modes of more than 8 bits: I, I;16, I;16B, F."""

_SWAPPED = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
"""Byte orders of Pillow's raw modes, N the machine's own, and their opposites."""

_GREY_STEPS = {"L;2": 85, "L;4": 17}


def to_8_bits(samples: NDArray[Any], peak: int) -> Picture:
    """Samples of any shape, 0..peak, to 0..255: round(255 v / peak), halves to even."""
    if peak < 2**16 and samples.dtype.kind != "f":
        return np.rint(np.arange(peak + 1) * 255 / peak).astype(np.uint8)[samples]
    return np.rint(samples * 255.0 / peak).astype(np.uint8)


def floats_to_8_bits(samples: NDArray[Any]) -> Picture:
    """Floats of any shape, 0..1, to 0..255. Raises ValueError for those that round to anything else."""
    if not np.isfinite(samples).all():
        raise ValueError("it holds samples that are not finite")
    levels = np.rint(samples.astype(np.float64) * 255)
    if levels.min() < 0 or levels.max() > 255:
        raise ValueError(
            f"its samples are floats from {samples.min():.4g} to {samples.max():.4g}, not 0 to 1"
        )
    return levels.astype(np.uint8)


def eight_bits(path: Path, image: ImageFile.ImageFile) -> Image.Image:
    """Pillow's image of a file, opened and not loaded, in an 8-bit mode. TIFF has a module of its own.

    Raises ValueError for what Pillow would cut or take for something else.
    """
    if image.format == "PNG":
        return _png(path, image)
    if image.format == "JPEG2000":
        return _jpeg_2000(path, image)
    if image.format == "PPM" and image.mode == "I":  # Pillow scales every maximum to 65535
        return with_profile(image, to_8_bits(np.asarray(image), 65535))
    if image.format == "PPM" and image.mode == "F":
        return with_profile(image, floats_to_8_bits(np.asarray(image)))
    decoded = loaded(image)  # of icons, the mode is known only now
    if decoded.mode.startswith(_DEEP) or (image.format == "SGI" and path.read_bytes()[3] != 1):
        raise ValueError(f"{image.format} with more than 8 bits a sample is not supported")
    return decoded


def loaded(image: ImageFile.ImageFile) -> Image.Image:
    """The decoded image as it stands in the file, not turned, and complete whatever the format."""
    if image.format == "TIFF":  # Pillow turns it, and reads other metadata, which may be broken
        image.load_end = lambda: None  # type: ignore[method-assign]
    image.load()
    return image.copy()  # of the size and with the palette that was decoded


def with_profile(image: Image.Image, levels: Picture) -> Image.Image:
    """[H, W] or [H, W, C] levels as an image with the colours and the profile of the one they are from."""
    if levels.ndim == 3 and levels.shape[2] == 1:
        levels = levels[:, :, 0]
    made = Image.fromarray(levels)
    if image.mode == "CMYK":  # of four channels, as RGBA is
        made = Image.frombytes("CMYK", made.size, levels.tobytes())
    made.info["icc_profile"] = image.info.get("icc_profile")
    return made


def both_bytes(path: Path, image: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """[H, W, C] samples of 16 bits, of which Pillow keeps the upper byte of a colour.

    The file is decoded a second time with the order of the bytes exchanged: what is kept is the lower one.
    """
    upper = np.asarray(loaded(image))
    lower = np.asarray(_decoded_as(path, image, lambda rawmode: rawmode[:-1] + _SWAPPED[rawmode[-1]]))
    return upper.astype(np.uint16) << 8 | lower


def raw_mode(tile: Any) -> str:
    """How Pillow is to unpack a part of an image that is not loaded yet."""
    return str(tile.args if isinstance(tile.args, str) else tile.args[0])


def _decoded_as(path: Path, image: ImageFile.ImageFile, renamed: Callable[[str], str]) -> Image.Image:
    """The image of a file once more, its samples unpacked by another of Pillow's raw modes."""

    def retold(tile: Any) -> Any:
        mode = renamed(raw_mode(tile))
        return tile._replace(args=mode if isinstance(tile.args, str) else (mode, *tile.args[1:]))

    with Image.open(path, formats=(str(image.format),)) as again:
        again.tile = [retold(tile) for tile in again.tile]
        return loaded(again)


def _png(path: Path, image: ImageFile.ImageFile) -> Image.Image:
    rawmode, key = raw_mode(image.tile[0]), image.info.get("transparency")
    image.load()
    if not rawmode.endswith(";16B"):
        if rawmode in _GREY_STEPS and key is not None:  # Pillow scales the picture and not its key
            image.info["transparency"] = key * _GREY_STEPS[rawmode]
        return image
    if rawmode == "I;16B":
        samples = np.asarray(image)[:, :, None]
    elif rawmode == "LA;16B":
        four = np.ascontiguousarray(_decoded_as(path, image, lambda _: "RGBA"))
        samples = four.view(">u2")
    else:
        samples = both_bytes(path, image)
    levels = to_8_bits(samples, 65535)
    if key is not None:
        opaque = (samples != np.array(key)).any(axis=2, keepdims=True)
        levels = np.concatenate([levels, np.where(opaque, np.uint8(255), np.uint8(0))], axis=2)
    return with_profile(image, levels)


def _jpeg_2000(path: Path, image: ImageFile.ImageFile) -> Image.Image:
    """Pillow shifts samples to the upper end of 16 bits in grey, and cuts them to 8 in colour.

    What they were is in the codestream's SIZ segment: ISO 15444-1, A.5.1.
    """
    content = path.read_bytes()
    components = content.index(b"\xff\x4f\xff\x51") + 40
    count = int.from_bytes(content[components : components + 2], "big")
    bits = max(content[components + 2 : components + 2 + 3 * count : 3]) + 1
    image.load()
    if bits <= 8:
        return image
    if bits > 16 or count > 1:
        raise ValueError("JPEG 2000 with signed samples, or more than 8 bits in colour, is not supported")
    return with_profile(image, to_8_bits(np.asarray(image) >> (16 - bits), 2**bits - 1))
