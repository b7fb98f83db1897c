"""The digital chains: error rates as measured, honest frames, and the bounds above them."""

import itertools
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measure_waterfalls import STEP_DB, TAIL, TARGET, failures
from processes import photograph, program, save
from scipy.stats import binomtest

from jscc_sim.channels import AWGN, Equalised, Fading, Received, equalise
from jscc_sim.codecs import find_codec
from jscc_sim.coding import capacity, crc, mcs, transport
from jscc_sim.coding.parts import MOST_TAIL, Part, Parts, fullest
from jscc_sim.coding.waterfalls import MODES, MOST_LOST, Mode, Waterfall, dependable_modes, waterfalls
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError
from jscc_sim.images import read_picture
from jscc_sim.sweeps import Grid, run_trial, table
from jscc_sim.systems.abstraction import DigitalAbstraction
from jscc_sim.systems.base import MID_GREY, LinkSystem
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.digital import received_bits, transmitted
from jscc_sim.systems.link_quality import SHANNON, effective_snr_db, planning_snr_db
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.testing import SystemContract
from jscc_sim.units import budget_uses

PICTURE = photograph(96, 128)
SAMPLES = PICTURE.size


# --- capacity, schemes, blocks ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits_per_symbol", "snr_db", "expected"),
    [(2, 0.0, 0.972), (2, 5.0, 1.718), (4, 10.0, 3.16), (6, 60.0, 6.0), (8, 60.0, 8.0)],
)
def test_what_a_qam_carries(bits_per_symbol, snr_db, expected):
    """QPSK: twice the published capacity of BPSK at the same Es/N0 of a real dimension."""
    assert capacity.qam_bits(snr_db, bits_per_symbol) == pytest.approx(expected, rel=0.02)


def test_no_qam_carries_more_than_shannon():
    snrs_db = np.arange(-15.0, 40.0, 0.5)
    for bits in (2, 4, 6, 8):
        assert (capacity.qam_bits(snrs_db, bits) <= capacity.shannon_bits(10 ** (snrs_db / 10)) + 1e-6).all()
        inside = snrs_db[capacity.qam_bits(snrs_db, bits) < 0.99 * bits]
        back = capacity.snr_db_for_bits(capacity.qam_bits(inside, bits), bits)
        np.testing.assert_allclose(back, inside, atol=0.02)


def test_schemes_rise_and_have_names_of_their_own():
    carried = [scheme.bits_per_use for scheme in mcs.SCHEMES]
    assert carried == sorted(carried)
    assert len({scheme.name for scheme in mcs.SCHEMES}) == len(mcs.SCHEMES) == 27
    assert all(mcs.find_scheme(scheme.name) == scheme for scheme in mcs.SCHEMES)
    with pytest.raises(InputError, match="mode '64qam-518' is not one of qpsk-193, "):
        mcs.find_scheme("64qam-518")


@pytest.mark.parametrize("scheme", [mcs.SCHEMES[0], mcs.SCHEMES[5], mcs.SCHEMES[11], mcs.SCHEMES[-1]])
@pytest.mark.parametrize("block_bits", mcs.BLOCK_BITS)
def test_blocks_without_noise(scheme, block_bits):
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, 3 * (block_bits - 24) - 5, dtype=np.uint8)
    symbols = transport.encode(bits, scheme, block_bits)
    count = transport.blocks_for(len(bits), block_bits)
    assert len(symbols) == count * scheme.uses(block_bits)
    assert transport.capacity_bits(len(symbols), scheme, block_bits) >= len(bits)
    assert np.abs(np.mean(np.abs(symbols) ** 2) - 1) < 5 / np.sqrt(len(symbols))
    found, whole = transport.decode(
        Equalised(symbols, np.ones(len(symbols)), np.full(len(symbols), 1e-3)), scheme, block_bits
    )
    assert whole.all()
    np.testing.assert_array_equal(found[: len(bits)], bits)
    assert not found[len(bits) :].any()


def test_a_lost_block_is_known():
    scheme, rng = mcs.find_scheme("16qam-490"), np.random.default_rng(1)
    symbols = transport.encode(rng.integers(0, 2, 4 * 488, dtype=np.uint8), scheme, 512)
    uses = scheme.uses(512)
    symbols[uses : 2 * uses] = rng.normal(size=(uses, 2)).view(np.complex128)[:, 0]
    _, whole = transport.decode(Equalised(symbols, np.ones(4 * uses), np.full(4 * uses, 0.01)), scheme, 512)
    assert whole.tolist() == [True, False, True, True]


def test_a_long_crc_finds_what_a_short_one_may_miss():
    bits = np.random.default_rng(0).integers(0, 2, (3, 100), dtype=np.uint8)
    guarded = crc.attach(bits, crc.LONG_CRC_BITS)
    assert guarded.shape == (3, 124)
    guarded[1, 7] ^= 1
    assert crc.check(guarded, crc.LONG_CRC_BITS)[1].tolist() == [True, False, True]


QPSK, QAM16 = (Mode(mcs.find_scheme(name), 512) for name in ("qpsk-602", "16qam-658"))
LONG = Mode(QPSK.scheme, 2048)


def test_code_blocks_take_turns():
    """Symbol for symbol where they are of one length, and each evenly over the whole frame where not."""
    uses = QPSK.uses
    same = Parts(Part(QPSK, 2), Part(QPSK, 1)).order()
    np.testing.assert_array_equal(same[:4], [0, uses, 2 * uses, 1])
    parts = Parts(Part(LONG, 3), Part(QAM16, 2))
    order = parts.order()
    np.testing.assert_array_equal(np.sort(order), np.arange(parts.uses))
    ends = np.cumsum([0] + [LONG.uses] * 3 + [QAM16.uses] * 2)
    for start, end in itertools.pairwise(ends):
        places = np.flatnonzero((order >= start) & (order < end)) / parts.uses
        even = (np.arange(len(places)) + 0.5) / len(places)
        assert np.abs(places - even).max() < 1.5 / len(places)


@pytest.mark.parametrize("blocks", [(1, 0), (0, 1), (0, 15), (3, 0), (4, 5)])
@pytest.mark.parametrize("main", [QPSK, LONG])
def test_bits_through_parts(main, blocks):
    parts = Parts(Part(main, blocks[0]), Part(QAM16, blocks[1]))
    rng = np.random.default_rng(0)
    for bits in (parts.bits, parts.bits - 1, max(parts.bits - 400, 8)):
        sent = rng.integers(0, 2, bits, dtype=np.uint8)
        symbols = transmitted(sent, parts)
        assert len(symbols) == parts.uses
        heard = Equalised(symbols, np.ones(parts.uses), np.full(parts.uses, 1e-3))
        found, whole = received_bits(heard, parts)
        assert whole.tolist() == [True] * parts.blocks
        np.testing.assert_array_equal(found[:bits], sent)


@settings(deadline=None, max_examples=60)
@given(
    uses=st.integers(1, 200_000),
    snr_db=st.floats(-6, 26),
    share=st.floats(0.0, 1.0),
    scheme=st.sampled_from([None, *mcs.SCHEMES]),
)
def test_parts_of_any_frame(uses, snr_db, share, scheme):
    """Never over the budget nor less than one mode alone holds; the receiver counts the same blocks; one
    image in a hundred is lost at most."""
    modes = alone = tuple(mode for mode in MODES if scheme in (None, mode.scheme))
    parts = fullest(uses, modes, (lambda mode: float(mode.error_rate(snr_db))) if scheme is None else None)
    if scheme is None:
        alone = dependable_modes(dict.fromkeys((2, 4, 6, 8), snr_db), uses)
    most = max((mode.capacity_bits(uses) for mode in alone), default=0)
    if parts is None:
        assert most == 0
        return
    assert parts.uses <= uses
    assert parts.bits >= most
    assert parts.tail.blocks <= MOST_TAIL
    if scheme is None:
        arrives = np.prod([(1 - float(mode.error_rate(snr_db))) ** blocks for mode, blocks in parts])
        assert 1 - arrives <= MOST_LOST + 1e-9
    bits = max(round(share * parts.bits), 1)
    needed = parts.holding(bits)
    assert needed.uses <= parts.uses
    assert needed.bits >= bits
    assert Parts.of(bits, needed.main.mode, needed.tail.mode, needed.tail.blocks) == needed


def test_a_channel_that_no_short_block_survives():
    """One long block does, by a little."""
    parts = fullest(17_570, MODES, lambda mode: 1e-5 if mode == LONG else 1.0)
    assert parts.main == Part(LONG, 17_570 // LONG.uses)
    assert parts.tail.blocks == 0
    assert fullest(17_570, MODES, lambda mode: 1.0) is None
    assert fullest(LONG.uses - 1, [LONG]) is None


def test_more_bits_than_there_is_room_for():
    parts = Parts(Part(LONG, 2), Part(QPSK, 1))
    assert parts.bits == 2 * 2024 + 488
    with pytest.raises(InputError, match="4537 bits are more than the 4536 of 3 code blocks"):
        parts.holding(4537)


@pytest.mark.parametrize("code", ["ldpc", "ldpc-abstraction"])
def test_a_fixed_scheme_is_that_of_all_blocks(code):
    system = load_baseline(f"webp+{code}:16qam-490")
    link = system if code == "ldpc" else system.link
    parts = link.coded_file(PICTURE, SAMPLES // 7, AWGN(15.0)).parts
    assert {mode.scheme.name for mode, _ in parts} == {"16qam-490"}
    assert parts.main.blocks
    assert parts.tail.blocks


def test_budgets_are_used():
    """Photographs at the ends of the ranges of budgets and SNRs, uses over budget in the mean."""
    pictures = [read_picture(name)[::2, ::2] for name in ("astronaut", "rocket", "motorcycle_left")]
    used = {}
    for code in ("ldpc", "ldpc-abstraction"):
        system = load_baseline(f"jpeg2000+{code}")
        link = system if code == "ldpc" else system.link
        used[code] = [
            [
                link.coded_file(picture, budget_uses(Fraction(cbr), *picture.shape[:2]), AWGN(snr_db)).uses
                / budget_uses(Fraction(cbr), *picture.shape[:2])
                for picture in pictures
            ]
            for cbr in ("1/12", "1/8")
            for snr_db in (4.0, 10.0, 20.0)
        ]
    assert used["ldpc"] == used["ldpc-abstraction"]
    assert np.max(used["ldpc"]) <= 1
    assert np.mean(used["ldpc"]) >= 0.99


@pytest.mark.parametrize("snr_db", [4.0, 10.0, 20.0])
def test_the_chain_and_its_abstraction_spend_the_same(snr_db):
    sent = [send(f"jpeg2000+{code}", snr_db, SAMPLES // 5) for code in ("ldpc", "ldpc-abstraction")]
    assert sent[0].uses == sent[1].uses
    assert sent[0].coder == sent[1].coder
    assert [one.outage for one in sent] == [False, False]
    np.testing.assert_array_equal(sent[0].picture, sent[1].picture)


# --- measured error rates ----------------------------------------------------------------------------


def test_the_table_is_whole():
    """Every mode from nearly all lost to 1 in 1000, at steps of a quarter of a decibel."""
    for mode, curve in waterfalls().items():
        rates = curve.errors / curve.blocks
        assert np.allclose(np.diff(curve.snr_db), STEP_DB), mode
        assert rates[0] >= 0.9
        assert rates[-1] <= TARGET
        assert curve.blocks[-1] == TAIL
        limit_db = capacity.snr_db_for(mode.scheme)
        assert curve.snr_db[-1] > limit_db + 0.5, "no code of this length comes as close to capacity"
        assert (rates[curve.snr_db < limit_db] > 0.5).all()
        pooled = np.sqrt(rates[:-1] / curve.blocks[:-1] + rates[1:] / curve.blocks[1:]) + 1e-3
        assert (np.diff(rates) < 4 * pooled).all(), "more SNR, fewer errors"


def test_between_the_points():
    curve = Waterfall(np.array([0.0, 0.5, 1.0, 1.5]), np.full(4, 1000), np.array([900, 500, 10, 1]))
    np.testing.assert_allclose(curve.error_rate(np.array([0.0, 0.5, 1.0])), [0.9, 0.5, 0.01], rtol=1e-9)
    assert 0.01 < float(curve.error_rate(0.75)) < 0.5
    assert float(curve.error_rate(1.5)) < 1e-5, "a point with one error says little: the line goes on"
    assert float(curve.error_rate(-3.0)) > 0.999
    fine = curve.error_rate(np.linspace(-5, 5, 500))
    assert (np.diff(fine) <= 0).all()


@pytest.mark.parametrize("name", ["qpsk-602", "64qam-517", "256qam-841"])
def test_a_point_measured_again(name):
    """With other noise the decoder loses as many blocks as the table says."""
    mode = Mode(mcs.find_scheme(name), 512)
    curve = waterfalls()[mode]
    middle = int(np.argmin(np.abs(curve.errors / curve.blocks - 0.2)))
    scheme, rng, snr_db = mode.scheme, np.random.default_rng(5), float(curve.snr_db[middle])
    sent = rng.integers(0, 2, (200, 488), dtype=np.uint8)
    received = AWGN(snr_db)(transport.encode(sent.reshape(-1), scheme, 512), rng)
    _, whole = transport.decode(equalise(received), scheme, 512)
    lost = int((~whole).sum())
    share = curve.errors[middle] / curve.blocks[middle]
    assert binomtest(lost, 200, share).pvalue > 1e-4, f"{lost} of 200, table {share:.3f}"


def test_the_measurement_repeats_itself():
    mode = Mode(mcs.find_scheme("16qam-490"), 512)
    curve = waterfalls()[mode]
    first = int(np.argmax(curve.errors / curve.blocks < 0.99))
    found = failures(mode.scheme, 512, float(curve.snr_db[first]))
    assert found == (curve.blocks[first], curve.errors[first])


def test_dependable_modes_lose_one_image_in_a_hundred_at_most():
    for snr_db in (-2.0, 4.0, 10.0, 16.0):
        same = dict.fromkeys((2, 4, 6, 8), snr_db)
        for mode in (chosen := dependable_modes(same, 50_000)):
            lost = 1 - (1 - float(mode.error_rate(snr_db))) ** (50_000 // mode.uses)
            assert lost <= MOST_LOST + 1e-9
        assert len(chosen) < len(MODES)
        assert set(chosen) <= set(dependable_modes(dict.fromkeys(same, snr_db + 1), 50_000))


def test_effective_snr():
    steady = np.full(100, 7.0)
    for bits in (SHANNON, 2, 4, 6, 8):
        assert effective_snr_db(steady, bits) == pytest.approx(7.0, abs=0.02)
        mixed = np.tile([0.0, 14.0], 50)
        assert 0.0 < float(effective_snr_db(mixed, bits)) < 14.0
    assert planning_snr_db(AWGN(9.0), 5000, 4) == 9.0
    slow = Fading(10.0)
    assert planning_snr_db(slow, 5000, 4) == slow.outage_snr_db()
    fast, blocks = (planning_snr_db(Fading(10.0, 0.0, length), 5000, 4) for length in (1, 256))
    assert slow.outage_snr_db() < blocks < fast < 10.0


# --- whole systems ------------------------------------------------------------------------------------


class RivalContract(SystemContract):
    cbrs = (1 / 2, 1 / 2)


class TestJpegLdpc(RivalContract):
    system = load_baseline("jpeg+ldpc")


class TestWebpAbstraction(RivalContract):
    system = load_baseline("webp+ldpc-abstraction")


class TestJpegIdeal(RivalContract):
    system = load_baseline("jpeg+ideal")


class TestSoftCast(RivalContract):
    system = load_baseline("softcast")


def send(name, snr_db=10.0, budget=SAMPLES // 8, seed=0, channel=None, belief=None):
    return load_baseline(name).transmit(
        PICTURE, channel or AWGN(snr_db), budget, np.random.default_rng(seed), belief
    )


def test_the_chain_delivers_the_file_unchanged():
    system = load_baseline("webp+ldpc")
    frame = system.encode(PICTURE, SAMPLES // 8, AWGN(10.0))
    coded = system.coded_file(PICTURE, SAMPLES // 8, AWGN(10.0))
    received = AWGN(10.0)(frame.symbols, np.random.default_rng(0))
    np.testing.assert_array_equal(system.decode(received).picture, system.codec.decompress(coded.data))
    assert len(frame.symbols) == coded.uses <= SAMPLES // 8
    assert coded.uses - coded.header_uses >= 8 * len(coded.data) / 3.5, "no more than capacity"
    assert np.mean(np.abs(frame.symbols.astype(complex)) ** 2) == pytest.approx(1.0, abs=0.05)


def test_the_cliff():
    """A mode fixed for 10 dB arrives there, and not three decibels below."""
    scheme = load_baseline("webp+ldpc").coded_file(PICTURE, SAMPLES // 8, AWGN(10.0)).coder
    name = f"webp+ldpc:{scheme}"
    assert not send(name, 10.0).outage
    fallen = send(name, 7.0)
    assert fallen.outage
    assert (fallen.picture == MID_GREY).all()
    higher = send(name, 20.0)
    np.testing.assert_array_equal(higher.picture, send(name, 10.0).picture)


def test_the_ideal_code_is_above_the_real_one():
    spent = {}
    for code in ("ldpc", "ideal"):
        system = load_baseline(f"jpeg2000+{code}")
        data = (
            system.coded_file(PICTURE, SAMPLES // 8, AWGN(10.0)).data
            if isinstance(system, LinkSystem)
            else system.codec.compress(PICTURE, int(SAMPLES // 8 * np.log2(11)))
        )
        spent[code] = len(data)
    assert 0.7 < spent["ldpc"] / spent["ideal"] < 0.9


def test_a_sender_that_knows_the_fading():
    """It adapts, so nothing but hopeless fades are lost; one that does not plans for the worst."""
    slow = Fading(15.0)
    half = {"channel": slow, "budget": SAMPLES // 2}
    knowing = [send("webp+ldpc-abstraction:csit", **half, seed=seed) for seed in range(20)]
    blind = [send("webp+ldpc-abstraction", **half, seed=seed) for seed in range(20)]
    assert sum(sent.outage for sent in knowing) <= 2
    assert len({sent.coder for sent in knowing}) > 3
    assert len({sent.coder for sent in blind}) == 1
    real = send("webp+ldpc:csit", **half, seed=0)
    assert (real.coder, real.uses, real.outage) == (knowing[0].coder, knowing[0].uses, False)


def cliff_snr_db(link, budget):
    """The SNR at which about half of the frames of a fixed mode are lost."""
    coded = link.coded_file(PICTURE, budget, AWGN(10.0))
    snrs_db = np.arange(0.0, 20.0, 0.01)
    whole = np.prod([(1 - mode.error_rate(snrs_db)) ** blocks for mode, blocks in coded.parts], axis=0)
    return float(snrs_db[np.searchsorted(whole, 0.5)])


@pytest.mark.parametrize("frames", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_by_lot_as_many_frames_are_lost_as_by_decoding(frames):
    link, budget = load_baseline("webp+ldpc:16qam-490"), SAMPLES // 6
    snr_db, lost = cliff_snr_db(link, budget), {}
    for system in (link, DigitalAbstraction(link)):
        sent = [  # other rows of the picture: one file's symbols are never quite of unit mean power
            system.transmit(
                np.roll(PICTURE, seed, 0), AWGN(snr_db), budget, np.random.default_rng(seed), AWGN(10.0)
            )
            for seed in range(frames)
        ]
        lost[type(system).__name__] = sum(one.outage for one in sent)
    print(f"{snr_db:.2f} dB, {frames} frames: {lost}")
    both = sum(lost.values())
    assert binomtest(lost["Digital"], both, 0.5).pvalue > 1e-3
    assert 0.2 * frames < both / 2 < 0.8 * frames


def test_impossible_frames():
    system = load_baseline("webp+ldpc")
    frame = system.encode(PICTURE, SAMPLES // 8, AWGN(10.0))
    with pytest.raises(ImpossibleFrameError, match=r"file of \d+ uses, \d+ arrived"):
        system.decode(Received(frame.symbols[:-1], 1e-3))
    with pytest.raises(OutageError, match="no header"):
        system.decode(Received(frame.symbols[:3], 1e-3))
    noise = frame.symbols.copy()
    noise[frame.header_uses + 500 :] = 0
    with pytest.raises(OutageError, match="code blocks are lost"):
        system.decode(Received(noise, 0.1))
    with pytest.raises(ImpossibleFrameError, match="the frame holds a webp file, not one of jpeg"):
        load_baseline("jpeg+ldpc").decode(Received(frame.symbols, 1e-3))


def broken(codec, monkeypatch):
    """A codec that makes files and cannot read them."""

    def decode(data):
        raise RuntimeError("expected Float, got Double")

    monkeypatch.setattr(codec, "decode", decode)


@pytest.mark.parametrize("code", ["ldpc", "ldpc-abstraction", "ideal"])
def test_a_decoder_that_fails_is_no_outage(code, monkeypatch):
    system = load_baseline(f"webp+{code}")
    broken(find_codec("webp"), monkeypatch)
    with pytest.raises(InputError, match="webp file cannot be decoded: expected Float, got Double"):
        system.transmit(PICTURE, AWGN(10.0), SAMPLES // 8, np.random.default_rng(0))
    lost = system.transmit(PICTURE, AWGN(-10.0), SAMPLES // 8, np.random.default_rng(0), AWGN(10.0))
    assert lost.outage, "what does not arrive is no business of the decoder's"


def test_a_decoder_that_fails_makes_a_row_fail(tmp_path, monkeypatch):
    picture = save(PICTURE, tmp_path / "a.png")
    (trial,) = Grid([str(picture)], [SystemSpec("webp+ldpc")], ["awgn"], [10], ["1/8"], ["perfect"]).trials()
    broken(find_codec("webp"), monkeypatch)
    found = run_trial(trial)
    assert (found.status, found.error) == (
        "failed",
        "webp file cannot be decoded: expected Float, got Double",
    )


def test_a_header_of_another_codec_is_an_outage():
    """Of 65536 headers of noise alone one passes its CRC, and may name any codec."""
    frame = load_baseline("webp+ldpc").encode(PICTURE, SAMPLES // 8, AWGN(10.0))
    found = load_baseline("jpeg+ldpc").send(frame, AWGN(10.0), np.random.default_rng(0))
    assert found.outage
    assert found.picture.shape == PICTURE.shape


def test_budgets_that_hold_nothing():
    with pytest.raises(BudgetError, match=r"budget of 30 uses is below the \d+ of the frame's header"):
        send("jpeg+ldpc", budget=30)
    with pytest.raises(BudgetError, match="hold no code block of a mode that is dependable"):
        send("jpeg+ldpc", budget=120)
    with pytest.raises(BudgetError, match=r"bits are below the \d+ of the smallest jpeg file"):
        send("jpeg+ldpc", budget=400)
    with pytest.raises(BudgetError, match="of the smallest jpeg file"):
        send("jpeg+ideal", budget=30)
    with pytest.raises(BudgetError, match="below the 740 uses"):
        send("softcast", budget=700)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("jpg+ldpc", "codec 'jpg' is not one of jpeg, "),
        (
            "jpeg+turbo",
            r"system 'jpeg\+turbo' is not block-jscc, softcast, .*, CODEC\+CODE, .*; codecs: jpeg, ",
        ),
        ("hevc", "codes: ldpc, ldpc-abstraction, ideal"),
        ("hevc+ldpc:fast", "mode 'fast' is not one of qpsk-193, "),
        ("hevc+ideal:64qam-517", "an ideal code has no modes"),
    ],
)
def test_systems_that_do_not_exist(name, error):
    with pytest.raises(InputError, match=error):
        load_baseline(name)
    assert find_codec("hevc").name == "hevc"


def test_a_rival_is_the_same_trial_in_another_process(tmp_path):
    code = (
        "from jscc_sim.systems.fingerprint import Fingerprint; from jscc_sim.systems.spec import SystemSpec;"
        "print(Fingerprint.of(SystemSpec('webp+ldpc:64qam-517').load()).zoo_sha256)"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_baselines_in_a_grid(tmp_path):
    """Rows like any others; what no file fits is marked, and what is a bound too."""
    save(photograph(96, 128), tmp_path / "a.png")
    systems = ("webp+ldpc", "webp+ldpc-abstraction", "webp+ideal", "softcast")
    words = "".join(f'[[systems]]\nname = "{name}"\n' for name in systems)
    axes = 'images = ["a.png"]\nchannels = ["awgn"]\nsnr_db = [10]\ncbr = ["1/200", "1/6"]\n'
    (tmp_path / "grid.toml").write_text(axes + words)
    ran = program("sweep", "grid.toml", "--store", "rows.sqlite", cwd=tmp_path)
    assert ran.code == 0, ran.err
    assert ran.err.count("infeasible: a.png") == 3
    rows = table(tmp_path / "rows.sqlite")
    assert (rows.query("cbr_fraction == '1/200'")["status"] == "infeasible").all()
    done = rows.query("cbr_fraction == '1/6'").set_index("system")
    assert (done["status"] == "ok").all()
    assert set(done["zoo"]) | set(done["policy"]) == {""}
    assert done["realisable"].to_dict() == {name: name != "webp+ideal" for name in systems}
    psnr = done["psnr_db"]
    assert psnr["webp+ideal"] > psnr["webp+ldpc"] == psnr["webp+ldpc-abstraction"] > psnr["softcast"]


def test_transmit_by_the_command_line(tmp_path):
    words = ["transmit", "astronaut", "--cbr", "1/16", "--snr-db", "10", "--json"]
    ran = program(*words, "--system", "webp+ldpc", "--out", "got.png", cwd=tmp_path)
    assert (ran.code, ran.err) == (0, "")
    row = json.loads(ran.out)
    assert (row["system"], row["zoo"], row["policy"]) == ("webp+ldpc", "", "")
    assert row["uses"] <= row["budget_uses"]
    assert row["coder"] in {scheme.name for scheme in mcs.SCHEMES}
    assert row["psnr_db"] > 28
    assert (tmp_path / "got.png").exists()
    wrong = program(*words, "--system", "webp+ldpc", "--policy", "uniform", cwd=tmp_path)
    assert wrong.code == 2
    assert wrong.err == "jscc-sim: system webp+ldpc has no policy uniform\n"
