"""The digital chain without its decoder: code blocks are lost by lot, as often as they were when measured.

A block's fate depends on the effective SNR of the uses that it is spread over (`link_quality`) and on the
measured error rate of its mode there. The header is lost below the SNR at which half of such headers are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel
from jscc_sim.coding import qam
from jscc_sim.coding.parts import Parts
from jscc_sim.coding.protection import waterfall_snr_db
from jscc_sim.errors import OutageError
from jscc_sim.images import Picture
from jscc_sim.systems.base import Stopwatch, System, Transmission, mid_grey, true_fading
from jscc_sim.systems.digital import HEADER_BITS, CodedFile, Digital
from jscc_sim.systems.link_quality import check_noise_known, effective_snr_db, probe_db


@dataclass(frozen=True)
class DigitalAbstraction(System):
    """link: the chain that it stands for."""

    format: ClassVar[int] = 2

    link: Digital

    def prepare(self) -> None:
        """See System.prepare."""
        self.link.prepare()

    def version(self) -> str:
        """See System.version."""
        return f"by lot, {self.link.version()}"

    def check(self, channel: Channel) -> None:
        """See System.check."""
        check_noise_known(channel, self.link.equaliser, "measured error rates")

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self.link.check_fits(picture, budget, belief)

    def _transmit(
        self, picture: Picture, channel: Channel, budget: int, rng: np.random.Generator, belief: Channel
    ) -> Transmission:
        csit = true_fading(channel, rng) if self.link.csit else None
        coded = self.link.coded_file(picture, budget, belief, csit)
        watch = Stopwatch()
        try:
            with watch.stage("channel"):
                quality = probe_db(partial(channel, rng=rng), coded.uses, self.link.equaliser)
            with watch.stage("frame"):
                outage = self._is_lost(quality, coded, rng)
        except OutageError:  # a waveform's frame that was not found
            outage = True
        with watch.stage("decode"):
            found = mid_grey(*picture.shape[:2]) if outage else self.link.codec.decompress(coded.data)
        seconds = {**coded.seconds, **watch.seconds}
        return Transmission(
            found,
            coded.uses,
            coded.header_uses,
            outage,
            seconds=seconds,
            coder=coded.coder,
            header_snr_db=coded.header_snr_db,
        )

    def _is_lost(self, quality: NDArray[np.float64], coded: CodedFile, rng: np.random.Generator) -> bool:
        """Whether a block or the header is. quality: [uses] SNR of each in dB."""
        header, payload = quality[: coded.header_uses], quality[coded.header_uses :]
        lost = rng.spawn(1)[0].random(coded.parts.blocks) < error_rates(payload, coded.parts)
        deaf = effective_snr_db(header, qam.QPSK) < waterfall_snr_db(HEADER_BITS, coded.header_snr_db)
        return bool(lost.any() or deaf)


def error_rates(snrs_db: NDArray[np.float64], parts: Parts) -> NDArray[np.float64]:
    """[blocks] how likely each code block is lost. snrs_db: [uses] of the payload as it is sent."""
    main, tail = np.split(snrs_db[np.argsort(parts.order(), kind="stable")], [parts.main.uses])
    found = []
    for quality, (mode, blocks) in zip((main, tail), parts, strict=True):
        each = effective_snr_db(quality.reshape(blocks, mode.uses), mode.scheme.bits_per_symbol)
        found.append(mode.error_rate(each))
    return np.concatenate(found)
