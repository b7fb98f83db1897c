"""The dithered digit codec (see network.py and coding/dither.py): a grey picture, tile by tile, as bytes.

After the first bytes of every learned codec: the arithmetic code of the tiles' latents, tile by tile.
It takes any picture, but what it knows is handwritten digits of 8x8 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.checkpoint import Checkpoint
from jscc_sim.codecs.learned import LearnedCodec
from jscc_sim.coding import dither
from jscc_sim.images import Picture

if TYPE_CHECKING:
    from jscc_sim.learned.digits.network import DigitCoder

LEVELS = 64


@dataclass(frozen=True, repr=False)
class Digits(LearnedCodec):
    """Levels go through all lambdas of training, see task.py."""

    name: ClassVar[str] = "digits"
    levels: ClassVar[int] = LEVELS
    format: ClassVar[str] = "1"
    densest: ClassVar[float] = 1024  # flat grey has 36

    @property
    def tile(self) -> int:
        """See LearnedCodec.tile."""
        from jscc_sim.learned.digits.network import TILE

        return TILE

    @cached_property
    def coder(self) -> DigitCoder:
        """The network."""
        return load_coder(self.model)

    def encode_latents(self, picture: Picture, level: int) -> bytes:
        """See LearnedCodec.encode_latents."""
        from jscc_sim.learned.digits.network import latents_of, split

        latents = latents_of(self.coder, split(picture), share(level))
        phase = dither.phases(*latents.shape)
        return dither.encode(dither.quantise(latents, phase), phase, prior_at(self.model, level))

    def decode_latents(self, data: bytes, level: int, height: int, width: int) -> Picture:
        """See LearnedCodec.decode_latents."""
        from jscc_sim.learned.digits.network import join, tile_grid, tiles_of

        rows, columns = tile_grid(height, width)
        phase = dither.phases(rows * columns, self.coder.architecture.latents)
        integers = dither.decode(data, phase, prior_at(self.model, level))
        tiles = tiles_of(self.coder, integers + dither.dither(phase), share(level))
        return join(tiles, height, width)

    def generate(self, count: int, level: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """[count, 64] in 0 to 1: tiles decoded from latents that are drawn from the prior."""
        from jscc_sim.learned.digits.network import tiles_of

        return tiles_of(self.coder, prior_at(self.model, level).draw(count, rng), share(level))


def share(level: int) -> float:
    """The network's level, 0 to 1."""
    return level / (LEVELS - 1)


def load_coder(model: Checkpoint) -> DigitCoder:
    """The network of these weights. Raises InputError where they are not what the manifest says."""
    from jscc_sim.learned.digits.network import DigitArchitecture, DigitCoder
    from jscc_sim.nn.loading import loaded

    return loaded(model, DigitArchitecture, DigitCoder)


def prior_at(model: Checkpoint, level: int) -> dither.Prior:
    """The prior of a level, in arithmetic that is the same everywhere. Raises InputError."""
    try:
        anchors = model.tensors["prior"].astype(np.float64)
        low = min(level * (len(anchors) - 1) // (LEVELS - 1), len(anchors) - 2)
        above = (level * (len(anchors) - 1) - low * (LEVELS - 1)) / (LEVELS - 1)
        row = anchors[low] + (anchors[low + 1] - anchors[low]) * above
        weights, means, log_scales = row.reshape(3, model.manifest["architecture"]["components"], -1)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise model.misfit(error) from None
    raised = dither.exponential(weights - weights.max(axis=0))
    return dither.Prior(raised, means, dither.exponential(np.clip(log_scales, *dither.LOG_SCALES)))
