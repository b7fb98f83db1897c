"""Integers under Gaussian mixtures, coded with integer distribution functions: both ends build the same
frequencies to the last bit, whatever machine they run on.

The parameters come as multiples of 2**-10. Scales are taken on a grid of sixteenths of a natural unit, the
normal distribution from a table with linear interpolation, weights from a table of exponentials: from there
on all is integer arithmetic. A value is coded within a window around the mixture's mean that is chosen
by its spread; what lies outside costs two bytes more. The range coder is constriction's.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim._kernels.mixture import mixture_frequencies
from jscc_sim.coding import range_coder
from jscc_sim.errors import InputError

Ints = NDArray[np.int64]

UNIT = 1024
LARGEST = 2047
"""Of the values."""

SCALE_STEPS = 16
LOG_SCALES = (-2.25, 6.0)
WINDOWS = (4, 32, 512)
REACH = 4
"""Scales beyond the means that a window should hold."""

CHUNK = 1 << 22
"""Most frequencies in memory at once."""

_LOW = round(LOG_SCALES[0] * SCALE_STEPS)
_SCALES = [
    math.exp((_LOW + s) / SCALE_STEPS)
    for s in range(round((LOG_SCALES[1] - LOG_SCALES[0]) * SCALE_STEPS) + 1)
]
_INVERSE = np.array([round(2**20 / scale) for scale in _SCALES])
_SPREAD = np.array([math.ceil(REACH * scale) for scale in _SCALES])
_NORMAL = np.array([round(2**30 * 0.5 * math.erfc(-x / 256 / math.sqrt(2))) for x in range(-2048, 2049)])
_EXPONENTIAL = np.array([round(2**16 * math.exp(-x / 64)) for x in range(64 * 12)])


class Mixtures:
    """The distributions of N integers. parameters: [3, K, N] log weights, means, log scales, each a
    multiple of 2**-10."""

    def __init__(self, parameters: NDArray[np.float64]) -> None:
        logits, self.means, log_scales = np.rint(parameters * UNIT).astype(np.int64)
        behind = (logits.max(axis=0) - logits) >> 4
        raised = _EXPONENTIAL[np.minimum(behind, len(_EXPONENTIAL) - 1)]
        self.shares = (raised << 24) // raised.sum(axis=0)
        steps = (log_scales * SCALE_STEPS + UNIT // 2) // UNIT - _LOW
        steps = np.clip(steps, 0, len(_INVERSE) - 1)
        self.inverses = _INVERSE[steps]
        self.centres = (((self.shares * self.means).sum(axis=0) >> 24) + UNIT // 2) // UNIT
        self.centres = np.clip(self.centres, -LARGEST, LARGEST)
        away = abs(self.means - self.centres * UNIT) // UNIT + 1
        self.reach = np.where(self.shares >> 14 > 0, away + _SPREAD[steps], 0).max(axis=0)

    def parts(self) -> list[tuple[int, Ints]]:
        """(half a window's width, places of the values coded with it), in the order of coding."""
        found, least = [], 0
        for half in WINDOWS:
            last = half == WINDOWS[-1]
            places = np.flatnonzero((self.reach > least) & ((self.reach <= half) | last))
            rows = max(1, CHUNK // (2 * half + 3))
            found += [(half, places[start : start + rows]) for start in range(0, len(places), rows)]
            least = half
        return found

    def frequencies(self, half: int, places: Ints) -> NDArray[np.float64]:
        """[len(places), 2 * half + 3]: below the window, its values, above it."""
        shares, means, inverses = (
            np.ascontiguousarray(x[:, places]) for x in (self.shares, self.means, self.inverses)
        )
        return mixture_frequencies(shares, means, inverses, self.centres[places], half, _NORMAL)


def encode(encoder: Any, values: Ints, mixtures: Mixtures) -> None:
    """Add [N] integers within -LARGEST to LARGEST to a constriction range encoder."""
    for half, places in mixtures.parts():
        away = values[places] - mixtures.centres[places]
        symbols = np.clip(away + half + 1, 0, 2 * half + 2).astype(np.int32)
        encoder.encode(symbols, range_coder.frequencies(), mixtures.frequencies(half, places))
        excess = abs(away[abs(away) > half]) - half - 1
        for byte in (excess >> 8, excess & 255):
            encoder.encode(byte.astype(np.int32), range_coder.bytes_alike())


def decode(decoder: Any, mixtures: Mixtures) -> Ints:
    """[N] integers from a constriction range decoder. Raises InputError for what nothing encodes to."""
    values = np.zeros(mixtures.means.shape[1], np.int64)
    with range_coder.refusing("its symbols are no code word"):
        for half, places in mixtures.parts():
            symbols = decoder.decode(range_coder.frequencies(), mixtures.frequencies(half, places))
            away = symbols.astype(np.int64) - half - 1
            outside = abs(away) > half
            high, low = (
                decoder.decode(range_coder.bytes_alike(), int(outside.sum())).astype(np.int64)
                for _ in range(2)
            )
            away[outside] += np.sign(away[outside]) * ((high << 8) + low)
            values[places] = mixtures.centres[places] + away
    if abs(values).max(initial=0) > LARGEST:
        raise InputError(f"a latent of {abs(values).max()} is above {LARGEST}")
    return values
