"""What every AllocationPolicy promises."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jscc_sim.allocation import TABLES, AllocationPolicy, BlockStatistics
from jscc_sim.allocation.base import Index
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
