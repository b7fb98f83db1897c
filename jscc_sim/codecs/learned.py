"""What the learned codecs share: weights in a folder, and a file's first bytes.

Weights (2 bytes), level (1), height and width (3 each), then what the codec makes of the picture.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

from jscc_sim.checkpoint import Checkpoint
from jscc_sim.codecs.base import Codec
from jscc_sim.errors import InputError
from jscc_sim.images import Picture

HEADER_BYTES = 9
SPARE_BYTES = 64
"""Zeros that a code may have left out at its end, with room to spare."""

MOST_PIXELS = 1 << 25
"""Of what is computed, whole tiles: networks need about 100 bytes per pixel; a header may claim anything."""


@dataclass(frozen=True, repr=False)
class LearnedCodec(Codec):
    """folder: of weights other than the released ones."""

    folder: str = ""
    format: ClassVar[str]
    """Changes whenever the meaning of a file's bytes does."""

    ladder: ClassVar[object] = ""
    """What the levels are, where the weights and their number do not say."""

    densest: ClassVar[float] = math.inf
    """Pixels per byte that no picture comes near: a file that claims more is none, before it takes memory."""

    @property
    @abstractmethod
    def tile(self) -> int:
        """Pixels: sides are rounded up to whole tiles."""

    @abstractmethod
    def encode_latents(self, picture: Picture, level: int) -> bytes:
        """What follows the first bytes."""

    @abstractmethod
    def decode_latents(self, data: bytes, level: int, height: int, width: int) -> Picture:
        """The reverse. May raise anything."""

    @final
    @cached_property
    def model(self) -> Checkpoint:
        """The weights, found when they are first asked for."""
        return Checkpoint.find(self.name, self.folder)

    @final
    def version(self) -> str:
        """See Codec.version."""
        return f"{self.name} {self.format} {self.levels} {self.ladder} {self.model.identity}"

    @final
    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        height, width = picture.shape[:2]
        self._check_pixels(height, width)
        fields = (self.model.id, 2), (level, 1), (height, 3), (width, 3)
        head = b"".join(value.to_bytes(length, "big") for value, length in fields)
        data = head + self.encode_latents(picture, level)
        self._check_density(data, height, width)
        return data

    @final
    def size(self, data: bytes) -> tuple[int, int]:
        """See Codec.size."""
        if len(data) < HEADER_BYTES:
            raise InputError(f"{len(data)} bytes, fewer than the {HEADER_BYTES} of its header")
        found, level = int.from_bytes(data[:2], "big"), data[2]
        if found != self.model.id:
            raise InputError(f"made with weights {found:04x}, not {self.model.id:04x}")
        if level >= self.levels:
            raise InputError(f"level {level} is above {self.levels - 1}")
        height, width = int.from_bytes(data[3:6], "big"), int.from_bytes(data[6:9], "big")
        self._check_pixels(height, width)
        self._check_density(data, height, width)
        return height, width

    @final
    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        return self.decode_latents(data[HEADER_BYTES:], data[2], *self.size(data))

    def _check_pixels(self, height: int, width: int) -> None:
        rows, columns = (-(-side // self.tile) * self.tile for side in (height, width))
        if rows * columns > MOST_PIXELS:
            raise InputError(
                f"{height}x{width} pixels are computed as {rows}x{columns}, and {self.name}'s limit is "
                f"{MOST_PIXELS} pixels"
            )

    def _check_density(self, data: bytes, height: int, width: int) -> None:
        if height * width > self.densest * (len(data) + SPARE_BYTES):
            raise InputError(f"{len(data)} bytes cannot hold {height}x{width} pixels")
