"""Systems by name, as the command line and grids know them.

block-jscc                          the project's own
CODEC+ldpc, CODEC+ldpc:MODE         a file, 5G LDPC and QAM; a mode such as 64qam-517 fixed
CODEC+ldpc:csit                     the sender knows the fading of each frame
CODEC+ldpc-abstraction[:...]        the same, code blocks lost by lot as often as measured
CODEC+ideal[:csit]                  a bound: log2(1 + SNR) bits in every use
quantised+uep                       the quantised autoencoder's bits, protected unequally
softcast                            analog
vae:N, digits, generative           analog and learned

and plug-ins: the name of an installed one, package.module:Class or file.py:Class, with :key=value,... or
without, of a System, or of a Codec in front of +CODE.
"""

from __future__ import annotations

import re
from typing import Any

from jscc_sim.channels import check_equaliser
from jscc_sim.codecs import LEARNED, codec_name, codec_names, find_codec
from jscc_sim.coding.mcs import find_scheme
from jscc_sim.coding.protection import check_margin_db
from jscc_sim.errors import InputError
from jscc_sim.learned.digits.link import DigitLink
from jscc_sim.learned.quantised.codec import Quantised
from jscc_sim.learned.quantised.link import UEP, QuantisedUEP
from jscc_sim.plugins import ByValue, UnknownNameError, field_names, find_plugin, is_own, label, load_plugin
from jscc_sim.systems.abstraction import DigitalAbstraction
from jscc_sim.systems.base import System
from jscc_sim.systems.digital import Digital
from jscc_sim.systems.ideal import IdealDigital
from jscc_sim.systems.payload import SOFTCAST
from jscc_sim.systems.softcast import SoftCast

BLOCK_JSCC = "block-jscc"
CODES = ("ldpc", "ldpc-abstraction", "ideal")
_CODED = re.compile(r"(?P<codec>.+)\+(?P<code>ldpc-abstraction|ldpc|ideal)(?::(?P<option>.*))?", re.DOTALL)

GROUP = "jscc_sim.systems"
"""Of the entry points by which installed packages add theirs."""

CSIT = "csit"

_ANALOG_OPTIONS = ("zoo", "equaliser", "header_margin_db")
_CODED_OPTIONS = ("zoo", "equaliser")
SYSTEMS = {
    BLOCK_JSCC: (
        (
            *("zoo", "policy", "complexity", "companion", "equaliser", "side_info", "header_margin_db"),
            *("precision", "device", "threads"),
        ),
        "Adaptive block-wise JSCC, the project's own.",
    ),
    "CODEC+ldpc[:MODE|:csit]": (_CODED_OPTIONS, "A file of the codec, 5G LDPC and QAM, really decoded."),
    "CODEC+ldpc-abstraction[:MODE|:csit]": (
        _CODED_OPTIONS,
        "The same, code blocks lost by lot as often as measured.",
    ),
    "CODEC+ideal[:csit]": (_CODED_OPTIONS, "A file of the codec at capacity: a bound, not realisable."),
    UEP: (_ANALOG_OPTIONS, "The quantised autoencoder's bits, protected unequally."),
    SOFTCAST: (("equaliser", "header_margin_db"), "Coefficients of a whole-image DCT as analog symbols."),
    "vae:N": (_ANALOG_OPTIONS, "N = 2, 4 or 8 analog latents for 4x4 pixels."),
    "digits": (_ANALOG_OPTIONS, "Handwritten digits as dithered analog latents."),
    "generative": (_ANALOG_OPTIONS, "The linear coder's frames; a generative model is the receiver's prior."),
}
"""Form of the name -> options that it takes, and what it is."""

OPTIONS = {
    "zoo": "name or folder of weights",
    "policy": "allocation of uses to blocks",
    "complexity": "estimator of blocks",
    "companion": "auto or none",
    "equaliser": "none, zf or mmse",
    "side_info": "transmitted or genie",
    "header_margin_db": "dB below the sender's SNR that the header is made for",
    "precision": "fp32 or bf16",
    "device": "cpu, cuda or cuda:N",
    "threads": "of the processor, for the networks",
}
"""Of the systems: options of `jscc-sim transmit`, keys of [[systems]]."""

ANALOG = ("vae:2", "vae:4", "vae:8", "digits", "generative", UEP)
"""Learned systems that are no codec with a code."""

_FAMILIES = {name.partition(":")[0] for name in ANALOG}


def load_baseline(
    name: str, equaliser: str = "mmse", zoo: str = "", header_margin_db: float | None = None
) -> System:
    """The system of a name other than block-jscc. zoo: folder of the weights of a learned one, if not the
    released ones; header_margin_db: of an analog one, see coding.protection.Protection. Raises InputError
    for a system that does not exist. Fields of these names that a plug-in has are set to them."""
    check_equaliser(equaliser)
    check_margin_db(header_margin_db)
    if isinstance(name, ByValue):
        return _carried(name, equaliser, zoo, header_margin_db)
    if name in ANALOG:
        return _load_analog(name, equaliser, zoo, header_margin_db)
    coded = _CODED.fullmatch(standard_name(name))
    if zoo and (name == SOFTCAST or (coded and coded["codec"] not in LEARNED)):
        raise InputError(f"system {name} has no zoo {zoo}")
    if name == SOFTCAST:
        return SoftCast(equaliser, header_margin_db)
    if name.partition(":")[0] in _FAMILIES:
        raise InputError(f"system {name!r} is none of {', '.join(ANALOG)}")
    if not coded:
        return _plugin(name, {"equaliser": equaliser, "zoo": zoo, "header_margin_db": header_margin_db})
    if header_margin_db is not None:
        raise InputError(
            f"system {name} has no header margin of {header_margin_db:g} dB: its payload has none either"
        )
    code, option = coded["code"], coded["option"] or ""
    codec, colon, csit = find_codec(coded["codec"], zoo), coded["option"] is not None, option == CSIT
    if colon and not csit and code == "ideal":
        raise InputError(f"system {name!r}: an ideal code has no modes; {CSIT} is all that may follow")
    if code == "ideal":
        return IdealDigital(codec, csit, equaliser)
    scheme = find_scheme(option) if colon and not csit else None
    link = Digital(codec, scheme, csit, equaliser)
    return link if code == "ldpc" else DigitalAbstraction(link)


def standard_name(name: str) -> str:
    """The name with its codec's own in place of another that people know it by, which is said once."""
    coded = None if isinstance(name, ByValue) else _CODED.fullmatch(name)
    return f"{codec_name(coded['codec'])}{name[coded.end('codec') :]}" if coded else name


def system_name(system: System) -> tuple[str, str]:
    """(name, zoo) of a system in memory; where it has a plug-in in it, or is one, what tables call it: no
    name makes it again."""
    if isinstance(system, DigitalAbstraction):
        name, zoo = system_name(system.link)
        return name.replace("+ldpc", "+ldpc-abstraction"), zoo
    if isinstance(system, Digital | IdealDigital):
        codec = system.codec
        option = f":{CSIT}" if system.csit else ""
        if isinstance(system, Digital) and system.scheme is not None:
            option = f":{system.scheme.name}"
        named = codec.name if is_own(type(codec)) else label(codec)
        return f"{named}+{'ldpc' if isinstance(system, Digital) else 'ideal'}{option}", getattr(
            codec, "folder", ""
        )
    return (SOFTCAST if isinstance(system, SoftCast) else label(system)), ""


def _carried(name: ByValue, equaliser: str, zoo: str, margin_db: float | None) -> System:
    """An instance, which has what it has."""
    system: System = load_plugin(name, {}, System)
    asked = {"equaliser": (equaliser, "mmse"), "zoo": (zoo, ""), "header_margin_db": (margin_db, None)}
    for field, (value, default) in asked.items():
        has = getattr(system, field, default) if field != "zoo" else ""
        if value != has:
            raise InputError(f"system {name} was made with {field} {has}, not {value}")
    return system


def _plugin(name: str, asked: dict[str, Any]) -> System:
    known: dict[str, type[System]] = {}
    try:
        cls, _ = find_plugin(name, known, System, GROUP)
    except UnknownNameError as error:
        names = ", ".join((BLOCK_JSCC, SOFTCAST, *ANALOG, *error.installed))
        raise InputError(
            f"system {name!r} is not {names}, CODEC+CODE, "
            f"package.module:Class or file.py:Class; codecs: {', '.join(codec_names())}; "
            f"codes: {', '.join(CODES)}"
        ) from None
    given = {}
    for field, value in asked.items():
        if field in field_names(cls):
            given[field] = value
        elif value not in ("", None, "mmse"):
            raise InputError(f"system {name} has no {field} {value}: {cls.__name__} has no such field")
    return load_plugin(name, known, System, GROUP, given)


def _load_analog(name: str, equaliser: str, zoo: str, margin_db: float | None) -> System:
    """Those whose modules load torch are imported when they are asked for."""
    if name == UEP:
        return QuantisedUEP(Quantised(zoo), equaliser, margin_db)
    if name == "digits":
        return DigitLink(zoo, equaliser, margin_db)
    if name == "generative":
        from jscc_sim.learned.generative.link import Generative

        return Generative(zoo, equaliser, header_margin_db=margin_db)
    from jscc_sim.learned.vae.link import VAELink

    return VAELink(int(name.partition(":")[2]), zoo, equaliser, margin_db)
