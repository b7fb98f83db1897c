"""The frame header: it arrives whole or is an outage, takes what was planned, and trusts nobody."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from signals import natural_map, noisy

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import Equalised
from jscc_sim.coding import protection, qam, small_block
from jscc_sim.coding.bits import to_bits
from jscc_sim.coding.modes import PREAMBLE_USES, HeaderPlan, preamble_threshold_db
from jscc_sim.errors import InputError, OutageError
from jscc_sim.header import (
    FrameHeader,
    _size_bits,
    decode_header,
    encode_header,
    header_bits,
    quantise_gain,
    quantise_snr_db,
)
from jscc_sim.images import pixel_limit
from jscc_sim.systems.block_jscc import RatioMap
from jscc_sim.systems.payload import part_of
from jscc_sim.units import STANDARD_RATIOS, RatioSet, noise_variance

pytestmark = pytest.mark.usefixtures("one_thread")

ZOO = 0xBEEF


def some_header(height=512, width=768, kind="natural", ratios=STANDARD_RATIOS, seed=0):
    rows, cols = -(-height // 32), -(-width // 32)
    rng = np.random.default_rng(seed)
    index = {
        "natural": lambda: np.minimum(natural_map(rows, cols, seed=seed), len(ratios) - 1),
        "uniform": lambda: np.full((rows, cols), len(ratios) // 2),
        "spread": lambda: np.diff((np.arange(rows * cols + 1) * (rows * cols // 3)) // (rows * cols)),
        "random": lambda: rng.integers(0, len(ratios), (rows, cols)),
        "nothing": lambda: np.zeros((rows, cols), dtype=np.int64),
    }[kind]()
    own = RatioMap(BlockGrid(height, width), ratios, np.asarray(index, dtype=np.int64).reshape(-1))
    return FrameHeader(height, width, ZOO, 0.7, 10.0, own.bits())


def uses_of(header, snr_db):
    """Channel uses of its symbols."""
    return made_for(snr_db).uses(header_bits(header.height, header.width, len(header.fields)))


def made_for(snr_db):
    """Just that, without a margin."""
    return protection.Protection(snr_db, 0, 0.0)


def whole_frame(header, ratios=STANDARD_RATIOS, snr_db=10.0, rng=None):
    """Header symbols and a payload of Gaussian symbols."""
    rng = rng or np.random.default_rng(0)
    uses = RatioMap.read(header, ratios).uses
    payload = (rng.normal(size=(2, uses)) * np.sqrt(0.5)).astype(np.float32)
    return np.concatenate([encode_header(header, made_for(snr_db)), payload[0] + 1j * payload[1]])


def receive(symbols, snr_db=300.0):
    ones = np.ones(len(symbols))
    return decode_header(Equalised(symbols, ones, ones * noise_variance(snr_db)))


def receive_map(symbols, ratios=STANDARD_RATIOS):
    """The ratio map of a frame that arrived as it was sent, and its payload."""
    ones = np.ones(len(symbols))
    heard = Equalised(symbols, ones, ones * 1e-30)
    decoded = decode_header(heard)
    found = RatioMap.read(decoded.header, ratios)
    part_of(heard, decoded.uses, found.uses)
    return found


def assert_same(sent, got):
    own = len(sent.fields)
    np.testing.assert_array_equal(got.fields[:own], sent.fields)
    assert not got.fields[own:].any()
    assert (got.height, got.width, got.system_id) == (sent.height, sent.width, sent.system_id)
    assert (got.gain, got.sender_snr_db) == (quantise_gain(sent.gain), quantise_snr_db(sent.sender_snr_db))


@given(
    height=st.integers(1, 200),
    width=st.integers(1, 200),
    kind=st.sampled_from(["natural", "uniform", "spread", "random", "nothing"]),
    ratios=st.sampled_from([STANDARD_RATIOS, RatioSet((0, 7)), RatioSet(tuple(range(0, 60, 3)))]),
    snr_db=st.sampled_from([-8.0, -2.0, 1.0, 4.0, 10.0, 20.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=25, deadline=None)
def test_round_trip_takes_what_was_planned(height, width, kind, ratios, snr_db, seed):
    header = some_header(height, width, kind, ratios, seed)
    symbols = encode_header(header, made_for(snr_db))
    assert symbols.dtype == np.complex64
    np.testing.assert_allclose(np.abs(symbols), 1, atol=1e-6)
    assert len(symbols) == uses_of(header, snr_db)
    frame = whole_frame(header, ratios, snr_db)
    decoded = receive(frame)
    assert decoded.uses == len(symbols)
    assert_same(header, decoded.header)
    index = RatioMap.read(header, ratios).index
    np.testing.assert_array_equal(receive_map(frame, ratios).index, index)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 65535), (3000, 4000)])
def test_extreme_sizes(height, width):
    header = some_header(height, width)
    decoded = receive(whole_frame(header))
    assert decoded.uses == uses_of(header, 10.0)
    assert_same(header, decoded.header)


def test_a_kodak_header_is_small():
    """The target: 1.5 % of a frame at CBR 1/16 and 10 dB."""
    uses = uses_of(some_header(), 10.0)
    print(f"header of a natural 16 x 24 map at 10 dB: {uses} uses")
    assert uses <= 0.015 * 512 * 768 * 3 / 16


@given(st.floats(2**-12, 2**12), st.floats(-30, 33.75))
def test_quantisation_is_fine(gain, snr_db):
    assert abs(quantise_gain(gain) / gain - 1) < 0.0021
    assert abs(quantise_snr_db(snr_db) - snr_db) <= 0.125
    assert quantise_gain(quantise_gain(gain)) == quantise_gain(gain)


@pytest.mark.parametrize(("value", "expected"), [(1e-300, 2.0**-12), (1e300, 2.0**12), (1.0, 1.0)])
def test_gains_beyond_the_range_are_clipped(value, expected):
    assert quantise_gain(value) == pytest.approx(expected, rel=0.0021)
    assert [quantise_snr_db(value) for value in (-99.0, 99.0, np.inf)] == [-30.0, 33.75, 33.75]


@pytest.mark.parametrize(
    "fields",
    [
        {"height": 0},
        {"width": 65536},
        {"system_id": 1 << 16},
        {"system_id": -1},
        {"gain": 0.0},
        {"gain": float("nan")},
        {"gain": float("inf")},
        {"sender_snr_db": float("nan")},
    ],
)
def test_impossible_headers_are_refused(fields):
    good = {
        "height": 8,
        "width": 8,
        "system_id": 1,
        "gain": 1.0,
        "sender_snr_db": 1.0,
        "fields": np.zeros(1, np.uint8),
    }
    with pytest.raises(InputError):
        FrameHeader(**{**good, **fields})


@pytest.mark.parametrize("ratio", [12, -1])
def test_a_map_of_what_is_no_ratio(ratio):
    with pytest.raises(InputError, match="ratio index"):
        RatioMap(BlockGrid(8, 8), STANDARD_RATIOS, np.array([ratio])).bits()


# ---- outage, measured


def outages(header, snr_db, draws, seed=0):
    """How many of so many noisy receptions of one header fail; none may arrive wrong."""
    rng = np.random.default_rng(seed)
    sent = whole_frame(header, snr_db=snr_db, rng=rng)
    failed = 0
    for _ in range(draws):
        try:
            assert_same(header, receive(noisy(sent, snr_db, rng), snr_db).header)
        except OutageError:
            failed += 1
    uses = uses_of(header, snr_db)
    print(f"{failed} outages in {draws} headers of {uses} uses at {snr_db} dB")
    return failed


def surprising(failed, draws, target):
    """Whether more failed than a share of `target` explains, but once in 10 000 times."""
    return binom.sf(failed - 1, draws, target) < 1e-4


def test_outage_at_minus_2_db():
    assert not surprising(outages(some_header(160, 160), -2.0, 1000), 1000, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [-8.0, -2.0, 0.0, 2.0, 5.0, 10.0])
def test_outage_of_a_whole_natural_header(snr_db):
    assert not surprising(outages(some_header(), snr_db, 1000), 1000, 1e-3)


@pytest.mark.parametrize("uses", PREAMBLE_USES)
def test_preamble_outage_at_its_threshold(uses):
    """Found among the symbols that follow it, at the lowest SNR it is chosen for, once in 10 000 not."""
    snr_db, draws = preamble_threshold_db(uses), 4000
    rng = np.random.default_rng(uses)
    failed = 0
    for number in rng.integers(0, 1 << small_block.BITS, draws):
        bits = np.concatenate(
            [small_block.encode(number, 2 * uses), rng.integers(0, 2, 2000, dtype=np.uint8)]
        )
        received = noisy(qam.map_bits(bits), snr_db, rng)
        try:
            ones = np.ones(len(received))
            found = protection._read_preamble(Equalised(received, ones, noise_variance(snr_db) * ones))
        except OutageError:
            found = None
        failed += found != (HeaderPlan.of_number(int(number)), uses)
    print(f"{failed} of {draws} preambles of {uses} uses lost at {snr_db:.1f} dB")
    assert not surprising(failed, draws, 1e-4)


def test_fading_gain_and_noise_per_use_are_used():
    """Half of the uses erased (gain 0): enough is left at a rate of 1/5."""
    header = some_header(160, 160)
    sent = whole_frame(header, snr_db=-2.0)
    gain = np.tile([1.0, 0.0], len(sent))[: len(sent)]
    variance = np.full(len(sent), 0.1)
    received = noisy(gain * sent, 10.0, np.random.default_rng(0))
    assert_same(header, decode_header(Equalised(received, gain, variance)).header)


# ---- hostile receptions


@given(st.integers(0, 3000), st.integers(0, 10**6), st.sampled_from(["noise", "bits", "zeros", "nan"]))
@settings(max_examples=40, deadline=None)
def test_anything_else_is_an_outage(count, seed, kind):
    rng = np.random.default_rng(seed)
    symbols = {
        "noise": lambda: noisy(np.zeros(count), 0.0, rng),
        "bits": lambda: qam.map_bits(rng.integers(0, 2, 2 * count, dtype=np.uint8)),
        "zeros": lambda: np.zeros(count, dtype=np.complex64),
        "nan": lambda: np.full(count, np.nan, dtype=np.complex64),
    }[kind]()
    with pytest.raises(OutageError):
        receive(symbols, rng.uniform(-20, 40))


def forge(content, uses=None):
    """The symbols of a header with a valid CRC and any content."""
    return np.pad(protection.protect(content, 10.0), (0, uses or 0))


@pytest.mark.parametrize("bit", [0, 1])
@pytest.mark.parametrize("bits", [60, 700, 9000])
def test_a_message_of_equal_bits_is_not_taken_for_a_preamble(bits, bit):
    message = np.full(bits, bit, np.uint8)
    found, uses = protection.recover(clean(protection.protect(message, 10.0)))
    np.testing.assert_array_equal(found[:bits], message)
    assert uses == protection.protected_uses(bits, 10.0)


def clean(symbols):
    """As received without noise to speak of."""
    return Equalised(symbols, np.ones(len(symbols)), np.full(len(symbols), 1e-4))


def size_and_fields(height, width):
    return np.concatenate([_size_bits(height), _size_bits(width), to_bits(0, 36)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (size_and_fields(65535, 65535), "pixels exceeds"),
        (size_and_fields(65535, pixel_limit() // 65535 + 1), "pixels exceeds"),
        (np.concatenate([size_and_fields(32, 32), to_bits(0b11_1111, 6)]), "ratio index 15"),
        (np.concatenate([size_and_fields(32, 32), to_bits(0b10_1111, 6)]), "ratio index 15"),
        (np.concatenate([size_and_fields(65535, 1000), to_bits(0b11, 2)]), "raw ratio map"),
        (np.concatenate([size_and_fields(65535, 1000), to_bits(0b10, 2), to_bits(15, 4)]), "impossible"),
        (np.concatenate([size_and_fields(32, 96), to_bits(0b10_0001_1100, 10)]), "3 of 3 blocks raised"),
        (np.concatenate([size_and_fields(32, 32), to_bits(0b11_1011, 6)]), "payload of 768 uses"),
        (np.ones(90, dtype=np.uint8), "pixels exceeds"),
    ],
)
def test_forged_headers_cost_nothing(content, message):
    symbols = forge(content, uses=100)
    tracemalloc.start()
    with pytest.raises(OutageError, match=message):
        receive_map(symbols)
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_plan_longer_than_the_frame():
    symbols = forge(size_and_fields(32, 32))
    symbols[:16] = qam.map_bits(small_block.encode(HeaderPlan(7, 255).number, 32))
    with pytest.raises(OutageError, match="its preamble names"):
        receive(symbols)


@given(st.lists(st.integers(0, 1), max_size=120))
@settings(max_examples=25, deadline=None)
def test_forged_content_is_a_header_or_an_outage(tail):
    content = np.concatenate([size_and_fields(96, 96), np.array(tail, dtype=np.uint8)])
    try:
        found = receive_map(forge(content, uses=7000))
    except OutageError:
        return
    assert found.index.shape == (9,)


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 100, -1])
def test_frames_cut_short(cut):
    symbols = whole_frame(some_header(64, 64))
    with pytest.raises(OutageError):
        receive_map(symbols[:cut])


def test_arrays_that_do_not_belong_together():
    heard = Equalised(np.zeros(5, dtype=np.complex64), np.ones(4), np.ones(5))
    with pytest.raises(InputError):
        decode_header(heard)
