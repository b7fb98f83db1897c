"""Image codecs: a picture to as many bits as may be spent, and back."""

from __future__ import annotations

from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.catalogue import CODECS, LEARNED, find_codec

__all__ = ["CODECS", "LEARNED", "Codec", "find_codec"]
