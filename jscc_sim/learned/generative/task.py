"""Training of the block VAE behind the generative receiver.

The recognition network sees what a receiver has, at a ratio and an SNR drawn per crop; the loss is the
negative evidence bound of the blocks and of their measurements, plus the squared error of the
estimate that follows, over the linear receiver's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jscc_sim.images import Picture
from jscc_sim.learned.generative.network import (
    BlockVAE,
    BlockVAEArchitecture,
    Gaussian,
    Measurements,
    cosines,
)
from jscc_sim.nn.linear import LinearBank
from jscc_sim.nn.pictures import image_of
from jscc_sim.training.task import Task
from jscc_sim.units import BLOCK, BLOCK_SAMPLES, noise_variance
from jscc_sim.zoo import load_zoo

SNR_RANGE_DB = (-1.0, 21.0)
RATIOS = (2, 9)
"""Of the ratio set, 16 to 384 uses; blocks of a crop have one of these and the next one up."""

GAIN_DB = 1.5
FADING_SHARE = 0.1
WEAKEST_FADE = 0.02

FLOOR = 2.0
"""Variance in 8-bit units below which a coefficient's likelihood does not care."""

DRAWN = 0.2
"""Weight of the logarithm of the error of what the latents alone draw. Without it they stay at how busy
a block is, and draw nothing."""

NATS = 8000.0
"""Of a block's evidence, that weigh as much as the whole of the linear receiver's error."""

VALIDATION = ((32, 10.0), (64, 10.0), (64, 20.0), (384, 1.0), (384, 20.0))
"""Uses per block and SNR."""


@dataclass(frozen=True)
class GenerativeTask(Task[BlockVAE]):
    """Each crop at a ratio and an SNR of its own."""

    architecture: BlockVAEArchitecture = field(default_factory=BlockVAEArchitecture)
    system: ClassVar[str] = "generative"
    summary: ClassVar[str] = "VAE over 32x32 blocks, prior for the linear bank's measurements"
    crops: ClassVar[int] = 8
    side: ClassVar[int] = 192
    multiple: ClassVar[int] = BLOCK

    @cached_property
    def bank(self) -> LinearBank:
        """The sender."""
        bank = load_zoo("linear").bank
        assert isinstance(bank, LinearBank)
        return bank

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """[3072] of each coefficient, 0 for the most variable."""
        return np.argsort(np.argsort(-self.bank.variance, kind="stable"))

    @cached_property
    def deviation(self) -> Tensor:
        """[3072] of the coefficients."""
        return torch.from_numpy(np.sqrt(self.bank.variance)).float()

    def network(self) -> BlockVAE:
        """See Task.network."""
        return BlockVAE(self.architecture, self.bank.variance)

    def loss(
        self, network: BlockVAE, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """See the module."""
        blocks = self.coefficients(images)
        measured = self.measure(blocks, self._scenario(blocks, rng), generator)
        belief = network.recognise(measured)
        noise = torch.randn(belief.mean.shape, generator=generator, device=blocks.device)
        given = network.generate(belief.draw(noise))
        floor = FLOOR / self.deviation.to(blocks).square()
        soft = Gaussian(given.mean, given.variance + floor)
        whole = -0.5 * (soft.variance.log() + (blocks - soft.mean).square() / soft.variance).sum(-1)
        bound = 0.5 * (whole + given.log_evidence(measured)) - belief.divergence()
        error = self.error(given.estimate(measured), blocks).mean((1, 2))
        linear = self.error(measured.linear_estimate(), blocks).mean((1, 2))
        drawn = self.error(given.mean, blocks).mean((1, 2))
        scale = linear + 0.1 * linear.mean()
        return (error / scale + DRAWN * (1 + drawn / scale).log()).mean() - bound.mean() / NATS

    def once(self, network: BlockVAE) -> int:
        """See Task.once."""
        empty = torch.zeros(1, 8, 8, BLOCK_SAMPLES)
        network.generate(network.recognise(Measurements(empty, empty)).mean)
        return (8 * BLOCK) ** 2

    def validate(self, network: BlockVAE, pictures: list[Picture]) -> Mapping[str, float]:
        """Mean gain in dB over the linear receiver of the recognised latents, without a search."""
        gains: dict[str, list[float]] = {}
        device = next(network.parameters()).device
        for number, picture in enumerate(pictures):
            height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
            if not height or not width:
                continue
            blocks = self.coefficients(image_of(picture[:height, :width]).to(device))
            generator = torch.Generator(device).manual_seed(number)
            for uses, snr_db in VALIDATION:
                choice = self.bank.ratios.uses.index(uses)
                index = np.full(blocks.shape[1:3], choice)
                precision = self._precision(index, snr_db, blocks.square().mean((0, 1, 2)))[None]
                measured = self.measure(blocks, precision, generator)
                found = network.generate(network.recognise(measured).mean).estimate(measured)
                ratio = (
                    self.error(measured.linear_estimate(), blocks).mean() / self.error(found, blocks).mean()
                )
                gains.setdefault(f"{uses} uses {snr_db:g} dB", []).append(10 * math.log10(ratio.item()))
        return {name: float(np.mean(values)) for name, values in gains.items()}

    def coefficients(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] in 0 to 1, H and W multiples of 32 -> [B, h, w, 3072], as Measurements are."""
        with torch.autocast(images.device.type, enabled=False):
            mean, colour = (torch.from_numpy(x).to(images) for x in (self.bank.mean, self.bank.colour))
            rotated = torch.einsum("dc,bchw->bdhw", colour, 255 * images - mean[:, None, None])
            batch, _, height, width = images.shape
            tiles = rotated.reshape(batch, 3, height // BLOCK, BLOCK, width // BLOCK, BLOCK)
            dct = torch.from_numpy(cosines()).to(images)
            flat = torch.einsum("ui,bdyixj,vj->byxduv", dct, tiles, dct).flatten(3)
            return flat / self.deviation.to(images)

    def measure(self, blocks: Tensor, precision: Tensor, generator: torch.Generator) -> Measurements:
        """What a receiver has of blocks [B, h, w, 3072] at a precision of the same shape."""
        noise = torch.randn(blocks.shape, generator=generator, device=blocks.device)
        sent = precision > 0
        value = torch.where(sent, blocks + noise * precision.clamp(min=1e-9).rsqrt(), 0.0)
        return Measurements(value, precision.expand_as(blocks))

    def error(self, estimate: Tensor, blocks: Tensor) -> Tensor:
        """[B, h, w] mean squared error of each block in 8-bit units."""
        return ((estimate - blocks) * self.deviation.to(blocks)).square().mean(-1)

    def _scenario(self, blocks: Tensor, rng: np.random.Generator) -> Tensor:
        """Precision [B, h, w, 3072] of the measurements: each crop is part of a frame that is as busy as
        the mean of itself and of the batch, give or take."""
        batch, rows, columns = blocks.shape[:3]
        busy = blocks.square().mean((1, 2))
        busy = 0.5 * (busy + busy.mean(0))
        found = []
        for crop in range(batch):
            share = rng.choice([0.0, rng.random()])
            index = rng.integers(*RATIOS, endpoint=True) + (rng.random((rows, columns)) < share)
            found.append(self._precision(index, rng.uniform(*SNR_RANGE_DB), busy[crop], rng))
        return torch.stack(found)

    def _precision(
        self,
        index: NDArray[np.int64],
        snr_db: float,
        busy: Tensor,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """index: [h, w] ratios; busy: [3072] mean squares of the coefficients. With a generator the gain
        scatters and some frames fade from use to use."""
        power = torch.from_numpy(self.bank.power(index.reshape(-1), snr_db)[self.rank]).to(busy)
        uses = torch.from_numpy(self.bank.ratios.array[index]).to(busy)
        sent = torch.from_numpy(self.rank).to(busy) < 2 * uses[..., None]
        energy = (sent * power * busy).sum() / uses.sum()
        noise = torch.full((*index.shape, BLOCK_SAMPLES // 2), noise_variance(snr_db) / 2).to(busy)
        if rng is not None:
            energy = energy * 10 ** (GAIN_DB * rng.standard_normal() / 10)
            if rng.random() < FADING_SHARE:
                fades = rng.exponential(size=noise.shape).clip(WEAKEST_FADE)
                noise = noise / torch.from_numpy(fades).to(busy)
        return sent * power / energy / noise.repeat_interleave(2, -1)[..., self.rank]
