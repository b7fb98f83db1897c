"""What every System promises."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from jscc_sim.channels import AWGN, Channel, Fading
from jscc_sim.errors import BudgetError
from jscc_sim.images import Picture
from jscc_sim.systems.base import MID_GREY, System, Transmission
from jscc_sim.testing.pictures import sample_picture


class SystemContract:
    """What every System promises. Set `system` to an instance; the rest may be changed."""

    system: System
    channels: ClassVar[tuple[Channel, ...]] = (AWGN(12.0), Fading(18.0), Fading(15.0, 4.0, 64, 25.0))
    sizes: ClassVar[tuple[tuple[int, int], ...]] = ((64, 96), (47, 81))
    cbrs: ClassVar[tuple[float, ...]] = (1 / 4, 1 / 8)
    hopeless: ClassVar[Channel] = AWGN(-30.0)

    def test_returns_a_picture_within_the_budget(self) -> None:
        for channel, picture, budget in self._cases():
            sent = self._transmit(picture, channel, budget)
            assert sent.picture.shape == picture.shape
            assert sent.picture.dtype == np.uint8
            assert 0 <= sent.header_uses <= sent.uses <= budget
            assert isinstance(sent.outage, bool)
            assert all(seconds >= 0 for seconds in sent.seconds.values())

    def test_is_deterministic(self) -> None:
        for channel, picture, budget in self._cases():
            first, again = (self._transmit(picture, channel, budget) for _ in range(2))
            assert np.array_equal(first.picture, again.picture), "two calls with equal seeds differ"
            assert (first.uses, first.header_uses) == (again.uses, again.header_uses)
            assert first.outage == again.outage

    def test_leaves_its_input_as_it_is(self) -> None:
        for channel, picture, budget in self._cases():
            before = picture.copy()
            self._transmit(picture, channel, budget)
            assert np.array_equal(picture, before), "the system changed the picture it was given"

    def test_an_outage_is_mid_grey_and_no_error(self) -> None:
        """The sender believes in the first of the channels; what arrives is next to nothing."""
        for _, picture, budget in self._cases():
            rng = np.random.default_rng(1)
            sent = self.system.transmit(picture, self.hopeless, budget, rng, belief=self.channels[0])
            assert sent.uses <= budget
            assert not sent.outage or (sent.picture == MID_GREY).all()

    def test_refuses_a_budget_that_it_cannot_keep(self) -> None:
        for channel, picture, _ in self._cases():
            for budget in (0, 1):
                try:
                    uses = self._transmit(picture, channel, budget).uses
                except BudgetError:
                    continue
                assert uses <= budget

    def _cases(self) -> Iterator[tuple[Channel, Picture, int]]:
        for channel in self.channels:
            for (height, width), cbr in zip(self.sizes, self.cbrs, strict=True):
                yield channel, sample_picture(height, width), int(cbr * 3 * height * width)

    def _transmit(self, picture: Picture, channel: Channel, budget: int) -> Transmission:
        return self.system.transmit(picture, channel, budget, np.random.default_rng(1))
