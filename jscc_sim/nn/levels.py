"""Weights of a network that serves a range of levels: rows at a few of them, lines between.

Source: Cui et al. 2021 (gains between which a level interpolates).
"""

from __future__ import annotations

import torch
from torch import Tensor


def between(table: Tensor, level: Tensor) -> Tensor:
    """[A, C] rows for levels 0 to 1, and levels [B] -> [B, C], by linear interpolation."""
    place = level.clamp(0, 1) * (len(table) - 1)
    low = place.floor().clamp(max=len(table) - 2).long()
    return torch.lerp(table[low], table[low + 1], (place - low).to(table)[:, None])
