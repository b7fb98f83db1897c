"""The image autoencoder behind `quantised`: latents squeezed into -1 to 1 and rounded to B bits each.

A residual CNN of two scales; the latents lie on an 8-pixel grid. One network serves all rates: a rate is
how many of the channels are sent, from the first on, and B; both ends are told, and shift and scale
their features by it. After Theis et al. 2017 (compressive autoencoder, gradients straight through the
rounding) and Perez et al. 2018 (features modulated by a condition).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jscc_sim.nn.two_scale import COARSE_STEP, Conditioning, TwoScale, modulate

STRIDE = COARSE_STEP
"""Pixels between latents."""

BITS = (2, 4, 6, 8)
"""Bits that a latent may have."""


@dataclass(frozen=True)
class QuantisedArchitecture:
    """Everything that fixes the shape of the network's weights."""

    fine: int = 64
    coarse: int = 96
    latents: int = 48
    encoder_fine: int = 1
    encoder_coarse: int = 1
    decoder_coarse: int = 1
    decoder_fine: int = 2
    hidden: int = 28


class RateConditioning(Conditioning):
    """The rate of a whole picture."""

    def __init__(self, widths: list[int], hidden: int) -> None:
        super().__init__(widths)
        self.hidden = nn.Linear(1 + len(BITS), hidden)
        self.out = nn.Linear(hidden, 2 * sum(widths))
        self.start()

    def forward(self, channels: Tensor, bits: Tensor) -> list[Tensor]:
        """channels, bits: [B]. Returns a [B, 1, 1, 2 * width] for each of the widths."""
        level = torch.tensor(BITS, device=bits.device) == bits[:, None]
        rate = torch.cat([channels[:, None].float().log2() / 2.5 - 1, level.float()], 1)
        return [modulation[:, None, None] for modulation in self.modulations(rate)]


class QuantisedCoder(TwoScale):
    """Pictures [B, 3, H, W] in 0 to 1, H and W multiples of 8, to latents [B, C, H/8, W/8] and back."""

    def __init__(self, architecture: QuantisedArchitecture) -> None:
        a = self.architecture = architecture
        super().__init__(a)
        self.sender = RateConditioning([*self.sender_widths, a.latents], a.hidden)
        self.receiver = RateConditioning([a.latents, *self.receiver_widths], a.hidden)

    def make_heads(self) -> None:
        """See TwoScale.make_heads."""
        a = self.architecture
        self.analysis_head = nn.Conv2d(a.coarse, a.latents, 1)
        self.synthesis_head = nn.Conv2d(a.latents, a.coarse, 1)

    def analyse(self, images: Tensor, channels: Tensor, bits: Tensor) -> Tensor:
        """channels, bits: [B], the rate of each. Returns latents within -1 to 1, not rounded yet, of all
        channels."""
        modulations = self.sender(channels, bits)
        x = self.shrink(images, modulations)
        return modulate(self.analysis_head(x).float(), modulations.pop(0).float()).tanh()

    def synthesise(self, latents: Tensor, channels: Tensor, bits: Tensor) -> Tensor:
        """Latents as received -> pictures, unclipped. Channels beyond those sent count as zero."""
        modulations = self.receiver(channels, bits)
        sent = torch.arange(latents.shape[1], device=latents.device) < channels[:, None]
        x = self.synthesis_head(modulate(latents, modulations.pop(0)) * sent[..., None, None])
        return self.grow(x, modulations)


def symbols_of(latents: Tensor, bits: Tensor) -> Tensor:
    """Latents [B, ...] within -1 to 1 -> whole numbers 0 to 2**bits - 1: which of as many equal
    intervals. bits: [B]."""
    levels = _levels(latents, bits)
    return torch.minimum(((latents + 1) * levels / 2).floor().clamp(min=0), levels - 1)


def values_of(symbols: Tensor, bits: Tensor) -> Tensor:
    """The middles of the intervals; of an expected number, the expected latent."""
    return (2 * symbols + 1) / _levels(symbols, bits) - 1


def _levels(like: Tensor, bits: Tensor) -> Tensor:
    return torch.exp2(bits.float()).reshape(-1, *[1] * (like.ndim - 1))
