"""The convolutional joint source-channel coder: one trunk, a head and a modulation per ratio.

The convolutions run over the whole stitched canvas, so a block's encoder sees a margin of its
neighbours and the decoder leaves no seams; what is sent, and how much, is decided block by block.
Two scales, an 8x8 and a 4x4 grid per block; the latents live on the 4x4 grid, so that each
latent channel is 8 complex channel uses. A ratio of k uses sends k/8 latent channels of its own.
After Bourtsoulatze et al. 2019 (deep JSCC) and Xu et al. 2022 (SNR as a side input).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.nn.two_scale import COARSE_STEP, Conditioning, TwoScale
from jscc_sim.units import BLOCK, STANDARD_RATIOS

USES_PER_CHANNEL = 8
CELLS = 16
"""Cells of the coarse 4x4 grid in a block: each latent channel holds 16 reals, or 8 uses."""


@dataclass(frozen=True)
class ConvArchitecture:
    """Everything that fixes the shape of the network's weights."""

    uses: tuple[int, ...] = STANDARD_RATIOS.uses
    fine: int = 128
    coarse: int = 192
    encoder_fine: int = 3
    encoder_coarse: int = 3
    decoder_coarse: int = 3
    decoder_fine: int = 4
    embedding: int = 64
    hidden: int = 64
    attention: int = 0

    @property
    def channels(self) -> int:
        """Latent channels of all ratios together; a block sends those of its own ratio."""
        return sum(self.uses) // USES_PER_CHANNEL


class RatioConditioning(Conditioning):
    """A block's ratio and the SNRs in force."""

    def __init__(self, ratios: int, scalars: int, widths: list[int], embedding: int, hidden: int) -> None:
        super().__init__(widths)
        self.ratio = nn.Embedding(ratios, embedding)
        self.scalar = nn.Linear(scalars, embedding)
        self.hidden = nn.Linear(embedding, hidden)
        self.out = nn.Linear(hidden, 2 * sum(widths))
        nn.init.normal_(self.ratio.weight, std=0.5)
        self.start()

    def forward(self, index: Tensor, snrs_db: Tensor) -> list[Tensor]:
        """index: [B, h, w] long; snrs_db: [B, h, w, S]. Returns a [B, h, w, 2C] per residual block."""
        return self.modulations(self.embedded(index, snrs_db))

    def embedded(self, index: Tensor, snrs_db: Tensor) -> Tensor:
        """What the hidden units are told, [B, h, w, embedding]."""
        return F.silu(self.ratio(index) + self.scalar(relative_snr(snrs_db)))


def relative_snr(snrs_db: Tensor) -> Tensor:
    """SNRs as the network takes them: 0 at 10 dB, within what can matter."""
    return snrs_db.clamp(-15, 45) / 10 - 1


class ConvCoder(TwoScale):
    """Encoder and decoder for every ratio of the set. Images are [B, 3, H, W] in 0 to 1, H and W
    multiples of 32; a canvas of h x w blocks has an [B, h, w] index into the ratio set."""

    used: Tensor
    """[ratios, channels] bool: the latent channels of each ratio."""

    def __init__(self, architecture: ConvArchitecture) -> None:
        a = self.architecture = architecture
        super().__init__(a, a.attention)
        ratios = len(a.uses)
        self.sender = RatioConditioning(ratios, 1, self.sender_widths, a.embedding, a.hidden)
        self.receiver = RatioConditioning(ratios, 2, self.receiver_widths, a.embedding, a.hidden)
        owner = torch.tensor([k for k, uses in enumerate(a.uses) for _ in range(uses // USES_PER_CHANNEL)])
        self.register_buffer("used", owner == torch.arange(ratios)[:, None], persistent=False)

    def make_heads(self) -> None:
        """See TwoScale.make_heads."""
        a, most = self.architecture, self.architecture.uses[-1] // USES_PER_CHANNEL
        self.analysis_head = nn.Parameter(torch.randn(a.channels, a.coarse) * a.coarse**-0.5)
        self.synthesis_head = nn.Parameter(torch.randn(a.coarse, a.channels) * most**-0.5)

    def computing_in(self, dtype: torch.dtype) -> Self:
        """The same with its trunk in that precision. What conditions it, a few numbers a block, is always in
        single."""
        self.sender.float()
        self.receiver.float()
        for name, weights in self.named_parameters():
            if not name.startswith(("sender.", "receiver.")):
                weights.data = weights.data.to(dtype)
        return self

    def encode(self, images: Tensor, index: Tensor, snr_db: Tensor) -> Tensor:
        """snr_db: [B], what the sender believes. Returns latents [B, h, w, channels, 16], zero
        outside the channels of each block's ratio; consecutive pairs of reals are one complex symbol."""
        h, w = index.shape[1:]
        snrs = snr_db[:, None, None, None].expand(-1, h, w, 1)
        modulations = self.sender(index, snrs)
        x = self.shrink(images, modulations)
        latents = cells_of(F.conv2d(x, self.analysis_head[:, :, None, None]), h, w)
        return latents.float() * self.used[index][..., None]

    def decode(self, latents: Tensor, index: Tensor, snrs_db: Tensor) -> Tensor:
        """latents: [B, h, w, channels, 16] as received; snrs_db: [B, h, w, 2], what the sender
        believed and what is left per block after the gain. Returns images [B, 3, H, W], unclipped."""
        modulations = self.receiver(index, snrs_db)
        x = F.conv2d(canvas_of(latents.to(self.synthesis_head.dtype)), self.synthesis_head[:, :, None, None])
        return self.grow(x, modulations)


def cells_of(x: Tensor, h: int, w: int) -> Tensor:
    """Coarse canvas [B, C, 4h, 4w] -> cells of each block [B, h, w, C, 16]."""
    batch, width = x.shape[:2]
    side = BLOCK // COARSE_STEP
    return (
        x.reshape(batch, width, h, side, w, side).permute(0, 2, 4, 1, 3, 5).reshape(batch, h, w, width, CELLS)
    )


def canvas_of(cells: Tensor) -> Tensor:
    """Cells of each block [B, h, w, C, 16] -> coarse canvas [B, C, 4h, 4w], channels last."""
    batch, h, w, width, _ = cells.shape
    side = BLOCK // COARSE_STEP
    grid = cells.reshape(batch, h, w, width, side, side).permute(0, 3, 1, 4, 2, 5)
    return grid.reshape(batch, width, h * side, w * side).contiguous(memory_format=torch.channels_last)
