"""The closed-form linear coder: colour KLT, 32x32 DCT, water-filled power, LLSE at the receiver.

The coefficients are ordered by their variance over training blocks; ratio k sends the first 2k of
them, two per complex use. Power is water-filled over all coefficients that the frame sends, for
blocks of average statistics; both ends know the ratio map, so nothing is signalled.
Source: Lee & Petersen 1976, optimal linear coding for vector channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.blocks import BlockGrid, fill_missing
from jscc_sim.channels import LEAST_VARIANCE, Equalised
from jscc_sim.nn.bank import Bank, Latents, block_slices
from jscc_sim.nn.water_filling import water_filled
from jscc_sim.units import BLOCK, BLOCK_SAMPLES, STANDARD_RATIOS, RatioSet, noise_variance

BATCH = 1024


@dataclass(frozen=True)
class LinearBank(Bank):
    """mean: [3] of the samples; colour: [3, 3] rows of the KLT; variance: [3072] of the coefficients
    in transform order (component, then 32x32 DCT), 8-bit units."""

    mean: NDArray[np.float64]
    colour: NDArray[np.float64]
    variance: NDArray[np.float64]
    ratios: RatioSet = STANDARD_RATIOS

    def __post_init__(self) -> None:
        shapes = (self.mean.shape, self.colour.shape, self.variance.shape)
        if shapes != ((3,), (3, 3), (BLOCK_SAMPLES,)):
            raise ValueError(f"mean, colour and variance have the shapes {shapes}")
        if self.ratios.uses[-1] > BLOCK_SAMPLES // 2:
            raise ValueError(f"{self.ratios.uses[-1]} uses for the {BLOCK_SAMPLES} coefficients of a block")

    @property
    def parameters(self) -> int:
        """Means, rotation and variances."""
        return 3 + 9 + BLOCK_SAMPLES

    @property
    def macs_per_pixel(self) -> float:
        """Colour rotation and a separable DCT, at both ends."""
        return 2 * (9 + 3 * 2 * BLOCK)

    def encode(
        self, blocks: NDArray[np.uint8], grid: BlockGrid, index: NDArray[np.int64], sender_snr_db: float
    ) -> Latents:
        """See Bank.encode."""
        order, amplitude = self._order(), np.sqrt(self.power(index, sender_snr_db) / self._sorted_variance())
        offsets = block_slices(index, self.ratios)
        latents = np.empty(offsets[-1], dtype=np.complex64)
        for start in range(0, len(blocks), BATCH):
            coefficients = self.transform(blocks[start : start + BATCH])[:, order] * amplitude
            symbols = (coefficients[:, 0::2] + 1j * coefficients[:, 1::2]).astype(np.complex64)
            uses = self.ratios.array[index[start : start + BATCH]]
            sent = np.arange(symbols.shape[1]) < uses[:, None]
            latents[offsets[start] : offsets[start + len(uses)]] = symbols[sent]
        return latents

    def decode(
        self,
        payload: Equalised,
        frame_gain: float,
        grid: BlockGrid,
        index: NDArray[np.int64],
        sender_snr_db: float,
    ) -> NDArray[np.float32]:
        """See Bank.decode. Blocks that were not sent are filled from their neighbours."""
        power, variance = self.power(index, sender_snr_db), self._sorted_variance()
        scale = np.sqrt(np.divide(variance, power, out=np.zeros_like(power), where=power > 0))
        offsets = block_slices(index, self.ratios)
        blocks = np.empty((len(index), BLOCK, BLOCK, 3), dtype=np.float32)
        back = np.argsort(self._order())
        for start in range(0, len(index), BATCH):
            uses = self.ratios.array[index[start : start + BATCH]]
            sent = np.arange(BLOCK_SAMPLES // 2) < uses[:, None]
            part = slice(offsets[start], offsets[start + len(uses)])
            pairs = np.zeros((len(uses), BLOCK_SAMPLES // 2, 2))
            symbols = payload.symbols[part].astype(np.complex128)
            pairs[sent] = symbols.view(np.float64).reshape(-1, 2)
            gain, half = np.zeros(sent.shape), np.ones(sent.shape)
            gain[sent] = payload.gain[part] * frame_gain
            half[sent] = np.maximum(payload.noise_variance[part], LEAST_VARIANCE) / 2
            expected = power.reshape(-1, 2)
            shrink = gain[..., None] * expected / (gain[..., None] ** 2 * expected + half[..., None])
            estimate = (pairs * shrink).reshape(len(uses), BLOCK_SAMPLES) * scale
            blocks[start : start + len(uses)] = self.inverse(estimate[:, back])
        return fill_missing(blocks, self.ratios.array[index] == 0, grid)

    def transform(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        """[N, 32, 32, 3] -> coefficients [N, 3072] in transform order."""
        from scipy import fft

        rotated = (blocks - self.mean) @ self.colour.T
        spectrum = fft.dctn(rotated, axes=(1, 2), norm="ortho")
        flat = spectrum.transpose(0, 3, 1, 2).reshape(len(blocks), BLOCK_SAMPLES)
        return np.asarray(flat, dtype=np.float64)

    def inverse(self, coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coefficients [N, 3072] -> blocks [N, 32, 32, 3]."""
        from scipy import fft

        spectrum = coefficients.reshape(-1, 3, BLOCK, BLOCK).transpose(0, 2, 3, 1)
        return np.asarray(fft.idctn(spectrum, axes=(1, 2), norm="ortho") @ self.colour + self.mean)

    def _order(self) -> NDArray[np.int64]:
        return np.argsort(-self.variance, kind="stable")

    def _sorted_variance(self) -> NDArray[np.float64]:
        return self.variance[self._order()]

    def power(self, index: NDArray[np.int64], snr_db: float) -> NDArray[np.float64]:
        """[3072] mean power of each coefficient, most variable first: the water level is such that a
        frame of average blocks has unit power per use (half of it per real coefficient)."""
        count = np.bincount(index, minlength=len(self.ratios)).astype(np.float64)
        senders = np.repeat(np.cumsum(count[::-1])[::-1][1:], 2 * np.diff(self.ratios.array))
        senders = np.pad(senders, (0, BLOCK_SAMPLES - len(senders)))
        available, half = float(count @ self.ratios.array), noise_variance(snr_db) / 2
        return water_filled(np.sqrt(self._sorted_variance()), half, available, senders)
