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

_SPECIMEN = zlib.decompress(
    base64.b85decode(
        "c-muNV30{GsVvAy&8%Pmg51nBLl8SRGck>UfiXNcwIq=N0u(b+a*CjAhJwuG5(YG&l$n#C3}U!AFfalk5HMClXdvhWV&%-tyfiQ"
        "mBq|Ezq%uKy8D+_aASPcyW=Sqw$@R>Fq5>ejBeNhmA4pdMl{quAZ~&R}EI^8)J}~_G|KkS(13z;DP=~k!BM;;M{~!g-U=_?jCA*"
        "j$5`l6$PK=DG5)&8>I0$g-UYQgebBD!5LI5brH~}Oj(2xYwz~RDpu)rX}PyuL<aB_Z5QC@OR1yG!qfvo{3B$8QNkP7h|&@cwDM+"
        "6EoD>A_%92_7=if0z&!om+2BrJ_g%q&3W#N3p`5&*%LL0A"
    )
)
"""The boxes of a grey picture of 768x512 pixels."""


class HEVC(Codec):
    """Quality q is x265's constant rate factor (100 - q) / 2."""

    name: ClassVar[str] = "hevc"
    levels: ClassVar[int] = 101

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        heif, buffer = _library(), BytesIO()
        image = heif.from_pillow(Image.fromarray(picture))
        image.save(buffer, quality=level, chroma=444, enc_params=dict(SETTINGS))  # it is written to
        return shorten(buffer.getvalue(), _SPECIMEN)

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
        return f"hevc {_library().libheif_info()['HEIF']} {sorted(SETTINGS.items())}"


def _library() -> Any:
    try:
        import pillow_heif
    except ImportError:
        raise InputError("hevc needs pillow-heif: pip install 'jscc_sim[hevc]'") from None
    return pillow_heif
