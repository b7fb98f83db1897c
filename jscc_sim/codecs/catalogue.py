"""Codecs by name."""

from __future__ import annotations

import logging
from functools import cache

from jscc_sim.codecs.base import Codec, check_codec
from jscc_sim.codecs.hevc import HEVC
from jscc_sim.codecs.learned import LearnedCodec
from jscc_sim.codecs.pillow import AVIF, JPEG, JPEG2000, WebP
from jscc_sim.codecs.vvc import VVC
from jscc_sim.errors import InputError
from jscc_sim.learned.digits.codec import Digits
from jscc_sim.learned.gmm.codec import GMM
from jscc_sim.learned.quantised.codec import Quantised
from jscc_sim.plugins import UnknownNameError, installed_plugins, is_own, load_plugin

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


SUMMARIES = {
    "jpeg": "JPEG, progressive, optimised codes; Pillow.",
    "jpeg2000": "JPEG 2000, a bare code stream; Pillow.",
    "webp": "Lossy WebP; Pillow.",
    "avif": "AV1 still pictures, 4:4:4, tuned for PSNR; Pillow.",
    "hevc": "HEVC stills (x265, 4:4:4), what BPG is made of; needs the extra hevc.",
    "vvc": "VVC stills (libvvenc); needs the extra vvc.",
    "gmm": "Learned: hyperprior, Gaussian mixtures; any rate with one network.",
    "quantised": "Learned: latents of 2 to 8 bits, adaptive arithmetic coding.",
    "digits": "Learned: handwritten digits of 8x8 pixels.",
}
"""Of the package's own, for listings."""

GROUP = "jscc_sim.codecs"
"""Of the entry points by which installed packages add theirs."""

ALIASES = {"bpg": ("hevc", "bpg: its coder here is HEVC (x265, 4:4:4), and its name is hevc")}
"""Names that people look for -> ours, and what is said of it."""


def find_codec(name: str, folder: str = "") -> Codec:
    """The codec of a name: the package's own, an installed plug-in's, package.module:Class or file.py:Class,
    the latter with :key=value,... or without. folder: of the weights of a learned one, if not the released
    ones. Raises InputError for another name."""
    name = codec_name(name)
    if name not in CODECS:
        if folder:
            raise InputError(f"codec {name} has no weights, and none are in {folder}")
        return _plugin(name)
    if not folder:
        return CODECS[name]
    if name not in LEARNED:
        raise InputError(f"codec {name} has no weights, and none are in {folder}")
    codec = LEARNED[name](folder)
    _ = codec.model
    return codec


def codec_name(name: str) -> str:
    """Our name of a codec. That an alias is one is said once."""
    ours, sentence = ALIASES.get(name, (name, ""))
    if sentence:
        _say(sentence)
    return ours


def codec_names() -> list[str]:
    """Of the package's own codecs and of installed plug-ins."""
    return [*CODECS, *sorted(installed_plugins(GROUP).keys() - CODECS)]


def _plugin(name: str) -> Codec:
    known: dict[str, type[Codec]] = {}
    try:
        codec = load_plugin(name, known, Codec, GROUP)
    except UnknownNameError as error:
        names = ", ".join([*CODECS, *error.installed])
        raise InputError(
            f"codec {name!r} is not one of {names}, package.module:Class or file.py:Class"
        ) from None
    check_codec(name, codec)
    if codec.name in CODECS and not is_own(type(codec)):
        raise InputError(f"codec {name}: its name is {codec.name}, which is the package's own")
    return codec


@cache
def _say(sentence: str) -> None:
    logging.getLogger("jscc_sim").warning(sentence)
