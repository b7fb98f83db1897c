"""The generative receiver: frames of the linear zoo under uniform allocation, read with a learned prior.

The sender is block JSCC's with the zoo `linear`, frame for frame: header, ratio map and all. The
receiver takes each block's coefficients for Gaussians given latents that it searches by gradient
descent, see search.py, and keeps the linear estimate where the search does not win.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np

from jscc_sim.allocation import Uniform
from jscc_sim.blocks import reassemble
from jscc_sim.channels import Channel, Equalised
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.header import FrameHeader
from jscc_sim.images import Picture
from jscc_sim.learned.generative.network import BlockVAE, BlockVAEArchitecture
from jscc_sim.learned.generative.search import STEPS, decode
from jscc_sim.nn.linear import LinearBank
from jscc_sim.nn.loading import loaded
from jscc_sim.systems.analog import AnalogLink, FrameRequest, Payload
from jscc_sim.systems.base import Stopwatch
from jscc_sim.systems.block_jscc import BlockJSCC, RatioMap
from jscc_sim.units import RatioSet
from jscc_sim.zoo import load_zoo

SENDER = "linear"

SAME_BANK = 0.01
"""Largest difference between the logarithms of a coefficient's variance in the sender's bank and in the
one that the prior was trained with: half precision leaves less than that."""


@dataclass(frozen=True)
class Generative(AnalogLink[RatioMap]):
    """weights: the folder of the prior's, the released ones by default; steps: of the search, with 0 the
    best of its starts is taken; equaliser: see channels; header_margin_db: see
    coding.protection.Protection."""

    format: ClassVar[int] = 2

    weights: str = field(default="", repr=False)
    equaliser: str = "mmse"
    steps: int = STEPS
    header_margin_db: float | None = None

    @cached_property
    def model(self) -> Checkpoint:
        """The prior's weights and manifest."""
        return Checkpoint.find("generative", self.weights)

    @cached_property
    def sender(self) -> BlockJSCC:
        """What makes the frames."""
        return BlockJSCC(
            load_zoo(SENDER), Uniform(), equaliser=self.equaliser, header_margin_db=self.header_margin_db
        )

    @cached_property
    def bank(self) -> LinearBank:
        """What makes the payload."""
        bank = self.sender.zoo.bank
        assert isinstance(bank, LinearBank)
        return bank

    @cached_property
    def prior(self) -> BlockVAE:
        """Of the blocks' coefficients. Raises InputError for weights of anything else."""
        variance = self.bank.variance
        prior = loaded(
            self.model, BlockVAEArchitecture, lambda architecture: BlockVAE(architecture, variance)
        )
        if not (np.abs(prior.log_variance.double().numpy() - np.log(variance)) < SAME_BANK).all():
            raise self.model.misfit(ValueError(f"it was trained with another bank than the zoo {SENDER}"))
        return prior

    @property
    def ratios(self) -> RatioSet:  # type: ignore[override]
        """The sender's."""
        return self.sender.ratios

    def prepare(self) -> None:
        """See System.prepare."""
        self.sender.prepare()
        _ = self.prior

    def version(self) -> str:
        """See System.version."""
        return f"{self.sender.zoo.sha256} {self.model.identity}"

    def check_fits(self, picture: Picture, budget: int, belief: Channel) -> None:
        """See System.check_fits."""
        self.sender.check_fits(picture, budget, belief)

    @property
    def name(self) -> str:
        """The sender's."""
        return self.sender.name

    @property
    def system_id(self) -> int:
        """The sender's."""
        return self.sender.system_id

    def check_header(self, header: FrameHeader) -> None:
        """See AnalogLink.check_header."""
        self.sender.check_header(header)

    def payload(self, picture: Picture, request: FrameRequest, watch: Stopwatch) -> Payload[RatioMap]:
        """See AnalogLink.payload."""
        return self.sender.payload(picture, request, watch)

    def fields(self, header: FrameHeader) -> RatioMap:
        """See AnalogLink.fields."""
        return self.sender.fields(header)

    def picture(self, heard: Equalised, header: FrameHeader, fields: RatioMap, watch: Stopwatch) -> Picture:
        """See AnalogLink.picture."""
        with watch.stage("decode"):
            known = (header.gain, fields.grid, fields.index, header.sender_snr_db)
            blocks = decode(self.bank, self.prior, heard, *known, self.steps)
        with watch.stage("reassembly"):
            return reassemble(blocks, fields.grid)
