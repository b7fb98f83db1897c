"""The radio channel: AWGN, Rayleigh and Rician fading, channel estimates, equalisers.

Symbols have unit mean power; the SNR is Es/N0, under fading its average. The complex noise has
variance N0 = 10**(-snr_db/10), half in each real dimension.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.plugins import (
    ByValue,
    UnknownNameError,
    errors_named,
    field_names,
    find_plugin,
    label,
    load_plugin,
    plugin_sha256,
    set_beside,
)
from jscc_sim.units import check_snr_db, db_to_power, noise_variance, power_to_db

Symbols = NDArray[np.complex64]

OUTAGE_SHARE = 0.05
"""Share of slow fades that a header may lose."""

WEAKEST_POWER = 1e-9
"""Least fading power an equaliser divides by."""

LEAST_GAIN = 1e-12
"""Least gain that `mmse` leaves: WEAKEST_POWER over the largest noise variance, 30 dB."""

LEAST_VARIANCE = 1e-12
"""Of the noise, as receivers assume it: 0 would divide 0 by 0 where the gain vanishes."""

LARGEST_K = 1e6
"""Largest Rician K: nothing fades by then."""

MOST_NONCENTRALITY = 1e10
"""Of the power of estimates, from where on it is taken not to vary; SciPy's quantiles fail from 1e11."""

EQUALISERS = ("none", "zf", "mmse")

PERFECT = "perfect"


@dataclass(frozen=True)
class Received:
    """What a receiver measures: symbols [uses], the noise variance, and under fading the channel
    estimate, one per use or a single one that holds for all."""

    symbols: Symbols
    noise_variance: float
    estimate: Symbols | None = None

    def from_use(self, start: int) -> Received:
        """The uses from `start` on."""
        estimate = self.estimate
        if estimate is not None and len(estimate) == len(self.symbols):
            estimate = estimate[start:]
        return replace(self, symbols=self.symbols[start:], estimate=estimate)


@dataclass(frozen=True)
class Equalised:
    """Symbol estimates: symbols = gain * sent + noise of complex variance noise_variance, per use."""

    symbols: Symbols
    gain: NDArray[np.float64]
    noise_variance: NDArray[np.float64]

    def part(self, start: int, end: int) -> Equalised:
        """The uses from `start` up to `end`."""
        return self.at(slice(start, end))

    def at(self, uses: NDArray[np.int64] | slice) -> Equalised:
        """Some of the uses, in this order."""
        return Equalised(self.symbols[uses], self.gain[uses], self.noise_variance[uses])

    @property
    def unbiased_variance(self) -> NDArray[np.float64]:
        """[uses] noise variance of symbols / gain."""
        return self.noise_variance / np.maximum(self.gain, LEAST_GAIN) ** 2


@dataclass(frozen=True)
class EqualisedReals:
    """The same, two reals in a use: values = gain * sent + noise of variance noise_variance, all of them
    [2 uses]."""

    values: NDArray[np.float64]
    gain: NDArray[np.float64]
    noise_variance: NDArray[np.float64]

    @classmethod
    def of(cls, heard: Equalised, amplitude: float = 1.0) -> EqualisedReals:
        """amplitude: that symbols were sent with; what is sent is then what it was before."""
        noise = np.maximum(heard.noise_variance, LEAST_VARIANCE)
        return cls(reals_of(heard.symbols), amplitude * np.repeat(heard.gain, 2), np.repeat(noise, 2) / 2)


def symbols_of(reals: NDArray[np.float64]) -> Symbols:
    """[2 n] reals -> [n] symbols, pair by pair."""
    return reals.view(np.complex128).astype(np.complex64)


def reals_of(symbols: Symbols) -> NDArray[np.float64]:
    """The reverse."""
    return symbols.astype(np.complex128).view(np.float64)


def papr_db(symbols: Symbols) -> float | None:
    """Peak to average power ratio of a frame in dB: 10 log10(max abs(s)**2 / mean abs(s)**2). symbols: [uses]
    complex. None where nothing has power."""
    power = np.abs(symbols.astype(np.complex128)) ** 2
    return power_to_db(float(power.max() / power.mean())) if power.any() else None


@dataclass(frozen=True)
class Channel(ABC):
    """A channel at one SNR. snr_db: Es/N0 in dB, symbols of unit mean power. A plug-in is a frozen dataclass
    that defines `_disturb`; one that fades says what a sender can count on. A field `csi_db` makes it one
    whose receiver can have noisy CSI."""

    snr_db: float

    def __post_init__(self) -> None:
        check_snr_db(self.snr_db)

    @final
    def __call__(self, symbols: Symbols, rng: np.random.Generator) -> Received:
        """symbols: [uses] complex64. Fading, noise and estimation error have child streams of their
        own, and noise is drawn in the order of the uses: a longer frame meets the same noise first."""
        fading, noise, estimation = rng.spawn(3)
        return self.disturb(symbols, fading, noise, estimation)

    @final
    def disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """The same with the three random streams given one by one. Raises InputError where a plug-in fails
        or breaks its promise."""
        name = type(self).__name__
        with errors_named(name, through=InputError):
            received = self._disturb(symbols.copy(), fading, noise, estimation)  # frames are shared
        _check_received(name, received, len(symbols))
        return received

    @abstractmethod
    def _disturb(
        self,
        symbols: Symbols,
        fading: np.random.Generator,
        noise: np.random.Generator,
        estimation: np.random.Generator,
    ) -> Received:
        """symbols: [uses] complex64. Returns [uses] complex64 as received, the mean
        complex variance of the noise, and under fading that is estimated the estimate: [uses] or [1]
        complex64. Noise and fades of a frame's first uses do not depend on how many follow."""

    @property
    def estimated(self) -> bool:
        """Whether a receiver estimates its fading; how well is its CSI."""
        return False

    def noise_known(self, equaliser: str) -> bool:
        """Whether the noise variance that such an equaliser passes on holds all that befalls a use."""
        return True

    def effective_snrs_db(self) -> NDArray[np.float64]:
        """[Q] equally likely values of the SNR that a block meets after equalisation, for planning; the SNR
        alone where nothing fades."""
        return np.array([self.snr_db])

    def outage_snr_db(self) -> float:
        """The SNR that a header can count on: exceeded in 95 % of slow fades; the SNR itself where nothing
        fades."""
        return self.snr_db

    def at(self, snr_db: float) -> Channel:
        """The same channel at another SNR."""
        return replace(self, snr_db=snr_db)


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


def complex_normal(count: int, variance: float, rng: np.random.Generator) -> Symbols:
    """[count] circular complex Gaussian samples; a prefix of a longer draw from the same state."""
    pairs = rng.standard_normal((count, 2)) * math.sqrt(variance / 2)
    return pairs.view(np.complex128)[:, 0].astype(np.complex64)


def equalise(received: Received, method: str = "mmse") -> Equalised:
    """Undo the fading that the receiver knows of. Without an estimate nothing is done.

    `zf`: y/h, unbiased, noise N0/abs(h)**2. `mmse`: conj(h) y / (abs(h)**2 + N0), biased towards 0
    by gain = abs(h)**2 / (abs(h)**2 + N0). `none`: y as it is, its fading unaccounted for. A decoder
    that uses gain and variance per use, as ours do, makes the same of `zf` and `mmse`.
    Raises InputError for another method.
    """
    check_equaliser(method)
    uses, variance = len(received.symbols), received.noise_variance
    if received.estimate is None or method == "none":
        return Equalised(received.symbols, np.ones(uses), np.full(uses, variance))
    h = np.broadcast_to(received.estimate, uses).astype(np.complex128)
    symbols, gain, left = undo(h, received.symbols, variance, method)
    return Equalised(symbols.astype(np.complex64), gain, left)


def check_equaliser(method: str) -> None:
    """Raises InputError for one that does not exist."""
    if method not in EQUALISERS:
        raise InputError(f"equaliser {method!r} is not one of {', '.join(EQUALISERS)}")


def undo(h: Any, symbols: Any, variance: Any, method: str) -> tuple[Any, Any, Any]:
    """`zf` or `mmse` of `equalise`: symbols, gain and noise variance of each use, given h and the noise
    variance. Arrays of NumPy or tensors of torch: this is all that there is to equalisation, for both."""
    power = (abs(h) ** 2).clip(WEAKEST_POWER)
    denominator = power + (variance if method == "mmse" else 0.0)
    return h.conj() * symbols / denominator, power / denominator, power * variance / denominator**2


FORMS: Mapping[str, str] = {
    "awgn": "White Gaussian noise.",
    "rayleigh-slow": "Rayleigh fading, one fade a frame.",
    "rayleigh-block:L": "Rayleigh fading in blocks.",
    "rayleigh-fast": "Rayleigh fading, a fade for every use.",
    "rician-slow:K": "Rician fading, one fade a frame.",
    "rician-block:K:L": "Rician fading in blocks.",
    "rician-fast:K": "Rician fading, a fade for every use.",
    "rayleigh-real-fast": "The fade's amplitude alone, for every use, unknown to the receiver.",
    "rician-real-fast:K": "The same of Rician fading.",
}
"""Forms of names on the command line, and what they are."""

PARAMETERS = {
    "K": "power of the fixed path over that of the scattered ones, linear, not in dB",
    "L": "channel uses that share one fade",
}
"""Of the forms."""

GROUP = "jscc_sim.channels"
"""Of the entry points by which installed packages add theirs."""

ELSEWHERE = ("snr_db", "csi_db")
"""Fields of a channel that are not in its name."""


def parse_channel(name: str, snr_db: float, csi: str = PERFECT) -> Channel:
    """A channel from its command-line name, such as `awgn`, `rayleigh-block:64` or `rician-slow:4`, or a
    plug-in's: an installed one's name, package.module:Class or file.py:Class, with :key=value,... or without.

    csi: `perfect`, or `noisy:DB` where there is fading to estimate. Raises InputError for anything else.
    """
    csi_db = parse_csi(csi)
    kind, *arguments = name.split(":")
    if not is_built_in(name):
        return _plugin(name, snr_db, csi_db)
    if kind == "awgn":
        if arguments:
            raise InputError(_not_one_of(name))
        _check_csi(name, csi_db)
        return AWGN(snr_db)
    family, _, speed = kind.partition("-")
    if len(arguments) != (family == "rician") + (speed == "block"):
        raise InputError(_not_one_of(name))
    try:
        k_factor = float(arguments[0]) if family == "rician" else 0.0
        coherence = {"slow": None, "block": 0}.get(speed, 1)
        if coherence == 0:
            coherence = int(arguments[-1])
    except ValueError:
        raise InputError(f"channel {name!r}: K is a number and L a whole number of uses") from None
    real = speed == "real-fast"
    if real:
        _check_csi(name, csi_db)
    return Fading(snr_db, k_factor, coherence, csi_db, real)


def is_built_in(name: str) -> bool:
    """Whether a name is that of one of the package's own channels, whatever follows it."""
    kinds = {form.partition(":")[0] for form in FORMS}
    return not isinstance(name, ByValue) and name.partition(":")[0] in kinds


def channel_name(channel: Channel) -> str:
    """The name that `parse_channel` makes the same channel of, at its SNR and CSI; of a plug-in the instance
    by value. Raises InputError for one that cannot be sent to workers."""
    if type(channel) is AWGN:
        return "awgn"
    if type(channel) is Fading:
        family = f":{_number(channel.k_factor)}" if channel.k_factor else ""
        kind = "rician" if family else "rayleigh"
        if channel.real and channel.coherence == 1:
            return f"{kind}-real-fast{family}"
        if not channel.real:
            speed = {None: "slow", 1: "fast"}.get(channel.coherence, "block")
            return f"{kind}-{speed}{family}" + (f":{channel.coherence}" if speed == "block" else "")
    return ByValue(channel, without=ELSEWHERE)


def channel_label(channel: Channel) -> str:
    """A plug-in by class and fields, wherever it comes from."""
    return label(channel, ELSEWHERE)


def channel_sha256(channel: Channel) -> str:
    """What a plug-in is known by, whatever its SNR and CSI."""
    return plugin_sha256(channel, (*ELSEWHERE, *set_beside(channel)))


def takes_noisy_csi(channel: Channel) -> bool:
    """Whether a receiver of it can have noisy CSI."""
    return channel.estimated and "csi_db" in field_names(type(channel))


_NO_NAMES: Mapping[str, type[Channel]] = {}
"""Of plug-ins: the package's own channels have names of another form."""


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _plugin(name: str, snr_db: float, csi_db: float | None) -> Channel:
    """Raises InputError for what is no channel, or plans with what is no SNR."""
    given: dict[str, Any] = {"snr_db": snr_db} | ({} if csi_db is None else {"csi_db": csi_db})
    try:
        if isinstance(name, ByValue):
            channel: Channel = load_plugin(name, _NO_NAMES, Channel)
            own = field_names(type(channel))
            with errors_named(f"channel {name}"):
                _check_all_fields(name, channel)
                channel = replace(channel, **{k: v for k, v in given.items() if k in own})
        else:
            own = field_names(find_plugin(name, _NO_NAMES, Channel, GROUP)[0])
            given = {field: value for field, value in given.items() if field in own}
            channel = load_plugin(name, _NO_NAMES, Channel, GROUP, given)
    except UnknownNameError as error:
        raise InputError(_not_one_of(name, error.installed)) from None
    if csi_db is not None and not takes_noisy_csi(channel):
        what = "field csi_db" if channel.estimated else "channel estimate"
        raise InputError(f"channel {name} has no {what}, so its CSI cannot be noisy:{csi_db:g}")
    with errors_named(f"channel {name}"):
        for field in fields(channel):
            if not _is_hashable(getattr(channel, field.name)):
                raise InputError(
                    f"channel {name}: field {field.name} is a {type(getattr(channel, field.name)).__name__}, "
                    "which changes or holds what does: a tuple of numbers does not"
                )
        planned = np.asarray([*channel.effective_snrs_db(), channel.outage_snr_db()], np.float64)
    if len(planned) < 2 or not np.isfinite(planned).all():
        raise InputError(f"channel {name} plans with {planned.tolist()} dB, not with finite SNRs")
    return channel


def _is_hashable(value: object) -> bool:
    """With all that is in it: a tuple may hold a list."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _check_all_fields(name: str, channel: Channel) -> None:
    """Raises InputError for what the same channel at another SNR would lose: what was set beside the fields,
    and does not follow from them."""
    beside = set_beside(channel)
    if beside and plugin_sha256(replace(channel)) != plugin_sha256(channel):
        raise InputError(
            f"channel {name}: {', '.join(beside)} is no field: write @dataclass(frozen=True) above the "
            f"class, and {beside[0]}: float or the like in it, in place of __init__"
        )


def _not_one_of(name: str, installed: Sequence[str] = ()) -> str:
    known = ", ".join([*FORMS, *installed])
    return f"channel {name!r} is none of {known}, package.module:Class or file.py:Class"


def _check_received(name: str, received: object, uses: int) -> None:
    """Raises InputError for what no receiver can have measured."""
    if not isinstance(received, Received):
        raise InputError(f"{name} returned a {type(received).__name__}, not what is Received")
    checked = [("symbols", received.symbols, (uses,))]
    if received.estimate is not None:
        one = getattr(received.estimate, "shape", None) == (1,)
        checked.append(("an estimate", received.estimate, (1,) if one else (uses,)))
    for what, values, shape in checked:
        if not isinstance(values, np.ndarray) or values.dtype != np.complex64:
            kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
            raise InputError(f"{name} returned {what} of {kind}, not an array of complex64")
        if values.shape != shape:
            raise InputError(f"{name} returned {what} of shape {list(values.shape)} for {uses} uses")
        if not np.isfinite(values).all():
            raise InputError(f"{name} returned {what} that are not finite")
    variance = received.noise_variance
    if isinstance(variance, bool) or not isinstance(variance, Real) or not 0 <= variance < math.inf:
        raise InputError(f"{name} returned a noise variance of {variance!r}, not a number from 0 on")


def _check_csi(name: str, csi_db: float | None) -> None:
    if csi_db is not None:
        raise InputError(f"channel {name} has no channel estimate, so its CSI cannot be noisy:{csi_db:g}")


def parse_csi(text: str) -> float | None:
    """Quality of a channel estimate in dB, None for perfect. Raises InputError for anything else."""
    if text == PERFECT:
        return None
    kind, _, quality = text.partition(":")
    try:
        if kind == "noisy":
            return check_snr_db(float(quality), "CSI quality")
    except ValueError:
        pass
    raise InputError(f"CSI {text!r} is neither perfect nor noisy:DB")
