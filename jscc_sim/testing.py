"""Contract tests for plug-in authors: subclass one, set what is tested, run pytest.

For a policy: `class TestMine(PolicyContract): policy = Mine()`; for a system:
`class TestMine(SystemContract): system = Mine()`; for a metric: `class TestMine(MetricContract):
metric = Mine()`.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from jscc_sim.allocation import TABLES, AllocationPolicy, BlockStatistics
from jscc_sim.allocation.base import Index
from jscc_sim.channels import AWGN, Channel, Fading
from jscc_sim.errors import BudgetError
from jscc_sim.images import Picture
from jscc_sim.metrics import Metric
from jscc_sim.metrics.base import check_column
from jscc_sim.systems.base import MID_GREY, System, Transmission
from jscc_sim.units import STANDARD_RATIOS, RatioSet


@dataclass(frozen=True)
class PolicyCase:
    """One call of a policy."""

    blocks: BlockStatistics
    ratios: RatioSet
    budget: int


class PolicyContract:
    """What every AllocationPolicy promises. Set `policy` to an instance."""

    policy: AllocationPolicy

    def test_has_no_hidden_state(self) -> None:
        fields = {f.name for f in dataclasses.fields(self.policy)}
        hidden = vars(self.policy).keys() - fields
        assert not hidden, f"{sorted(hidden)} are no dataclass fields, so no result would record them"

    def test_declares_what_it_needs(self) -> None:
        unknown = set(self.policy.needs) - {"score", *TABLES}
        assert not unknown, f"needs {sorted(unknown)}, which no system supplies"

    def test_keeps_its_promise(self) -> None:
        """Shape, dtype, range and budget, over random blocks and edge cases."""
        for case in policy_cases(self.policy):
            index = self._allocate(case)
            assert index.shape == (len(case.blocks),)
            assert index.dtype == np.int64
            assert index.min(initial=0) >= 0
            assert index.max(initial=0) < len(case.ratios)
            assert case.ratios.spent(index) <= case.budget

    def test_is_deterministic(self) -> None:
        for case in policy_cases(self.policy):
            again = copy.deepcopy(self.policy).allocate(case.blocks, case.ratios, case.budget)
            assert np.array_equal(self._allocate(case), again), "two equal calls differ"

    def test_leaves_its_inputs_as_they_are(self) -> None:
        for case in policy_cases(self.policy):
            before = copy.deepcopy(case.blocks)
            self._allocate(case)
            for name in ("score", "mse", "energy"):
                same = np.array_equal(getattr(before, name), getattr(case.blocks, name))
                assert same, f"the policy changed blocks.{name}"

    def _allocate(self, case: PolicyCase) -> Index:
        return self.policy.allocate(case.blocks, case.ratios, case.budget)


def policy_cases(policy: AllocationPolicy) -> Iterator[PolicyCase]:
    """Random blocks with no more than what the policy needs, and the edges: the same each time."""
    tables = bool(set(policy.needs) & set(TABLES))
    rng = np.random.default_rng(2024)
    for ratios in (
        STANDARD_RATIOS,
        RatioSet((0, 1)),
        RatioSet((0, 5, 6, 40)),
        RatioSet((0, 5, 6, 40), (0, 5)),
    ):
        most = ratios.uses[-1]
        for count in (0, 1, 2, 7, 100):
            for budget in (0, 1, count * most // 9, count * most // 2, count * most, 10**15):
                yield PolicyCase(_blocks(rng.gamma(0.5, 500, count), ratios, tables), ratios, budget)
        for constant in (0.0, 7.0, 1e300):
            yield PolicyCase(_blocks(np.full(30, constant), ratios, tables), ratios, 9 * most)


def _blocks(score: np.ndarray, ratios: RatioSet, tables: bool) -> BlockStatistics:
    """Errors that fall with the uses, energies that rise with them, errors that rise with the noise."""
    if not tables:
        return BlockStatistics(score)
    spread = np.minimum(score, 1e6)[:, None]
    mse = spread * np.exp2(-ratios.array / (20 + spread))
    energy = np.sqrt(spread) * ratios.array
    return BlockStatistics(score, mse, energy, lambda mean: mse + 0.1 * mean)


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


class MetricContract:
    """What every Metric promises. Set `metric` to an instance."""

    metric: Metric

    def test_names_its_column_and_axis(self) -> None:
        check_column(self.metric)

    def test_is_a_number_or_none_for_any_size(self) -> None:
        for height, width in ((1, 1), (1, 40), (3, 5), (11, 11), (47, 81), (161, 200)):
            picture = sample_picture(height, width)
            for reference in (picture, 255 - picture, np.zeros_like(picture)):
                value = self.metric(picture, reference)
                assert value is None or isinstance(value, float)

    def test_is_deterministic_and_leaves_its_input_as_it_is(self) -> None:
        picture, damaged = sample_picture(170, 180), self._damaged(40)
        before = picture.copy(), damaged.copy()
        assert self.metric(damaged, picture) == self.metric(damaged, picture), "two equal calls differ"
        assert np.array_equal(picture, before[0]), "the metric changed the reference it was given"
        assert np.array_equal(damaged, before[1]), "the metric changed the picture it was given"

    def test_more_noise_is_worse(self) -> None:
        picture = sample_picture(170, 180)
        little, much = (self.metric(self._damaged(sigma), picture) for sigma in (4, 40))
        assert little is not None, "it has no value for a picture of 170x180 pixels"
        assert much is not None, "it has no value for a picture of 170x180 pixels"
        assert (little > much) == self.metric.higher_is_better, "it says the opposite of higher_is_better"
        assert little != much, "it does not see noise"

    def _damaged(self, sigma: float) -> Picture:
        picture = sample_picture(170, 180)
        noise = np.random.default_rng(3).normal(0, sigma, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def sample_picture(height: int, width: int) -> Picture:
    """Slopes, an edge and a busy corner: the same each time."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([2 * x, 255 - 2 * y, 60 + x + y], axis=-1).astype(np.float64) % 256
    picture[: height // 2, : width // 2] += np.random.default_rng(5).normal(
        0, 40, (height // 2, width // 2, 3)
    )
    picture[height // 3 :, width // 2 :] *= 0.5
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
