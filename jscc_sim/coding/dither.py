"""Subtractively dithered latents in an arithmetic code: their chances depend on dither and prior alone.

Both ends draw the same dither u, uniform over one step. The sender codes the integer k = round(y - u), the
receiver has k + u: y plus noise that is uniform and independent of y (Schuchman 1964), at a rate that is
the mutual information over that very channel (Zamir & Feder 1992). Under a prior with distribution
function F, the chance of k given u is F(k + u + 1/2) - F(k + u - 1/2).

Nothing here depends on the machine: the dither comes from the raw stream of a bit generator, F from
additions, multiplications and divisions, which IEEE 754 rounds alike everywhere; both end up as integers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding import range_coder

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SEED = 1964
PHASES = 64
"""Values of the dither, evenly over a step. Its other properties are those of a continuous one: the
latents are continuous."""

LARGEST = 31
"""Of the integers. Latents beyond are clipped."""

LOG_SCALES = (-2.5, 6.0)
"""Within which the scales of priors are meant to be."""

_TOTAL = 2.0**24
_ROWS = 1 << 16  # distributions in memory at once


@dataclass(frozen=True, eq=False)
class Prior:
    """Mixtures of logistics: of the latents before the dither, whatever k + u has by uniform noise on top.
    weights, means, scales: [components, latents]; the weights of a latent need not add up to 1."""

    weights: Array
    means: Array
    scales: Array

    @property
    def mean(self) -> Array:
        """[latents]."""
        return np.asarray((self._shares * self.means).sum(axis=0))

    @property
    def variance(self) -> Array:
        """[latents] before the dither."""
        around = np.square(self.means - self.mean) + np.square(np.pi * self.scales) / 3
        return np.asarray((self._shares * around).sum(axis=0))

    def below(self, x: Array) -> Array:
        """F at points [P]: [latents, P]."""
        total = np.zeros((self.means.shape[1], len(x)))
        weight = np.zeros((self.means.shape[1], 1))
        for share, mean, scale in zip(self.weights, self.means, self.scales, strict=True):
            total += share[:, None] / (1.0 + exponential((mean[:, None] - x) / scale[:, None]))
            weight += share[:, None]
        return total / weight

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """[count, latents] of k + u."""
        cumulated = np.cumsum(self._shares, axis=0)
        latents = np.arange(self.means.shape[1])
        chosen = (rng.random((count, 1, len(latents))) > cumulated[:-1]).sum(axis=1)
        inside = rng.logistic(self.means[chosen, latents], self.scales[chosen, latents])
        return np.asarray(inside + rng.random(inside.shape) - 0.5)

    @property
    def _shares(self) -> Array:
        return self.weights / self.weights.sum(axis=0)


def exponential(x: Array) -> Array:
    """exp(x) between -40 and 40, the same to the last bit on every machine, right to 10 digits."""
    small = np.clip(x, -40.0, 40.0) / 64.0
    result = np.ones_like(small)
    for order in range(12, 0, -1):
        result = result * small / order + 1.0
    for _ in range(6):
        result = result * result
    return result


def phases(count: int, latents: int) -> Ints:
    """[count, latents] of the dither, the same for every file."""
    raw = np.random.PCG64(SEED).random_raw(count * latents)
    return (raw >> np.uint64(58)).astype(np.int64).reshape(count, latents)


def dither(phase: Ints) -> Array:
    """Within -1/2 to 1/2."""
    return np.asarray((phase + 0.5) / PHASES - 0.5)


def quantise(latents: Array, phase: Ints) -> Ints:
    """The integers of latents."""
    return np.clip(np.rint(latents - dither(phase)), -LARGEST, LARGEST).astype(np.int64)


def frequencies(prior: Prior) -> Array:
    """[latents, PHASES, 2 * LARGEST + 1] integers above 0, for integers from -LARGEST to LARGEST: the
    outermost two have all that lies beyond."""
    points = (np.arange((2 * LARGEST + 2) * PHASES) + 0.5) / PHASES - (LARGEST + 1)
    below = prior.below(points).reshape(-1, 2 * LARGEST + 2, PHASES)
    below[:, 0], below[:, -1] = 0.0, 1.0
    chance = np.maximum(np.diff(below, axis=1), 0.0)
    return np.asarray(np.floor(chance * _TOTAL).swapaxes(1, 2) + 1.0)


def encode(integers: Ints, phase: Ints, prior: Prior) -> bytes:
    """[N, latents] integers and their dither -> an arithmetic code."""
    encoder, table = range_coder.encoder(), frequencies(prior)
    symbols = (integers + LARGEST).astype(np.int32)
    for rows in _parts(phase):
        encoder.encode(symbols[rows].reshape(-1), range_coder.frequencies(), _of(table, phase[rows]))
    return range_coder.code_of(encoder)


def decode(data: bytes, phase: Ints, prior: Prior) -> Ints:
    """[N, latents] integers. Raises InputError for what nothing encodes to."""
    decoder, table = range_coder.decoder(data), frequencies(prior)
    found = []
    with range_coder.refusing("its latents are no code word"):
        for rows in _parts(phase):
            found.append(decoder.decode(range_coder.frequencies(), _of(table, phase[rows])))
    return np.concatenate(found).astype(np.int64).reshape(phase.shape) - LARGEST


def _parts(phase: Ints) -> list[slice]:
    rows = max(1, _ROWS // phase.shape[1])
    return [slice(start, start + rows) for start in range(0, len(phase), rows)]


def _of(table: Array, phase: Ints) -> Array:
    """The distribution of each integer in turn."""
    return np.asarray(table[np.arange(phase.shape[1]), phase].reshape(-1, table.shape[2]))
