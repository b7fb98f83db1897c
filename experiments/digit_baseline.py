"""What the digit codec is measured against: PCA, a uniform quantiser with one step, an arithmetic code.

Everything is fitted to the training digits: mean and components; for each step how often each integer of
each component occurs, and the mean of what is rounded to it, which is what is decoded. One file holds all
digits. Its first bytes are as many as a learned codec's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import constriction
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from jscc_sim.codecs.learned import HEADER_BYTES
from jscc_sim.coding import range_coder

Array = NDArray[np.float64]

STEPS = tuple(float(step) for step in np.geomspace(60, 400, 41))
"""In 8-bit units; chosen freely for each rate."""

EXPECTED, EVERYWHERE = 30.0, 0.02
"""Counts added to those of the training digits: of a normal distribution (30 was best of 2, 8 and 30 on the
digits for choices), of each integer."""


@dataclass(frozen=True, eq=False)
class PCABaseline:
    """training: [N, 8, 8] uint8."""

    training: NDArray[np.uint8]
    mean: Array = field(init=False)
    components: Array = field(init=False)

    def __post_init__(self) -> None:
        flat = _flat(self.training)
        object.__setattr__(self, "mean", flat.mean(axis=0))
        components = np.linalg.svd(flat - self.mean, full_matrices=False)[2]
        object.__setattr__(self, "components", components)

    def encode(self, digits: NDArray[np.uint8], step: float) -> bytes:
        """The file of digits [N, 8, 8]."""
        integers = np.rint(self._coefficients(digits) / step)
        encoder = range_coder.encoder()
        for values, (largest, counts, _) in zip(integers.T, self._tables(step), strict=True):
            symbols = np.clip(values, -largest, largest) + largest
            encoder.encode(symbols.astype(np.int32), _model(counts))
        return bytes(HEADER_BYTES) + range_coder.code_of(encoder)

    def decode(self, data: bytes, step: float, count: int) -> NDArray[np.uint8]:
        """[count, 8, 8]."""
        decoder = range_coder.decoder(data[HEADER_BYTES:])
        tables = self._tables(step)
        found = [centres[decoder.decode(_model(counts), count)] for _, counts, centres in tables]
        pixels = np.stack(found, axis=1) @ self.components + self.mean
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8).reshape(-1, 8, 8)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """[count, 64] in 0 to 1: normal coefficients with the variances of the training digits."""
        deviation = self._coefficients(self.training).std(axis=0)
        drawn = rng.normal(size=(count, len(deviation))) * deviation
        return np.clip((drawn @ self.components + self.mean) / 255, 0, 1)

    def _coefficients(self, digits: NDArray[np.uint8]) -> Array:
        return (_flat(digits) - self.mean) @ self.components.T

    def _tables(self, step: float) -> list[tuple[int, Array, Array]]:
        """Of each component: the largest integer, counts and decoded values from its negative on."""
        return [_table(values, step) for values in self._coefficients(self.training).T]


def _table(values: Array, step: float) -> tuple[int, Array, Array]:
    """values: [N] of the training digits."""
    integers = np.rint(values / step).astype(np.int64)
    largest = int(abs(integers).max()) + 1
    middle = np.arange(-largest, largest + 1) * step
    size = len(middle)
    seen = np.bincount(integers + largest, minlength=size)
    deviation = max(float(values.std()), 1e-9)
    normal = ndtr((middle + step / 2) / deviation) - ndtr((middle - step / 2) / deviation)
    sums = np.bincount(integers + largest, weights=values, minlength=size)
    centres = (sums + EXPECTED / 2 * middle) / (seen + EXPECTED / 2)
    return largest, seen + EXPECTED * normal + EVERYWHERE, centres


def _flat(digits: NDArray[np.uint8]) -> Array:
    return np.asarray(digits.reshape(len(digits), -1).astype(np.float64))


def _model(counts: Array) -> constriction.stream.model.Categorical:
    return constriction.stream.model.Categorical(counts, perfect=False)
