"""Picture quality: MSE, PSNR, SSIM and MS-SSIM, each defined once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jscc_sim.images import Picture
from jscc_sim.inference import inference

if TYPE_CHECKING:  # torch takes a second to import
    from torch import Tensor

PEAK = 255.0
WINDOW = 11
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the levels, fine to coarse (Wang et al. 2003)."""

MS_SSIM_LEAST_SIDE = (WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1


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
    import torch

    # The colours are a batch, since each has a value of its own: [3, 1, H, W].
    x, y = (torch.from_numpy(p).permute(2, 0, 1)[:, None].to(torch.float32) for p in (picture, reference))
    with inference():
        ssim = float(_similarity(x, y).mean())
        return ssim, _multi_scale(x, y) if side >= MS_SSIM_LEAST_SIDE else None


def _similarity(x: Tensor, y: Tensor, luminance: bool = True) -> Tensor:
    """SSIM of each of a batch of planes [B, 1, H, W]; without luminance: contrast and structure alone."""
    import pytorch_msssim

    # K1 is what keeps the luminance's ratio from 0/0. So large a one makes that ratio exactly 1.
    constants = (0.01 if luminance else 1e6, 0.03)
    return pytorch_msssim.ssim(x, y, PEAK, size_average=False, win_size=WINDOW, win_sigma=1.5, K=constants)


def _multi_scale(x: Tensor, y: Tensor) -> float:
    """MS-SSIM of planes [B, 1, H, W], mean over B. Source: Wang, Simoncelli & Bovik 2003, eq. (7).

    A level of odd side repeats its last row or column before it is halved, as the authors' program does.
    pytorch_msssim.ms_ssim puts zeros around it: pictures of odd sides come out up to 0.06 better.
    """
    from torch.nn import functional

    value = x.new_ones(len(x))
    for level, weight in enumerate(MS_SSIM_WEIGHTS, start=1):
        last = level == len(MS_SSIM_WEIGHTS)
        value = value * _similarity(x, y, luminance=last).relu() ** weight
        if not last:
            odd = (0, x.shape[3] % 2, 0, x.shape[2] % 2)
            x, y = (functional.avg_pool2d(functional.pad(p, odd, "replicate"), 2) for p in (x, y))
    return float(value.mean())
