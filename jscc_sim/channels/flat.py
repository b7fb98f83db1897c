"""Channels whose symbols do not mix: white noise, Rayleigh and Rician fading, estimates of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels.base import Channel, Received, Symbols, complex_normal
from jscc_sim.channels.equalisation import WEAKEST_POWER
from jscc_sim.errors import InputError
from jscc_sim.units import check_snr_db, db_to_power, noise_variance, power_to_db

OUTAGE_SHARE = 0.05
"""Share of slow fades that a header may lose."""

LARGEST_K = 1e6
"""Largest Rician K: nothing fades by then."""

MOST_NONCENTRALITY = 1e10
"""Of the power of estimates, from where on it is taken not to vary; SciPy's quantiles fail from 1e11."""


@dataclass(frozen=True)
class AWGN(Channel):
    """Complex additive white Gaussian noise."""

    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """See Channel.disturb; only `noise` is drawn from."""
        variance = noise_variance(self.snr_db)
        return Received(symbols + complex_normal(len(symbols), variance, noise), variance)

    def pass_samples(self, samples: Symbols, rate_hz: float, fading: np.random.Generator) -> Symbols:
        """See Channel.pass_samples."""
        return samples

    def response(
        self, times_s: NDArray[np.float64], frequencies_hz: NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """See Channel.response."""
        return np.ones((len(times_s), len(frequencies_hz)), np.complex128)


@dataclass(frozen=True)
class Fading(Channel):
    """Rician fading, Rayleigh for k_factor 0: y = h s + n, E[abs(h)**2] = 1.

    k_factor: power of the fixed path over that of the scattered ones (linear, not dB).
    coherence: uses that share one h; None for one h a frame (slow), 1 for fast fading.
    csi_db: the receiver has least-squares estimates of h with error variance 10**(-csi_db/10), and makes
    linear MMSE ones of them, since it knows K; the variance that these leave is added to the noise variance
    that it passes on. None for perfect knowledge. Source: Kay 1993, eq. (12.6).
    real: multiply by abs(h), as some published code does, where the receiver is not told (no
    estimate, no equaliser).
    """

    k_factor: float = 0.0
    coherence: int | None = None
    csi_db: float | None = None
    real: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.k_factor <= LARGEST_K:
            raise InputError(f"Rician K of {self.k_factor} is outside 0 to {LARGEST_K:g} (linear)")
        if self.coherence is not None and self.coherence < 1:
            raise InputError(f"fading block of {self.coherence} uses is below 1")
        if self.csi_db is not None:
            check_snr_db(self.csi_db, "CSI quality")
            if self.real:
                raise InputError("real fading has no channel estimate: its CSI cannot be noisy")

    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """See Channel.disturb."""
        uses = len(symbols)
        span = self.span(uses)
        fades = -(-uses // span)
        h = self.fixed + complex_normal(fades, self.scattered, fading)
        variance = noise_variance(self.snr_db)
        if self.real:
            spread = np.repeat(np.abs(h), span)[:uses]
            return Received(symbols * spread + complex_normal(uses, variance, noise), variance)
        estimate, known = h, variance
        if self.csi_db is not None:
            error = complex_normal(fades, self.error_variance, estimation)
            estimate = self.estimate_of(h + error).astype(np.complex64)
            known = variance + self.left
        received = symbols * np.repeat(h, span)[:uses] + complex_normal(uses, variance, noise)
        return Received(received, known, np.repeat(estimate, span)[:uses])

    def pass_samples(self, samples: Symbols, rate_hz: float, fading: np.random.Generator) -> Symbols:
        """See Channel.pass_samples."""
        return (self._one_fade(fading) * samples).astype(np.complex64)

    def response(
        self, times_s: NDArray[np.float64], frequencies_hz: NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """See Channel.response."""
        return np.full((len(times_s), len(frequencies_hz)), self._one_fade(fading), np.complex128)

    def _one_fade(self, fading: np.random.Generator) -> complex:
        """Raises InputError where there are several in a frame."""
        if self.real or self.coherence is not None:
            raise InputError(
                "fading that changes from use to use, or block to block, acts on symbols, not on the samples "
                "of a waveform: tdl-a:0:SPEED_MPS is flat and moves"
            )
        return complex(self.fixed + complex_normal(1, self.scattered, fading)[0])

    @property
    def estimated(self) -> bool:
        """See Channel.estimated."""
        return not self.real

    def noise_known(self, equaliser: str) -> bool:
        """See Channel.noise_known."""
        return self.estimated and equaliser != "none"

    def effective_snrs_db(self) -> NDArray[np.float64]:
        """[16] quantiles of the estimate's power over N0, what estimation leaves counted as noise."""
        power = np.maximum(self._power_quantile((np.arange(16) + 0.5) / 16), WEAKEST_POWER)
        return np.asarray(self._known_snr_db() + 10 * np.log10(power), dtype=np.float64)

    def outage_snr_db(self) -> float:
        """The 5 % quantile where the header meets few fades; in fast fading, which coding averages,
        the SNR of equal ergodic capacity less 2 dB."""
        if self.coherence == 1:
            snrs = 10 ** (self.effective_snrs_db() / 10)
            return power_to_db(float(2 ** np.log2(1 + snrs).mean() - 1)) - 2.0
        return self._known_snr_db() + power_to_db(float(self._power_quantile(np.array(OUTAGE_SHARE))))

    def span(self, uses: int) -> int:
        """How many of so many uses share one h."""
        return max(min(self.coherence or uses, uses), 1)

    def estimate_of(self, least_squares: Any) -> Any:
        """The linear MMSE estimates of h that least-squares ones give; an array or a tensor."""
        return self.fixed + self.trust * (least_squares - self.fixed)

    @property
    def fixed(self) -> float:
        """Amplitude of the fixed path."""
        return math.sqrt(self.k_factor / (1 + self.k_factor))

    @property
    def scattered(self) -> float:
        """Power of the scattered ones."""
        return 1 / (1 + self.k_factor)

    @property
    def error_variance(self) -> float:
        """Of a least-squares estimate of h; 0 for perfect knowledge."""
        return 0.0 if self.csi_db is None else db_to_power(-self.csi_db)

    @property
    def trust(self) -> float:
        """Weight of a least-squares estimate's deviation from the fixed path."""
        return self.scattered / (self.scattered + self.error_variance)

    @property
    def left(self) -> float:
        """Variance of h about its estimate."""
        return self.scattered * (1 - self.trust)

    def _known_snr_db(self) -> float:
        return -power_to_db(noise_variance(self.snr_db) + self.left)

    def _power_quantile(self, share: NDArray[np.float64]) -> NDArray[np.float64]:
        """The estimate's abs()**2 is a noncentral chi-square of two degrees of freedom."""
        from scipy import stats

        spread = self.scattered * self.trust
        noncentrality = 2 * self.fixed**2 / spread
        if noncentrality > MOST_NONCENTRALITY:
            return np.full(np.shape(share), self.fixed**2)
        found = stats.ncx2.ppf(share, 2, noncentrality, scale=spread / 2)
        return np.asarray(found, dtype=np.float64)
