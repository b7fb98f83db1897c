"""Predict each block's error and energy at every ratio, without coding it.

A log-quadratic regression on the numba features, on the SNR that the sender coded for and on the
SNR that is left after the frame's gain: one small table per zoo, fitted on AWGN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]


@dataclass(frozen=True)
class Predictor:
    """low, high: [10] range of the inputs (eight features, sender's SNR, SNR left) that the fit has
    seen, inputs are clipped to it; mse, energy: [R, 66] weights of the log2 of a block's mean squared
    error per sample and of its symbols' energy."""

    low: Table
    high: Table
    mse: Table
    energy: Table

    def __post_init__(self) -> None:
        inputs, ratios = len(self.low), len(self.mse)
        terms = 1 + inputs + inputs * (inputs + 1) // 2
        if self.high.shape != (inputs,) or {self.mse.shape, self.energy.shape} != {(ratios, terms)}:
            raise ValueError(f"tables {self.mse.shape} and {self.energy.shape} for {inputs} inputs")

    def mse_left(self, features: Table, sender_snr_db: float) -> Callable[[float], Table]:
        """features: [N, 8]. Returns the [N, R] errors as a function of the SNR that is left in dB, never
        rising with the ratio; 8-bit units squared. The logarithm is a parabola in it: three points tell it
        all."""
        low, high = float(self.low[-1]), float(self.high[-1])
        points = (self.basis(features, sender_snr_db, x) @ self.mse.T for x in (low, (low + high) / 2, high))
        least, middle, most = points
        slope, bend = (most - least) / 2, (most + least) / 2 - middle

        def mse(left_db: float) -> Table:
            x = (2 * min(max(left_db, low), high) - low - high) / (high - low)
            table = np.exp2(middle + x * (slope + x * bend))
            return np.asarray(np.minimum.accumulate(table, axis=1), dtype=np.float64)

        return mse

    def predict_energy(self, features: Table, sender_snr_db: float) -> Table:
        """features: [N, 8]. Returns [N, R] energies before the frame's gain; 0 for ratio 0."""
        table = np.exp2(self.basis(features, sender_snr_db, sender_snr_db) @ self.energy.T)
        table[:, 0] = 0.0
        return np.asarray(table, dtype=np.float64)

    def basis(self, features: Table, sender_snr_db: float | Table, left_db: float | Table) -> Table:
        """[N, 66]: all monomials of at most second degree of the ten inputs, scaled to -1..1."""
        count = len(features)
        snrs = [np.broadcast_to(snr, (count,))[:, None] for snr in (sender_snr_db, left_db)]
        inputs = np.clip(np.hstack([features, *snrs]), self.low, self.high)
        scaled = 2 * (inputs - self.low) / (self.high - self.low) - 1
        first, second = np.triu_indices(scaled.shape[1])
        return np.hstack([np.ones((count, 1)), scaled, scaled[:, first] * scaled[:, second]])
