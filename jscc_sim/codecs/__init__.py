"""Image codecs: a picture to as many bits as may be spent, and back."""

from __future__ import annotations

from jscc_sim.codecs.base import Codec, check_codec
from jscc_sim.codecs.catalogue import (
    ALIASES,
    CODECS,
    GROUP,
    LEARNED,
    SUMMARIES,
    codec_name,
    codec_names,
    find_codec,
)

__all__ = [
    "ALIASES",
    "CODECS",
    "GROUP",
    "LEARNED",
    "SUMMARIES",
    "Codec",
    "check_codec",
    "codec_name",
    "codec_names",
    "find_codec",
]
