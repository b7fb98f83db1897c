"""An image codec and an ideal channel code: a bound that no finite code reaches.

Every use carries log2(1 + SNR) bits, nothing is lost to headers or blocks. Under fading that the sender
does not know it plans for what all but 5 % of the frames exceed, and a frame that its fading cannot carry
is an outage.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel
from jscc_sim.codecs import Codec, check_codec
from jscc_sim.coding.capacity import shannon_bits
from jscc_sim.errors import BudgetError, OutageError
from jscc_sim.images import Picture
from jscc_sim.plugins import label
from jscc_sim.systems.base import Stopwatch, System, Transmission, mid_grey, true_fading
from jscc_sim.systems.link_quality import check_noise_known, csit_snr_db, planning_snr_db, probe_db


@dataclass(frozen=True)
class IdealDigital(System):
    """codec: of the picture; csit: the sender knows the fading of each frame beforehand."""

    format: ClassVar[int] = 2

    codec: Codec
    csit: bool = field(default=False, metadata={"key": "informed"})
    equaliser: str = "mmse"

    realisable = False

    def __post_init__(self) -> None:
        check_codec(label(self.codec), self.codec)

    def prepare(self) -> None:
        """See System.prepare."""
        self.codec.version()

    def version(self) -> str:
        """See System.version."""
        return self.codec.version()

    def check(self, channel: Channel) -> None:
        """See System.check."""
        check_noise_known(channel, self.equaliser, "capacities")

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        snr_db = belief.snr_db if self.csit else planning_snr_db(belief, budget)
        self.codec.compress(picture, _bits(budget, snr_db))

    def _transmit(
        self, picture: Picture, channel: Channel, budget: int, rng: np.random.Generator, belief: Channel
    ) -> Transmission:
        if budget < 1:
            raise BudgetError(f"budget of {budget} uses is below 1")
        watch = Stopwatch()
        with watch.stage("encode"):
            if self.csit:
                snr_db = csit_snr_db(true_fading(channel, rng), 0, budget)
            else:
                snr_db = planning_snr_db(belief, budget)
            try:
                data = self.codec.compress(picture, _bits(budget, snr_db))
            except BudgetError:
                if not self.csit:
                    raise
                return Transmission(mid_grey(*picture.shape[:2]), 0, 0, True)  # not worth sending
            uses = min(math.ceil(8 * len(data) / float(_capacity(snr_db))), budget)
        try:
            with watch.stage("channel"):
                carried = float(_capacity(probe_db(partial(channel, rng=rng), uses, self.equaliser)).sum())
        except OutageError:  # a waveform's frame that was not found
            carried = 0.0
        outage = not self.csit and carried < 8 * len(data) * (1 - 1e-6)
        with watch.stage("decode"):
            found = mid_grey(*picture.shape[:2]) if outage else self.codec.decompress(data)
        return Transmission(found, uses, 0, outage, seconds=watch.seconds)


def _bits(uses: int, snr_db: float) -> int:
    return int(uses * float(_capacity(snr_db)) * (1 + 1e-12))


def _capacity(snr_db: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return shannon_bits(10 ** (snr_db / 10))
