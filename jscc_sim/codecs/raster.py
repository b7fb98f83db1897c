"""The codecs inside Pillow: JPEG, JPEG 2000, WebP, AVIF. Their files are sent as they are, headers in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock
from typing import Any, ClassVar

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from jscc_sim.codecs.base import Codec
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

    def options(self, picture: Picture, level: int) -> dict[str, Any]:
        """What `Image.save` is told besides the settings."""
        return {"quality": level + 1}

    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        buffer = BytesIO()
        options = {**self.settings, **self.options(picture, level)}
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
        return f"{self.name} {library} pillow {PIL.__version__} {sorted(self.settings.items())}"


class JPEG(PillowCodec):
    """Baseline's quality scale, progressive, optimised tables, 4:2:0 up to quality 90 and 4:4:4 above."""

    name, format, feature, levels = "jpeg", "JPEG", "jpg", 100
    settings: ClassVar[dict[str, Any]] = {"optimize": True, "progressive": True}

    def options(self, picture: Picture, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        return {"quality": level + 1, "subsampling": "4:2:0" if level < 90 else "4:4:4"}


class JPEG2000(PillowCodec):
    """Irreversible wavelet and colour transform, bare code stream, rates a 24th of an octave apart."""

    name, format, feature, levels = "jpeg2000", "JPEG2000", "jpg_2000", 240
    settings: ClassVar[dict[str, Any]] = {
        "quality_mode": "rates",
        "irreversible": True,
        "mct": 1,
        "no_jp2": True,
    }

    def options(self, picture: Picture, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        bits_per_pixel = 0.02 * 2 ** (level / 24)
        resolutions = min(6, min(picture.shape[:2]).bit_length())
        return {"quality_layers": [24 / bits_per_pixel], "num_resolutions": resolutions}


class WebP(PillowCodec):
    """Lossy WebP, which is 4:2:0."""

    name, format, feature, levels = "webp", "WEBP", "webp", 100
    settings: ClassVar[dict[str, Any]] = {"method": 6}


class AVIF(PillowCodec):
    """AV1 still pictures, 4:4:4, tuned for PSNR: 0.25 to 0.55 dB better at it than what Pillow sets."""

    name, format, feature, levels = "avif", "AVIF", "avif", 100
    settings: ClassVar[dict[str, Any]] = {
        "subsampling": "4:4:4",
        "speed": 6,
        "max_threads": 1,
        "advanced": {"tune": "psnr"},
    }

    def options(self, picture: Picture, level: int) -> dict[str, Any]:
        """See PillowCodec.options."""
        return {"quality": level}


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
