"""Codecs by name."""

from __future__ import annotations

from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.hevc import HEVC
from jscc_sim.codecs.learned import LearnedCodec
from jscc_sim.codecs.pillow import AVIF, JPEG, JPEG2000, WebP
from jscc_sim.codecs.vvc import VVC
from jscc_sim.errors import InputError
from jscc_sim.learned.digits.codec import Digits
from jscc_sim.learned.gmm.codec import GMM
from jscc_sim.learned.quantised.codec import Quantised

LEARNED: dict[str, type[LearnedCodec]] = {codec.name: codec for codec in (GMM, Quantised, Digits)}
"""Codecs with weights, which may be in a folder of the user's."""

_KNOWN: tuple[Codec, ...] = (
    JPEG(),
    JPEG2000(),
    WebP(),
    AVIF(),
    HEVC(),
    VVC(),
    *(learned() for learned in LEARNED.values()),
)

CODECS = {codec.name: codec for codec in _KNOWN}
"""By name. Their order is what frames and files say: new ones go to the end."""


def find_codec(name: str, folder: str = "") -> Codec:
    """The codec of a name. folder: of the weights of a learned one, if not the released ones. Raises
    InputError for another name."""
    if name not in CODECS:
        raise InputError(f"codec {name!r} is not one of {', '.join(CODECS)}")
    if not folder:
        return CODECS[name]
    if name not in LEARNED:
        raise InputError(f"codec {name} has no weights, and none are in {folder}")
    codec = LEARNED[name](folder)
    _ = codec.model
    return codec
