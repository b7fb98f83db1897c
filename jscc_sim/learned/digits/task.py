"""Training of the digit coder: rate plus lambda times distortion, at all levels at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from jscc_sim.images import Picture
from jscc_sim.learned.digits.data import load_digits
from jscc_sim.learned.digits.network import TILE, DigitArchitecture, DigitCoder, split
from jscc_sim.training.data import Split
from jscc_sim.training.task import Batches, Task

WEAKEST, STRONGEST = 8e-5, 3e-3
"""Lambda of levels 0 and 1: bits that a squared error of 1 (8-bit units) of one pixel is worth."""

EVENING = 0.4
"""Power of lambda by which losses are divided, so that no level outweighs the others."""

VALIDATION_LEVELS = (0.2, 0.5, 0.8)
VALIDATION_DRAWS = 8

DEFORMED = 0.7
"""Share of the digits of a batch that are deformed."""

TURN, SHEAR, STRETCH, SHIFT = 0.12, 0.12, 0.08, 0.35
"""Standard deviations of the deformations: radians, a ratio, a natural logarithm, pixels."""


@dataclass(frozen=True)
class DigitTask(Task[DigitCoder]):
    """Each digit at a level of its own."""

    architecture: DigitArchitecture = field(default_factory=DigitArchitecture)
    system: ClassVar[str] = "digits"
    summary: ClassVar[str] = "rate-distortion VAE of handwritten digits of 8x8 pixels, all rates, dithered"
    crops: ClassVar[int] = 256
    side: ClassVar[int] = TILE

    def network(self) -> DigitCoder:
        """See Task.network."""
        return DigitCoder(self.architecture)

    def loss(
        self, network: DigitCoder, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """Bits + lambda * squared error, evened out over the levels."""
        level = torch.from_numpy(rng.random(len(images))).to(images)
        tiles = images.flatten(1)
        bits, decoded = code(network, tiles, level, generator)
        price = WEAKEST * (STRONGEST / WEAKEST) ** level
        error = 255**2 * (decoded - tiles).square().sum(1)
        return ((bits + price * error) * (math.sqrt(WEAKEST * STRONGEST) / price) ** EVENING).mean()

    def once(self, network: DigitCoder) -> int:
        """See Task.once."""
        level = torch.zeros(1)
        network.synthesise(network.analyse(torch.zeros(1, TILE**2), level), level)
        return TILE**2

    def validate(self, network: DigitCoder, pictures: list[Picture]) -> Mapping[str, float]:
        """Bits per digit and PSNR at three levels, means over a few draws of the dither."""
        device = next(network.parameters()).device
        tiles = torch.from_numpy(np.concatenate([split(picture) for picture in pictures])).to(device)
        tiles = tiles.repeat(VALIDATION_DRAWS, 1)
        generator = torch.Generator(device).manual_seed(0)
        figures = {}
        for at in VALIDATION_LEVELS:
            bits, decoded = code(network, tiles, torch.full((len(tiles),), at, device=device), generator)
            figures[f"bits {at}"] = bits.mean().item()
            figures[f"PSNR {at}"] = -10 * math.log10(F.mse_loss(decoded.clamp(0, 1), tiles).item())
        return figures

    def batches(self, split: Split | None, side: int, device: str) -> Batches:
        """See Task.batches."""
        return DeformedDigits(load_digits().training.pixels, device)

    def held_out(self, split: Split | None) -> list[Picture]:
        """One sheet."""
        digits = load_digits().validation
        return [digits.sheet(columns=len(digits))]


def code(
    network: DigitCoder, tiles: Tensor, level: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Bits [B] and decoded tiles [B, 64]: what dither does at run time, uniform noise does here."""
    with torch.autocast(tiles.device.type, enabled=False):  # too small to gain by half precision
        latents = network.analyse(tiles, level)
        latents = latents + torch.rand(latents.shape, generator=generator, device=latents.device) - 0.5
        return network.bits(latents, level).sum(1), network.synthesise(latents, level)


class DeformedDigits:
    """Digits, most of them turned, sheared, stretched and moved a little."""

    def __init__(self, pixels: np.ndarray, device: str) -> None:
        self.pixels = torch.from_numpy(pixels)[:, None].to(device)

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """[count, 1, 8, 8] uint8."""
        digits = self.pixels[torch.from_numpy(rng.integers(len(self.pixels), size=count))]
        turn, shear = rng.normal(0, TURN, count), rng.normal(0, SHEAR, count)
        across, down = np.exp(rng.normal(0, STRETCH, (2, count)))
        shift = rng.normal(0, SHIFT * 2 / TILE, (2, count))
        rows = [[across * np.cos(turn), shear - np.sin(turn) * down, shift[0]]]
        rows += [[across * np.sin(turn), down * np.cos(turn), shift[1]]]
        matrices = torch.from_numpy(np.moveaxis(np.array(rows), 2, 0)).to(digits.device, torch.float32)
        grid = F.affine_grid(matrices, list(digits.shape), align_corners=False)
        deformed = F.grid_sample(digits.float(), grid, "bicubic", align_corners=False)
        chosen = torch.from_numpy(rng.random(count) < DEFORMED).to(digits.device)[:, None, None, None]
        return torch.where(chosen, deformed.round().clamp(0, 255).byte(), digits)
