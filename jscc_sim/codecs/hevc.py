"""HEVC intra, 4:4:4, by x265 through pillow-heif: what BPG is made of, in a maintained library.

The bytes that are sent hold everything a decoder needs: parameter sets, slices and the HEIF boxes around
them, shortened without loss (see `container`).
"""

from __future__ import annotations

import base64
import zlib
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

import numpy as np
from PIL import Image

from jscc_sim.codecs.base import Codec, digest
from jscc_sim.codecs.container import restore, shorten
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

SETTINGS = {"preset": "slow", "tune": "psnr"}

COARSEST = 51


class Step(NamedTuple):
    """How a rate factor is used. chroma: quantiser offsets of the two chroma planes; adaptation: strength
    of x265's adaptive quantisation: some blocks take the next quantiser."""

    chroma: tuple[int, int]
    adaptation: float = 0.0


STEPS = (
    *(Step(chroma, 0.15) for chroma in ((2, 2), (0, 1), (-1, -1))),
    *(Step(chroma, 0.12) for chroma in ((2, 2), (1, 1), (0, 1), (-1, -1))),
    *(Step((0, 1), strength) for strength in (0.1, 0.09, 0.08, 0.06)),
    *(Step(chroma) for chroma in ((3, 3), (2, 2), (1, 1), (0, 1), (-1, 0), (-1, -1), (-2, -2))),
)
"""Of mostly rising size: rate factors are whole, 8 to 20 % of the bits apart; weak adaptation lies between
two of them in the busiest pictures, and has no effect in others. Offsets of (0, 1) are best by 0.4 to 0.6 dB
over x265's own 6, which (0, 0) means to it; the others lose up to 0.16 dB of that."""

_SPECIMEN = zlib.decompress(
    base64.b85decode(
        "c-muNV30{GsVvAy&8%Pmg51nBLl8SRGck>UfiWyMwIq=N0u(b+a*CjAhJwuG5(YG&l$n#C3}U!AFfalk5HMCjXdsvb#LAhOd1+"
        "uCNK_QaNo9iaGRl$-K}^1a%#vKVl53d-MFl{5duBm$K9H^eDsyIJ;Q%t{S%4HpePH<W|Hlso27cxQpbl{dMjpoh|3M0v!77-6N"
        "_H_hBm(7hoERBVB_=Q&a1h|uy)r2{<_?RAgaA;KaRNw6pdksUf!&4iV1W~}5YQUo<oukXyyTn;pfE23TLVx?B(u0672-9ZSqxx"
        "*2oz*iWP(LFI6!U`&n(D=1s^a(SQ?p_S%A!0xhaXD&>IbTd?A0sP+>IW2O{JP9gZ~6CgcHLI>d|"
    )
)
"""The boxes of a grey picture of 768x512 pixels, at rate factor 28 with each of the offsets."""


class HEVC(Codec):
    """Levels are x265's constant rate factors, 51 to 0, each in STEPS."""

    name: ClassVar[str] = "hevc"
    levels: ClassVar[int] = len(STEPS) * (COARSEST + 1)
    rung: ClassVar[int] = len(STEPS)
    look_ahead: ClassVar[int] = 7

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        return coded(picture, *_level(level))

    def size(self, data: bytes) -> tuple[int, int]:
        """See Codec.size."""
        width, height = _library().open_heif(restore(data, _SPECIMEN)).size
        return height, width

    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        image = _library().open_heif(restore(data, _SPECIMEN)).to_pillow()
        return np.array(image.convert("RGB"))

    def version(self) -> str:
        """See Codec.version."""
        libraries = _library().__version__, _library().libheif_info()["HEIF"], zlib.ZLIB_RUNTIME_VERSION
        levels = [_options(*_level(level)) for level in range(self.levels)]
        return f"hevc {' '.join(libraries)} {digest(levels, _SPECIMEN)}"


def coded(picture: Picture, rate_factor: int, step: Step) -> bytes:
    """The file of a picture at a constant rate factor."""
    buffer = BytesIO()
    _library().from_pillow(Image.fromarray(picture)).save(buffer, **_options(rate_factor, step))
    return shorten(buffer.getvalue(), _SPECIMEN)


def _level(level: int) -> tuple[int, Step]:
    coarse, fine = divmod(level, len(STEPS))
    return COARSEST - coarse, STEPS[fine]


def _options(rate_factor: int, step: Step) -> dict[str, Any]:
    """What the library is told."""
    cb, cr = step.chroma
    more: dict[str, float] = {"crf": rate_factor, "cbqpoffs": cb, "crqpoffs": cr}
    if step.adaptation:
        more |= {"aq-mode": 1, "aq-strength": step.adaptation}
    own = {f"x265:{name}": str(value) for name, value in more.items()}
    return {"chroma": 444, "enc_params": {**SETTINGS, **own}}


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError:
        raise InputError("hevc needs pillow-heif: pip install 'jscc_sim[hevc]'") from None
    return pillow_heif
