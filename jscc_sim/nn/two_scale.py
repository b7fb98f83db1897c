"""The trunk of the convolutional coders: residual blocks on a fine and on a coarse grid, at both ends.

What sends and what receives on the coarse grid, the heads, is each coder's own. The modulation of the
residual blocks tells the trunk the rate and the SNR.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import zip_longest
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.nn.attention import WindowAttention

FINE_STEP, COARSE_STEP = 4, 8
"""Pixels per cell of the two grids."""


class TwoScaleArchitecture(Protocol):
    """Channels of the two grids, and residual blocks on each at both ends."""

    @property
    def fine(self) -> int: ...
    @property
    def coarse(self) -> int: ...
    @property
    def encoder_fine(self) -> int: ...
    @property
    def encoder_coarse(self) -> int: ...
    @property
    def decoder_coarse(self) -> int: ...
    @property
    def decoder_fine(self) -> int: ...


class ResidualPair(nn.Module, ABC):
    """Two convolutions beside a shortcut, the second small at first; a subclass says what is between them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.second.weight.mul_(0.2)


class ModulatedResidual(ResidualPair):
    """x + conv(silu(modulated conv(x))): the modulation is constant over each block."""

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


class Conditioning(nn.Module, ABC):
    """What is told of rate and channel -> a scale and a shift of each channel, for features of several
    widths. A subclass makes `hidden` and `out`, after what it embeds what it is told with, so that a seed
    stays a seed, and then calls `start`."""

    hidden: nn.Linear
    out: nn.Linear

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths

    def start(self) -> None:
        """Hardly any modulation before training."""
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def said(self, told: Tensor) -> Tensor:
        """What the hidden units say, [..., hidden]; the modulations are linear in it."""
        return F.silu(self.hidden(told))

    def modulations(self, told: Tensor) -> list[Tensor]:
        """[..., inputs] -> a [..., 2 * width] for each of the widths."""
        return list(self.out(self.said(told)).split([2 * width for width in self.widths], dim=-1))


class TwoScale(nn.Module, ABC):
    """Images are [B, 3, H, W] in 0 to 1, H and W multiples of COARSE_STEP. Modulations are [B, h, w, 2C], one
    for each residual block in turn; they are used up. attention: after how many of the coarse residual
    blocks, at both ends, cells attend to their window; every other time it is shifted."""

    def __init__(self, a: TwoScaleArchitecture, attention: int = 0) -> None:
        super().__init__()
        pixels = 3 * FINE_STEP**2
        self.analysis_stem = nn.Conv2d(pixels, a.fine, 3, padding=1)
        self.analysis_fine = nn.ModuleList(ModulatedResidual(a.fine) for _ in range(a.encoder_fine))
        self.analysis_down = nn.Conv2d(a.fine, a.coarse, 2, stride=2)
        self.analysis_coarse = nn.ModuleList(ModulatedResidual(a.coarse) for _ in range(a.encoder_coarse))
        self.make_heads()
        self.synthesis_coarse = nn.ModuleList(ModulatedResidual(a.coarse) for _ in range(a.decoder_coarse))
        self.synthesis_up = nn.Conv2d(a.coarse, 4 * a.fine, 1)
        self.synthesis_fine = nn.ModuleList(ModulatedResidual(a.fine) for _ in range(a.decoder_fine))
        self.synthesis_out = nn.Conv2d(a.fine, pixels, 3, padding=1)
        self.analysis_attention = attentions(a.coarse, min(attention, a.encoder_coarse))
        self.synthesis_attention = attentions(a.coarse, min(attention, a.decoder_coarse))
        self.sender_widths = [a.fine] * a.encoder_fine + [a.coarse] * a.encoder_coarse
        self.receiver_widths = [a.coarse] * a.decoder_coarse + [a.fine] * a.decoder_fine

    @abstractmethod
    def make_heads(self) -> None:
        """Set analysis_head and synthesis_head: between the trunk's halves, so that a seed stays a seed."""

    def shrink(self, images: Tensor, modulations: list[Tensor]) -> Tensor:
        """Images -> the coarse grid [B, coarse, H/8, W/8]."""
        cells = F.pixel_unshuffle(images - 0.5, FINE_STEP)
        x = self.analysis_stem(cells.to(self.analysis_stem.weight.dtype))
        for block in self.analysis_fine:
            x = block(x, modulations.pop(0))
        x = self.analysis_down(x)
        return coarsely(x, modulations, self.analysis_coarse, self.analysis_attention)

    def grow(self, x: Tensor, modulations: list[Tensor]) -> Tensor:
        """The coarse grid -> images, unclipped."""
        x = coarsely(x, modulations, self.synthesis_coarse, self.synthesis_attention)
        x = F.pixel_shuffle(self.synthesis_up(x), 2)
        for block in self.synthesis_fine:
            x = block(x, modulations.pop(0))
        return F.pixel_shuffle(self.synthesis_out(x), FINE_STEP).float() + 0.5


def attentions(width: int, count: int) -> nn.ModuleList:
    """As many layers of attention in windows, every other one shifted."""
    return nn.ModuleList(WindowAttention(width, number % 2 == 1) for number in range(count))


def coarsely(x: Tensor, modulations: list[Tensor], blocks: nn.ModuleList, attention: nn.ModuleList) -> Tensor:
    """Residual blocks on the coarse grid, the first of them followed by attention."""
    for block, attend in zip_longest(blocks, attention):
        x = block(x, modulations.pop(0))
        x = x if attend is None else attend(x)
    return x
