"""What a network may be trained for: an error of each picture, whose logarithm the loss is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from jscc_sim.metrics.error import PEAK
from jscc_sim.metrics.structural import MS_SSIM_LEAST_SIDE, multi_scale
from jscc_sim.units import BLOCK

if TYPE_CHECKING:  # torch takes a second to import
    from torch import Tensor

PSNR, MS_SSIM = "psnr", "ms-ssim"

LEAST_SIDE = -(-MS_SSIM_LEAST_SIDE // BLOCK) * BLOCK
"""Of crops that MS-SSIM is defined for."""

FLOOR = 1e-5
"""Keeps flat crops, which any network sends at 50 dB, from outweighing the rest."""

LEAST_LEVEL = 1e-3
"""What a level of MS-SSIM counts as at least: where contrasts are reversed it has no gradient."""


def squared_error(decoded: Tensor, images: Tensor) -> Tensor:
    """[B] mean over each of [B, 3, H, W]."""
    return (decoded - images).square().mean((1, 2, 3))


def dissimilarity(decoded: Tensor, images: Tensor) -> Tensor:
    """[B] 1 - MS-SSIM of [B, 3, H, W] images in 0 to 1, in single precision whatever surrounds it: variances
    are small differences of large means, in bf16 of any sign."""
    import torch

    x, y = (PEAK * pictures.float().flatten(0, 1) for pictures in (decoded, images))
    with torch.autocast(decoded.device.type, enabled=False):
        found = multi_scale(x, y, LEAST_LEVEL).unflatten(0, (-1, 3)).mean(1)
    return (1 - found).clamp(min=0)


OBJECTIVES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {PSNR: squared_error, MS_SSIM: dissimilarity}

FIGURES = {PSNR: "PSNR", MS_SSIM: "MS-SSIM dB"}
"""What -10 log10 of each error is called."""


def logarithm(name: str, decoded: Tensor, images: Tensor) -> Tensor:
    """[B] of the error that an objective names: minus its figure in dB, but for a factor."""
    return (OBJECTIVES[name](decoded, images) + FLOOR).log()
