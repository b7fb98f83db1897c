"""The quantised autoencoder (see network.py) as an image codec: latents in an adaptive arithmetic code.

After the first bytes of every learned codec: the code of the latents, channel by channel (see
coding/context_coder.py). The level says how many channels there are and how many bits each latent has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jscc_sim.codecs.learned import LearnedCodec
from jscc_sim.coding import context_coder
from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.units import ENCODED, check_finite

if TYPE_CHECKING:
    from torch import Tensor

    from jscc_sim.learned.quantised.network import QuantisedCoder


class Rate(NamedTuple):
    """Channels that are sent, and bits of a latent."""

    channels: int
    bits: int


LADDER = (
    *(Rate(channels, 2) for channels in (2, 3, 4)),
    *(Rate(channels, 4) for channels in range(3, 45)),
    *(Rate(channels, 6) for channels in range(34, 45)),
    Rate(44, 8),
)
"""The rates of the levels, of rising size and PSNR: those that no other beats at fewer bits on pictures held
out, see experiments/quantised_ladder.py."""


@dataclass(frozen=True, repr=False)
class Quantised(LearnedCodec):
    """Levels are the rates of LADDER; `stream` and `picture` take any other."""

    name: ClassVar[str] = "quantised"
    levels: ClassVar[int] = len(LADDER)
    format: ClassVar[str] = "2"
    ladder: ClassVar[object] = LADDER

    @property
    def tile(self) -> int:
        """See LearnedCodec.tile."""
        from jscc_sim.learned.quantised.network import STRIDE

        return STRIDE

    @cached_property
    def coder(self) -> QuantisedCoder:
        """The network."""
        from jscc_sim.learned.quantised.network import QuantisedArchitecture, QuantisedCoder
        from jscc_sim.nn.loading import loaded

        return loaded(self.model, QuantisedArchitecture, QuantisedCoder)

    def encode_latents(self, picture: Picture, level: int) -> bytes:
        """See LearnedCodec.encode_latents."""
        return self.stream(picture, LADDER[level])

    def decode_latents(self, data: bytes, level: int, height: int, width: int) -> Picture:
        """See LearnedCodec.decode_latents."""
        return self.picture(data, LADDER[level], height, width)

    def stream(self, picture: Picture, rate: Rate) -> bytes:
        """The code of a picture [H, W, 3] uint8 at a rate."""
        return context_coder.encode(self.symbols(picture, rate), rate.bits)

    def picture(self, data: bytes, rate: Rate, height: int, width: int) -> Picture:
        """The picture of `stream`'s bytes. Raises InputError for too few of them."""
        symbols = context_coder.decode(data, grid(rate, height, width), rate.bits)
        return self.synthesise(symbols.astype(np.float32), rate, height, width)

    def symbols(self, picture: Picture, rate: Rate) -> NDArray[np.int64]:
        """[channels, ceil(H / 8), ceil(W / 8)] the latents as whole numbers, 0 to 2**bits - 1."""

        from jscc_sim.learned.quantised.network import STRIDE, symbols_of
        from jscc_sim.nn.pictures import image_of

        with inference():
            channels, bits = _condition(rate)
            latents = self.coder.analyse(image_of(picture, STRIDE), channels, bits)
            check_finite(latents.numpy(), ENCODED)
            symbols = symbols_of(latents[0, : rate.channels], bits)
        return np.asarray(symbols.numpy().astype(np.int64))

    def synthesise(self, symbols: NDArray[np.float32], rate: Rate, height: int, width: int) -> Picture:
        """The picture [height, width, 3] of latents [channels, ceil(H / 8), ceil(W / 8)] as numbers, which
        may be expected values and need not be whole."""
        import torch

        from jscc_sim.learned.quantised.network import values_of
        from jscc_sim.nn.pictures import picture_of

        with inference():
            channels, bits = _condition(rate)
            shape = 1, self.coder.architecture.latents, *symbols.shape[1:]
            latents = torch.zeros(shape, dtype=torch.float32)
            latents[0, : rate.channels] = values_of(torch.from_numpy(symbols), bits)
            return picture_of(self.coder.synthesise(latents, channels, bits)[0], height, width)


def grid(rate: Rate, height: int, width: int) -> tuple[int, int, int]:
    """The latents' shape."""
    from jscc_sim.learned.quantised.network import STRIDE

    return rate.channels, -(-height // STRIDE), -(-width // STRIDE)


def _condition(rate: Rate) -> tuple[Tensor, Tensor]:
    import torch

    return torch.tensor([rate.channels]), torch.tensor([rate.bits])
