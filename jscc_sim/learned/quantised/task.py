"""Training of the quantised autoencoder: PSNR and the sharpness of edges, at all rates at once."""

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
from jscc_sim.learned.quantised.network import (
    BITS,
    STRIDE,
    QuantisedArchitecture,
    QuantisedCoder,
    symbols_of,
    values_of,
)
from jscc_sim.nn.pictures import image_of
from jscc_sim.training.task import Task, middles

FEWEST_CHANNELS = 2
CHANCES = (0.15, 0.4, 0.3, 0.15)
"""Of the BITS: at equal cost 4 bits are best almost everywhere, and 6 beyond."""

MSE_FLOOR = 1e-5
"""Keeps flat crops, which any network codes at 50 dB, from outweighing the rest."""

EDGES = 0.1
"""Weight of the perceptual term: the logarithm of the mean absolute difference of gradients."""

VALIDATION_RATES = ((4, 4), (16, 2), (16, 4), (48, 6))
"""Channels and bits."""
VALIDATION_SIDE = 256


@dataclass(frozen=True)
class QuantisedTask(Task[QuantisedCoder]):
    """Each crop at a rate of its own: the root of the channels is uniform, bits as in CHANCES."""

    architecture: QuantisedArchitecture = field(default_factory=QuantisedArchitecture)
    system: ClassVar[str] = "quantised"
    summary: ClassVar[str] = "residual autoencoder, latents of 2 to 8 bits, 2 to 48 channels, all rates"
    crops: ClassVar[int] = 8
    side: ClassVar[int] = 128
    multiple: ClassVar[int] = STRIDE

    def network(self) -> QuantisedCoder:
        """See Task.network."""
        return QuantisedCoder(self.architecture)

    def loss(
        self, network: QuantisedCoder, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """Minus the mean PSNR in natural units, and EDGES times the log difference of gradients."""
        most, count = self.architecture.latents, len(images)
        drawn = rng.uniform(math.sqrt(FEWEST_CHANNELS), math.sqrt(most + 1), count) ** 2
        channels = torch.from_numpy(drawn.astype(np.int64).clip(FEWEST_CHANNELS, most)).to(images.device)
        bits = torch.from_numpy(rng.choice(BITS, count, p=CHANCES)).to(images.device)
        decoded = code(network, images, channels, bits)
        errors = (decoded - images).square().mean((1, 2, 3))
        return ((errors + MSE_FLOOR).log() + EDGES * gradient_difference(decoded, images).log()).mean()

    def once(self, network: QuantisedCoder) -> int:
        """See Task.once."""
        rate = torch.full((1,), self.architecture.latents), torch.full((1,), BITS[-1])
        code(network, torch.zeros(1, 3, 256, 256), *rate)
        return 256**2

    def validate(self, network: QuantisedCoder, pictures: list[Picture]) -> Mapping[str, float]:
        """PSNR at some rates, of the middle of the pictures."""
        device = next(network.parameters()).device
        figures: dict[str, list[float]] = {}
        for picture in middles(pictures, VALIDATION_SIDE, STRIDE):
            image = image_of(picture).to(device)
            for channels, bits in VALIDATION_RATES:
                rate = (torch.tensor([value], device=device) for value in (channels, bits))
                mse = F.mse_loss(code(network, image, *rate).clamp(0, 1), image).item()
                figures.setdefault(f"PSNR {channels}x{bits}", []).append(-10 * math.log10(mse))
        return {name: float(np.mean(values)) for name, values in figures.items()}


def code(network: QuantisedCoder, images: Tensor, channels: Tensor, bits: Tensor) -> Tensor:
    """Pictures decoded from rounded latents, gradients straight through the rounding. Height and width
    are multiples of 8."""
    assert not any(side % STRIDE for side in images.shape[2:])
    latents = network.analyse(images, channels, bits)
    rounded = values_of(symbols_of(latents, bits), bits)
    return network.synthesise(latents + (rounded - latents).detach(), channels, bits)


def gradient_difference(decoded: Tensor, images: Tensor) -> Tensor:
    """[B] mean absolute difference of the gradients, across and down. Source: Mathieu et al. 2016, eq. (6)
    without its inner magnitudes."""
    error = decoded - images
    return error.diff(dim=2).abs().mean((1, 2, 3)) + error.diff(dim=3).abs().mean((1, 2, 3)) + MSE_FLOOR
