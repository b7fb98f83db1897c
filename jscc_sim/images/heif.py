"""HEIF pictures (.heic), which Pillow does not read: by pillow-heif, if it is installed."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PIL import ImageFile

from jscc_sim.errors import InputError

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}


def is_heif(head: bytes) -> bool:
    """Whether a file that begins so is HEIF. AVIF is of the same family, and Pillow's."""
    if head[4:8] != b"ftyp":
        return False
    box = head[8 : int.from_bytes(head[:4], "big")]
    brands = {box[start : start + 4] for start in range(0, len(box), 4) if start != 4}  # 4: minor version
    return bool(brands & _HEIF_BRANDS) and not brands & _AVIF_BRANDS


def open_heif(path: Path) -> ImageFile.ImageFile:
    """A HEIF file as Pillow's lazy image, 8 bits a sample, upright.

    The class is called, not registered with Pillow: what can be read must not depend on who came first.
    """
    try:
        import pillow_heif
    except ImportError:
        raise InputError(f"image {path} needs pillow-heif: pip install 'jscc_sim[hevc]'") from None
    return cast(ImageFile.ImageFile, pillow_heif.HeifImageFile(path))
