"""What the learned codecs share: weights in a folder, and a file's first bytes.

Weights (2 bytes), level (1), height and width (3 each), then what the codec makes of the picture.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, final

from jscc_sim.codecs.base import Codec
from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.weights import Model

HEADER_BYTES = 9
MOST_PIXELS = 1 << 25
"""The networks need about 100 bytes per pixel; a damaged header may claim anything."""


@dataclass(frozen=True, repr=False)
class LearnedCodec(Codec):
    """folder: of weights other than the released ones."""

    folder: str = ""
    format: ClassVar[str]
    """Changes whenever the meaning of a file's bytes does."""

    ladder: ClassVar[object] = ""
    """What the levels are, where the weights and their number do not say."""

    @abstractmethod
    def encode_latents(self, picture: Picture, level: int) -> bytes:
        """What follows the first bytes."""

    @abstractmethod
    def decode_latents(self, data: bytes, level: int, height: int, width: int) -> Picture:
        """The reverse. May raise anything."""

    @final
    @cached_property
    def model(self) -> Model:
        """The weights, found when they are first asked for."""
        return Model.find(self.name, self.folder)

    @final
    def version(self) -> str:
        """See Codec.version."""
        return f"{self.name} {self.format} {self.levels} {self.ladder} {self.model.identity}"

    @final
    def encode(self, picture: Picture, level: int) -> bytes:
        """See Codec.encode."""
        height, width = picture.shape[:2]
        if height * width > MOST_PIXELS:
            raise InputError(
                f"{self.name} cannot code {height}x{width} pixels: the limit is {MOST_PIXELS} pixels"
            )
        fields = (self.model.id, 2), (level, 1), (height, 3), (width, 3)
        head = b"".join(value.to_bytes(length, "big") for value, length in fields)
        return head + self.encode_latents(picture, level)

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
        if height * width > MOST_PIXELS:
            raise InputError(f"{height}x{width} pixels are more than {MOST_PIXELS}")
        return height, width

    @final
    def decode(self, data: bytes) -> Picture:
        """See Codec.decode."""
        return self.decode_latents(data[HEADER_BYTES:], data[2], *self.size(data))
