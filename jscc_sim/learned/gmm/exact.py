"""Convolutions whose results are the same to the last bit on every machine, so that both ends of an
entropy coder build the same probabilities.

Weights are multiples of 2**-WEIGHT_BITS and activations of 2**-BITS, within LARGEST_WEIGHT and LARGEST: in
double precision every product and every partial sum is then exact, whatever the order of summation.
Training runs in floating point with gradients; the rounding happens in double precision alone.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BITS, LARGEST = 10, 2.0**11
WEIGHT_BITS, LARGEST_WEIGHT = 12, 8.0


def step(x: Tensor) -> Tensor:
    """Double precision: the nearest activation that is allowed. Otherwise x itself."""
    return _rounded(x, BITS, LARGEST) if x.dtype == torch.float64 else x


class ExactConv(nn.Conv2d):
    """A convolution of the same size, exact in double precision if its input is of allowed activations or
    eighths of them: 2**(11 + 13) activations, 2**(3 + 12) weights and up to 2**13 terms are 2**52."""

    def __init__(self, narrow: int, wide: int, side: int) -> None:
        super().__init__(narrow, wide, side, padding=side // 2)
        assert narrow * side**2 <= 2**13

    def kernel(self) -> Tensor:
        """[wide, narrow, side, side]."""
        return self.weight

    def forward(self, x: Tensor) -> Tensor:
        """[B, narrow, H, W] -> [B, wide, H, W]."""
        if x.dtype != torch.float64:
            return F.conv2d(x, self.kernel(), self.bias, padding=self.padding)
        weight = _rounded(self.kernel().double(), WEIGHT_BITS, LARGEST_WEIGHT)
        bias = None if self.bias is None else step(self.bias.double())
        return step(F.conv2d(x.clamp(-LARGEST, LARGEST), weight, bias, padding=self.padding))


class ChequeredConv(ExactConv):
    """One that sees every second place of its neighbourhood, those of the other colour than its own."""

    def __init__(self, narrow: int, wide: int, side: int) -> None:
        super().__init__(narrow, wide, side)
        self.weight = nn.Parameter(self.weight.detach().flatten(2)[:, :, 1::2, None].contiguous())

    def kernel(self) -> Tensor:
        """See ExactConv.kernel. Its sides are odd: every second place in reading order."""
        rows, columns = self.kernel_size
        whole = self.weight.new_zeros(*self.weight.shape[:2], rows * columns)
        whole[:, :, 1::2] = self.weight[..., 0]
        return whole.unflatten(2, (rows, columns))


def _rounded(x: Tensor, bits: int, largest: float) -> Tensor:
    return (x * 2.0**bits).round().clamp(-largest * 2.0**bits, largest * 2.0**bits) / 2.0**bits
