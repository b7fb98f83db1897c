"""Attention among the cells of a window of the coarse grid: what convolutions of 3x3 do not reach.

After Liu et al. 2021 (Swin: windows, every other time shifted by half of one; a learned bias by relative
place) and Liu et al. 2022 (Swin V2: queries and keys of unit size). Windows that reach beyond the canvas see
its edge repeated, so that no cell has to be masked.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WINDOW = 12
"""Side in cells, three blocks."""

HEAD = 32
"""Channels of a head."""


class WindowAttention(nn.Module):
    """x + out(attention within windows); nothing is added before training. Shifted ones have their windows
    half a window up and to the left. width: a multiple of HEAD."""

    nearness: Tensor
    """[cells, cells] of a window: which of the relative places."""

    def __init__(self, width: int, shifted: bool) -> None:
        super().__init__()
        if width % HEAD:
            raise ValueError(f"attention over {width} channels: not a multiple of {HEAD}")
        self.shift = WINDOW // 2 if shifted else 0
        self.inputs = nn.Conv2d(width, 3 * width, 1, bias=False)
        self.out = nn.Conv2d(width, width, 1)
        self.bias = nn.Parameter(torch.zeros(width // HEAD, (2 * WINDOW - 1) ** 2))
        for weights in self.out.parameters():
            nn.init.zeros_(weights)
        place = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW))
        rows, columns = (place[:, None] - place[None]).add(WINDOW - 1).unbind(-1)
        self.register_buffer("nearness", rows * (2 * WINDOW - 1) + columns, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, C, H, W] on the coarse grid."""
        batch, width, height, length = x.shape
        size = x.float().square().mean(1, keepdim=True).add(1e-6).rsqrt().to(x.dtype)
        bottom, right = (-(side + self.shift) % WINDOW for side in (height, length))
        canvas = edge_repeated(self.inputs(x * size), 2, self.shift, bottom)
        canvas = edge_repeated(canvas, 3, self.shift, right)
        down, across = (side // WINDOW for side in canvas.shape[2:])
        windows = canvas.permute(0, 2, 3, 1).reshape(batch, down, WINDOW, across, WINDOW, 3, -1, HEAD)
        windows = windows.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, -1, width // HEAD, WINDOW**2, HEAD)
        queries, keys, values = windows
        seen = F.scaled_dot_product_attention(
            F.rms_norm(queries, (HEAD,)).to(values.dtype),
            F.rms_norm(keys, (HEAD,)).to(values.dtype),
            values,
            self.bias[None, :, self.nearness].to(values.dtype),  # the fused kernel wants four dimensions
        )
        seen = seen.reshape(batch, down, across, -1, WINDOW, WINDOW, HEAD).permute(0, 1, 4, 2, 5, 3, 6)
        canvas = seen.reshape(batch, down * WINDOW, across * WINDOW, width).permute(0, 3, 1, 2)
        return x + self.out(canvas[:, :, self.shift : self.shift + height, self.shift : self.shift + length])


def edge_repeated(x: Tensor, side: int, before: int, after: int) -> Tensor:
    """A canvas made longer along one of its sides, as replicate padding does; but that one's gradient takes a
    third of a training step."""
    if before == after == 0:
        return x
    first, last = x.narrow(side, 0, 1), x.narrow(side, x.shape[side] - 1, 1)
    return torch.cat([first] * before + [x] + [last] * after, side)
