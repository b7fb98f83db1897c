"""What radios do to samples: amplifiers that saturate, carriers and clocks that differ, phase noise, delay.

Each acts on the samples of a frame; those of the transmitter before the channel, those of the receiver behind
it. Written behind a channel's name with a plus: `tdl-a:100+cfo:500+clip:6`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels.base import Channel, OfSamples
from jscc_sim.errors import InputError
from jscc_sim.units import db_to_power

Samples = NDArray[np.complex64]

PHASE_NOISE_CORNER_HZ = 1e4
"""Bandwidth of a phase-locked loop: phase noise is white below it, and falls by 20 dB a decade above."""


@dataclass(frozen=True)
class Impairment(ABC):
    """One imperfection. value: of the unit that its name says."""

    value: float

    name: ClassVar[str]
    unit: ClassVar[str]
    summary: ClassVar[str]
    least: ClassVar[float]
    most: ClassVar[float]
    at_sender: ClassVar[bool] = False
    known: ClassVar[bool] = False
    """Whether a receiver with perfect knowledge can undo it."""

    def __post_init__(self) -> None:
        if not self.least <= self.value <= self.most:
            raise InputError(
                f"+{self.name}:{self.value:g} is outside {self.least:g} to {self.most:g} ({self.unit})"
            )

    @abstractmethod
    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """[n] complex64 samples at a rate -> [n or more]."""


@dataclass(frozen=True)
class Clip(Impairment):
    """An amplifier that is linear up to so much above the mean power, and no louder: phases are kept."""

    name = "clip"
    unit = "dB above the mean power"
    summary = "Amplitudes limited."
    least, most = -10.0, 40.0
    at_sender = True

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply."""
        size = np.maximum(np.abs(samples), 1e-12)
        return (samples * np.minimum(1, _limit(samples, self.value) / size)).astype(np.complex64)


@dataclass(frozen=True)
class Rapp(Impairment):
    """A solid-state power amplifier that saturates so much above the mean power, smoothness 2. Source: Rapp
    1991."""

    name = "rapp"
    unit = "dB above the mean power"
    summary = "A power amplifier that saturates smoothly."
    least, most = -10.0, 40.0
    at_sender = True

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply."""
        limit = _limit(samples, self.value)
        return (samples / (1 + (np.abs(samples) / limit) ** 4) ** 0.25).astype(np.complex64)


@dataclass(frozen=True)
class Delay(Impairment):
    """The frame comes so much later; a fraction of a sample is one too."""

    name = "delay"
    unit = "samples"
    summary = "A later start."
    least, most = 0.0, 1e6
    known = True

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply."""
        from scipy import fft

        whole = math.floor(self.value)
        later = np.concatenate([np.zeros(whole, np.complex64), samples])
        if whole == self.value:
            return later
        length = fft.next_fast_len(len(later) + 64)
        shift = np.exp(-2j * np.pi * (self.value - whole) * fft.fftfreq(length)).astype(np.complex64)
        return np.asarray(fft.ifft(fft.fft(later, length) * shift)[: len(later) + 32], np.complex64)


@dataclass(frozen=True)
class CarrierOffset(Impairment):
    """The receiver's carrier is lower than the sender's."""

    name = "cfo"
    unit = "Hz"
    summary = "Carriers that differ."
    least, most = -1e7, 1e7
    known = True

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply."""
        return turned(samples, self.value / rate_hz)


@dataclass(frozen=True)
class Drift(Impairment):
    """The receiver's sampling clock is faster than the sender's."""

    name = "drift"
    unit = "parts per million"
    summary = "Sampling clocks that differ."
    least, most = -1000.0, 1000.0

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply. Interpolation by cubic splines between samples of twice the rate."""
        from scipy import fft
        from scipy.interpolate import CubicSpline

        length = fft.next_fast_len(len(samples) + 64)
        spectrum = fft.fft(samples, length)
        padded = np.zeros(2 * length, np.complex64)
        half = (length + 1) // 2
        padded[:half], padded[-(length - half) :] = spectrum[:half], spectrum[half:]
        finer = 2 * fft.ifft(padded)
        places = np.arange(len(samples)) / (1 + 1e-6 * self.value)
        places = places[places <= len(samples) - 1]
        return np.asarray(CubicSpline(np.arange(len(finer)), finer)(2 * places), np.complex64)


@dataclass(frozen=True)
class PhaseNoise(Impairment):
    """An oscillator whose phase wanders within so much power, of a corner of PHASE_NOISE_CORNER_HZ."""

    name = "phase-noise"
    unit = "dBc"
    summary = "Oscillators whose phase wanders."
    least, most = -100.0, 0.0

    def apply(self, samples: Samples, rate_hz: float, rng: np.random.Generator) -> Samples:
        """See Impairment.apply."""
        from scipy.signal import lfilter

        kept = math.exp(-2 * math.pi * PHASE_NOISE_CORNER_HZ / rate_hz)
        variance = db_to_power(self.value)
        steps = rng.standard_normal(len(samples)) * math.sqrt(variance * (1 - kept**2))
        steps[:1] /= math.sqrt(1 - kept**2)  # it has wandered for long
        phase = lfilter([1.0], [1.0, -kept], steps)
        return (samples * np.exp(1j * phase)).astype(np.complex64)


IMPAIRMENTS: Mapping[str, type[Impairment]] = {
    kind.name: kind for kind in (CarrierOffset, Delay, Drift, PhaseNoise, Clip, Rapp)
}
"""By the names that they have behind a channel's."""


@dataclass(frozen=True)
class Impaired(OfSamples):
    """A channel between radios that are not ideal. path: the channel; impairments: in the order in which they
    befall the samples at each end."""

    path: Channel
    impairments: tuple[Impairment, ...]

    @property
    def name(self) -> str:
        """What is between the radios, and what they do."""
        between = getattr(self.path, "name", type(self.path).__name__.lower())
        return between + "".join(f"+{one.name}:{one.value:g}" for one in self.impairments)

    @property
    def spread_s(self) -> float:
        """See Channel.spread_s."""
        return self.path.spread_s

    def at(self, snr_db: float) -> Channel:
        """See Channel.at."""
        return replace(self, snr_db=snr_db, path=self.path.at(snr_db))

    def pass_samples(self, samples: Samples, rate_hz: float, fading: np.random.Generator) -> Samples:
        """See Channel.pass_samples."""
        (own,) = fading.spawn(1)
        for impairment in self.impairments:
            if impairment.at_sender:
                samples = impairment.apply(samples, rate_hz, own)
        samples = self.path.pass_samples(samples, rate_hz, fading)
        for impairment in self.impairments:
            if not impairment.at_sender:
                samples = impairment.apply(samples, rate_hz, own)
        return samples

    def response(
        self, times_s: NDArray[np.float64], frequencies_hz: NDArray[np.float64], fading: np.random.Generator
    ) -> NDArray[np.complex128]:
        """See Channel.response: the path's."""
        return self.path.response(times_s, frequencies_hz, fading)


def parse_impairments(words: list[str]) -> tuple[Impairment, ...]:
    """`cfo:500`, `clip:6`, ... Raises InputError."""
    found = []
    for word in words:
        name, _, value = word.partition(":")
        if name not in IMPAIRMENTS:
            raise InputError(f"impairment +{word} is none of {', '.join('+' + n for n in IMPAIRMENTS)}")
        try:
            found.append(IMPAIRMENTS[name](float(value)))
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"impairment +{word}: {value!r} is not a number") from None
    return tuple(found)


def turned(samples: Samples, cycles: float) -> Samples:
    """Samples whose phase advances by so many cycles a sample."""
    return (samples * np.exp(2j * np.pi * cycles * np.arange(len(samples)))).astype(np.complex64)


def _limit(samples: Samples, level_db: float) -> float:
    """The amplitude at so much above the mean power where anything is sent."""
    power = np.square(np.abs(samples), dtype=np.float64)
    sent = power > 0
    level = math.sqrt(float(power[sent].mean())) if sent.any() else 1.0
    return level * 10 ** (level_db / 20)
