"""Headers of analog payloads arrive where the payload still tells something: their margin and its cost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import photograph

from jscc_sim.channels import AWGN
from jscc_sim.coding.modes import reached
from jscc_sim.coding.protection import (
    LARGEST_MARGIN_DB,
    MARGIN_SHARE,
    MARGIN_STEP_DB,
    Protection,
    protected_uses,
)
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.images import read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.zoo import load_zoo

BELIEF = AWGN(10.0)
PICTURE = photograph(256, 384)
BUDGET = PICTURE.size // 12


@given(st.integers(20, 4000), st.floats(-16, 20), st.integers(0, 200_000), st.integers(0, 2000))
@settings(max_examples=200, deadline=None)
def test_the_margin_is_the_largest_that_costs_little(bits, snr_db, budget, payload):
    protection = Protection(snr_db, budget, payload=payload)
    bare = protected_uses(bits, snr_db)
    most = min(bare + MARGIN_SHARE * (budget - bare), budget - payload)
    margin_db = snr_db - protection.made_for_db(bits)
    assert 0 <= margin_db <= LARGEST_MARGIN_DB + 1e-9
    assert protection.uses(bits) <= max(bare, most)
    if margin_db < LARGEST_MARGIN_DB - 1e-9:
        further_db = snr_db - margin_db - MARGIN_STEP_DB
        assert protected_uses(bits, further_db) > most or not reached(bits, further_db)
    if margin_db:
        assert reached(bits, snr_db - margin_db), "protected no worse than without a margin"


def test_a_margin_of_ones_own():
    assert Protection(10.0, 0, 4.0).made_for_db(300) == 6.0
    assert len(Protection(10.0, 0, 4.0).protect(np.zeros(300, np.uint8))) == protected_uses(300, 6.0)
    for margin_db in (-0.5, 40.5, float("nan")):
        with pytest.raises(InputError, match=r"header margin of .* dB is outside 0 to 40 dB"):
            BlockJSCC(load_zoo("linear"), header_margin_db=margin_db).plan(PICTURE, BUDGET, BELIEF)


@pytest.mark.parametrize("name", ["block-jscc", "softcast", "vae:2", "digits", "generative", "quantised+uep"])
def test_no_header_is_lost_down_to_ten_decibels_below_the_belief(name):
    """SoftCast's header is long; its margin is as large in a frame that is large."""
    system = SystemSpec(name, "linear" if name == "block-jscc" else "").load()
    picture = read_picture("coffee") if name == "softcast" else PICTURE
    budget = picture.size // (8 if name == "softcast" else 12)
    frame = system.encode(picture, budget, BELIEF)
    assert len(frame.symbols) <= budget
    found = []
    for snr_db in (10.0, 4.0, 0.0):
        sent = system.send(frame, AWGN(snr_db), np.random.default_rng(1))
        assert not sent.outage
        found.append(psnr_between(sent.picture, picture))
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("name", ["block-jscc", "softcast"])
def test_without_a_margin_the_slope_is_cut_off(name):
    system = SystemSpec(name, "linear" if name == "block-jscc" else "", header_margin_db=0).load()
    frame = system.encode(PICTURE, BUDGET, BELIEF)
    assert [system.send(frame, AWGN(snr_db), np.random.default_rng(1)).outage for snr_db in (10, 0)] == [0, 1]


def test_a_genie_has_no_header_to_make():
    with pytest.raises(InputError, match="no header is sent"):
        SystemSpec("block-jscc", "linear", side_info="genie", header_margin_db=3)


def test_the_margin_makes_no_frame_impossible():
    """A payload of fixed size and the shortest header fit into a budget for just them."""
    for name in ("vae:2", "digits", "quantised+uep"):
        system = load_baseline(name)
        tight = load_baseline(name, header_margin_db=0.0)
        low, high = 0, BUDGET
        while high - low > 1:
            middle = (low + high) // 2
            try:
                tight.encode(PICTURE, middle, BELIEF)
                high = middle
            except BudgetError:
                low = middle
        assert len(system.encode(PICTURE, high, BELIEF).symbols) <= high
