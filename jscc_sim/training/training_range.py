"""The range of SNRs and of bandwidths that a network is trained for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from jscc_sim.errors import InputError
from jscc_sim.units import check_snr_db

SNR_RANGE_DB = (-2.0, 20.0)
USES_RANGE = (16.0, 640.0)


@dataclass(frozen=True)
class TrainingRange:
    """What the crops of a run meet. snr_db: range of the true SNR; uses: range of a crop's typical uses per
    block, drawn evenly in the logarithm. Raises InputError for a range that is none."""

    snr_db: tuple[float, float] = SNR_RANGE_DB
    uses: tuple[float, float] = USES_RANGE

    def __post_init__(self) -> None:
        for snr_db in self.snr_db:
            check_snr_db(snr_db)
        if self.snr_db[0] > self.snr_db[1]:
            raise InputError(f"SNRs from {self.snr_db[0]:g} to {self.snr_db[1]:g} dB are no range")
        if not 0 < self.uses[0] <= self.uses[1] < math.inf:
            raise InputError(f"uses from {self.uses[0]:g} to {self.uses[1]:g} are no range above 0")
