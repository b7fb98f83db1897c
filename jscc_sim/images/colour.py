"""Colours as a file declares them, to opaque sRGB."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from jscc_sim.images.base import Picture

_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def flattened(image: Image.Image) -> Picture:
    """An 8-bit image of any mode as [H, W, 3] uint8 in sRGB: its profile applied, on white."""
    profile = image.info.get("icc_profile")
    if not image.has_transparency_data:
        opaque = image if image.mode in _SPACES else image.convert("RGB")
        return np.array(_to_srgb(opaque, profile))  # a copy: torch warns of arrays that cannot be written
    if image.mode == "La":  # which Pillow turns into LA alone
        image = image.convert("LA")
    rgba = image.convert("RGBA")
    colour = _to_srgb(rgba.getchannel("R") if image.mode in ("L", "LA") else rgba.convert("RGB"), profile)
    colour.putalpha(rgba.getchannel("A"))
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, colour).convert("RGB"))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Mode L, RGB or CMYK to RGB; a profile that is broken, or not for the mode, changes nothing."""
    plain = image.convert("RGB")
    if not profile:
        return plain
    try:
        from PIL import ImageCms

        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[image.mode]:
            return plain
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            image.mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            # Tables made for speed are wrong by up to ten levels where a curve is steep.
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOOPTIMIZE,
        )
        if image.mode != "CMYK":
            # sRGB in other words, as most profiles are, must not cost a level of rounding here and there.
            before = _specimen(image.mode)
            after = np.asarray(ImageCms.applyTransform(before, transform), dtype=int)
            if np.abs(after - before.convert("RGB")).max() <= 1:
                return plain
        return ImageCms.applyTransform(image, transform) or plain
    except Exception:  # littleCMS's own, and whatever a damaged profile does to Pillow
        return plain


def _specimen(mode: str) -> Image.Image:
    """Every grey, or a lattice of 18 levels a colour."""
    steps = np.arange(256, dtype=np.uint8)
    if mode == "L":
        return Image.fromarray(steps[None])
    return Image.fromarray(np.stack(np.meshgrid(*[steps[::15]] * 3), axis=-1).reshape(1, -1, 3))
