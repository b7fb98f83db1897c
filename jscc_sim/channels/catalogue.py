"""Channels by name, as the command line and grids know them; plug-ins too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from jscc_sim.channels.base import Channel
from jscc_sim.channels.flat import AWGN, Fading
from jscc_sim.channels.impairments import Impaired, parse_impairments
from jscc_sim.channels.multipath import TDL_MODELS, Multipath, parse_taps, parse_tdl
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
from jscc_sim.units import check_snr_db

PERFECT = "perfect"

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
    "tdl-a:NS[:MPS[:GHZ]]": "Echoes as in 3GPP TR 38.901, tdl-a to tdl-e; on samples, see --waveform.",
    "taps:NS/DB,...[:MPS]": "Echoes of given delays and powers; on samples.",
}
"""Forms of names on the command line, and what they are."""

PARAMETERS = {
    "K": "power of the fixed path over that of the scattered ones, linear, not in dB",
    "L": "channel uses that share one fade",
    "NS": "delay spread, or an echo's delay, in nanoseconds",
    "MPS": "speed in metres a second (0)",
    "GHZ": "carrier frequency (3.5)",
    "DB": "an echo's power in decibels",
}
"""Of the forms."""

TDLS = tuple(f"tdl-{model}" for model in TDL_MODELS)

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
    if not is_built_in(name):
        return _plugin(name, snr_db, csi_db)
    name, *impairments = name.split("+")
    if impairments:
        _check_csi(name, csi_db)
        return Impaired(snr_db, parse_channel(name, snr_db), parse_impairments(impairments))
    kind, *arguments = name.split(":")
    if kind in TDLS or kind == "taps":
        _check_csi(name, csi_db)
        return parse_taps(name, snr_db) if kind == "taps" else parse_tdl(name, snr_db)
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
    kinds = {*(form.partition(":")[0] for form in FORMS), *TDLS}
    return not isinstance(name, ByValue) and name.partition(":")[0].partition("+")[0] in kinds


def channel_name(channel: Channel) -> str:
    """The name that `parse_channel` makes the same channel of, at its SNR and CSI; of a plug-in the instance
    by value. Raises InputError for one that cannot be sent to workers."""
    if type(channel) is AWGN:
        return "awgn"
    if type(channel) is Multipath and _is_named(channel):
        return channel.name
    if type(channel) is Impaired:
        plus = [f"+{impairment.name}:{_number(impairment.value)}" for impairment in channel.impairments]
        return "".join([channel_name(channel.path), *plus])
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


def _is_named(channel: Multipath) -> bool:
    """Whether its name says all of it."""
    return is_built_in(channel.name) and parse_channel(channel.name, channel.snr_db) == channel


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
