"""The coder behind `digits`: a rate-distortion VAE of 8x8 tiles, all rates in one network.

A tile's latents are scaled by a gain per latent and level, and meet uniform noise of one step: in training
the proxy of rounding, at run time the exact effect of subtractive dither. The prior of the level gives what
they cost in bits: each latent is a mixture of logistics, the uniform noise included.
Sources: Balle et al. 2017 (uniform noise), Cui et al. 2021 (gains).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.nn.levels import between
from jscc_sim.units import DECODED, check_finite

TILE = 8
"""Pixels of a tile's side."""

LUMA = (0.299, 0.587, 0.114)
CENTRE = 0.3
"""Of what the networks see and give: a digit's mean."""

FIRST_GAINS = (1.5, 6.0)
"""Of the weakest and the strongest level, before training."""

LOG_SCALES = (-2.5, 6.0)
LEAST_CHANCE = 2.0**-20
BATCH = 4096
"""Tiles at once."""


@dataclass(frozen=True)
class DigitArchitecture:
    """Everything that fixes the shape of the network's weights. anchors: of all that depends on the level,
    weakest first; components: of the prior."""

    hidden: int = 256
    blocks: int = 2
    latents: int = 16
    anchors: int = 6
    components: int = 3


class LevelBlock(nn.Module):
    """x + linear(gelu(a * linear(x) + b)), a and b of the level."""

    def __init__(self, width: int, anchors: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        self.scale = nn.Parameter(torch.ones(anchors, width))
        self.shift = nn.Parameter(torch.zeros(anchors, width))
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """[B, width] -> the same."""
        inside = self.first(x) * between(self.scale, level) + between(self.shift, level)
        return x + self.second(F.gelu(inside))


class Perceptron(nn.Module):
    """Residual blocks between two linear layers."""

    def __init__(self, inputs: int, outputs: int, a: DigitArchitecture) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(inputs, a.hidden), nn.Linear(a.hidden, outputs)
        self.blocks = nn.ModuleList(LevelBlock(a.hidden, a.anchors) for _ in range(a.blocks))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """[B, inputs] -> [B, outputs]."""
        x = self.first(x)
        for block in self.blocks:
            x = block(x, level)
        return self.last(F.gelu(x))


class DigitCoder(nn.Module):
    """Tiles [B, 64] in 0 to 1 to latents [B, latents] and back. Levels: [B] in 0 to 1."""

    def __init__(self, architecture: DigitArchitecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        self.analysis = Perceptron(TILE**2, a.latents, a)
        self.synthesis = Perceptron(a.latents, TILE**2, a)
        gains = torch.linspace(math.log(FIRST_GAINS[0]), math.log(FIRST_GAINS[1]), a.anchors)[:, None]
        self.gain = nn.Parameter(gains.repeat(1, a.latents))
        self.inverse_gain = nn.Parameter(-gains.repeat(1, a.latents))
        first = torch.zeros(a.anchors, 3, a.components, a.latents)
        first[:, 1] = torch.linspace(-1, 1, a.components)[:, None]
        self.prior = nn.Parameter(first.reshape(a.anchors, -1))

    def analyse(self, tiles: Tensor, level: Tensor) -> Tensor:
        """The latents, in steps of the dither."""
        return self.analysis(tiles - CENTRE, level) * between(self.gain, level).exp()

    def synthesise(self, latents: Tensor, level: Tensor) -> Tensor:
        """Tiles, unclipped."""
        return self.synthesis(latents * between(self.inverse_gain, level).exp(), level) + CENTRE

    def bits(self, latents: Tensor, level: Tensor) -> Tensor:
        """[B, latents] what dithered latents cost."""
        a = self.architecture
        parameters = between(self.prior, level).reshape(len(level), 3, a.components, a.latents)
        weights, means, log_scales = parameters.unbind(1)
        inverse = (-log_scales.clamp(*LOG_SCALES)).exp()
        distance = (latents[:, None] - means).abs()
        upper, lower = (((half - distance) * inverse).sigmoid() for half in (0.5, -0.5))
        chance = (weights.softmax(1) * (upper - lower)).sum(1)
        return -chance.clamp(min=LEAST_CHANCE).log2()


def latents_of(coder: DigitCoder, tiles: NDArray[np.float32], level: float) -> NDArray[np.float64]:
    """[N, 64] in 0 to 1 -> [N, latents], not quantised."""
    with inference():
        parts = [coder.analyse(part, _levels(part, level)) for part in _batches(tiles)]
    return torch.cat(parts).double().numpy()


def tiles_of(coder: DigitCoder, latents: NDArray[np.floating], level: float) -> NDArray[np.float32]:
    """[N, latents] -> [N, 64] in 0 to 1."""
    with inference():
        parts = _batches(latents.astype(np.float32))
        found = [coder.synthesise(part, _levels(part, level)).clamp(0, 1) for part in parts]
    return np.asarray(torch.cat(found).numpy())


def split(picture: Picture) -> NDArray[np.float32]:
    """[H, W, 3] uint8 -> the luma of its tiles, row by row, [N, 64] in 0 to 1; edges replicated."""
    luma = np.clip(picture.astype(np.float32) @ np.array(LUMA, np.float32) / 255, 0, 1)
    height, width = luma.shape
    luma = np.pad(luma, ((0, -height % TILE), (0, -width % TILE)), mode="edge")
    rows, columns = (side // TILE for side in luma.shape)
    tiles = luma.reshape(rows, TILE, columns, TILE).swapaxes(1, 2).reshape(-1, TILE**2)
    return np.asarray(tiles, np.float32)


def join(tiles: NDArray[np.floating], height: int, width: int) -> Picture:
    """The reverse: a grey picture [H, W, 3] uint8."""
    rows, columns = tile_grid(height, width)
    check_finite(tiles, DECODED)
    grey = tiles.reshape(rows, columns, TILE, TILE).swapaxes(1, 2).reshape(rows * TILE, columns * TILE)
    whole = np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)[:height, :width]
    return np.repeat(whole[..., None], 3, axis=2)


def tile_grid(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of tiles."""
    return -(-height // TILE), -(-width // TILE)


def _levels(tiles: Tensor, level: float) -> Tensor:
    return torch.full((len(tiles),), level, dtype=tiles.dtype)


def _batches(rows: NDArray[np.float32]) -> tuple[Tensor, ...]:
    return torch.from_numpy(np.ascontiguousarray(rows)).split(BATCH)
