"""Training of the analog variational autoencoder: every crop is a frame with its own N, SNR and power pool.

The loss is the mean log of each frame's mean squared error, that is its PSNR, and a little of the KL
divergence from the prior. The posterior of a latent is a Gaussian of the channel's variance around what
the encoder gives. Since the frame's gain sets the power, the divergence has but one free variable, the
level of the frame's latents, and keeps it where what arrives has the variance of the prior.
"""

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
from jscc_sim.learned.vae.network import CHOICES, SNR_RANGE_DB, VAEArchitecture, VAECoder
from jscc_sim.nn.pictures import image_of
from jscc_sim.nn.two_scale import COARSE_STEP
from jscc_sim.training.task import Task, middles
from jscc_sim.units import noise_variance

MISMATCH_SHARE, MISMATCH_DB = 0.15, 4.0
"""Of frames whose sender is wrong, and by how much."""

FADING_SHARE = 0.1
MSE_FLOOR = 1e-5
"""Keeps flat crops from outweighing the rest."""

DIVERGENCE_WEIGHT = 1e-3
VALIDATION_SNR_DB = 10.0
VALIDATION_SIDE = 256


@dataclass(frozen=True)
class VAELinkTask(Task[VAECoder]):
    """See the module."""

    architecture: VAEArchitecture = field(default_factory=VAEArchitecture)
    system: ClassVar[str] = "vae"
    summary: ClassVar[str] = "analog variational autoencoder, 2, 4 or 8 real latents per 4x4 pixels"
    crops: ClassVar[int] = 8
    side: ClassVar[int] = 128
    validated: ClassVar[str] = f"{VALIDATION_SNR_DB:g} dB, no header"
    multiple: ClassVar[int] = COARSE_STEP

    def network(self) -> VAECoder:
        """See Task.network."""
        return VAECoder(self.architecture)

    def loss(
        self, network: VAECoder, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """Minus the mean PSNR, in natural units, and the weighed divergence."""
        count = len(images)
        choice = torch.from_numpy(rng.integers(0, len(CHOICES), count)).to(images.device)
        snr_db = rng.uniform(*SNR_RANGE_DB, count)
        wrong = MISMATCH_DB * rng.standard_normal(count) * (rng.random(count) < MISMATCH_SHARE)
        belief_db = torch.from_numpy(snr_db + wrong).to(images)
        fading = torch.from_numpy(rng.random(count) < FADING_SHARE).to(images.device)
        noise = noise_variance(torch.from_numpy(snr_db)).to(images)
        latents = network.encode(images, choice, belief_db)
        means, trust, level = receive(latents, network.used[choice], noise, fading, generator)
        decoded = network.decode(means, trust, choice, belief_db)
        error = ((decoded - images).square().mean((1, 2, 3)) + MSE_FLOOR).log()
        divergence = (level * (1 + noise) - (level * noise).log() - 1) / 2
        return (error + DIVERGENCE_WEIGHT * divergence).mean()

    def once(self, network: VAECoder) -> int:
        """See Task.once."""
        side, choice, snr_db = 64, torch.zeros(1, dtype=torch.long), torch.zeros(1)
        latents = network.encode(torch.zeros(1, 3, side, side), choice, snr_db)
        network.decode(latents, torch.zeros_like(latents), choice, snr_db)
        return side**2

    def validate(self, network: VAECoder, pictures: list[Picture]) -> Mapping[str, float]:
        """Mean PSNR for each N at 10 dB, no header, of the middle of the pictures."""
        device = next(network.parameters()).device
        generator = torch.Generator(device).manual_seed(0)
        noise = torch.tensor([noise_variance(VALIDATION_SNR_DB)], device=device)
        snr_db = torch.tensor([VALIDATION_SNR_DB], device=device)
        steady = torch.zeros(1, dtype=torch.bool, device=device)
        figures: dict[str, list[float]] = {}
        for picture in middles(pictures, VALIDATION_SIDE, COARSE_STEP):
            image = image_of(picture).to(device)
            for k, n in enumerate(CHOICES):
                choice = torch.tensor([k], device=device)
                latents = network.encode(image, choice, snr_db)
                means, trust, _ = receive(latents, network.used[choice], noise, steady, generator)
                decoded = network.decode(means, trust, choice, snr_db).clamp(0, 1)
                psnr_db = -10 * math.log10(max(F.mse_loss(decoded, image).item(), MSE_FLOOR))
                figures.setdefault(f"PSNR {n}", []).append(psnr_db)
        return {name: float(np.mean(values)) for name, values in figures.items()}


def receive(
    latents: Tensor, used: Tensor, noise: Tensor, fading: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """What arrives of each frame's latents [B, C, h, w] at one power per use, a use being two reals.

    used: [B, C] bool; noise: [B] complex noise variance; fading: [B] bool, Rayleigh from use to use. Returns
    mean and trust as the decoder takes them, and [B] the mean square of the latents that are used.
    """
    _, _, rows, columns = latents.shape
    level = latents.square().sum((1, 2, 3)) / (used.sum(1) * rows * columns)
    level = level.clamp_min(1e-8)
    fade = torch.empty_like(latents).exponential_(generator=generator)
    fade = torch.where(fading[:, None, None, None], fade, 1.0)
    variance = (level * noise)[:, None, None, None] / fade.clamp_min(1e-6)
    disturbance = torch.randn(latents.shape, generator=generator, device=latents.device)
    trust = 1 / (1 + variance)
    return (latents + variance.sqrt() * disturbance) * trust, trust, level
