"""Training of the Gaussian-mixture image coder: rate plus lambda times distortion, at all levels at once."""

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
from jscc_sim.learned.gmm.network import (
    HYPER_STRIDE,
    MixtureArchitecture,
    MixtureCoder,
    first_pass,
    mixture_bits,
)
from jscc_sim.nn.pictures import image_of
from jscc_sim.training.task import Task, middles

WEAKEST, STRONGEST = 6e-4, 0.2
"""Lambda of levels 0 and 1: bits per pixel that a squared error of 1 (8-bit units) is worth."""

VALIDATION_LEVELS = (0.1, 0.5, 0.9)
VALIDATION_SIDE = 256


@dataclass(frozen=True)
class MixtureTask(Task[MixtureCoder]):
    """Each crop at a level of its own."""

    architecture: MixtureArchitecture = field(default_factory=MixtureArchitecture)
    system: ClassVar[str] = "gmm"
    summary: ClassVar[str] = "image coder with GDN, attention and a Gaussian-mixture entropy model, all rates"
    crops: ClassVar[int] = 12
    side: ClassVar[int] = 128
    multiple: ClassVar[int] = HYPER_STRIDE

    def network(self) -> MixtureCoder:
        """See Task.network."""
        return MixtureCoder(self.architecture)

    def loss(
        self, network: MixtureCoder, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """Bits per pixel + lambda * MSE, over the root of lambda: about as large at every level."""
        level = torch.from_numpy(rng.random(len(images))).to(images)
        bits, decoded = code(network, images, level, generator)
        price = WEAKEST * (STRONGEST / WEAKEST) ** level
        error = 255**2 * (decoded - images).square().mean((1, 2, 3))
        return ((bits + price * error) * (math.sqrt(WEAKEST * STRONGEST) / price) ** 0.5).mean()

    def once(self, network: MixtureCoder) -> int:
        """See Task.once."""
        code(network, torch.zeros(1, 3, 256, 256), torch.zeros(1))
        return 256**2

    def validate(self, network: MixtureCoder, pictures: list[Picture]) -> Mapping[str, float]:
        """Bits per pixel and PSNR at three levels, of the middle of the pictures."""
        device = next(network.parameters()).device
        figures: dict[str, list[float]] = {}
        for picture in middles(pictures, VALIDATION_SIDE, HYPER_STRIDE):
            image = image_of(picture).to(device)
            for at in VALIDATION_LEVELS:
                bits, decoded = code(network, image, torch.tensor([at], device=device))
                psnr_db = -10 * math.log10(F.mse_loss(decoded.clamp(0, 1), image).item())
                figures.setdefault(f"bpp {at}", []).append(bits.item())
                figures.setdefault(f"PSNR {at}", []).append(psnr_db)
        return {name: float(np.mean(values)) for name, values in figures.items()}


def code(
    network: MixtureCoder, images: Tensor, level: Tensor, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Estimated bits per pixel [B] and decoded pictures, height and width multiples of 64. With a
    generator as in training: noise in place of rounding where the rate is counted, gradients straight
    through the rounding everywhere else."""
    assert not any(side % HYPER_STRIDE for side in images.shape[2:])
    latents, hyperlatents = network.analyse(images, level)
    whole, hyper_whole = rounded(latents), rounded(hyperlatents)
    first = first_pass(latents)
    features = network.entropy.features(hyper_whole, level)
    parameters = network.entropy.of_latents(features, whole * first, level)
    if generator is not None:
        latents, hyperlatents = noisy(latents, generator), noisy(hyperlatents, generator)
    else:
        latents, hyperlatents = whole, hyper_whole
    bits = mixture_bits(latents, parameters.float()).sum((1, 2, 3))
    bits = bits + mixture_bits(hyperlatents, network.entropy.of_hyperlatents(level)).sum((1, 2, 3))
    return bits / (images.shape[2] * images.shape[3]), network.synthesise(whole, level)


def rounded(x: Tensor) -> Tensor:
    """Whole numbers; the gradient passes as if they were not."""
    return x + (x.round() - x).detach()


def noisy(x: Tensor, generator: torch.Generator) -> Tensor:
    """Uniform noise of one step: the rate of rounding with a gradient (Balle et al. 2017)."""
    return x + torch.rand(x.shape, generator=generator, device=x.device) - 0.5
