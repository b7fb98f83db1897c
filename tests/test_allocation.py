"""Policies: their contract, what each is for, and how near the Lagrangian one is to the optimum."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass
from typing import ClassVar

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jscc_sim._kernels import slopes
from jscc_sim.allocation import (
    POLICIES,
    AllocationPolicy,
    BlockStatistics,
    EncoderInTheLoop,
    Lagrangian,
    Oracle,
    Proportional,
    Random,
    Uniform,
    VarianceQuintiles,
    WaterFilling,
    fit_to_budget,
    load_policy,
)
from jscc_sim.allocation.equal_slope import _priced, equal_slope, total_error
from jscc_sim.allocation.smoothing import smoothed
from jscc_sim.errors import InputError
from jscc_sim.testing import PolicyContract
from jscc_sim.units import STANDARD_RATIOS, RatioSet

SMALL = RatioSet((0, 2, 3, 8))
SCORES = BlockStatistics(np.random.default_rng(3).gamma(0.5, 500, 120))


def total(table, index):
    return table[np.arange(len(index)), index].sum()


def gaussian_blocks(count, snr_db, seed=0):
    """Blocks of Gaussian coefficients whose variances fall at random speeds, sent by the linear coder."""
    rng = np.random.default_rng(seed)
    order = np.arange(1, 3073)
    variance = order ** -rng.uniform(0.7, 2, count)[:, None]
    variance *= rng.lognormal(6, 1.8, count)[:, None] / variance.mean(axis=1, keepdims=True)
    sent = 2 * STANDARD_RATIOS.array  # real coefficients
    deviation = np.sqrt(variance)

    def up_to_sent(values):
        return np.pad(np.cumsum(values, axis=1), ((0, 0), (1, 0)))[:, sent]

    def mse_given(mean_energy):
        noise = 10 ** (-snr_db / 10) * mean_energy / 2
        saved = variance - variance * noise / (deviation + noise)
        return variance.mean(axis=1, keepdims=True) - up_to_sent(saved) / 3072

    energy = up_to_sent(deviation)
    return BlockStatistics(variance.mean(axis=1), mse_given(energy[:, 4].mean() / 64), energy, mse_given)


# --- the contract ---------------------------------------------------------------------------------


class TestEveryPolicy(PolicyContract):
    @pytest.fixture(autouse=True, params=POLICIES)
    def _policy(self, request):
        self.policy = load_policy(request.param)


@dataclass(frozen=True)
class Returns(AllocationPolicy):
    """A policy of any outcome."""

    outcome: object = None

    def _allocate(self, blocks, ratios, budget):
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (None, "Returns returned a NoneType, not an array"),
        ([0] * 120, "Returns returned a list, not an array"),
        (np.zeros(120), "Returns returned an array of float64, not of integers"),
        (np.zeros(120, bool), "Returns returned an array of bool, not of integers"),
        (np.zeros(119, int), r"Returns returned shape \[119\] for 120 blocks"),
        (np.zeros((120, 1), int), r"Returns returned shape \[120, 1\] for 120 blocks"),
        (np.full(120, -1), "Returns returned index -1, outside 0 to 11"),
        (np.full(120, 12), "Returns returned index 12, outside 0 to 11"),
        (np.full(120, 2**64 - 1, np.uint64), "returned index 18446744073709551615, outside 0 to 11"),
        (np.full(120, 1), "Returns spent 960 uses of a budget of 959"),
        (KeyError("gone"), "Returns raised KeyError: 'gone'"),
    ],
)
def test_a_broken_policy_is_named(outcome, message):
    with pytest.raises(InputError, match=message) as caught:
        Returns(outcome).allocate(SCORES, STANDARD_RATIOS, 959)
    assert caught.value.__cause__ is (outcome if isinstance(outcome, KeyError) else None)


def test_any_integers_become_int64():
    index = Returns(np.ones(120, np.uint8)).allocate(SCORES, STANDARD_RATIOS, 960)
    assert index.dtype == np.int64
    assert index.tolist() == [1] * 120


@pytest.mark.parametrize(
    ("policy", "blocks", "budget", "message"),
    [
        (Uniform(), SCORES, -1, "Uniform: budget of -1 uses is below 0"),
        (Lagrangian(), SCORES, 99, "Lagrangian needs predicted_mse, a table that the block statistics lack"),
        (EncoderInTheLoop(), SCORES, 99, "EncoderInTheLoop needs sender_measured_mse"),
        (Oracle(), SCORES, 99, "Oracle needs expected_mse"),
        (
            Lagrangian(),
            BlockStatistics(np.ones(2), np.ones((2, 3))),
            9,
            "tables of 3 ratios for a set of 12",
        ),
    ],
)
def test_what_a_policy_cannot_be_given(policy, blocks, budget, message):
    with pytest.raises(InputError, match=message):
        policy.allocate(blocks, STANDARD_RATIOS, budget)


def test_an_unknown_need():
    class Curious(Returns):
        needs: ClassVar[tuple[str, ...]] = ("weather",)

    with pytest.raises(InputError, match="Curious needs 'weather', which is none of score, predicted_mse"):
        Curious().allocate(SCORES, STANDARD_RATIOS, 9)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"score": np.ones((2, 1))}, r"scores have shape \[2, 1\], not \[N\]"),
        ({"score": np.array([1, np.nan])}, "score holds a value that is negative or not finite"),
        ({"score": np.array([1.0, -1.0])}, "score holds a value that is negative"),
        ({"score": np.ones(2), "mse": np.ones((3, 4))}, r"mse has shape \[3, 4\], not \[2, R\]"),
        ({"score": np.ones(2), "energy": np.full((2, 4), np.inf)}, "energy holds .* not finite"),
        ({"score": np.ones(6), "columns": 4}, "6 blocks are no whole rows of 4"),
        ({"score": np.ones(6), "columns": 0}, "6 blocks are no whole rows of 0"),
    ],
)
def test_bad_statistics(fields, message):
    with pytest.raises(InputError, match=message):
        BlockStatistics(**fields)


def test_the_contract_catches_what_the_base_class_cannot():
    @dataclass(frozen=True)
    class Moody(AllocationPolicy):
        def _allocate(self, blocks, ratios, budget):
            weights = np.array([random.random() for _ in range(len(blocks))])
            return fit_to_budget(weights, ratios, budget)

    @dataclass(frozen=True)
    class Spoiler(AllocationPolicy):
        def _allocate(self, blocks, ratios, budget):
            blocks.score[:] = 0
            return np.zeros(len(blocks), int)

    @dataclass(frozen=True)
    class Secretive(AllocationPolicy):
        needs: ClassVar[tuple[str, ...]] = ("luck",)

        def __post_init__(self):
            object.__setattr__(self, "hidden", 1)

        def _allocate(self, blocks, ratios, budget):
            return np.full(len(blocks), 1)

    def contract(tested):
        checks = PolicyContract()
        checks.policy = tested
        return checks

    with pytest.raises(AssertionError, match="differ"):
        contract(Moody()).test_is_deterministic()
    with pytest.raises(AssertionError, match=r"changed blocks\.score"):
        contract(Spoiler()).test_leaves_its_inputs_as_they_are()
    with pytest.raises(AssertionError, match="hidden"):
        contract(Secretive()).test_has_no_hidden_state()
    with pytest.raises(AssertionError, match="luck"):
        contract(Secretive()).test_declares_what_it_needs()
    with pytest.raises(InputError, match="needs 'luck'"):
        contract(Secretive()).test_keeps_its_promise()


def test_only_the_oracle_is_out_of_reach():
    assert [name for name, policy in POLICIES.items() if not policy.realisable] == ["oracle"]


# --- sharing by weight ----------------------------------------------------------------------------


@st.composite
def ratio_sets(draw):
    return RatioSet((0, *sorted(draw(st.sets(st.integers(1, 60), min_size=1, max_size=6)))))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), ratio_sets(), st.integers(0, 800))
def test_fit_to_budget(weights, ratios, budget):
    index = fit_to_budget(np.array(weights, float), ratios, budget)
    expected = naive.fit_to_budget(weights, ratios.array, budget)
    np.testing.assert_array_equal(index, expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(0, 6000), st.sampled_from(sorted(POLICIES)))
def test_withheld_ratios_are_taken_where_nothing_else_fits_every_block(count, budget, name):
    """By no policy; an allocation is that of a set without them."""
    rng = np.random.default_rng(budget)
    mse = -np.sort(-rng.uniform(0, 100, (count, len(STANDARD_RATIOS))), axis=1)
    blocks, policy = BlockStatistics(rng.gamma(0.5, 500, count), mse), load_policy(name)
    index = policy.allocate(blocks, RatioSet(STANDARD_RATIOS.uses, (0, 8)), budget)
    if budget < 16 * count:
        np.testing.assert_array_equal(index, policy.allocate(blocks, STANDARD_RATIOS, budget))
        return
    assert index.min() >= 2
    fewer = BlockStatistics(blocks.score, mse[:, 2:])
    np.testing.assert_array_equal(
        index - 2, policy.allocate(fewer, RatioSet(STANDARD_RATIOS.uses[2:]), budget)
    )


def test_no_allocation_in_the_offered_set_is_better():
    """Exhaustively: the equal-slope policies count what the least ratio takes of every block."""
    rng, ratios = np.random.default_rng(1), RatioSet((0, 2, 5, 9), (0,))
    for _ in range(20):
        cost = -np.sort(-rng.uniform(0, 100, (4, 4)), axis=1)
        for budget in range(8, 37, 3):
            index = Lagrangian(smoothing=0.0).allocate(BlockStatistics(np.ones(4), cost), ratios, budget)
            least = min(
                sum(cost[b, k] for b, k in enumerate(tried))
                for tried in itertools.product((1, 2, 3), repeat=4)
                if sum(ratios.uses[k] for k in tried) <= budget
            )
            found = cost[np.arange(4), index].sum()
            assert index.min() >= 1
            assert found <= least + 35  # off the hull a step of one block at most
            assert ratios.spent(index) <= budget


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), ratio_sets(), st.integers(0, 3000), st.sampled_from(sorted(POLICIES)))
def test_budget_is_kept_and_used(count, ratios, budget, name):
    rng = np.random.default_rng(budget)
    mse = -np.sort(-rng.uniform(0, 100, (count, len(ratios))), axis=1)
    index = load_policy(name).allocate(BlockStatistics(rng.gamma(0.5, 500, count), mse), ratios, budget)
    left = budget - ratios.spent(index)
    below = index < len(ratios) - 1
    steps = np.diff(ratios.array)[index[below]]
    assert left >= 0
    if name == "uniform":
        assert index.max() - index.min() <= 1
        steps = steps[index[below] == index.min()]
    if "mse" not in "".join(load_policy(name).needs):  # those may end at uniform's allocation, or any other
        assert np.all(steps > left), "another step would have fitted"


def test_uniform_spreads_the_higher_ratio_evenly():
    for budget in (100 * 64 + 32 * 37, 100 * 64 + 32 * 37 + 31):
        index = Uniform().allocate(BlockStatistics(np.ones(100)), STANDARD_RATIOS, budget)
        assert np.bincount(index).tolist() == [0, 0, 0, 0, 63, 37]
        assert set(np.diff(np.flatnonzero(index == 5))) == {2, 3}
    index = Uniform().allocate(BlockStatistics(np.ones(9)), STANDARD_RATIOS, 8)
    assert index.tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("name", ["quintiles", "proportional", "water-filling"])
@pytest.mark.parametrize("constant", [0.0, 50.0])
def test_equal_scores_get_what_uniform_gives(name, constant):
    blocks = BlockStatistics(np.full(50, constant))
    for budget in (7, 1000, 50 * 70, 50 * 800):
        found, even = (load_policy(n).allocate(blocks, STANDARD_RATIOS, budget) for n in (name, "uniform"))
        assert np.bincount(found).tolist() == np.bincount(even).tolist()


@pytest.mark.parametrize("name", ["quintiles", "proportional", "water-filling"])
def test_busier_blocks_get_no_less(name):
    budget = 64 * len(SCORES)
    index = load_policy(name).allocate(SCORES, STANDARD_RATIOS, budget)
    quintiles = index[np.argsort(SCORES.score)].reshape(5, -1)
    assert quintiles.max() - quintiles.min() >= 3
    assert np.all(quintiles[1:].min(axis=1) >= quintiles[:-1].max(axis=1))


def test_quintiles():
    blocks = BlockStatistics(np.arange(100.0)[::-1])
    index = VarianceQuintiles().allocate(blocks, RatioSet((0, 10, 20, 30, 40, 50)), 100 * 30)
    assert index.tolist() == np.repeat([5, 4, 3, 2, 1], 20).tolist()


def test_proportional():
    blocks = BlockStatistics(np.array([1.0, 2.0, 4.0, 0.0]))
    assert Proportional().allocate(blocks, RatioSet((0, 1, 2, 4, 8)), 7).tolist() == [1, 2, 3, 0]


def test_water_filling_leaves_blocks_under_water_dry():
    blocks = BlockStatistics(np.array([8.0, 32.0, 128.0, 2.0]))
    assert WaterFilling(level=8).allocate(blocks, RatioSet((0, 1, 2, 4)), 3).tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("level", [0, -1, float("nan"), float("inf")])
def test_water_level(level):
    with pytest.raises(InputError, match="water level"):
        WaterFilling(level=level)


def test_random_knows_its_seed_only():
    first = Random(seed=1).allocate(SCORES, STANDARD_RATIOS, 9999)
    other = BlockStatistics(SCORES.score[::-1].copy())
    np.testing.assert_array_equal(first, Random(seed=1).allocate(other, STANDARD_RATIOS, 9999))
    assert not np.array_equal(first, Random(seed=2).allocate(SCORES, STANDARD_RATIOS, 9999))


# --- the least error ------------------------------------------------------------------------------


def costs(rng, count, ratios):
    """Any tables, falling ones, and small integers, which tie."""
    yield rng.normal(0, 10, (count, len(ratios)))
    yield -np.sort(-rng.gamma(1, 50, (count, len(ratios))), axis=1)
    yield rng.integers(0, 6, (count, len(ratios))).astype(float)


@pytest.mark.parametrize("seed", range(8))
def test_equal_slope_against_all_allocations(seed):
    """Where all blocks stand on one slope, nothing with as few uses costs less (Everett's theorem); what
    is left over is worth no more than that slope, which bounds how far the whole is from the optimum."""
    rng = np.random.default_rng(seed)
    uses = SMALL.array
    for cost in costs(rng, 5, SMALL):
        for budget in (0, 1, *rng.integers(2, 40, 4)):
            slope = slopes.hull_slopes(cost, uses)
            critical = slopes.critical_slope(slope, uses, budget)
            on_slope = slopes.steps_above(slope, critical)
            left = slopes.take_ties(slope, uses, critical, on_slope, budget - SMALL.spent(on_slope))
            assert left == budget - SMALL.spent(on_slope)
            assert total(cost, on_slope) == pytest.approx(naive.least_total(cost, uses, budget - left))

            index = equal_slope(cost, SMALL, int(budget))
            optimum = naive.least_total(cost, uses, budget)
            assert SMALL.spent(index) <= budget
            assert optimum - 1e-9 <= total(cost, index) <= optimum + critical * left + 1e-9
            assert total(cost, index) <= total(cost, on_slope) + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_equal_slope_is_optimal_for_convex_costs_and_equal_steps(seed):
    rng = np.random.default_rng(seed)
    ratios = RatioSet((0, 3, 6, 9))
    cost = -np.cumsum(-np.sort(-rng.gamma(1, 50, (5, 4)), axis=1), axis=1)
    for budget in range(0, 48, 4):
        found = total(cost, equal_slope(cost, ratios, budget))
        assert found == pytest.approx(naive.least_total(cost, ratios.array, budget))


def test_equal_slope_passes_the_dip_of_a_bad_ratio():
    cost = np.array([[100.0, 99.0, 98.0, 10.0], [100.0, 60.0, 59.0, 58.0]])
    assert equal_slope(cost, SMALL, 10).tolist() == [3, 1]
    # 8 do not fit any more, so the rest goes off the hull: to block 1 at a slope of 1, then block 0 at 2/3
    assert equal_slope(cost, SMALL, 7).tolist() == [2, 2]


def test_rising_errors_buy_nothing():
    assert equal_slope(np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]]), SMALL, 99).tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(20))
def test_never_above_uniform(seed):
    """By the table's own measure, however the errors answer to energy."""
    rng = np.random.default_rng(seed)
    mse, energy, noise = (rng.gamma(1, 50, (9, len(SMALL))) for _ in range(3))
    for mse_given in (None, lambda e: mse + noise * e, lambda e: mse + noise / e, lambda e: mse * 0):
        blocks = BlockStatistics(np.ones(9), mse, energy, mse_given)
        for budget in (0, 1, 20, 50, 999):
            index = Lagrangian().allocate(blocks, SMALL, budget)
            uniform = Uniform().allocate(blocks, SMALL, budget)
            assert total_error(blocks, index, SMALL) <= total_error(blocks, uniform, SMALL)


def test_the_price_is_the_derivative_of_the_total_error():
    blocks = gaussian_blocks(300, snr_db=0)
    index = Lagrangian().allocate(blocks, STANDARD_RATIOS, 300 * 64)
    before, priced = total_error(blocks, index, STANDARD_RATIOS), _priced(blocks, index, STANDARD_RATIOS)
    scale = np.abs(np.diff(priced, axis=1)).max()
    for b in range(0, 300, 10):
        moved = index.copy()
        moved[b] += 1 if moved[b] == 0 else -1
        change = total_error(blocks, moved, STANDARD_RATIOS) - before
        assert change == pytest.approx(priced[b, moved[b]] - priced[b, index[b]], rel=0.1, abs=1e-4 * scale)


@pytest.mark.parametrize("snr_db", [-6, -3])
def test_pricing_energy_helps_at_low_snr(snr_db):
    """There the error is bound by energy: unpriced, the busy blocks drown all the others."""
    blocks, budget = gaussian_blocks(60, snr_db), 60 * 64
    priced, unpriced, uniform = (
        total_error(blocks, policy.allocate(blocks, STANDARD_RATIOS, budget), STANDARD_RATIOS)
        for policy in (Lagrangian(), Lagrangian(rounds=0), Uniform())
    )
    assert unpriced <= uniform
    assert priced < 0.96 * unpriced


# --- smoother maps --------------------------------------------------------------------------------


def placed(columns, count=48, seed=0):
    """Blocks of independent errors, in rows, that answer to energy."""
    rng = np.random.default_rng(seed)
    mse = rng.gamma(0.6, 300, count)[:, None] * np.exp2(-STANDARD_RATIOS.array / 200)
    energy = np.sqrt(mse[:, :1]) * STANDARD_RATIOS.array
    return BlockStatistics(mse[:, 0], mse, energy, lambda mean: mse * (1 + mean / 100), columns)


def test_smoothing_is_the_geometric_mean_with_the_neighbours():
    mse = np.array([[1.0], [4.0], [16.0], [2.0], [8.0], [32.0]]) @ np.ones((1, 3))
    found = smoothed(BlockStatistics(np.ones(6), mse, columns=3), 0.5)
    # of the block of 4: above itself, as at an edge; below 8, left 1, right 16; of 1: twice itself, 2 and 4
    assert found.mse[1] == pytest.approx(np.sqrt(4 * (4 * 8 * 1 * 16) ** 0.25))
    assert found.mse[0] == pytest.approx(np.sqrt(1 * (1 * 1 * 2 * 4) ** 0.25))
    assert found.mse_given is None


def test_smoothing_needs_places_and_a_share():
    blocks = placed(None)
    assert smoothed(blocks, 0.3) is blocks
    assert smoothed(placed(8), 0.0).mse is not None
    given = smoothed(placed(8), 0.3)
    assert given.mse_given(0.0) == pytest.approx(given.mse)
    assert given.mse_given(50.0) == pytest.approx(given.mse * 1.5)


def test_smoother_maps_have_fewer_jumps():
    blocks, budget = placed(8), 48 * 100

    def jumps(index):
        rows = index.reshape(-1, 8)
        return np.abs(np.diff(rows, axis=0)).sum() + np.abs(np.diff(rows, axis=1)).sum()

    found = [
        jumps(Lagrangian(smoothing=share).allocate(blocks, STANDARD_RATIOS, budget))
        for share in (0.0, 0.3, 0.8)
    ]
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none(share):
    with pytest.raises(InputError, match=r"smoothing .* is outside 0 to 1"):
        Lagrangian(smoothing=share)


@pytest.mark.parametrize("table", [np.ones((2, 3)), np.full((2, 4), np.nan)])
def test_a_bad_table_of_errors(table):
    blocks = BlockStatistics(np.ones(2), np.ones((2, 4)), np.ones((2, 4)), lambda mean: table)
    with pytest.raises(InputError, match=r"mse_given\(.*\) is no finite table of shape \[2, 4\]"):
        Lagrangian().allocate(blocks, SMALL, 5)
