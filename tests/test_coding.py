"""Coding: everything that goes in comes out, also through noise, and hostile bits do no harm."""

import subprocess
import sys
import warnings
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from signals import natural_map, noisy

from jscc_sim.coding import base_graph, crc, ldpc, qam, ratio_map, small_block
from jscc_sim.coding.bits import BitReader, to_bits, to_int
from jscc_sim.coding.modes import (
    HEADER_MODES,
    LENGTHS,
    HeaderPlan,
    cheapest_plan,
    preamble_threshold_db,
    preamble_uses,
)
from jscc_sim.errors import InputError
from jscc_sim.units import noise_variance

pytestmark = pytest.mark.usefixtures("one_thread")

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))


@given(st.integers(0, 60), st.data())
def test_numbers_and_bits(width, data):
    value = data.draw(st.integers(0, 2**width - 1))
    reader = BitReader(to_bits(value, width))
    assert to_int(to_bits(value, width)) == reader.take(width) == value
    with pytest.raises(InputError):
        reader.take(1)
    with pytest.raises(InputError):
        to_bits(2**width, width)


# ---- LDPC and CRC


@pytest.mark.parametrize(
    ("k", "n"), [(12, 24), (64, 72), (300, 338), (64, 320), (64, 2570), (100, 777), (5000, 17000)]
)
def test_ldpc_round_trip_with_repetition(k, n):
    rng = np.random.default_rng(k)
    sent = rng.integers(0, 2, (3, k), dtype=np.uint8)
    coded = ldpc.encode(sent, n)
    assert coded.shape == (3, n)
    own = min(n, 5 * k if k <= 3824 else 3 * k)
    np.testing.assert_array_equal(coded, coded[:, np.arange(n) % own])
    np.testing.assert_array_equal(ldpc.decode(8.0 * coded - 4.0, k), sent)


def test_repetition_gains_what_energy_gains():
    """Eight copies at -10 dB decode like one at -1 dB: no error here, and certain failure unrepeated."""
    rng = np.random.default_rng(0)
    sent = rng.integers(0, 2, (8, 200), dtype=np.uint8)
    for repetitions, works in ((8, True), (1, False)):
        coded = ldpc.encode(sent, 1000 * repetitions)
        received = noisy(qam.map_bits(coded.reshape(-1)), -10.0, rng)
        llrs = qam.soft_bits(received, 1.0, noise_variance(-10.0)).reshape(8, -1)
        assert (ldpc.decode(llrs, 200) == sent).all(axis=1).all() == works


@pytest.mark.parametrize(
    ("k", "n", "bits_per_symbol"),
    [(12, 13, 1), (12, 60, 2), (292, 308, 2), (293, 330, 6), (560, 1200, 4), (561, 1200, 4), (641, 3205, 1)]
    + [(3824, 4026, 2), (3824, 19120, 4), (3825, 7680, 8), (8448, 25344, 6), (8424, 9000, 2)]
    + [(22 * z, 44 * z, 1) for z in (16, 24, 40, 56, 72, 88, 104, 120)]
    + [(10 * z, 30 * z, 1) for z in (16, 24, 40, 56, 72, 88, 104, 120)],
)
def test_ldpc_agrees_with_sionna(k, n, bits_per_symbol):
    """Both base graphs, all sets of rotations, fillers or none: the same words, and the same beliefs of what
    arrives near the waterfall after a few rounds. (More of them make the last digit of a float a coin.)"""
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    rng = np.random.default_rng(k)
    sent = rng.integers(0, 2, (3, k), dtype=np.uint8)
    single = {"device": "cpu", "precision": "single"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of rates above 948/1024
        encoder = LDPC5GEncoder(k, n, num_bits_per_symbol=bits_per_symbol, **single)
    coded = ldpc.encode(sent, n, bits_per_symbol)
    np.testing.assert_array_equal(coded, encoder(torch.from_numpy(sent.astype(np.float32))).numpy())

    amplitude = 2 ** (2 * k / n) - 1
    llrs = 2 * amplitude * (2.0 * coded - 1) + 2 * np.sqrt(amplitude) * rng.normal(size=coded.shape)
    decoder = LDPC5GDecoder(encoder, num_iter=6, hard_out=False, **single)
    theirs = decoder(torch.from_numpy(llrs.astype(np.float32))).numpy()
    ours = ldpc.beliefs(llrs, k, bits_per_symbol, 6)
    np.testing.assert_allclose(np.clip(ours, -12, 12), np.clip(theirs, -12, 12), atol=0.02)
    assert 0 < (ours >= 0).astype(np.uint8).mean() < 1


def test_blocks_that_are_no_whole_symbols_are_refused():
    for k, n, bits_per_symbol in ((100, 301, 2), (13, 130, 2)):  # n; and 5k, which it repeats
        with pytest.raises(InputError, match="no whole symbols of 2 bits"):
            ldpc.encode(np.zeros((1, k), dtype=np.uint8), n, bits_per_symbol)
    assert ldpc.encode(np.zeros((0, 100), dtype=np.uint8), 300, 2).shape == (0, 300)
    assert ldpc.decode(np.zeros((0, 300)), 100, 2).shape == (0, 100)


@pytest.mark.parametrize(("kept", "why"), [(0, "cannot be read"), (100, "edges, not the 197 of TS 38.212")])
def test_a_table_of_codes_that_is_no_longer_whole(tmp_path, monkeypatch, kept, why):
    whole = str(distribution("sionna-no-rt").locate_file(base_graph._TABLE.format(2)))
    table = tmp_path / "table{}.csv"
    if kept:
        Path(str(table).format(2)).write_text("".join(Path(whole).read_text().splitlines(True)[:kept]))
    monkeypatch.setattr(base_graph, "_TABLE", str(table))
    with pytest.raises(InputError, match=f"table2.csv of the package sionna-no-rt .*{why}"):
        base_graph._edges_of.__wrapped__(2, 0)


@pytest.mark.parametrize(("k", "n"), [(11, 100), (8449, 20000), (100, 104)])
def test_ldpc_limits(k, n):
    with pytest.raises(InputError):
        ldpc.encode(np.zeros((1, k), dtype=np.uint8), n)


@pytest.mark.parametrize(("crc_bits", "name"), [(16, "CRC16"), (24, "CRC24A")])
def test_crc_agrees_with_sionna(crc_bits, name):
    """But for its last bits, which are inverted."""
    import torch
    from sionna.phy.fec.crc import CRCEncoder

    rng = np.random.default_rng(0)
    for k in (1, 7, 100, 8424):
        sent = rng.integers(0, 2, (5, k), dtype=np.uint8)
        encoder = CRCEncoder(name, k=k, device="cpu", precision="single")
        theirs = encoder(torch.from_numpy(sent.astype(np.float32))).numpy()
        theirs[:, k:] = 1 - theirs[:, k:]
        np.testing.assert_array_equal(crc.attach(sent, crc_bits), theirs)


def test_crc_catches_errors_and_silence():
    rng = np.random.default_rng(0)
    sent = rng.integers(0, 2, (4, 100), dtype=np.uint8)
    coded = crc.attach(sent)
    assert coded.shape == (4, 116)
    content, valid = crc.check(coded)
    np.testing.assert_array_equal(content, sent)
    assert valid.all()
    for start in range(0, 101, 5):  # any burst of up to 16 bits
        broken = coded.copy()
        broken[:, start] ^= 1
        broken[:, start + 15] ^= 1
        assert not crc.check(broken)[1].any()
    assert not crc.check(np.zeros((1, 64), dtype=np.uint8))[1].any()


# ---- QAM and the small block code


@pytest.mark.parametrize("bits_per_symbol", [2, 4, 6, 8])
def test_qam_agrees_with_sionna(bits_per_symbol):
    import torch
    from sionna.phy.mapping import Constellation, Demapper, Mapper

    rng = np.random.default_rng(bits_per_symbol)
    bits = rng.integers(0, 2, 60 * bits_per_symbol, dtype=np.uint8)
    constellation = Constellation("qam", bits_per_symbol, device="cpu")
    symbols = qam.map_bits(bits, bits_per_symbol)
    theirs = Mapper(constellation=constellation, device="cpu")(torch.from_numpy(bits.astype(np.float32)))
    np.testing.assert_allclose(symbols, theirs.numpy(), atol=1e-6)
    received = noisy(symbols, 5.0, rng)
    demapper = Demapper("app", constellation=constellation, device="cpu")
    llrs = demapper(torch.from_numpy(received), torch.tensor(noise_variance(5.0))).numpy()
    np.testing.assert_allclose(
        qam.soft_bits(received, 1.0, noise_variance(5.0), bits_per_symbol), llrs, atol=2e-3
    )


def test_soft_bits_follow_gain_and_noise_and_stay_finite():
    symbols = np.array([1 + 1j, -1 + 1j, 1 - 1j, np.nan, 1e30], dtype=np.complex64)
    gain, variance = np.array([1.0, 0.5, 0.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0, 1.0, 0.0])
    llrs = qam.soft_bits(symbols, gain, variance).reshape(-1, 2)
    np.testing.assert_allclose(llrs[0], -2 * np.sqrt(2))
    np.testing.assert_allclose(llrs[1], [np.sqrt(2) / 2, -np.sqrt(2) / 2])
    np.testing.assert_allclose(llrs[2], 0)
    assert np.isfinite(llrs).all()
    assert not qam.soft_bits(symbols[:1], 1.0, np.inf).any()


@pytest.mark.parametrize("bits_per_symbol", [1, 3, 10])
def test_odd_constellations(bits_per_symbol):
    with pytest.raises(InputError):
        qam.map_bits(np.zeros(30, dtype=np.uint8), bits_per_symbol)


def test_small_block_distance_and_round_trip():
    words = np.array([small_block.encode(value, 32) for value in range(2048)])
    assert words[1:].sum(axis=1).min() == 12  # linear: the least weight is the least distance
    assert not ((words[5] ^ words[9]) ^ words[5 ^ 9]).any()
    for value in (0, 1, 1234, 2047):
        llrs = 4.0 * small_block.encode(value, 96) - 2.0
        llrs[:5] *= -1  # five errors
        found = small_block.decode(llrs)
        assert found.value == value
        assert found.evidence > 0
    assert small_block.decode(np.random.default_rng(0).normal(size=1024) * 4).evidence < 0


# ---- ratio map


@given(SIZES, st.integers(2, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_ratio_map_round_trip(size, ratios, data):
    index = data.draw(arrays(np.int64, size, elements=st.integers(0, ratios - 1)))
    bits = ratio_map.encode_map(index, ratios)
    assert len(bits) <= 2 + index.size * (ratios - 1).bit_length()
    padding = data.draw(st.integers(0, 70))
    padded = np.pad(bits, (0, padding))
    np.testing.assert_array_equal(ratio_map.decode_map(padded, *size, ratios), index)


@pytest.mark.parametrize("seed", range(4))
def test_natural_maps_round_trip_and_are_short(seed):
    index = natural_map(seed=seed)
    bits = ratio_map.encode_map(index, 12)
    np.testing.assert_array_equal(ratio_map.decode_map(bits, 16, 24, 12), index)
    counts = np.bincount(index.reshape(-1))
    share = counts[counts > 0] / index.size
    assert len(bits) < 0.85 * index.size * -(share * np.log2(share)).sum()  # without neighbours
    assert len(bits) <= 2.2 * index.size


@given(st.integers(1, 400), st.data())
@settings(max_examples=40, deadline=None)
def test_uniform_maps_take_nearly_nothing(count, data):
    raised, base = data.draw(st.integers(0, count - 1)), data.draw(st.integers(0, 10))
    phase = data.draw(st.sampled_from([0, count // 2, count - 1]))
    index = (base + np.diff((np.arange(count + 1) * raised + phase) // count)).reshape(1, count)
    bits = ratio_map.encode_map(index, 12)
    assert len(bits) <= 6 + 2 * count.bit_length()
    np.testing.assert_array_equal(ratio_map.decode_map(bits, 1, count, 12), index)


def test_random_maps_fall_back_to_raw():
    index = np.random.default_rng(0).integers(0, 16, (16, 24))
    assert len(ratio_map.encode_map(index, 16)) == 2 + 384 * 4


@given(arrays(np.uint8, st.integers(0, 200), elements=st.integers(0, 1)), SIZES, st.integers(2, 20))
@settings(max_examples=200, deadline=None)
def test_hostile_map_bits(bits, size, ratios):
    try:
        index = ratio_map.decode_map(bits, *size, ratios)
    except InputError:
        return
    assert index.shape == size
    assert index.min() >= 0
    assert index.max() < ratios


# ---- modes


@given(st.integers(1, LENGTHS[-1]), st.integers(1, LENGTHS[-1]), st.floats(-35, 60))
def test_plans_hold_the_bits_and_never_shrink(a, b, snr_db):
    small, large = sorted((a, b))
    plan = cheapest_plan(small, snr_db)
    assert HeaderPlan.of_number(plan.number) == plan
    assert plan.bits >= small
    assert plan.segments * (plan.block_bits - crc.CRC_BITS) >= plan.bits
    assert plan.threshold_db <= snr_db or plan.mode == len(HEADER_MODES) - 1
    assert plan.uses <= cheapest_plan(large, snr_db).uses


def test_every_length_is_possible():
    assert sorted(set(LENGTHS)) == list(LENGTHS)
    assert len(LENGTHS) * len(HEADER_MODES) == 1 << small_block.BITS
    for length in range(256):
        for mode in range(len(HEADER_MODES)):
            plan = HeaderPlan(mode, length)
            assert 12 <= plan.block_bits <= ldpc.LARGEST_LOW_RATE_BLOCK
            assert plan.block_bits <= 0.95 * plan.coded_bits
            assert plan.coded_bits % 2 == 0
    with pytest.raises(InputError):
        cheapest_plan(LENGTHS[-1] + 1, 10.0)


def test_preambles_get_longer_as_it_gets_noisier():
    assert [preamble_uses(snr) for snr in (20.0, -2.0, -11.0, -40.0)] == [16, 64, 512, 512]
    assert preamble_threshold_db(64) < -2.0


def test_planning_imports_neither_torch_nor_sionna():
    code = """
import sys
import numpy as np
from jscc_sim import header, recording
from jscc_sim.coding.protection import Protection
from jscc_sim.coding.ratio_map import encode_map
from jscc_sim.units import STANDARD_RATIOS
own = encode_map(np.arange(384).reshape(16, 24) // 40, len(STANDARD_RATIOS))
Protection(10.0, 0).uses(header.header_bits(512, 768, len(own)))
print([name for name in sys.modules if name.split(".")[0] in {"torch", "sionna"}])
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_once_a_block_is_lost_later_ones_are_not_tried():
    """Where all are needed; what is not tried cannot pass its CRC."""
    rng = np.random.default_rng(0)
    k, n, count = 1024, 2048, 8
    blocks = crc.attach(rng.integers(0, 2, (count, k - crc.CRC_BITS), np.uint8))
    llrs = 20.0 * ldpc.encode(blocks, n) - 10
    llrs[3] = rng.normal(size=n)
    all_tried = ldpc.decode_until(crc.holds, llrs, k)
    given_up = ldpc.decode_until(crc.holds, llrs, k, all_or_none=True)
    whole = np.arange(count) != 3
    assert (crc.holds(all_tried) == whole).all()
    assert (crc.holds(given_up) == (np.arange(count) < 3)).all()
    assert (given_up[:3] == blocks[:3]).all()
    llrs[3] = 20.0 * ldpc.encode(blocks[3:4], n) - 10
    assert (ldpc.decode_until(crc.holds, llrs, k, all_or_none=True) == blocks).all()
