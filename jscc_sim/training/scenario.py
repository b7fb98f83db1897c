"""What one training batch meets: ratios, SNR, the sender's belief, fading. Drawn afresh each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from jscc_sim.nn.conv import CELLS
from jscc_sim.nn.conv_bank import WEAKEST_FADE
from jscc_sim.units import BLOCK, noise_variance

SNR_RANGE_DB = (-2.0, 20.0)
SNR_LEAN = 0.75
"""Exponent below 1 leans the draw towards high SNRs, where a network needs the most training."""

USES_RANGE = (16.0, 640.0)
UNIFORM_SHARE = 0.2
EXPONENTS, JITTER = (0.2, 0.5), (0.2, 0.8)
"""How uses grow with activity, and by how many octaves they scatter, under the Lagrangian policy:
slopes of 0.28 to 0.38 and 0.4 to 1.1 octaves, measured on validation images at 1 to 20 dB."""

MISMATCH_SHARE, MISMATCH_DB = 0.1, 4.0
FADING_SHARE = 0.06


@dataclass(frozen=True)
class Scenario:
    """One batch: index [B, h, w] into the ratio set, SNRs in dB, and whether each use fades."""

    index: Tensor
    snr_db: float
    sender_snr_db: float
    fading: bool


def draw_scenario(images: Tensor, uses: tuple[int, ...], rng: np.random.Generator) -> Scenario:
    """A scenario for [B, 3, H, W] images: an even ratio for all blocks, or ratios that grow with a
    block's activity as an equal-slope allocation makes them grow (uses ~ activity**exponent)."""
    low, high = np.log2(USES_RANGE)
    activity = log_activity(images)
    target = rng.uniform(low, high)
    wanted = np.full(activity.shape, target)
    if rng.random() > UNIFORM_SHARE:
        exponent, jitter = rng.uniform(*EXPONENTS), rng.uniform(*JITTER)
        wanted += exponent * (activity - activity.mean()) + jitter * rng.standard_normal(activity.shape)
    edges = np.log2([4.0, *np.sqrt(np.array(uses[1:-1], float) * np.array(uses[2:], float))])
    index = torch.from_numpy(np.searchsorted(edges, wanted))
    low_db, high_db = SNR_RANGE_DB
    snr_db = low_db + (high_db - low_db) * rng.random() ** SNR_LEAN
    mismatch = MISMATCH_DB * rng.standard_normal() if rng.random() < MISMATCH_SHARE else 0.0
    return Scenario(
        index, snr_db, float(np.clip(snr_db + mismatch, -5, 25)), bool(rng.random() < FADING_SHARE)
    )


def log_activity(images: Tensor) -> np.ndarray:
    """[B, h, w] log2 of each block's mean squared gradient, in 8-bit units."""
    grey = images.mean(1, keepdim=True) * 255
    rows = F.pad(grey.diff(dim=2), (0, 0, 0, 1)).square()
    columns = F.pad(grey.diff(dim=3), (0, 1, 0, 0)).square()
    return F.avg_pool2d(rows + columns, BLOCK)[:, 0].add(1.0).log2().cpu().numpy().astype(np.float64)


def disturb(
    latents: Tensor, used: Tensor, scenario: Scenario, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pool the power of the whole batch, add noise, and give what the decoder is given.

    latents: [B, h, w, C, 16]; used: [B, h, w, C] bool. Returns the received latents and the SNRs
    [B, h, w, 2] (the sender's belief, and what is left in the block after the gain).
    """
    uses = used.sum() * (CELLS // 2)
    gain = (uses / latents.square().sum().clamp_min(1e-12)).sqrt()
    pairs = latents.unflatten(-1, (CELLS // 2, 2))
    variance = torch.full(pairs.shape[:-1], noise_variance(scenario.snr_db), device=latents.device)
    if scenario.fading:
        fade = torch.empty_like(variance).exponential_(generator=generator)
        variance = variance / fade.clamp_min(WEAKEST_FADE)
    noise = torch.randn(pairs.shape, generator=generator, device=latents.device)
    received = pairs + noise * (variance / 2).sqrt()[..., None] / gain
    mask = used[..., None].float()
    mean = (variance * mask).sum((-2, -1)) / mask.sum((-2, -1)).mul(CELLS // 2).clamp_min(1)
    mean = torch.where(mask.any(-2)[..., 0], mean, noise_variance(scenario.snr_db))
    weight = (1 + mean[..., None, None]) / (1 + variance)
    received = (received * (weight * mask)[..., None]).flatten(-2)
    left_db = 10 * (gain.square() / mean).log10()
    belief = torch.full_like(left_db, scenario.sender_snr_db)
    return received, torch.stack([belief, left_db], dim=-1)
