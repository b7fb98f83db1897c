"""TIFF pictures: by Pillow where it reads them right, else by tifffile."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from jscc_sim.images.base import Picture, check_pixels
from jscc_sim.images.depth import both_bytes, floats_to_8_bits, loaded, raw_mode, to_8_bits, with_profile
from jscc_sim.images.orientation import upright

PREFIXES = tuple(order + mark for order in (b"II", b"MM") for mark in (b"*\0", b"\0*", b"+\0", b"\0+"))

for _library in ("PIL", "tifffile"):  # what matters of what they log is raised as well
    logging.getLogger(_library).addHandler(logging.NullHandler())

BITS, PHOTOMETRIC, ORIENTATION, PLANAR, SAMPLE_FORMAT, PROFILE = 258, 262, 274, 284, 339, 34675
"""Tags, and below their values, as TIFF 6.0 numbers them."""

MIN_IS_WHITE, MIN_IS_BLACK, RGB = 0, 1, 2
SEPARATE = 2
PREMULTIPLIED, ALPHA = 1, 2
UNSIGNED, SIGNED, FLOATING, UNDEFINED = 1, 2, 3, 4
SAMPLE_FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOATING: "floating-point"}


def read_tiff(path: Path) -> Image.Image:
    """The first picture of a file in an 8-bit mode, upright. Raises ValueError for what is not supported."""
    try:
        with Image.open(path, formats=("TIFF",)) as image:
            check_pixels(*image.size)
            read = _by_pillow(path, image)
            if read is not None:
                return upright(read, image.tag_v2.get(ORIENTATION))  # type: ignore[attr-defined]
    except UnidentifiedImageError:
        pass
    return _by_tifffile(path)


def _by_pillow(path: Path, image: ImageFile.ImageFile) -> Image.Image | None:
    """None for what Pillow does not read, or not right."""
    tags = image.tag_v2  # type: ignore[attr-defined]
    depths, formats = set(tags.get(BITS, (1,))), set(tags.get(SAMPLE_FORMAT, (UNSIGNED,)))
    if max(depths) <= 8 and formats <= {UNSIGNED, UNDEFINED}:
        return loaded(image)
    if len(depths) > 1 or tags.get(PLANAR) == SEPARATE:
        return None
    bits, rawmode = depths.pop(), raw_mode(image.tile[0])
    levels: Picture
    if formats == {FLOATING} and rawmode == "F;32F":  # the opposite order is mistaken where compressed
        levels = floats_to_8_bits(np.asarray(loaded(image)))
    elif formats != {UNSIGNED}:
        return None
    elif image.mode.startswith("I;16"):
        levels = to_8_bits(np.asarray(loaded(image)), 2**bits - 1)
    elif image.mode == "I":  # signed, in Pillow
        levels = to_8_bits(np.asarray(loaded(image)).view(np.uint32), 2**bits - 1)
    elif rawmode[:-1] in ("RGB;16", "RGBX;16", "RGBA;16", "CMYK;16"):
        levels = to_8_bits(both_bytes(path, image), 2**bits - 1)
    else:
        return None
    # Pillow turns grey around in 8 bits alone.
    white_first = tags.get(PHOTOMETRIC, MIN_IS_WHITE) == MIN_IS_WHITE
    return with_profile(image, 255 - levels if white_first else levels)


def _by_tifffile(path: Path) -> Image.Image:
    try:
        import tifffile
    except ImportError:
        raise ValueError("a TIFF of this kind needs tifffile: pip install tifffile") from None
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        check_pixels(page.imagewidth, page.imagelength)
        colours = 3 if page.photometric == RGB else 1
        extra = page.samplesperpixel - colours
        if (
            page.photometric not in (MIN_IS_WHITE, MIN_IS_BLACK, RGB)
            or page.sampleformat not in (UNSIGNED, FLOATING)
            or not isinstance(page.bitspersample, int)
            or page.imagedepth > 1
            or extra not in (0, 1)
        ):
            kind = SAMPLE_FORMATS.get(page.sampleformat, "other")
            raise ValueError(
                f"TIFF with {page.samplesperpixel} {kind} samples a pixel of {page.bitspersample} bits and "
                f"photometric interpretation {int(page.photometric)} is not supported"
            )
        if not len(page.dataoffsets) == len(page.databytecounts) == math.prod(page.chunked) > 0 or (
            min(page.databytecounts) == 0
        ):  # which tifffile fills with zeros
            raise ValueError("parts of its data are missing")
        samples = page.asarray()
        orientation, profile = (page.tags.valueof(tag) for tag in (ORIENTATION, PROFILE))
        alpha = page.extrasamples[0] if extra and page.extrasamples else None
    if page.planarconfig == SEPARATE and page.samplesperpixel > 1:
        samples = np.moveaxis(samples, 0, -1)
    samples = samples.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
    floating = page.sampleformat == FLOATING
    peak = 1 if floating else 2**page.bitspersample - 1
    if alpha == PREMULTIPLIED:  # white shines through
        samples = samples.astype(np.float64)
        samples = np.clip(samples[:, :, :colours] + peak - samples[:, :, colours:], 0, peak)
    elif alpha != ALPHA:
        samples = samples[:, :, :colours]
    levels = floats_to_8_bits(samples) if floating else to_8_bits(samples, peak)
    if page.photometric == MIN_IS_WHITE:
        levels[:, :, 0] = 255 - levels[:, :, 0]
    image = Image.fromarray(levels[:, :, 0] if levels.shape[2] == 1 else levels)
    image.info["icc_profile"] = profile
    return upright(image, orientation)
