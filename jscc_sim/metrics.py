"""Picture quality: MSE, PSNR, SSIM and MS-SSIM, each defined once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.images import Picture

PEAK = 255.0
WINDOW = 11
MS_SSIM_LEAST_SIDE = (WINDOW - 1) * 2**4 + 1


@dataclass(frozen=True)
class Quality:
    """mse over all RGB samples; psnr_db None for mse 0; SSIMs None where the window does not fit."""

    mse: float
    psnr_db: float | None
    ssim: float | None
    ms_ssim: float | None


def mean_squared_error(picture: Picture, reference: Picture) -> float:
    """Mean squared error over all samples of two [H, W, 3] uint8 pictures."""
    if picture.shape != reference.shape:
        raise ValueError(f"pictures of shapes {picture.shape} and {reference.shape} cannot be compared")
    total = 0
    for row, other in zip(picture, reference, strict=True):
        difference = row.astype(np.int64) - other
        total += int(np.dot(difference.ravel(), difference.ravel()))
    return total / picture.size


def psnr_of_mse(mse: float) -> float | None:
    """PSNR in dB for peak 255; None for an mse of 0."""
    return 10 * math.log10(PEAK**2 / mse) if mse > 0 else None


def psnr_between(picture: Picture, reference: Picture) -> float | None:
    """PSNR in dB of two [H, W, 3] uint8 pictures; None where they are the same."""
    return psnr_of_mse(mean_squared_error(picture, reference))


def block_errors(blocks: NDArray[np.float32], reference: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[N] mean squared error of each of N blocks [N, 32, 32, 3]; the estimate is clipped to 0..255."""
    difference = np.clip(blocks, 0, PEAK) - reference
    return np.asarray(np.square(difference).mean(axis=(1, 2, 3)), dtype=np.float64)


def measure(picture: Picture, reference: Picture, structural: bool = True) -> Quality:
    """Quality of a reception. structural: compute SSIM and MS-SSIM too (Gaussian 11x11 window,
    sigma 1.5, RGB, data range 255; MS-SSIM with 5 levels)."""
    mse = mean_squared_error(picture, reference)
    ssim, ms_ssim = _structural(picture, reference) if structural else (None, None)
    return Quality(mse, psnr_of_mse(mse), ssim, ms_ssim)


def _structural(picture: Picture, reference: Picture) -> tuple[float | None, float | None]:
    side = min(picture.shape[:2])
    if side < WINDOW:
        return None, None
    import pytorch_msssim
    import torch

    pair = [torch.from_numpy(p).permute(2, 0, 1)[None].float() for p in (picture, reference)]
    with torch.inference_mode():
        ssim = float(pytorch_msssim.ssim(*pair, data_range=PEAK, win_size=WINDOW))
        if side < MS_SSIM_LEAST_SIDE:
            return ssim, None
        return ssim, float(pytorch_msssim.ms_ssim(*pair, data_range=PEAK, win_size=WINDOW))
