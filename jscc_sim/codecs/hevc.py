"""HEVC intra, 4:4:4, by x265 through pillow-heif: what BPG is made of, in a maintained library.

The bytes that are sent hold everything a decoder needs: parameter sets, slices and the HEIF boxes around
them, shortened without loss (see `container`).
"""

from __future__ import annotations

import base64
import zlib
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from jscc_sim.codecs.base import Codec
from jscc_sim.codecs.container import restore, shorten
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

SETTINGS = {"preset": "slow", "tune": "psnr"}

COARSEST = 51
CHROMA = ((2, 2), (0, 1), (-1, -1))
"""Quantiser offsets of the two chroma planes, coarse to fine: a step of luma is worth three levels. (0, 1)
is best by 0.4 to 0.6 dB over x265's own 6, the others lose at most 0.1 dB of that; (0, 0) means 6 to it."""

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
    """Levels are x265's constant rate factors, 51 to 0, each with chroma coarser and finer."""

    name: ClassVar[str] = "hevc"
    levels: ClassVar[int] = len(CHROMA) * (COARSEST + 1)

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        coarse, fine = divmod(level, len(CHROMA))
        return coded(picture, COARSEST - coarse, CHROMA[fine])

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
        library = _library().libheif_info()["HEIF"]
        return f"hevc {library} {sorted(SETTINGS.items())} {CHROMA}"


def coded(picture: Picture, rate_factor: int, chroma_offsets: tuple[int, int]) -> bytes:
    """The file of a picture at a constant rate factor with offsets of the chroma planes' quantisers."""
    heif, buffer = _library(), BytesIO()
    cb, cr = chroma_offsets
    steps = {"x265:crf": str(rate_factor), "x265:cbqpoffs": str(cb), "x265:crqpoffs": str(cr)}
    heif.from_pillow(Image.fromarray(picture)).save(buffer, chroma=444, enc_params={**SETTINGS, **steps})
    return shorten(buffer.getvalue(), _SPECIMEN)


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError:
        raise InputError("hevc needs pillow-heif: pip install 'jscc_sim[hevc]'") from None
    return pillow_heif
