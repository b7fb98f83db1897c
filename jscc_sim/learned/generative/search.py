"""The generative receiver's search: latents of a whole picture by gradient descent from several starts.

The criterion is misfit over noise variance plus the prior: -log p(y | z) - log p(z), where the prior is
what recognition believes after the linear estimate. Under the standard normal prior of the training
the search finds likelier latents and worse pictures: the most likely of 192 latents a block is
nothing like their mean (8 validation images, 32 uses a block, 1 dB: 0.63 dB below the linear receiver
instead of 1.29 above). What is found holds for a block where its criterion beats the linear bank's own
model; elsewhere the linear estimate stays.
Source: Bora et al. 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import LEAST_VARIANCE, Equalised, reals_of
from jscc_sim.inference import one_thread
from jscc_sim.learned.generative.network import BlockVAE, Measurements, Posterior, log_evidence
from jscc_sim.nn.bank import block_slices
from jscc_sim.nn.conv_bank import strips
from jscc_sim.nn.linear import LinearBank
from jscc_sim.units import BLOCK_SAMPLES

STEPS, TRIAL_STEPS = 15, 5
"""Of the search from the best start, and before that from each."""

RATE = 0.05
"""Of Adam, at first; it falls to 0."""

RANDOM_STARTS = 2
START_SEED = 1777


@dataclass(frozen=True, eq=False)
class Found:
    """What a search ended with. estimate: [h, w, 3072] of the coefficients; advantage: [h, w] nats by
    which a block's criterion beats the linear bank's evidence; starts, tried: [S] the criterion of the whole
    picture, which is to be low, at each start and after the first steps from there; end: after all."""

    estimate: Tensor
    advantage: Tensor
    starts: Tensor
    tried: Tensor
    end: float

    @property
    def wins(self) -> Tensor:
        """[h, w] bool: where the estimate holds. What is no number does not win."""
        return (self.advantage > 0) & self.estimate.isfinite().all(-1)


def decode(
    bank: LinearBank,
    prior: BlockVAE,
    payload: Equalised,
    frame_gain: float,
    grid: BlockGrid,
    index: NDArray[np.int64],
    sender_snr_db: float,
    steps: int = STEPS,
) -> NDArray[np.float32]:
    """Blocks [N, 32, 32, 3] from the linear bank's symbols: see Bank.decode."""
    blocks = bank.decode(payload, frame_gain, grid, index, sender_snr_db)
    offsets, columns = block_slices(index, bank.ratios), grid.columns
    power = bank.power(index, sender_snr_db)
    for top, bottom, above, below in strips(grid):
        seen = index[above * columns : below * columns]
        part = payload.part(offsets[above * columns], offsets[below * columns])
        measured = measure(bank, part, frame_gain, seen, power, columns)
        found = search(prior, measured, steps)
        wins, estimate = (
            x[top - above : bottom - above].flatten(0, 1).numpy() for x in (found.wins, found.estimate)
        )
        whole = estimate[wins].astype(np.float64) * np.sqrt(bank.variance)
        blocks[top * columns : bottom * columns][wins] = bank.inverse(whole)
    return blocks


def measure(
    bank: LinearBank,
    payload: Equalised,
    frame_gain: float,
    index: NDArray[np.int64],
    power: NDArray[np.float64],
    columns: int,
) -> Measurements:
    """What the payload of some rows of blocks says of their coefficients. index: [N] their ratios;
    power: [3072] mean power of each coefficient, most variable first."""
    sent = np.arange(BLOCK_SAMPLES // 2) < bank.ratios.array[index][:, None]
    heard, precision = (np.zeros((*sent.shape, 2), dtype=np.float32) for _ in range(2))
    amplitude = np.sqrt(np.broadcast_to(power.reshape(-1, 2), heard.shape)[sent])
    amplitude *= payload.gain[:, None] * frame_gain
    noise = np.maximum(payload.noise_variance, LEAST_VARIANCE)[:, None] / 2
    symbols = reals_of(payload.symbols).reshape(-1, 2)
    heard[sent] = np.divide(symbols, amplitude, out=np.zeros_like(symbols), where=amplitude > 0)
    precision[sent] = amplitude**2 / noise
    rank = np.argsort(np.argsort(-bank.variance, kind="stable"))
    value, weight = (x.reshape(1, -1, columns, BLOCK_SAMPLES)[..., rank] for x in (heard, precision))
    return Measurements(torch.from_numpy(value), torch.from_numpy(weight))


@one_thread()
def search(prior: BlockVAE, measured: Measurements, steps: int = STEPS) -> Found:
    """The latents of one picture: measured [1, h, w, 3072]. Every start goes a few steps, the best of
    them `steps` more. Deterministic."""
    heard = measured.low(measured.side)
    with torch.no_grad():
        belief = prior.recognise(measured)
    generator = torch.Generator().manual_seed(START_SEED)
    shape = RANDOM_STARTS, *belief.mean.shape[1:]
    anywhere = torch.randn(shape, generator=generator, dtype=torch.float32)
    starts = torch.cat([belief.mean, torch.zeros_like(belief.mean), anywhere])
    z, first, tried = descend(prior, heard, belief, starts, min(TRIAL_STEPS, steps))
    chosen = int(tried.argmin())
    z, _, end = descend(prior, heard, belief, z[chosen : chosen + 1], steps)
    with torch.no_grad():
        given = prior.generate(z)
        advantage = (
            given.log_evidence(measured) - belief.negative_log_density(z) - log_evidence(measured, 0.0, 1.0)
        )
    return Found(given.estimate(measured)[0], advantage[0], first, tried, float(end))


def descend(
    prior: BlockVAE, heard: Measurements, belief: Posterior, starts: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Adam from each start [S, latents, 4h, 4w]. Returns the best latents on its way, and the criterion
    [S] at the start and there."""
    z = starts.clone().requires_grad_()
    best, first = starts, None
    optimizer = torch.optim.Adam([z], RATE)
    for step in range(steps + 1):
        value = criterion(prior, heard, belief, z)
        with torch.no_grad():
            if first is None:
                first = lowest = value.detach()
            lower = value < lowest
            best = torch.where(lower[:, None, None, None], z, best)
            lowest = torch.where(lower, value, lowest)
        if step < steps:
            optimizer.param_groups[0]["lr"] = RATE * (1 - step / steps)
            optimizer.zero_grad()
            value.sum().backward()
            optimizer.step()
    assert first is not None
    return best, first, lowest


def criterion(prior: BlockVAE, heard: Measurements, belief: Posterior, z: Tensor) -> Tensor:
    """[S] minus log p(y | z) p(z) of a picture, up to a constant, for latents [S, latents, 4h, 4w].
    heard: the measurements, of low frequencies alone where no others were sent."""
    side = math.isqrt(heard.value.shape[-1] // 3)
    evidence = prior.generate(z, side).log_evidence(heard)
    return (belief.negative_log_density(z) - evidence).sum((1, 2))
