"""The convolutional joint source-channel coder: one trunk, a head and a modulation per ratio.

The convolutions run over the whole stitched canvas, so a block's encoder sees a margin of its
neighbours and the decoder leaves no seams; what is sent, and how much, is decided block by block.
Two scales, an 8x8 and a 4x4 grid per block; the latents live on the 4x4 grid, so that each
latent channel is 8 complex channel uses. A ratio of k uses sends k/8 latent channels of its own.
After Bourtsoulatze et al. 2019 (deep JSCC) and Xu et al. 2022 (SNR as a side input).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.units import BLOCK, STANDARD_RATIOS

USES_PER_CHANNEL = 8
CELLS = 16
"""Cells of the coarse 4x4 grid in a block: each latent channel holds 16 reals, or 8 uses."""

FINE_STEP, COARSE_STEP = 4, 8
"""Pixels per cell of the two grids."""


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

    @property
    def channels(self) -> int:
        """Latent channels of all ratios together; a block sends those of its own ratio."""
        return sum(self.uses) // USES_PER_CHANNEL


class Conditioning(nn.Module):
    """A block's ratio and the SNRs in force -> a scale and a shift for each residual block."""

    def __init__(self, ratios: int, scalars: int, widths: list[int], embedding: int, hidden: int) -> None:
        super().__init__()
        self.widths = widths
        self.ratio = nn.Embedding(ratios, embedding)
        self.scalar = nn.Linear(scalars, embedding)
        self.hidden = nn.Linear(embedding, hidden)
        self.out = nn.Linear(hidden, 2 * sum(widths))
        nn.init.normal_(self.ratio.weight, std=0.5)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, index: Tensor, snrs_db: Tensor) -> list[Tensor]:
        """index: [B, h, w] long; snrs_db: [B, h, w, S]. Returns a [B, h, w, 2C] per residual block."""
        out = self.out(self.units(index, snrs_db))
        return list(out.split([2 * width for width in self.widths], dim=-1))

    def units(self, index: Tensor, snrs_db: Tensor) -> Tensor:
        """What the hidden units say, [B, h, w, hidden]; the output is linear in it."""
        embedded = F.silu(self.ratio(index) + self.scalar(relative_snr(snrs_db)))
        return F.silu(self.hidden(embedded))


def relative_snr(snrs_db: Tensor) -> Tensor:
    """SNRs as the network takes them: 0 at 10 dB, within what can matter."""
    return snrs_db.clamp(-15, 45) / 10 - 1


class Residual(nn.Module):
    """x + conv(silu(modulated conv(x))): the modulation is constant over each block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.2)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x: [B, C, H, W]; modulation: [B, h, w, 2C], each entry spread over its block."""
        return x + self.second(F.silu(modulate(self.first(x), modulation)))


def modulate(x: Tensor, modulation: Tensor) -> Tensor:
    """Scale and shift [B, C, H, W] by a [B, h, w, 2C] that holds over H/h x W/w cells."""
    batch, width, height, length = x.shape
    rows, columns = modulation.shape[1:3]
    scale, shift = modulation[:, :, None, :, None].to(x.dtype).chunk(2, dim=-1)
    cells = x.permute(0, 2, 3, 1).reshape(batch, rows, height // rows, columns, length // columns, width)
    return (cells * (1 + scale) + shift).reshape(batch, height, length, width).permute(0, 3, 1, 2)


class ConvCoder(nn.Module):
    """Encoder and decoder for every ratio of the set. Images are [B, 3, H, W] in 0 to 1, H and W
    multiples of 32; a canvas of h x w blocks has an [B, h, w] index into the ratio set."""

    used: Tensor
    """[ratios, channels] bool: the latent channels of each ratio."""

    def __init__(self, architecture: ConvArchitecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        ratios, most = len(a.uses), a.uses[-1] // USES_PER_CHANNEL
        pixels = 3 * FINE_STEP**2
        self.analysis_stem = nn.Conv2d(pixels, a.fine, 3, padding=1)
        self.analysis_fine = nn.ModuleList(Residual(a.fine) for _ in range(a.encoder_fine))
        self.analysis_down = nn.Conv2d(a.fine, a.coarse, 2, stride=2)
        self.analysis_coarse = nn.ModuleList(Residual(a.coarse) for _ in range(a.encoder_coarse))
        self.analysis_head = nn.Parameter(torch.randn(a.channels, a.coarse) * a.coarse**-0.5)
        self.synthesis_head = nn.Parameter(torch.randn(a.coarse, a.channels) * most**-0.5)
        self.synthesis_coarse = nn.ModuleList(Residual(a.coarse) for _ in range(a.decoder_coarse))
        self.synthesis_up = nn.Conv2d(a.coarse, 4 * a.fine, 1)
        self.synthesis_fine = nn.ModuleList(Residual(a.fine) for _ in range(a.decoder_fine))
        self.synthesis_out = nn.Conv2d(a.fine, pixels, 3, padding=1)
        sender = [a.fine] * a.encoder_fine + [a.coarse] * a.encoder_coarse
        receiver = [a.coarse] * a.decoder_coarse + [a.fine] * a.decoder_fine
        self.sender = Conditioning(ratios, 1, sender, a.embedding, a.hidden)
        self.receiver = Conditioning(ratios, 2, receiver, a.embedding, a.hidden)
        owner = torch.tensor([k for k, uses in enumerate(a.uses) for _ in range(uses // USES_PER_CHANNEL)])
        self.register_buffer("used", owner == torch.arange(ratios)[:, None], persistent=False)

    def encode(self, images: Tensor, index: Tensor, snr_db: Tensor) -> Tensor:
        """snr_db: [B], what the sender believes. Returns latents [B, h, w, channels, 16], zero
        outside the channels of each block's ratio; consecutive pairs of reals are one complex symbol."""
        h, w = index.shape[1:]
        snrs = snr_db[:, None, None, None].expand(-1, h, w, 1)
        modulations = self.sender(index, snrs)
        x = self.analysis_stem(F.pixel_unshuffle(images - 0.5, FINE_STEP))
        for block in self.analysis_fine:
            x = block(x, modulations.pop(0))
        x = self.analysis_down(x)
        for block in self.analysis_coarse:
            x = block(x, modulations.pop(0))
        latents = cells_of(F.conv2d(x, self.analysis_head[:, :, None, None]), h, w)
        return latents.float() * self.used[index][..., None]

    def decode(self, latents: Tensor, index: Tensor, snrs_db: Tensor) -> Tensor:
        """latents: [B, h, w, channels, 16] as received; snrs_db: [B, h, w, 2], what the sender
        believed and what is left per block after the gain. Returns images [B, 3, H, W], unclipped."""
        modulations = self.receiver(index, snrs_db)
        x = F.conv2d(canvas_of(latents), self.synthesis_head[:, :, None, None])
        for block in self.synthesis_coarse:
            x = block(x, modulations.pop(0))
        x = F.pixel_shuffle(self.synthesis_up(x), 2)
        for block in self.synthesis_fine:
            x = block(x, modulations.pop(0))
        return F.pixel_shuffle(self.synthesis_out(x), FINE_STEP).float() + 0.5


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
