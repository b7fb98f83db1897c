"""How a camera was held, undone."""

from __future__ import annotations

from PIL import ExifTags, Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientations but the upright one, and what undoes them."""


def orientation_of(image: Image.Image) -> object:
    """What a loaded image's EXIF says, or None: a broken EXIF must not cost the picture."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # of any kind, as Pillow trusts types and offsets
        return None


def upright(image: Image.Image, orientation: object) -> Image.Image:
    """The image as it is to be looked at; orientation: anything, of which 2 to 8 mean something."""
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is None:
        return image
    turned = image.transpose(turn)
    turned.info = image.info
    return turned
