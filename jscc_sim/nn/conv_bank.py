"""The convolutional coder as a bank: pictures in strips, symbols in block order."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import LEAST_GAIN, LEAST_VARIANCE, Equalised
from jscc_sim.inference import Arithmetic, inference
from jscc_sim.nn.attention import WINDOW
from jscc_sim.nn.bank import Bank, Latents, block_slices
from jscc_sim.nn.conv import CELLS, ConvArchitecture, ConvCoder
from jscc_sim.nn.two_scale import COARSE_STEP
from jscc_sim.units import BLOCK, RatioSet

STRIP_BLOCKS = 2048
"""Most blocks of a strip, so that the working memory does not grow with the picture."""

WEAKEST_FADE = 0.02
"""Fading power below which a use counts as no weaker: the least that training shows."""

HALO = 3
"""Rows of neighbouring blocks that a strip sees: more than the receptive field of the convolutions."""

WINDOW_ROWS = WINDOW * COARSE_STEP // BLOCK
"""Rows of blocks of a window of attention: strips of networks that attend begin and end with windows, and see
one more row of windows."""


class ConvBank(Bank):
    """A ConvCoder that works on whole pictures. Deterministic on one machine: a strip's shape depends
    on the picture's size alone. Raises InputError for a device that there is not."""

    def __init__(self, coder: ConvCoder, arithmetic: Arithmetic | None = None) -> None:
        self.arithmetic = (arithmetic or Arithmetic()).ready()
        self.coder: ConvCoder = coder.computing_in(self.arithmetic.dtype).eval()
        self.coder.to(self.arithmetic.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.architecture: ConvArchitecture = coder.architecture
        self.ratios = RatioSet(self.architecture.uses)
        self.window_rows = WINDOW_ROWS if self.architecture.attention else 1

    @property
    def parameters(self) -> int:
        """Weights of both ends."""
        return sum(p.numel() for p in self.coder.parameters())

    @cached_property
    def macs_per_pixel(self) -> float:  # type: ignore[override]
        """Counted by torch on an empty canvas, encoder and decoder together."""
        from torch.utils.flop_counter import FlopCounterMode

        with torch.device("meta"):
            empty = ConvCoder(self.architecture)
            index, snrs = torch.zeros(1, 8, 8, dtype=torch.long), torch.zeros(1, 8, 8, 2)
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                latents = empty.encode(torch.zeros(1, 3, 8 * BLOCK, 8 * BLOCK), index, torch.zeros(1))
                empty.decode(latents, index, snrs)
        return counter.get_total_flops() / 2 / (8 * BLOCK) ** 2

    def encode(
        self, blocks: NDArray[np.uint8], grid: BlockGrid, index: NDArray[np.int64], sender_snr_db: float
    ) -> Latents:
        """See Bank.encode."""
        tiles, device = blocks.reshape(grid.rows, grid.columns, BLOCK, BLOCK, 3), self.arithmetic.device
        ratio = torch.from_numpy(index.reshape(1, grid.rows, grid.columns)).to(device)
        belief = torch.tensor([sender_snr_db], dtype=torch.float32, device=device)
        parts = []
        with inference(self.arithmetic.threads):
            for top, bottom, above, below in strips(grid, self.window_rows):
                images = _canvas(tiles[above:below], device)
                seen = self.coder.encode(images, ratio[:, above:below], belief)
                latents = seen[0, top - above : bottom - above]
                used = self.coder.used[ratio[0, top:bottom]]
                parts.append(latents[used].reshape(-1, 2).cpu().numpy().view(np.complex64)[:, 0])
        return np.concatenate(parts)

    def decode(
        self,
        payload: Equalised,
        frame_gain: float,
        grid: BlockGrid,
        index: NDArray[np.int64],
        sender_snr_db: float,
    ) -> NDArray[np.float32]:
        """See Bank.decode. A use that fading left noisier than its block's mean is weighed down, and
        the mean, after the gain, is told to the network."""
        offsets = block_slices(index, self.ratios)
        variance = payload.unbiased_variance
        uses = self.ratios.array[index]
        mean = block_means(believable(variance), offsets, uses)
        weight = (1 + np.repeat(mean, uses)) / (1 + variance)
        estimate = payload.symbols / np.maximum(payload.gain, LEAST_GAIN) * weight / frame_gain
        device = self.arithmetic.device
        flat = torch.from_numpy(estimate.astype(np.complex64).view(np.float32)).to(device)
        left_db = 10 * np.log10(frame_gain**2 / np.maximum(mean, LEAST_VARIANCE))
        snrs = np.stack([np.full_like(left_db, sender_snr_db), left_db], axis=-1).astype(np.float32)
        conditions = torch.from_numpy(snrs.reshape(1, grid.rows, grid.columns, 2)).to(device)
        ratio = torch.from_numpy(index.reshape(1, grid.rows, grid.columns)).to(device)
        blocks = np.empty((grid.rows, grid.columns, BLOCK, BLOCK, 3), dtype=np.float32)
        with inference(self.arithmetic.threads):
            for top, bottom, above, below in strips(grid, self.window_rows):
                first, last = offsets[above * grid.columns], offsets[below * grid.columns]
                shape = 1, below - above, grid.columns, self.architecture.channels, CELLS
                latents = torch.zeros(shape, dtype=torch.float32, device=device)
                used = self.coder.used[ratio[:, above:below]]
                latents[used] = flat[2 * first : 2 * last].reshape(-1, CELLS)
                images = self.coder.decode(latents, ratio[:, above:below], conditions[:, above:below])
                blocks[top:bottom] = _tiles(images)[top - above : bottom - above]
        return blocks.reshape(len(grid), BLOCK, BLOCK, 3)


def strips(grid: BlockGrid, window_rows: int = 1) -> list[tuple[int, int, int, int]]:
    """(top, bottom, above, below) block rows of each strip, and of what it sees. [top, bottom) tile
    the picture; [above, below) adds HALO rows, and those of a window, at each side that has them."""
    height = max(1, STRIP_BLOCKS // grid.columns // window_rows) * window_rows
    halo = HALO if window_rows == 1 else 2 * window_rows
    tops = range(0, grid.rows, height)
    return [
        (t, min(t + height, grid.rows), max(t - halo, 0), min(t + height + halo, grid.rows)) for t in tops
    ]


def believable(variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Noise variances for a block's mean, those of deep fades limited as in training: a use that is lost
    must not make its block look lost. The mean of 1 / variance is the SNR: fading has unit mean power."""
    if not len(variance):
        return variance
    snr = np.mean(1 / np.maximum(variance, LEAST_VARIANCE))
    return np.minimum(variance, 1 / (WEAKEST_FADE * snr))


def block_means(
    variance: NDArray[np.float64], offsets: NDArray[np.int64], uses: NDArray[np.int64]
) -> NDArray[np.float64]:
    """[N] mean noise variance of each block's uses; of the whole frame for blocks without any."""
    total = np.concatenate([[0.0], np.cumsum(variance)])
    sums = total[offsets[1:]] - total[offsets[:-1]]
    overall = variance.mean() if len(variance) else 1.0
    return np.asarray(np.where(uses > 0, sums / np.maximum(uses, 1), overall))


def _canvas(tiles: NDArray[np.uint8], device: str) -> Tensor:
    """Tiles [h, w, 32, 32, 3] uint8 -> image [1, 3, H, W] in 0 to 1, channels last in memory."""
    rows, columns = tiles.shape[:2]
    canvas = np.ascontiguousarray(tiles.swapaxes(1, 2)).reshape(1, rows * BLOCK, columns * BLOCK, 3)
    return torch.from_numpy(canvas).to(device).permute(0, 3, 1, 2).float().div_(255)


def _tiles(images: Tensor) -> NDArray[np.float32]:
    """Image [1, 3, H, W] in 0 to 1 -> tiles [h, w, 32, 32, 3] in 0 to 255."""
    height, width = images.shape[2:]
    canvas = images[0].permute(1, 2, 0).mul(255).cpu().numpy()
    return canvas.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3).swapaxes(1, 2)
