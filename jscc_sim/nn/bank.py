"""What a zoo's coder can do: one encoder and one decoder for each ratio of its set."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import Equalised
from jscc_sim.units import ENCODED, RatioSet, check_finite

Latents = NDArray[np.complex64]


class Bank(ABC):
    """Joint source-channel coders for every ratio of a set. Symbols come in block order."""

    ratios: RatioSet

    @abstractmethod
    def encode(
        self, blocks: NDArray[np.uint8], grid: BlockGrid, index: NDArray[np.int64], sender_snr_db: float
    ) -> Latents:
        """Blocks [N, 32, 32, 3] at ratios index [N] -> [uses] complex64, before the frame's gain."""

    @abstractmethod
    def decode(
        self,
        payload: Equalised,
        frame_gain: float,
        grid: BlockGrid,
        index: NDArray[np.int64],
        sender_snr_db: float,
    ) -> NDArray[np.float32]:
        """The received payload (gain times latents, with its noise) -> blocks [N, 32, 32, 3], in
        0 to 255, unclipped."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Stored numbers."""

    @property
    @abstractmethod
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates per pixel, encoder and decoder together."""


def block_slices(index: NDArray[np.int64], ratios: RatioSet) -> NDArray[np.int64]:
    """[N + 1] offsets of each block's symbols in a payload in block order."""
    return np.concatenate([[0], np.cumsum(ratios.array[index])])


def block_energies(latents: Latents, index: NDArray[np.int64], ratios: RatioSet) -> NDArray[np.float64]:
    """[N] sum of abs(x)**2 of each block's symbols."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(np.abs(latents.astype(np.complex128))))])
    offsets = block_slices(index, ratios)
    return np.asarray(energy[offsets[1:]] - energy[offsets[:-1]], dtype=np.float64)


def pool_gain(latents: Latents) -> float:
    """The factor that brings a payload's mean power to 1; 1 for a payload without energy."""
    energy = float(np.square(np.abs(latents.astype(np.complex128))).sum())
    check_finite(energy, ENCODED)
    return math.sqrt(len(latents) / energy) if energy > 0 else 1.0
