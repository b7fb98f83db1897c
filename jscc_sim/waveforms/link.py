"""A waveform over a channel of samples, as systems see it: a channel of symbols that takes more uses."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import (
    OUTAGE_SHARE,
    AirTime,
    CarrierOffset,
    Channel,
    Delay,
    Impaired,
    Received,
    Symbols,
    complex_normal,
    turned,
)
from jscc_sim.coding.capacity import shannon_snr_db
from jscc_sim.errors import InputError, JsccError, OutageError
from jscc_sim.plugins import errors_named
from jscc_sim.units import noise_variance
from jscc_sim.waveforms.base import LS, PERFECT, Samples
from jscc_sim.waveforms.estimation import Estimate, linear_mmse, straight_lines
from jscc_sim.waveforms.ofdm import OFDM
from jscc_sim.waveforms.reception import placed, spectra
from jscc_sim.waveforms.resource_grid import PREAMBLE_ROWS
from jscc_sim.waveforms.synchronisation import early

LEAD = 64
"""Samples of noise that a receiver hears before and behind a frame."""

DRAWS, LEVELS = 64, 16
"""Of the fading, by a sender that wants to know what it may meet; and SNRs that it plans with."""

PLANNED_ROWS = 64
"""Of a frame that it imagines."""

SAMPLED_ROWS, SAMPLED_CARRIERS = 24, 4
"""How many rows, and every how many carriers, stand for a frame."""


@dataclass(frozen=True)
class OverOFDM(Channel):
    """path: the channel of the samples; csi: `estimated` by a receiver that knows nothing but samples, or
    `perfect`, frame, carrier and channel; estimator: `lmmse` or `ls`. Raises InputError for a channel that
    the waveform cannot undo."""

    path: Channel
    waveform: OFDM
    csi: str
    estimator: str

    def __post_init__(self) -> None:
        super().__post_init__()
        echo, prefix = self.path.spread_s * self.waveform.rate_hz, self.waveform.cp
        room = prefix if self.csi == PERFECT else prefix - early(self.waveform)
        if echo > room:
            name = getattr(self.path, "name", type(self.path).__name__)
            own = "" if room == prefix else f", {room} to an estimating receiver, which begins early"
            raise InputError(
                f"channel {name} has echoes of {echo:.1f} samples, more than the {prefix} of the prefix{own}"
            )
        self.path.response(np.zeros(1), np.zeros(1), np.random.default_rng(0))  # refuses if of symbols alone
        if self.csi == PERFECT and isinstance(self.path, Impaired):
            for impairment in self.path.impairments:
                if not impairment.known:
                    raise InputError(f"perfect CSI does not tell of +{impairment.name}: use --csi estimated")

    def at(self, snr_db: float) -> Channel:
        """See Channel.at."""
        return replace(self, snr_db=snr_db, path=self.path.at(snr_db))

    def room(self, budget: int) -> int:
        """See Channel.room."""
        return self.waveform.room(budget)

    def air_time(self, symbols: int) -> AirTime:
        """See Channel.air_time."""
        return self.waveform.air_time(symbols)

    def papr_db(self, symbols: Symbols) -> float | None:
        """See Channel.papr_db."""
        return self.waveform.papr_db(symbols)

    @property
    def estimated(self) -> bool:
        """See Channel.estimated."""
        return True

    def noise_known(self, equaliser: str) -> bool:
        """See Channel.noise_known."""
        return equaliser != "none"

    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """See Channel.disturb. Raises OutageError where no frame is found."""
        sent = self.waveform.modulate(symbols)
        if self.csi == PERFECT:
            return self._known(sent, len(symbols), fading, noise)
        lead = np.zeros(LEAD, np.complex64)
        heard = self.heard(np.concatenate([lead, sent, lead]), fading, noise)
        received = self.waveform.receive(heard, self.estimator)
        if len(received.symbols) < len(symbols):
            raise OutageError(
                f"a frame of {len(symbols)} symbols was sent, and one of {len(received.symbols)} received"
            )
        return received.part(0, len(symbols))

    def heard(self, samples: Samples, fading: np.random.Generator, noise: np.random.Generator) -> Samples:
        """What arrives of samples, with noise. Raises InputError where a plug-in breaks its promise."""
        passed = passed_samples(self.path, samples, self.waveform.rate_hz, fading)
        return passed + complex_normal(len(passed), noise_variance(self.snr_db), noise)

    def _known(
        self, sent: Samples, symbols: int, fading: np.random.Generator, noise: np.random.Generator
    ) -> Received:
        """What a receiver that knows the channel makes of it: no search, no estimate."""
        state = fading.bit_generator.state
        heard = self.heard(sent, fading, noise)
        fading.bit_generator.state = state
        fraction, turn = 0.0, 0.0
        for impairment in reversed(self.path.impairments if isinstance(self.path, Impaired) else ()):
            if isinstance(impairment, CarrierOffset):
                cycles = impairment.value / self.waveform.rate_hz
                heard, turn = turned(heard, -cycles), turn - cycles * fraction
            elif isinstance(impairment, Delay):
                heard = heard[math.floor(impairment.value) :]
                fraction += impairment.value % 1
        spectrum = spectra(self.waveform, heard[: len(sent)])
        gain = self.gains(np.arange(len(spectrum) - PREAMBLE_ROWS), fading)
        late = self.waveform.carriers * fraction / self.waveform.fft
        gain = gain * np.exp(2j * np.pi * (turn - late))
        truth = Estimate(gain, np.zeros(gain.shape))
        return placed(self.waveform, spectrum, truth, noise_variance(self.snr_db)).part(0, symbols)

    def gains(
        self, rows: NDArray[np.int64] | NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """[rows, active] of the path's in the middle of some rows of the body."""
        waveform = self.waveform
        middle = PREAMBLE_ROWS * waveform.row_s + (waveform.cp + waveform.fft / 2) / waveform.rate_hz
        times = middle + waveform.row_s * rows.astype(np.float64)
        frequencies = waveform.carriers.astype(np.float64) * waveform.spacing
        return self.path.response(times, frequencies, fading)

    def foreseen(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """See Channel.foreseen: the fades of the data places, and the noise of the air and of the estimate as
        if it were white."""
        rows = self.waveform.rows_for(len(symbols))
        gain = self.gains(np.arange(rows), fading).reshape(-1)[
            self.waveform.data_places(rows)[: len(symbols)]
        ]
        variance = noise_variance(self.snr_db) + self.estimation_error
        heard = gain * symbols + complex_normal(len(symbols), variance, noise)
        return Received(heard.astype(np.complex64), variance, gain.astype(np.complex64))

    def frame_snrs_db(self, uses: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """See Channel.frame_snrs_db: of some rows and carriers, evenly over the frame."""
        fading, *_ = rng.spawn(3)
        rows = self.waveform.rows_for(uses)
        gain = self.gains(np.linspace(0, rows - 1, min(rows, SAMPLED_ROWS)), fading)[:, ::SAMPLED_CARRIERS]
        snrs = np.square(np.abs(gain)) / (noise_variance(self.snr_db) + self.estimation_error)
        return np.asarray(10 * np.log10(np.maximum(snrs, 1e-12))).reshape(-1)

    @property
    def estimation_error(self) -> float:
        """Mean variance that the estimates of a frame leave."""
        return 0.0 if self.csi == PERFECT else _estimation_error(self)

    def effective_snrs_db(self) -> NDArray[np.float64]:
        """See Channel.effective_snrs_db: of frames that the sender imagines, each worth what its uses carry
        together."""
        found = _ensemble(self)
        return np.quantile(found, (np.arange(LEVELS) + 0.5) / LEVELS)

    def outage_snr_db(self) -> float:
        """See Channel.outage_snr_db."""
        return float(np.quantile(_ensemble(self), OUTAGE_SHARE))


def passed_samples(path: Channel, samples: Samples, rate_hz: float, fading: np.random.Generator) -> Samples:
    """What `pass_samples` of a channel makes, checked. Raises InputError, naming the channel, where a plug-in
    fails or breaks its promise."""
    name = type(path).__name__
    with errors_named(name, through=(JsccError,)):
        passed = path.pass_samples(samples.copy(), rate_hz, fading)
    if not isinstance(passed, np.ndarray) or passed.dtype != np.complex64 or passed.ndim != 1:
        kind = (
            f"{passed.dtype} {list(passed.shape)}"
            if isinstance(passed, np.ndarray)
            else type(passed).__name__
        )
        raise InputError(f"{name} passed on samples that are {kind}, not complex64 [n]")
    if len(passed) < len(samples):
        raise InputError(f"{name} passed on {len(passed)} of {len(samples)} samples, not as many or more")
    if not np.isfinite(passed).all():
        raise InputError(f"{name} passed on samples that are not finite")
    return passed


@lru_cache(maxsize=256)
def _ensemble(link: OverOFDM) -> NDArray[np.float64]:
    """[DRAWS] SNR of an AWGN channel that carries as much as a frame does, in dB, sorted; the noise is that
    of the air and of the estimate."""
    uses = link.waveform.symbols_in(PLANNED_ROWS)
    frames = (link.frame_snrs_db(uses, rng) for rng in np.random.default_rng(0).spawn(DRAWS))
    return np.sort([float(shannon_snr_db(snrs_db)) for snrs_db in frames])


@lru_cache(maxsize=256)
def _estimation_error(link: OverOFDM) -> float:
    """See OverOFDM.estimation_error: from pilots of a few frames."""
    noise, rng = noise_variance(link.snr_db), np.random.default_rng(1)
    waveform, found = link.waveform, []
    rows = waveform.pilot_rows(PLANNED_ROWS)
    for _ in range(4):
        gain = link.gains(np.arange(PLANNED_ROWS), rng.spawn(1)[0])
        late = np.exp(-2j * np.pi * waveform.carriers * early(waveform) / waveform.fft)
        pilots = (gain * late)[np.ix_(rows, waveform.pilot_carriers)]
        pilots = pilots + complex_normal(pilots.size, noise, rng).reshape(pilots.shape)
        estimate = (straight_lines if link.estimator == LS else linear_mmse)(waveform, pilots, rows, noise)
        found.append(float(estimate.error.mean()))
    return float(np.mean(found))
