"""Decibels, bandwidth ratios and the ratio set: the definitions every figure depends on."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jscc_sim.errors import InputError
from jscc_sim.units import (
    BLOCK_SAMPLES,
    SNR_RANGE_DB,
    STANDARD_RATIOS,
    RatioSet,
    bits_per_pixel,
    budget_uses,
    cbr_of,
    check_snr_db,
    db_to_power,
    noise_variance,
    parse_cbr,
    power_to_db,
)

SIDES = st.integers(1, 10_000)
CBRS = st.fractions(Fraction(1, 10_000), 1, max_denominator=10_000)


@pytest.mark.parametrize(("db", "power"), [(0, 1), (10, 10), (-20, 0.01), (3.0103, 2)])
def test_decibels_of_known_powers(db, power):
    assert db_to_power(db) == pytest.approx(power, rel=1e-5)
    assert power_to_db(power) == pytest.approx(db, abs=1e-4)


def test_no_power_is_minus_infinity():
    assert power_to_db(0) == -math.inf


@given(st.floats(-100, 100))
def test_decibels_and_back(db):
    assert power_to_db(db_to_power(db)) == pytest.approx(db, abs=1e-9)


def test_noise_variance_is_that_of_unit_symbol_energy():
    assert noise_variance(10) == pytest.approx(0.1)
    assert noise_variance(-3.0103) == pytest.approx(2, rel=1e-5)


@pytest.mark.parametrize("snr_db", [*SNR_RANGE_DB, 0, 1.5])
def test_snr_within_its_range_is_itself(snr_db):
    assert check_snr_db(snr_db) == snr_db


@pytest.mark.parametrize("snr_db", [-30.001, 60.001, math.inf, -math.inf, math.nan])
def test_snr_outside_its_range_is_named(snr_db):
    with pytest.raises(InputError, match=r"CSI quality of .* dB is outside -30 to 60 dB"):
        check_snr_db(snr_db, "CSI quality")


@pytest.mark.parametrize(
    ("text", "cbr"),
    [
        ("1/16", Fraction(1, 16)),
        (" 1/48 ", Fraction(1, 48)),
        ("0.0625", Fraction(1, 16)),
        ("1e-2", Fraction(1, 100)),
        (0.1, Fraction(1, 10)),
        (1, Fraction(1)),
        (Fraction(2, 7), Fraction(2, 7)),
    ],
)
def test_cbr_from_what_people_write(text, cbr):
    assert parse_cbr(text) == cbr


@pytest.mark.parametrize("text", ["", "x", "1/0", "1/", "1:16", "nan", "inf", math.nan, "1/16/2"])
def test_cbr_that_is_no_number(text):
    with pytest.raises(InputError, match="neither a fraction"):
        parse_cbr(text)


@pytest.mark.parametrize("text", ["0", "-1/16", "17/16", "1.0001", 2])
def test_cbr_outside_its_range(text):
    with pytest.raises(InputError, match="outside 0 to 1"):
        parse_cbr(text)


def test_budget_of_a_kodak_picture():
    assert budget_uses(Fraction(1, 16), 512, 768) == 73_728
    assert budget_uses(Fraction(1, 3), 1, 1) == 1
    assert budget_uses(Fraction(1, 4), 1, 1) == 0


@given(CBRS, SIDES, SIDES)
def test_budget_is_the_most_that_keeps_the_cbr(cbr, height, width):
    budget = budget_uses(cbr, height, width)
    samples = 3 * height * width
    assert Fraction(budget, samples) <= cbr < Fraction(budget + 1, samples)


def test_cbr_and_bits_per_pixel_are_of_the_picture_as_given():
    assert cbr_of(192, 32, 32) == 192 / BLOCK_SAMPLES == 1 / 16
    assert bits_per_pixel(640, 20, 64) == 0.5


@pytest.mark.parametrize("uses", [(), (0,), (0, 0), (0, 16, 8), (0, 8, 8), (-8, 0, 8)])
def test_ratio_set_must_rise_from_0_or_more(uses):
    with pytest.raises(InputError, match="rise strictly from 0 or more"):
        RatioSet(uses)


def test_standard_ratio_set():
    assert STANDARD_RATIOS.uses == (0, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768)
    assert len(STANDARD_RATIOS) == len(STANDARD_RATIOS.array) == 12


def test_withheld_ratios_are_offered_where_no_other_fits_every_block():
    ratios = RatioSet((0, 8, 16, 32), (0, 8))
    assert ratios.offered(10, 160).tolist() == [2, 3]
    assert ratios.offered(10, 159).tolist() == [0, 1, 2, 3]
    assert ratios.among(ratios.offered(10, 160)) == RatioSet((16, 32))
    assert RatioSet((0, 8, 16)).offered(10, 10**6).tolist() == [0, 1, 2]


@pytest.mark.parametrize(("withheld", "words"), [((9,), "9 uses are no ratio"), ((0, 8), "fewer than two")])
def test_what_a_ratio_set_cannot_withhold(withheld, words):
    with pytest.raises(InputError, match=words):
        RatioSet((0, 8, 16), withheld)


def test_ratio_set_of_any_integers():
    assert RatioSet.of(np.array([0, 3, 9])) == RatioSet((0, 3, 9))


@given(st.floats(-10, 2000))
def test_largest_ratio_within(uses):
    fitting = [k for k, u in enumerate(STANDARD_RATIOS.uses) if u <= uses]
    assert STANDARD_RATIOS.largest_within(uses) == max(fitting, default=0)


@given(st.lists(st.integers(0, 11), max_size=50))
def test_spent_is_the_sum_over_the_blocks(index):
    expected = sum(STANDARD_RATIOS.uses[k] for k in index)
    assert STANDARD_RATIOS.spent(np.array(index, dtype=np.int64)) == expected


def test_blocks_of_each_ratio():
    assert RatioSet((0, 5, 6)).blocks_of(np.array([2, 0, 2])) == {"0": 1, "5": 0, "6": 2}


@given(st.integers(1, 2000), SIDES, SIDES)
def test_a_fraction_in_floating_point_loses_no_use(denominator, height, width):
    cbr = Fraction(1, denominator)
    assert parse_cbr(float(cbr)) == parse_cbr(str(float(cbr))) == cbr
    assert budget_uses(parse_cbr(float(cbr)), height, width) == 3 * height * width // denominator


@pytest.mark.parametrize("text", ["0.0208333", "0.3333", "0.1", "12345/678901"])
def test_a_short_decimal_is_what_it_says(text):
    assert parse_cbr(text) == Fraction(text)
