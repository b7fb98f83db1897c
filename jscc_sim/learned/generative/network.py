"""A variational autoencoder of photographs, as a prior for what a linear sender of 32x32 blocks leaves open.

It speaks the language of the linear bank: DCT coefficients of blocks, each over its standard
deviation, so that the bank's own model is a standard normal. Every cell of 8x8 pixels has a few
latents z, standard normal too. Given the latents, coefficients are independent Gaussians: a
convolutional network draws their means, as pixels, and says by how much each band's variance differs
from the bank's. Seen through linear measurements everything but the latents is then closed form.
The convolutions reach across the borders of blocks: a prior for blocks alone says nothing of seams.
Source: Kingma & Welling 2014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.nn.two_scale import ResidualPair
from jscc_sim.units import BLOCK

CELL = 8
CELLS = BLOCK // CELL
"""Cells of a block down, and across."""

OCTAVES = (0, 1, 2, 3, 5, 8, 13, 21)
"""First DCT index of each band, across and down: 8 x 8 bands of each colour component."""

LOG_SCALES = (-9.0, 7.0)
"""Natural logarithm of a coefficient's variance over the bank's."""

LEAST_ENERGY = 1e-3

FIRST_LOG_VARIANCE = -3.0
"""Of recognition before training: latents of unit variance say nothing, and would be slow to begin to."""


@dataclass(frozen=True)
class BlockVAEArchitecture:
    """Everything that fixes the shape of the network's weights. latents: of a cell."""

    latents: int = 12
    width: int = 96
    recognition: int = 96


@dataclass(frozen=True, eq=False)
class Measurements:
    """What a receiver has of each coefficient of pictures' blocks, [B, h, w, 3072] both, in the order of
    the transform. value: the coefficient plus noise, 0 where nothing was sent; precision: one over that
    noise's variance, 0 where nothing was sent."""

    value: Tensor
    precision: Tensor

    @property
    def side(self) -> int:
        """One above the largest DCT index, across or down, of which anything was sent; at least 1."""
        sent = (self.precision > 0).flatten(0, 2).any(0).reshape(3, BLOCK, BLOCK).any(0)
        places = torch.arange(1, BLOCK + 1)
        return max(1, *(int((places * sent.any(axis)).max()) for axis in (0, 1)))

    def low(self, side: int) -> Measurements:
        """Of the coefficients whose DCT indices are below `side`: [B, h, w, 3 * side**2]."""
        return Measurements(low(self.value, side), low(self.precision, side))

    def linear_estimate(self) -> Tensor:
        """The least squares estimate under a standard normal prior: the linear bank's."""
        return self.value * (self.precision / (1 + self.precision))


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Independent Gaussians. mean, variance: [B, h, w, 3072]."""

    mean: Tensor
    variance: Tensor

    def estimate(self, measured: Measurements) -> Tensor:
        """E[x | z, y]: least squares around this mean."""
        spread = self.variance * measured.precision
        return self.mean + spread / (1 + spread) * (measured.value - self.mean)

    def log_evidence(self, measured: Measurements) -> Tensor:
        """[B, h, w] log p(y | z) of each block: see log_evidence."""
        return log_evidence(measured, self.mean, self.variance)


@dataclass(frozen=True, eq=False)
class Posterior:
    """Independent Gaussians over latents. mean, log_variance: [B, latents, 4h, 4w]."""

    mean: Tensor
    log_variance: Tensor

    def draw(self, noise: Tensor) -> Tensor:
        """Latents, from standard normal noise of their shape."""
        return self.mean + (0.5 * self.log_variance).exp() * noise

    def divergence(self) -> Tensor:
        """[B, h, w] from the standard normal prior, in nats, of each block."""
        return 0.5 * by_block(self.mean.square() + self.log_variance.exp() - 1 - self.log_variance)

    def negative_log_density(self, z: Tensor) -> Tensor:
        """[B, h, w] -log density of z in each block, less the least that it can be."""
        return 0.5 * by_block((z - self.mean).square() * (-self.log_variance).exp())


def log_evidence(measured: Measurements, mean: Tensor | float, variance: Tensor | float) -> Tensor:
    """[B, h, w] log N(y; mean, variance + noise), less log N(y; y, noise), which no model changes."""
    spread = variance * measured.precision
    misfit = measured.precision * (measured.value - mean).square() / (1 + spread)
    return -0.5 * (torch.log1p(spread) + misfit).sum(-1)  # type: ignore[arg-type]


class PreactivatedResidual(ResidualPair):
    """x + conv(silu(conv(silu(x))))."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        return x + self.second(F.silu(self.first(F.silu(x))))


class BlockVAE(nn.Module):
    """variance: [3072] of the linear bank's coefficients in the order of the transform; its logarithm is
    kept among the weights, so that a bank that was fitted anew is found out."""

    log_variance: Tensor
    deviation: Tensor
    member: Tensor
    cosines: Tensor

    def __init__(self, architecture: BlockVAEArchitecture, variance: NDArray[np.float64]) -> None:
        super().__init__()
        a = self.architecture = architecture
        component = np.repeat(np.sqrt(variance.reshape(3, -1).mean(1)), BLOCK**2)
        self._keep("log_variance", np.log(variance), persistent=True)
        self._keep("deviation", np.sqrt(variance) / component)
        self._keep("member", _bands()[:, None] == np.arange(3 * len(OCTAVES) ** 2))
        self._keep("cosines", cosines())
        bands, pixels = self.member.shape[1], 3 * CELL**2
        self.look = nn.Conv2d(pixels, a.recognition, 1)
        self.weigh = nn.Conv2d(2 * bands, a.recognition, 1)
        self.compare = PreactivatedResidual(a.recognition)
        self.infer = nn.Conv2d(a.recognition, 2 * a.latents, 1)
        self.meet = nn.Conv2d(a.latents, a.width, 3, padding=1)
        self.think = PreactivatedResidual(a.width)
        self.draw = nn.Conv2d(a.width, pixels, 1)
        self.scale = nn.Conv2d(a.width, bands, 1)
        with torch.no_grad():
            for last in (self.infer, self.draw, self.scale):
                last.weight.mul_(0.1)
            assert self.infer.bias is not None
            self.infer.bias[a.latents :] = FIRST_LOG_VARIANCE

    def recognise(self, measured: Measurements) -> Posterior:
        """What the linear estimate says of z."""
        linear = measured.linear_estimate()
        energy = (self._by_band(linear.square()) + LEAST_ENERGY).log()
        known = self._by_band(measured.precision / (1 + measured.precision))
        told = self.weigh(torch.cat([0.3 * energy, known], -1).permute(0, 3, 1, 2))
        x = self.look(self._cells(linear)) + F.interpolate(told, scale_factor=CELLS)
        mean, log_variance = self.infer(F.silu(self.compare(x))).float().chunk(2, 1)
        return Posterior(mean, log_variance.clamp(-10, 2))

    def generate(self, z: Tensor, side: int = BLOCK) -> Gaussian:
        """z: [B, latents, 4h, 4w] -> the coefficients of each block, those with DCT indices below `side`."""
        x = F.silu(self.think(self.meet(z)))
        log_scales = self.scale(F.avg_pool2d(x, CELLS)).float().permute(0, 2, 3, 1)
        scales = log_scales.clamp(*LOG_SCALES).exp() @ low(self.member.T, side)
        return Gaussian(self._coefficients(self.draw(x).float(), side), scales.float())

    def _cells(self, coefficients: Tensor) -> Tensor:
        """[B, h, w, 3072] -> pixels [B, 192, 4h, 4w], of about unit variance."""
        batch, rows, columns, _ = coefficients.shape
        spectrum = (coefficients * self.deviation).reshape(batch, rows, columns, 3, BLOCK, BLOCK)
        with _exactly(spectrum):
            planes = self.cosines.T @ spectrum @ self.cosines
        tiles = planes.reshape(batch, rows, columns, 3, CELLS, CELL, CELLS, CELL)
        cells = tiles.permute(0, 3, 5, 7, 1, 4, 2, 6)
        return cells.reshape(batch, 3 * CELL**2, rows * CELLS, columns * CELLS)

    def _coefficients(self, cells: Tensor, side: int) -> Tensor:
        """The reverse, of the coefficients with DCT indices below `side`."""
        batch, _, height, width = cells.shape
        tiles = cells.reshape(batch, 3, CELL, CELL, height // CELLS, CELLS, width // CELLS, CELLS)
        planes = tiles.permute(0, 4, 6, 1, 5, 2, 7, 3).reshape(
            batch, height // CELLS, width // CELLS, 3, BLOCK, BLOCK
        )
        with _exactly(planes):
            spectrum = self.cosines[:side] @ planes @ self.cosines[:side].T
            return spectrum.flatten(3) / low(self.deviation, side)

    def _by_band(self, values: Tensor) -> Tensor:
        """[..., 3072] -> the mean of each band [..., bands]."""
        return values @ self.member / self.member.sum(0)

    def _keep(self, name: str, values: NDArray[np.generic], persistent: bool = False) -> None:
        self.register_buffer(name, torch.tensor(values, dtype=torch.float32), persistent=persistent)


def cosines() -> NDArray[np.float64]:
    """[32, 32] the orthonormal DCT: frequency, place."""
    place = np.arange(BLOCK)
    rows = np.cos(np.pi * (place + 0.5) * place[:, None] / BLOCK) * math.sqrt(2 / BLOCK)
    rows[0] /= math.sqrt(2)
    return np.asarray(rows)


def _bands() -> NDArray[np.int64]:
    """[3072] the band of each coefficient."""
    octave = np.searchsorted(OCTAVES, np.arange(BLOCK), side="right") - 1
    planes = np.arange(3)[:, None, None] * len(OCTAVES) ** 2
    return np.asarray((planes + octave[:, None] * len(OCTAVES) + octave).reshape(-1))


def low(values: Tensor, side: int) -> Tensor:
    """[..., 3072] of all coefficients -> [..., 3 * side**2] of those whose DCT indices are below `side`."""
    return values.unflatten(-1, (3, BLOCK, BLOCK))[..., :side, :side].flatten(-3)


def by_block(values: Tensor) -> Tensor:
    """[B, C, 4h, 4w] -> the sum over channels and over the cells of each block, [B, h, w]."""
    return CELLS**2 * F.avg_pool2d(values.sum(1, keepdim=True), CELLS)[:, 0]


def _exactly(x: Tensor) -> torch.autocast:
    """Single precision, whatever the training's: a transform in bf16 blurs what is small beside the mean."""
    return torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False)
