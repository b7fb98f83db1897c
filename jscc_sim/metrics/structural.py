"""SSIM and MS-SSIM: Gaussian window of 11x11, sigma 1.5, RGB, data range 255."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.metrics.base import Metric
from jscc_sim.metrics.error import PEAK

if TYPE_CHECKING:  # torch takes a second to import
    from torch import Tensor

WINDOW = 11
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the levels, fine to coarse (Wang et al. 2003)."""

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
            return _multi_scale(*_planes(picture, reference))


def _planes(picture: Picture, reference: Picture) -> tuple[Tensor, Tensor]:
    """The colours are a batch, since each has a value of its own: [3, 1, H, W]."""
    import torch

    x, y = (torch.from_numpy(p).permute(2, 0, 1)[:, None].to(torch.float32) for p in (picture, reference))
    return x, y


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
