"""Image codecs: a picture to as many bits as may be spent, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    """Of the catalogue, once asked for: it has the learned codecs, which need modules of this folder."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from jscc_sim.codecs import catalogue

    return getattr(catalogue, name)
