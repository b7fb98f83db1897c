"""Waveforms by name, and what a channel is with one."""

from __future__ import annotations

from collections.abc import Mapping

from jscc_sim.channels import PERFECT, Channel, parse_channel, parse_csi
from jscc_sim.errors import InputError
from jscc_sim.waveforms.base import CSI_OF_SAMPLES, ESTIMATED, ESTIMATORS, LMMSE
from jscc_sim.waveforms.link import OverOFDM
from jscc_sim.waveforms.ofdm import OFDM

SYMBOLS = "symbols"
OFDM_NAME = "ofdm"

WAVEFORMS: Mapping[str, str] = {
    SYMBOLS: "Nothing between symbols and channel: synchronised and told apart by decree.",
    "ofdm[:fft=256,cp=18,spacing=15000,pilots=4x7,guard=31]": "Carriers with prefix, pilots and preamble.",
}
"""Forms of names, and what they are."""

PARAMETERS = {
    "fft": "carriers of the transform, a power of 2",
    "cp": "samples of the cyclic prefix, 4 to fft/4: no echo may be longer",
    "spacing": "of the carriers in Hz; fft times it is the sample rate",
    "pilots": "every how many carriers and OFDM symbols there is one",
    "guard": "carriers at the edges of the band that stay empty",
}
"""Of OFDM's name."""

LONGEST_NUMBER = 32
"""Letters."""

_FIELDS = {"fft": int, "cp": int, "spacing": float, "guard": int}


def parse_waveform(name: str) -> OFDM | None:
    """`ofdm`, `ofdm:fft=128,cp=9,...`; None for `symbols`. pilots=4x7: one on every fourth carrier of every
    seventh OFDM symbol. Raises InputError for anything else."""
    kind, _, listed = name.partition(":")
    if name == SYMBOLS:
        return None
    if kind != OFDM_NAME:
        raise InputError(f"waveform {name!r} is neither of {', '.join(WAVEFORMS)}")
    given: dict[str, object] = {}
    for word in filter(None, listed.split(",")):
        key, equals, value = word.partition("=")
        if not equals or key not in {*_FIELDS, "pilots"}:
            raise InputError(
                f"waveform {name!r}: {word!r} is none of fft=, cp=, spacing=, pilots=FxT, guard="
            )
        if key in given:
            raise InputError(f"waveform {name!r}: {key} is there twice")
        try:
            if key == "pilots":
                carriers, _, rows = value[:LONGEST_NUMBER].partition("x")
                given[key] = int(carriers), int(rows)
            elif len(value) > LONGEST_NUMBER:
                raise ValueError
            else:
                given[key] = _FIELDS[key](value)
        except ValueError:
            raise InputError(f"waveform ofdm: {value[:LONGEST_NUMBER]!r} is no {key}") from None
    return OFDM(**given)  # type: ignore[arg-type]


def waveform_name(waveform: str | OFDM) -> str:
    """The one name of a waveform, which may have several, or be an instance. Raises InputError for none."""
    if not isinstance(waveform, str | OFDM):
        raise InputError(f"waveform {waveform!r} is neither a name nor an OFDM")
    found = parse_waveform(waveform) if isinstance(waveform, str) else waveform
    return SYMBOLS if found is None else found.name


def csi_with(waveform: str, csi: str = "") -> str:
    """What a receiver knows of the channel: as told, or what is usual with the waveform. Raises InputError
    for what it cannot know."""
    ofdm = parse_waveform(waveform) is not None
    kind, colon, estimator = csi.partition(":")
    if not csi:
        return ESTIMATED if ofdm else PERFECT
    if ofdm:
        if kind not in CSI_OF_SAMPLES or (colon and (kind != ESTIMATED or estimator not in ESTIMATORS)):
            raise InputError(f"CSI {csi!r} is not OFDM's: that is estimated, estimated:ls or perfect")
        return kind if estimator == LMMSE else csi
    if kind == ESTIMATED:
        raise InputError("CSI is estimated from the pilots of --waveform ofdm: symbols have none")
    parse_csi(csi)
    return csi


def parse_link(channel: str, snr_db: float, csi: str = "", waveform: str = SYMBOLS) -> Channel:
    """The channel of symbols that a waveform makes of a channel. csi: `perfect`, `noisy:DB` or, with OFDM,
    `estimated`, `estimated:ls` or `perfect`; what is usual where it is empty. Raises InputError for a channel
    that the waveform cannot undo."""
    known, air = csi_with(waveform, csi), parse_waveform(waveform)
    if air is not None:
        kind, _, estimator = known.partition(":")
        return OverOFDM(snr_db, parse_channel(channel, snr_db), air, kind, estimator or LMMSE)
    found = parse_channel(channel, snr_db, known)
    if found.acts_on_samples:
        raise InputError(f"channel {channel} acts on samples, and symbols are none: it needs waveform ofdm")
    return found
