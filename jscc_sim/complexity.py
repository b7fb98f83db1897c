"""How busy a block is: estimators, each one number a block, and the features that predict its error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from jscc_sim._kernels import blocks as kernels
from jscc_sim.errors import InputError
from jscc_sim.plugins import errors_named, is_own, load_plugin, plugin_name
from jscc_sim.units import BLOCK

FEATURES = (
    "luma_variance",
    "luma_gradient",
    "energy_1_2",
    "energy_3_5",
    "energy_6_9",
    "energy_10_14",
    "chroma_variance",
    "mean_variance",
)
"""Columns of `features`, in order."""


def features(blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What predicts a block's error. blocks: [N, 32, 32, 3] uint8 RGB. Returns [N, 8] float64, >= 0.

    Column i is log2(1 + x) of FEATURES[i], x in squared 8-bit steps: the variance of the luma; its
    mean squared gradient (difference of neighbours, across plus down); the mean squared coefficient
    of its orthonormal 8x8 DCTs with u+v in 1-2, 3-5, 6-9, 10-14; the variances of Cb and Cr, added;
    the variance of the 16 means of 8x8 luma sub-blocks. Colour: BT.601, full range.
    Raises InputError for another shape or dtype.
    """
    return np.log2(1 + kernels.features(_checked(blocks)))


@dataclass(frozen=True)
class ComplexityEstimator(ABC):
    """One number a block: the larger, the harder it is to send. A plug-in defines `_score`."""

    @final
    def score(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        """blocks: [N, 32, 32, 3] uint8 RGB. Returns [N] float64, finite and >= 0.

        Raises InputError for another shape or dtype, and where the plug-in fails or breaks this.
        """
        blocks = _checked(blocks)
        name = type(self).__name__
        with errors_named(name):
            score = self._score(blocks if is_own(type(self)) else blocks.copy())
        if not isinstance(score, np.ndarray) or score.dtype.kind not in "fiu":
            raise InputError(f"{name} returned {_kind(score)}, not an array of numbers")
        if score.shape != (len(blocks),):
            raise InputError(f"{name} returned shape {list(score.shape)} for {len(blocks)} blocks")
        score = score.astype(np.float64)
        if not (np.isfinite(score).all() and (score >= 0).all()):
            raise InputError(f"{name} returned a score that is negative or not finite")
        return score

    @abstractmethod
    def _score(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        """blocks: [N, 32, 32, 3] uint8 RGB, contiguous, not to be changed. Returns [N] scores."""


@final
@dataclass(frozen=True)
class Variance(ComplexityEstimator):
    """Variance of the BT.601 luma, in squared 8-bit steps."""

    def _score(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        return kernels.luma_variance(blocks)


@final
@dataclass(frozen=True)
class GradientEnergy(ComplexityEstimator):
    """Mean squared difference of neighbouring luma samples, across plus down, in squared 8-bit steps.

    Source: the energy of the image gradient, Subbarao, Choi & Nikzad, Focusing techniques, 1993.
    """

    def _score(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        return kernels.squared_gradient(blocks)


@final
@dataclass(frozen=True)
class DctActivity(ComplexityEstimator):
    """Mean absolute AC coefficient of the orthonormal 8x8 luma DCTs, in 8-bit steps.

    Source: the transformed-difference cost (SATD) of video encoders, with JPEG's transform in place
    of Hadamard's. A sum of magnitudes follows the bits that a block costs better than its energy.
    """

    def _score(self, blocks: NDArray[np.uint8]) -> NDArray[np.float64]:
        return kernels.dct_activity(blocks)


ESTIMATORS: Mapping[str, type[ComplexityEstimator]] = {
    "variance": Variance,
    "gradient": GradientEnergy,
    "dct": DctActivity,
}
"""Names on the command line."""


GROUP = "jscc_sim.complexity"
"""Of the entry points by which installed packages add theirs."""


def load_estimator(spec: str | ComplexityEstimator) -> ComplexityEstimator:
    """An estimator from NAME, package.module:Class or file.py:Class, with :key=value,... or without; or an
    instance, by value or as it is.

    Raises InputError, see `load_plugin`.
    """
    return load_plugin(spec, ESTIMATORS, ComplexityEstimator, GROUP)


def estimator_name(estimator: ComplexityEstimator) -> str:
    """The text that `load_estimator` makes the same estimator of, or else the estimator by value."""
    return plugin_name(estimator, ESTIMATORS)


def _checked(blocks: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not isinstance(blocks, np.ndarray) or blocks.dtype != np.uint8:
        raise InputError(f"blocks are {_kind(blocks)}, not a uint8 array")
    if blocks.shape[1:] != (BLOCK, BLOCK, 3):
        raise InputError(f"blocks have shape {list(blocks.shape)}, not [N, {BLOCK}, {BLOCK}, 3]")
    return np.ascontiguousarray(blocks)


def _kind(value: object) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"
