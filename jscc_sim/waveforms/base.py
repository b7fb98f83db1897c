"""What a waveform is: frame symbols to samples on the air, and samples back to what a receiver measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import AirTime, Received, Symbols

FORMAT = 1
"""A number that changes with what any waveform sends or its receiver makes of it: trials are others then."""

Samples = NDArray[np.complex64]

LS, LMMSE = "ls", "lmmse"
ESTIMATORS = (LMMSE, LS)

PERFECT, ESTIMATED = "perfect", "estimated"
CSI_OF_SAMPLES = (ESTIMATED, PERFECT)
"""What a receiver of samples can know; the first is the usual."""


@dataclass(frozen=True)
class Waveform(ABC):
    """Frame symbols to samples and back. It knows nothing of pictures, and systems know nothing of it.

    A channel use is the occupied band times the duration of a symbol: `uses` counts all that takes time and
    bandwidth.
    """

    @property
    @abstractmethod
    def rate_hz(self) -> float:
        """Samples a second."""

    @abstractmethod
    def room(self, budget: int) -> int:
        """Symbols that fit into so many channel uses; 0 where not even an empty frame does."""

    @abstractmethod
    def air_time(self, symbols: int) -> AirTime:
        """What so many symbols cost: room(air_time(n).uses) >= n, and air_time(room(b)).uses <= b."""

    @abstractmethod
    def modulate(self, symbols: Symbols) -> Samples:
        """[uses] complex64 symbols of unit mean power -> samples, of unit noise density for unit noise of the
        symbols."""

    @abstractmethod
    def receive(self, samples: Samples, estimator: str = LMMSE) -> Received:
        """What a receiver that knows nothing but samples makes of the first frame in them: the symbols, as
        many as the frame had room for, the channel's estimate and the noise variance of each. Raises
        OutageError if there is none."""

    @abstractmethod
    def papr_db(self, symbols: Symbols) -> float | None:
        """Peak to average power ratio in dB of what is sent, between the samples too."""
