"""What the page says in numbers of a picture that was sent."""

from __future__ import annotations

from collections.abc import Sequence

from jscc_sim.api import Sent
from jscc_sim.demo.settings import Scheme

NONE = "–"


def numbers(sent: Sent) -> dict[str, str]:
    """Name -> value with its unit, in the order of the table."""
    quality, air = sent.quality, sent.air
    shown = {
        "PSNR": "lossless" if quality.psnr_db is None else f"{quality.psnr_db:.2f} dB",
        "SSIM": NONE if quality.ssim is None else f"{quality.ssim:.4f}",
        "MS-SSIM": NONE if quality.ms_ssim is None else f"{quality.ms_ssim:.4f}",
        "channel uses": f"{sent.uses} of {sent.budget_uses}",
        "CBR": f"{sent.cbr:.5f}",
        "header": f"{sent.header_uses} uses, {sent.header_uses / max(sent.uses, 1):.2%}",
        "header made for": NONE if sent.header_snr_db is None else f"{sent.header_snr_db:.1f} dB",
        "PAPR": NONE if sent.papr_db is None else f"{max(sent.papr_db, 0):.1f} dB",
        "coder": sent.coder or NONE,
        "seconds": f"{sum(sent.seconds.values()):.2f}",
    }
    if air is not None and air.uses != air.data:
        shown["of the uses"] = (
            f"{air.data} data, {air.pilots} pilots, {air.prefix} prefix, {air.preamble} preamble"
        )
    return shown


def compared(columns: Sequence[Sent | None]) -> list[list[str]]:
    """Rows of a table: a name, then the value of each column; none of a system that failed."""
    each = [numbers(sent) if sent else {} for sent in columns]
    names = list(dict.fromkeys(name for column in each for name in column))
    return [[name, *(column.get(name, NONE) for column in each)] for name in names]


def summary(scheme: Scheme, sent: Sent) -> str:
    """One line: how good it is, and who sent."""
    return f"{'OUTAGE' if sent.outage else numbers(sent)['PSNR']}, {scheme.label}"
