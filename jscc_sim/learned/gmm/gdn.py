"""Generalised divisive normalisation: each channel over the energy of all channels in its place.

Source: Balle, Laparra & Simoncelli 2016, "Density modeling of images using a generalized normalization
transformation", eq. (1).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEAST_ENERGY = 1e-2


class GDN(nn.Module):
    """x / sqrt(beta + gamma @ x**2), or with `inverse` the product in place of the quotient."""

    def __init__(self, width: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.beta = nn.Parameter(torch.ones(width))
        self.gamma = nn.Parameter(0.3 * torch.eye(width) + 0.01)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same. Squares of the parameters are what counts, so nothing is negative."""
        weight, bias = self.gamma.square()[:, :, None, None], self.beta.square() + LEAST_ENERGY
        energy = F.conv2d(x.square(), weight, bias)
        return x * (energy.sqrt() if self.inverse else energy.rsqrt())
