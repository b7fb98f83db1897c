"""Systems by name, as the command line and grids know them.

block-jscc                          the project's own
CODEC+ldpc, CODEC+ldpc:MODE         a file, 5G LDPC and QAM; a mode such as 64qam-517 fixed
CODEC+ldpc:csit                     the sender knows the fading of each frame
CODEC+ldpc-abstraction[:...]        the same, code blocks lost by lot as often as measured
CODEC+ideal[:csit]                  a bound: log2(1 + SNR) bits in every use
quantised+uep                       the quantised autoencoder's bits, protected unequally
softcast                            analog
vae:N, digits, generative           analog and learned
"""

from __future__ import annotations

from jscc_sim.channels import EQUALISERS
from jscc_sim.codecs import CODECS, LEARNED, find_codec
from jscc_sim.coding.mcs import find_scheme
from jscc_sim.coding.protection import check_margin_db
from jscc_sim.errors import InputError
from jscc_sim.learned.digits.link import DigitLink
from jscc_sim.learned.quantised.codec import Quantised
from jscc_sim.learned.quantised.link import UEP, QuantisedUEP
from jscc_sim.systems.abstraction import DigitalAbstraction
from jscc_sim.systems.base import System
from jscc_sim.systems.digital import Digital
from jscc_sim.systems.ideal import IdealDigital
from jscc_sim.systems.payload import SOFTCAST
from jscc_sim.systems.softcast import SoftCast

BLOCK_JSCC = "block-jscc"
CODES = ("ldpc", "ldpc-abstraction", "ideal")
CSIT = "csit"

ANALOG = ("vae:2", "vae:4", "vae:8", "digits", "generative", UEP)
"""Learned systems that are no codec with a code."""


def load_baseline(
    name: str, equaliser: str = "mmse", zoo: str = "", header_margin_db: float | None = None
) -> System:
    """The system of a name other than block-jscc. zoo: folder of the weights of a learned one, if not the
    released ones; header_margin_db: of an analog one, see coding.protection.Protection. Raises InputError
    for a system that does not exist."""
    if equaliser not in EQUALISERS:
        raise InputError(f"equaliser {equaliser!r} is not one of {', '.join(EQUALISERS)}")
    check_margin_db(header_margin_db)
    if name in ANALOG:
        return _load_analog(name, equaliser, zoo, header_margin_db)
    coded, colon, option = name.partition(":")
    codec_name, plus, code = coded.partition("+")
    if zoo and (name == SOFTCAST or (codec_name in CODECS and codec_name not in LEARNED)):
        raise InputError(f"system {name} has no zoo {zoo}")
    if name == SOFTCAST:
        return SoftCast(equaliser, header_margin_db)
    if not plus or code not in CODES:
        raise InputError(
            f"system {name!r} is not {BLOCK_JSCC}, {', '.join((SOFTCAST, *ANALOG))} or CODEC+CODE; "
            f"codecs: {', '.join(CODECS)}; codes: {', '.join(CODES)}"
        )
    if header_margin_db is not None:
        raise InputError(
            f"system {name} has no header margin of {header_margin_db:g} dB: its payload has none either"
        )
    codec, csit = find_codec(codec_name, zoo), option == CSIT
    if colon and not csit and code == "ideal":
        raise InputError(f"system {name!r}: an ideal code has no modes; {CSIT} is all that may follow")
    if code == "ideal":
        return IdealDigital(codec, csit, equaliser)
    scheme = find_scheme(option) if colon and not csit else None
    link = Digital(codec, scheme, csit, equaliser)
    return link if code == "ldpc" else DigitalAbstraction(link)


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
