"""What each crop of a training batch meets: ratios, SNR, what the two ends believe of it, fading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from jscc_sim.nn.conv import CELLS
from jscc_sim.nn.conv_bank import WEAKEST_FADE
from jscc_sim.training.training_range import TrainingRange
from jscc_sim.units import BLOCK, noise_variance

SNR_LEAN = 1.2
"""Exponent above 1 leans the draw towards low SNRs."""

UNIFORM_SHARE = 0.2
EXPONENTS, JITTER = (0.2, 1.0), (0.2, 0.8)
"""How uses grow with activity, and by how many octaves they scatter. Under the Lagrangian policy, with
networks trained on exponents of 0.2 to 0.5: 0.28 to 0.38 and 0.4 to 1.1 octaves, measured on validation
images at 1 to 20 dB. Up to 1, because an allocation that is never trained cannot pay."""

MISMATCH_SHARE, MISMATCH_DB = 0.1, 4.0

TOLD_SHARE, TOLD_FRAME_DB, TOLD_BLOCK_DB = 0.5, 1.5, 1.0
"""Of which share of crops the receiver is told a wrong noise variance, and by how much: standard deviations
of the frame's error, and of a block's beside it. Receivers estimate it."""

FADING_SHARE, RAYLEIGH_SHARE, LARGEST_K = 0.15, 0.5, 10.0
"""How many crops fade from use to use; of these half as Rayleigh, the others as Rician with K between 1 and
10, evenly in the logarithm. Interleaving makes of a frame's fades these."""


@dataclass(frozen=True)
class Scenario:
    """What each crop of a batch meets: index [B, h, w] into the ratio set, SNRs [B] in dB, by how much the
    SNR that the receiver is told is wrong [B, h, w] in dB, and the share of the channel's power that does not
    fade from use to use [B]."""

    index: Tensor
    snr_db: Tensor
    sender_snr_db: Tensor
    told_error_db: Tensor
    direct: Tensor

    @staticmethod
    def plain(index: Tensor, snr_db: Tensor) -> Scenario:
        """AWGN whose SNR both ends know. index: [B, h, w]; snr_db: [B]."""
        return Scenario(
            index, snr_db, snr_db, torch.zeros_like(index, dtype=torch.float32), torch.ones_like(snr_db)
        )


def draw_scenario(
    images: Tensor, uses: tuple[int, ...], rng: np.random.Generator, training_range: TrainingRange
) -> Scenario:
    """A scenario for [B, 3, H, W] images: an even ratio for all blocks of a crop, or ratios that grow
    with a block's activity as an equal-slope allocation makes them grow (uses ~ activity**exponent)."""
    count = len(images)
    activity = log_activity(images)
    low, high = np.log2(training_range.uses)
    uneven = rng.random(count) > UNIFORM_SHARE
    exponent, jitter = uneven * rng.uniform(*EXPONENTS, count), uneven * rng.uniform(*JITTER, count)
    scatter = rng.standard_normal(activity.shape)
    low_db, high_db = training_range.snr_db
    snr_db = low_db + (high_db - low_db) * rng.random(count) ** SNR_LEAN
    mismatch = MISMATCH_DB * rng.standard_normal(count) * (rng.random(count) < MISMATCH_SHARE)
    believed = np.clip(snr_db + mismatch, -5, 25)
    direct = np.where(rng.random(count) < FADING_SHARE, _direct_shares(count, rng), 1.0)
    told = rng.random(count) < TOLD_SHARE
    told_error_db = TOLD_BLOCK_DB * rng.standard_normal(activity.shape)
    told_error_db += TOLD_FRAME_DB * rng.standard_normal(count)[:, None, None]

    def at_hand(values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(images.device, torch.float32)

    spread = at_hand(exponent)[:, None, None] * (activity - activity.mean((1, 2), keepdim=True))
    even = at_hand(rng.uniform(low, high, count))[:, None, None]
    wanted = even + spread + at_hand(jitter[:, None, None] * scatter)
    edges = np.log2([4.0, *np.sqrt(np.array(uses[1:-1], float) * np.array(uses[2:], float))])
    index = torch.bucketize(wanted, at_hand(edges))
    told_error_db *= told[:, None, None]
    return Scenario(index, at_hand(snr_db), at_hand(believed), at_hand(told_error_db), at_hand(direct))


def _direct_shares(count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[count] K / (K + 1) of fading channels."""
    k = LARGEST_K ** rng.random(count) * (rng.random(count) > RAYLEIGH_SHARE)
    return k / (k + 1)


def log_activity(images: Tensor) -> Tensor:
    """[B, h, w] log2 of each block's mean squared gradient, in 8-bit units."""
    grey = images.mean(1, keepdim=True) * 255
    rows = F.pad(grey.diff(dim=2), (0, 0, 0, 1)).square()
    columns = F.pad(grey.diff(dim=3), (0, 1, 0, 0)).square()
    return F.avg_pool2d(rows + columns, BLOCK)[:, 0].add(1.0).log2()


def disturb(
    latents: Tensor, used: Tensor, scenario: Scenario, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pool the power of each crop, add noise, and give what the decoder is given.

    latents: [B, h, w, C, 16]; used: [B, h, w, C] bool. Returns the received latents and the SNRs
    [B, h, w, 2] (the sender's belief, and what is left in the block after the gain).
    """
    uses = used.sum((1, 2, 3)) * (CELLS // 2)
    gain = (uses / latents.square().sum((1, 2, 3, 4)).clamp_min(1e-12)).sqrt()
    pairs = latents.unflatten(-1, (CELLS // 2, 2))
    noise_power = noise_variance(scenario.snr_db)[:, None, None, None, None]
    direct = scenario.direct[:, None, None, None, None]
    scattered = torch.randn(pairs.shape, generator=generator, device=latents.device)
    scattered = scattered * ((1 - direct) / 2).sqrt()[..., None]
    fade = (direct.sqrt() + scattered[..., 0]).square() + scattered[..., 1].square()
    variance = noise_power / fade.clamp_min(WEAKEST_FADE)
    noise = torch.randn(pairs.shape, generator=generator, device=latents.device)
    received = pairs + noise * (variance / 2).sqrt()[..., None] / gain[:, None, None, None, None, None]
    mask = used[..., None].float()
    mean = (variance * mask).sum((-2, -1)) / mask.sum((-2, -1)).mul(CELLS // 2).clamp_min(1)
    mean = torch.where(used.any(-1), mean, noise_power[..., 0, 0])
    weight = (1 + mean[..., None, None]) / (1 + variance)
    received = (received * (weight * mask)[..., None]).flatten(-2)
    left_db = 10 * (gain[:, None, None].square() / mean).log10() + scenario.told_error_db
    belief = scenario.sender_snr_db[:, None, None].expand_as(left_db)
    return received, torch.stack([belief, left_db], dim=-1)
