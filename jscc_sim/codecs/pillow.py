"""The codecs inside Pillow: JPEG, JPEG 2000, WebP, AVIF. Their files are sent as they are, headers in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from io import BytesIO
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from jscc_sim.codecs.base import Codec, digest
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

BYTES_PER_SAMPLE = 2
"""Of the buffer that a whole file goes through where its tables are optimised: pixels of 0 and 255 by chance
take 1.1 in the finest JPEG."""

_ONE_AT_A_TIME = Lock()


class PillowCodec(Codec):
    """A codec that Pillow reads and writes. format, feature: its names there; settings: how it writes."""

    format: ClassVar[str]
    feature: ClassVar[str]
    settings: ClassVar[dict[str, Any]]

    def options(self, height: int, width: int, level: int) -> dict[str, Any]:
        """What `Image.save` is told besides the settings."""
        return {"quality": level + 1}

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        buffer = BytesIO()
        height, width = picture.shape[:2]
        options = {**self.settings, **self.options(height, width, level)}
        with _buffer_of(BYTES_PER_SAMPLE * picture.size):
            Image.fromarray(picture).save(buffer, format=self.format, **options)
        return buffer.getvalue()

    def size(self, data: bytes) -> tuple[int, int]:
        """See Codec.size."""
        with Image.open(BytesIO(data), formats=[self.format]) as image:
            return image.height, image.width

    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        with Image.open(BytesIO(data), formats=[self.format]) as image:
            return np.array(image.convert("RGB"))

    def version(self) -> str:
        """See Codec.version."""
        library = features.version(self.feature)
        if library is None:
            raise InputError(f"this Pillow has no {self.name}: pip install --upgrade pillow")
        return (
            f"{self.name} {library} pillow {PIL.__version__} {sorted(self.settings.items())} {self._ladder}"
        )

    @cached_property
    def _ladder(self) -> str:
        """Of the options of all levels, and of how they depend on the size."""
        sides = [self.options(1 << n, 1 << n, 0) for n in range(8)]
        return digest([self.options(512, 768, level) for level in range(self.levels)], sides)


LUMINANCE = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)
"""Row by row. Source: ITU-T T.81, tables K.1 and K.2."""

OCTAVE = 40
"""JPEG's levels from one scale of the tables to half of it."""

COARSEST, FINEST = 50.0, 0.012
"""Scales of the tables: those of the usual qualities 1 and 100."""

LEAST_SUBSAMPLED, MOST_WHOLE = 0.2, 0.28
"""Scales of the tables down to which JPEG's chroma has half the resolution, and from which it has all of it:
files are about as large at both."""


def tables(scale: float) -> list[list[int]]:
    """JPEG's quantiser steps at a scale, as libjpeg has them at its quality 100 - 50 scale, or 50 / scale."""
    return [
        [min(max(math.floor(step * scale + 0.5), 1), 255) for step in table]
        for table in (LUMINANCE, CHROMINANCE)
    ]


def _jpeg_levels() -> tuple[tuple[float, str], ...]:
    scales = [COARSEST * 2 ** (-step / OCTAVE) for step in range(_octaves(COARSEST / FINEST) + 1)]
    halved = [(scale, "4:2:0") for scale in scales if scale >= LEAST_SUBSAMPLED]
    return (*halved, *((scale, "4:4:4") for scale in scales if scale <= MOST_WHOLE))


def _octaves(ratio: float) -> int:
    return math.ceil(OCTAVE * math.log2(ratio))


class JPEG(PillowCodec):
    """The standard's tables at scales a 40th of an octave apart, progressive, optimised codes, 4:2:0 up to
    quality 90 and 4:4:4 above."""

    LADDER = _jpeg_levels()
    name, format, feature, levels = "jpeg", "JPEG", "jpg", len(LADDER)
    settings: ClassVar[dict[str, Any]] = {"optimize": True, "progressive": True}

    def options(self, height: int, width: int, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        scale, subsampling = self.LADDER[level]
        return {"qtables": tables(scale), "subsampling": subsampling}


class JPEG2000(PillowCodec):
    """Irreversible wavelet and colour transform, bare code stream, rates a 96th of an octave apart."""

    name, format, feature, levels = "jpeg2000", "JPEG2000", "jpg_2000", 960
    settings: ClassVar[dict[str, Any]] = {
        "quality_mode": "rates",
        "irreversible": True,
        "mct": 1,
        "no_jp2": True,
    }

    def options(self, height: int, width: int, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        bits_per_pixel = 0.02 * 2 ** (level / 96)
        resolutions = min(6, min(height, width).bit_length())
        return {"quality_layers": [24 / bits_per_pixel], "num_resolutions": resolutions}


class WebP(PillowCodec):
    """Lossy WebP, which is 4:2:0."""

    name, format, feature, levels = "webp", "WEBP", "webp", 100
    settings: ClassVar[dict[str, Any]] = {"method": 6}


QUANTISERS = range(63, 0, -1)
"""AV1's, as libavif counts them, coarse to fine: a step is 3 % of the bits at high rates, 15 % at low."""


def _matrices(level: int) -> dict[str, str]:
    """Quantisation matrices of a level; 15 is flat."""
    return {"enable-qm": "1", "qm-min": str(level), "qm-max": str(level)}


WAYS: tuple[dict[str, Any], ...] = (
    {"speed": 6, "advanced": {"tune": "psnr", "dist-metric": "qm-psnr", **_matrices(11)}},
    {"speed": 6, "subsampling": "4:2:0", "advanced": {"tune": "psnr"}},
    {"speed": 6, "advanced": {"tune": "ssim"}},
    {"speed": 6, "advanced": {"tune": "psnr"}},
    {"speed": 6, "advanced": {"tune": "psnr", **_matrices(14)}},
    {"speed": 4, "advanced": {"tune": "ssim"}},
    {"speed": 4, "advanced": {"tune": "psnr"}},
    {"speed": 4, "advanced": {"tune": "psnr", **_matrices(14)}},
    {"speed": 5, "advanced": {"tune": "psnr"}},
    {"speed": 5, "advanced": {"tune": "psnr", **_matrices(14)}},
)
"""Of coding a picture with one quantiser, of mostly rising size. At equal bits speeds 5 and 4 are up to 0.2
and 0.4 dB better than 6, 4:2:0 is up to 0.1 dB worse."""


class AVIF(PillowCodec):
    """AV1 still pictures, 4:4:4, tuned for PSNR: 0.25 to 0.55 dB better at it than what Pillow sets. Levels
    are its quantisers, each in ways that differ little in what they give for their bits."""

    name, format, feature, levels = "avif", "AVIF", "avif", len(QUANTISERS) * len(WAYS)
    rung = look_ahead = len(WAYS)
    settings: ClassVar[dict[str, Any]] = {"subsampling": "4:4:4", "max_threads": 1}

    def options(self, height: int, width: int, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        coarse, fine = divmod(level, len(WAYS))
        # as libavif turns qualities, 0 to 100, into quantisers
        quality = 100 - math.ceil((100 * QUANTISERS[coarse] - 50) / 63)
        return {"quality": quality, **WAYS[fine]}


@contextmanager
def _buffer_of(size: int) -> Iterator[None]:
    """Pillow guesses what an optimised file needs, too little for busy pictures. What it takes at least is a
    variable of its own."""
    with _ONE_AT_A_TIME:
        before = ImageFile.MAXBLOCK
        ImageFile.MAXBLOCK = max(before, size)
        try:
            yield
        finally:
            ImageFile.MAXBLOCK = before
