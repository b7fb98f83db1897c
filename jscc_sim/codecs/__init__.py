"""Image codecs: a picture to as many bits as may be spent, and back."""

from __future__ import annotations

from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.hevc import HEVC
from jscc_sim.codecs.raster import AVIF, JPEG, JPEG2000, WebP
from jscc_sim.codecs.vvc import VVC
from jscc_sim.errors import InputError

__all__ = ["CODECS", "Codec", "find_codec"]

_KNOWN: tuple[Codec, ...] = (JPEG(), JPEG2000(), WebP(), AVIF(), HEVC(), VVC())

CODECS = {codec.name: codec for codec in _KNOWN}
"""By name. Their order is what a frame's header says: new ones go to the end."""


def find_codec(name: str) -> Codec:
    """The codec of a name. Raises InputError for another."""
    if name not in CODECS:
        raise InputError(f"codec {name!r} is not one of {', '.join(CODECS)}")
    return CODECS[name]
