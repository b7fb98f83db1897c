"""What a sender foretells of its blocks: tables of error by ratio, from a zoo's calibration."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from jscc_sim.allocation import BlockStatistics, Uniform
from jscc_sim.channels import Channel
from jscc_sim.prediction import Predictor
from jscc_sim.units import RatioSet

Floats = NDArray[np.float64]


def predicted(
    predictor: Predictor,
    blocks: BlockStatistics,
    described: Floats,
    ratios: RatioSet,
    sender_snr_db: float,
    belief: Channel,
    budget: int,
) -> BlockStatistics:
    """The blocks with tables from a zoo's calibration, averaged over what fading leaves of the SNR.
    described: [N, 8] their features."""
    energy, snrs_db = predictor.predict_energy(described, sender_snr_db), belief.effective_snrs_db()
    mse_left = predictor.mse_left(described, sender_snr_db)

    def mse_given(mean_energy: float) -> Floats:
        lost_db = 10 * math.log10(max(mean_energy, 1e-12))
        return np.asarray(np.mean([mse_left(snr - lost_db) for snr in snrs_db], axis=0))

    uniform = Uniform().allocate(blocks, ratios, budget)
    mean_energy = float(energy[np.arange(len(uniform)), uniform].sum()) / max(ratios.spent(uniform), 1)
    return replace(blocks, mse=mse_given(mean_energy or 1.0), energy=energy, mse_given=mse_given)
