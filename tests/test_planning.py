"""Header and payload in one budget: any size, CBR, SNR and policy, with real headers.

Planning alone: 128 pictures with 80 draws of (CBR, SNR, policy) each make 10 240; no torch, no Sionna.
"""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import photograph

from jscc_sim.allocation import POLICIES, BlockStatistics, Uniform, load_policy
from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import AWGN
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import BudgetError
from jscc_sim.header import header_bits
from jscc_sim.systems.block_jscc import BlockJSCC, RatioMap
from jscc_sim.systems.planning import plan_frame
from jscc_sim.units import STANDARD_RATIOS, RatioSet, budget_uses
from jscc_sim.zoo import load_zoo

PICTURES, DRAWS = 32, 80
SNRS_DB = (-12.0, -2.0, 3.0, 10.0, 25.0)
LARGEST_STEP = 256
LINEAR = load_zoo("linear")
TRYING = {"encoder-in-the-loop", "oracle"}
"""Policies whose plans need the networks."""

tiny = st.tuples(st.integers(1, 40), st.integers(1, 64))
small = st.tuples(st.integers(1, 140), st.integers(1, 140))
sizes = st.one_of(tiny, small, st.sampled_from([(1, 1), (1, 900), (900, 1), (32, 33)]))
seeds = st.integers(0, 2**32 - 1)


def random_blocks(count, rng):
    """Errors that fall with the uses, energies that rise with them."""
    score = rng.gamma(0.5, 500, count) * (rng.random(count) < 0.9)
    mse = np.minimum.accumulate(
        score[:, None] * np.exp2(-STANDARD_RATIOS.array / rng.uniform(5, 400)), axis=1
    )
    energy = np.sqrt(score)[:, None] * STANDARD_RATIOS.array**0.8
    return BlockStatistics(score, mse, energy, lambda mean: mse * (1 + mean) / (10 + mean))


def header_uses(grid, ratios, index, protection):
    """Of a frame with this ratio map."""
    own = RatioMap(grid, ratios, index).bits()
    return protection.uses(header_bits(grid.height, grid.width, len(own)))


def header_cost(grid, ratios=STANDARD_RATIOS):
    """Uses of a header by (ratio map as bytes, SNR): remembered, as policies often agree."""

    @cache
    def cost(index_bytes, snr_db):
        index = np.frombuffer(index_bytes, np.int64)
        return header_uses(grid, ratios, index, Protection(snr_db, 0, 0.0))

    return lambda index, snr_db: cost(index.astype(np.int64).tobytes(), snr_db)


def check_plan(grid, blocks, policy, budget, snr_db, cost):
    """One plan. Returns whether a frame fits."""

    def allocate(payload):
        assert 0 <= payload <= budget
        return policy.allocate(blocks, STANDARD_RATIOS, payload)

    bare = cost(np.zeros(len(grid), np.int64), snr_db)
    try:
        index, header = plan_frame(allocate, lambda index: cost(index, snr_db), bare, STANDARD_RATIOS, budget)
    except BudgetError:
        assert bare > budget, "a frame without payload would have fitted"
        return False
    assert index.shape == (len(grid),)
    assert header == cost(index, snr_db)
    spent = STANDARD_RATIOS.spent(index)
    assert spent + header <= budget
    if isinstance(policy, Uniform):
        longest = max(bare, header, cost(np.full(len(grid), len(STANDARD_RATIOS) - 1), snr_db))
        assert spent >= min(budget - longest - LARGEST_STEP, len(grid) * STANDARD_RATIOS.uses[-1])
    if spent == 0 and budget - bare >= 8:
        one = policy.allocate(blocks, STANDARD_RATIOS, 8)
        assert STANDARD_RATIOS.spent(one) == 0 or 8 + cost(one, snr_db) > budget
    return True


draws = {"all": 0, "fitting": 0}


def plan_one_picture(size, seed):
    rng = np.random.default_rng(seed)
    grid = BlockGrid(*size)
    blocks, cost = random_blocks(len(grid), rng), header_cost(grid)
    snrs_db = rng.choice(SNRS_DB, 2)
    for draw in range(DRAWS):
        policy = load_policy(list(POLICIES)[draw % len(POLICIES)])
        cbr = Fraction(int(rng.integers(1, 2 ** rng.integers(6, 16))), 2**16)
        # every other budget in the range where a header just fits or does not
        budget = budget_uses(cbr, *size) if draw % 2 else int(rng.integers(0, 2000))
        fits = check_plan(grid, blocks, policy, budget, float(snrs_db[draw // len(POLICIES) % 2]), cost)
        draws["all"] += 1
        draws["fitting"] += fits


@pytest.mark.parametrize("pictures", [PICTURES, pytest.param(4 * PICTURES, marks=pytest.mark.slow)])
def test_no_budget_is_ever_exceeded(pictures):
    draws.update(all=0, fitting=0)
    given(sizes, seeds)(
        settings(
            max_examples=pictures, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        )(plan_one_picture)
    )()  # fmt: skip
    assert draws["all"] >= 0.97 * pictures * DRAWS
    assert 0.2 < draws["fitting"] / draws["all"] < 0.95  # the draws try both outcomes


# --- headers of any cost --------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=300, deadline=None)
def test_any_header_cost_within_its_bound_ends_within_the_budget(seed):
    """Costs that jump about from map to map, as an entropy coder's may."""
    rng = np.random.default_rng(seed)
    ratios, count = RatioSet((0, 1, 5, 40)), int(rng.integers(1, 30))
    most = int(rng.integers(1, 500))
    budget = int(rng.integers(0, 2000))

    def cost(index):
        return int(np.random.default_rng([seed, *index.tolist()]).integers(1, most + 1))

    def allocate(payload):
        return Uniform().allocate(BlockStatistics(np.ones(count)), ratios, payload)

    try:
        index, header = plan_frame(allocate, cost, int(rng.integers(0, most)), ratios, budget)
    except BudgetError:
        assert budget < cost(np.zeros(count, np.int64))
    else:
        assert header == cost(index)
        assert ratios.spent(index) + header <= budget


def plan_uniform(cost, budget, count=10):
    calls = []

    def allocate(payload):
        calls.append(payload)
        return Uniform().allocate(BlockStatistics(np.ones(count)), STANDARD_RATIOS, payload)

    return plan_frame(allocate, lambda _: cost, cost, STANDARD_RATIOS, budget), calls


def test_free_header_gives_all_to_the_payload():
    (index, header), calls = plan_uniform(0, 64 * 10)
    assert header == 0
    assert STANDARD_RATIOS.spent(index) == 640
    assert calls == [640]


@pytest.mark.parametrize("cost", [10, 250, 400, 499, 500])
def test_what_the_header_does_not_take_the_payload_does(cost):
    (index, header), _ = plan_uniform(cost, 1000, count=100)
    assert header == cost
    assert 1000 - cost - STANDARD_RATIOS.spent(index) < 8  # the least step


def test_budget_below_the_header_is_named():
    with pytest.raises(BudgetError, match="budget of 96 uses is below the 212 uses"):
        plan_uniform(212, 96)


@pytest.mark.parametrize("budget", [212, 219])
def test_header_without_payload_is_a_frame(budget):
    (index, header), _ = plan_uniform(212, budget)
    assert header == 212
    assert not index.any()


# --- whole systems --------------------------------------------------------------------------------


@given(sizes, st.integers(0, 400), st.sampled_from(SNRS_DB), st.sampled_from(sorted(set(POLICIES) - TRYING)))
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_wherever_any_payload_fits_some_is_sent(size, above, snr_db, name):
    """At budgets from what a header without payload takes: far below it no frame, and where that of one block
    at 8 uses fits, whatever the policy, a payload."""
    rng = np.random.default_rng(size)
    picture = np.repeat(rng.integers(0, 256, (*size, 1)), 3, axis=2).astype(np.uint8)
    system, belief = BlockJSCC(LINEAR, load_policy(name)), AWGN(snr_db)
    with pytest.raises(BudgetError) as refused:
        system.plan(picture, 0, belief)
    least = int(re.search(r"below the (\d+) uses", str(refused.value))[1])
    plan = system.plan(picture, least + above, belief)
    spent = LINEAR.ratios.spent(plan.index)
    assert plan.header_uses + spent <= least + above
    one = Uniform().allocate(BlockStatistics(np.ones(len(plan.grid))), LINEAR.ratios, 8)
    needed = header_uses(BlockGrid(*size), LINEAR.ratios, one, Protection(snr_db, least + above))
    if needed + 8 <= least + above:
        assert spent > 0
    with pytest.raises(BudgetError):
        system.plan(picture, least // 2, belief)


def test_a_long_header_leaves_room_for_what_fits():
    """At -10 dB the longest map of this picture would take the whole budget and more."""
    picture, budget = photograph(512, 512, "astronaut"), budget_uses(Fraction(1, 96), 512, 512)
    plan = BlockJSCC(LINEAR, Uniform()).plan(picture, budget, AWGN(-10.0))
    assert 0 < plan.header_uses < budget / 2
    assert LINEAR.ratios.spent(plan.index) > 0.98 * (budget - plan.header_uses)


def test_planning_needs_neither_torch_nor_sionna():
    code = "import sys, jscc_sim.systems.planning; sys.exit(bool({'torch', 'sionna'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
