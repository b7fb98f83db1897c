"""SSIM and MS-SSIM: Gaussian window of 11x11, sigma 1.5, RGB, data range 255."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.metrics.base import Metric
from jscc_sim.metrics.error import PEAK

if TYPE_CHECKING:  # torch takes a second to import
    from torch import Tensor

WINDOW, SIGMA = 11, 1.5
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the levels, fine to coarse (Wang et al. 2003)."""

LANES = 16
"""Numbers of single precision in a vector of the processor."""

MS_SSIM_LEAST_SIDE = (WINDOW - 1) * 2 ** (len(MS_SSIM_WEIGHTS) - 1) + 1


@dataclass(frozen=True)
class SSIM(Metric):
    """Structural similarity, Wang et al. 2004; none where the window does not fit."""

    column: ClassVar[str] = "ssim"
    label: ClassVar[str] = "SSIM"

    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        if min(picture.shape[:2]) < WINDOW:
            return None
        with inference():
            return float(_similarity(*_planes(picture, reference)).mean())


@dataclass(frozen=True)
class MSSSIM(Metric):
    """Multi-scale SSIM of 5 levels, Wang, Simoncelli & Bovik 2003; none below 161 pixels a side."""

    column: ClassVar[str] = "ms_ssim"
    label: ClassVar[str] = "MS-SSIM"

    def _measure(self, picture: Picture, reference: Picture) -> float | None:
        if min(picture.shape[:2]) < MS_SSIM_LEAST_SIDE:
            return None
        with inference():
            return float(multi_scale(*_planes(picture, reference)).mean())


def _planes(picture: Picture, reference: Picture) -> tuple[Tensor, Tensor]:
    """Each [3, H, W]: the colours have a value each."""
    import torch

    x, y = (torch.from_numpy(p).permute(2, 0, 1).to(torch.float32) for p in (picture, reference))
    return x, y


def _similarity(x: Tensor, y: Tensor, luminance: bool = True) -> Tensor:
    """[C] SSIM of planes [C, H, W]; without luminance: contrast and structure alone. Source: Wang et al.
    2004, eqs. (6), (13)."""
    c1, c2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
    mean_x, mean_y, square_x, square_y, product = _local_means(x, y, x * x, y * y, x * y)
    both = mean_x * mean_y
    either = mean_x.square() + mean_y.square()
    found = (2 * (product - both) + c2) / (square_x + square_y - either + c2)
    if luminance:
        found = found * (2 * both + c1) / (either + c1)
    return found.mean((-2, -1))


def _local_means(*planes: Tensor) -> Sequence[Tensor]:
    """Of planes [C, H, W], under the window where it fits: [C, H - 10, W - 10] each. All of them are the
    channels of one picture, as many as a vector has lanes or a multiple: a tenth of the time."""
    import torch
    from torch.nn import functional

    each, (height, width) = len(planes[0]), planes[0].shape[1:]
    channels = -(-len(planes) * each // LANES) * LANES
    canvas = planes[0].new_zeros(1, height, width, channels)
    canvas[..., : len(planes) * each] = torch.cat(planes).permute(1, 2, 0)
    places = torch.arange(WINDOW, dtype=canvas.dtype, device=canvas.device) - WINDOW // 2
    window = torch.softmax(-places.square() / (2 * SIGMA**2), 0).expand(channels, 1, WINDOW)
    seen = functional.conv2d(canvas.permute(0, 3, 1, 2), window[..., None], groups=channels)
    seen = functional.conv2d(seen, window[:, :, None], groups=channels)
    return seen[0, : len(planes) * each].split(each)


def multi_scale(x: Tensor, y: Tensor, least: float = 0.0) -> Tensor:
    """[C] MS-SSIM of planes [C, H, W] of 0 to 255, differentiable; least: what a level counts as at least,
    above 0 where gradients are wanted. Source: Wang, Simoncelli & Bovik 2003, eq. (7).

    A level of odd side repeats its last row or column before it is halved, as the authors' program does.
    Programs that put zeros around it find pictures of odd sides up to 0.06 better.
    """
    from torch.nn import functional

    value = x.new_ones(len(x))
    for level, weight in enumerate(MS_SSIM_WEIGHTS, start=1):
        last = level == len(MS_SSIM_WEIGHTS)
        value = value * _similarity(x, y, luminance=last).clamp(min=least) ** weight
        if not last:
            odd = (0, x.shape[2] % 2, 0, x.shape[1] % 2)
            x, y = (functional.avg_pool2d(functional.pad(p, odd, "replicate"), 2) for p in (x, y))
    return value
