"""Pictures to the networks' tensors and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jscc_sim.images import Picture
from jscc_sim.units import DECODED, check_finite


def image_of(picture: Picture, step: int = 1) -> Tensor:
    """[H, W, 3] uint8 -> [1, 3, H, W], see `unit_range`, edges replicated until the sides are multiples of
    the step."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, -height % step), (0, -width % step), (0, 0)), mode="edge")
    return unit_range(torch.from_numpy(padded).permute(2, 0, 1)[None])


def unit_range(pixels: Tensor) -> Tensor:
    """[B, 3, H, W] uint8 -> float32 in 0 to 1, channels last in memory."""
    return pixels.float().div(255).contiguous(memory_format=torch.channels_last)


def picture_of(image: Tensor, height: int, width: int) -> Picture:
    """The top left height x width pixels of an image [3, H, W] in 0 to 1, rounded and clipped."""
    pixels = image[:, :height, :width].permute(1, 2, 0) * 255
    check_finite(pixels.numpy(), DECODED)
    return pixels.round().clamp(0, 255).byte().contiguous().numpy()
