"""The block-wise system as its users see it: contract, power, composition, outage, determinism."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from processes import photograph

from jscc_sim.allocation import EncoderInTheLoop, Lagrangian, Oracle, Random, Uniform
from jscc_sim.channels import AWGN, Fading, parse_channel
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.testing import SystemContract, sample_picture
from jscc_sim.zoo import Zoo, load_zoo

LINEAR = load_zoo("linear")
BUDGET = 4000
SYSTEM = BlockJSCC(LINEAR)
CHANNELS = (
    "awgn",
    "rayleigh-slow",
    "rayleigh-block:64",
    "rayleigh-fast",
    "rician-slow:4",
    "rician-block:4:50",
)


class TestLagrangian(SystemContract):
    system = SYSTEM


class TestGenie(SystemContract):
    system = BlockJSCC(LINEAR, Uniform(), genie=True)


class TestOracle(SystemContract):
    system = BlockJSCC(LINEAR, Oracle())
    channels = (Fading(15.0, 0.0, 64),)
    sizes, cbrs = ((33, 64),), (1 / 4,)


class TestEncoderInTheLoop(SystemContract):
    system = BlockJSCC(LINEAR, EncoderInTheLoop())
    channels = (AWGN(10.0),)


@pytest.fixture(scope="module")
def picture():
    return photograph()


def mse(sent, picture):
    return float(np.square(sent.picture.astype(float) - picture).mean())


def test_a_side_that_no_header_holds_is_refused_before_the_work(monkeypatch):
    """Of one row: all of its blocks were measured, planned and coded first, 3 GB and half a minute."""

    def work(*_):
        raise AssertionError("the picture was split into blocks")

    monkeypatch.setattr("jscc_sim.systems.block_jscc.split", work)
    wide = np.zeros((1, 4_000_000, 3), np.uint8)
    for attempt in (SYSTEM.encode, SYSTEM.check_fits):
        with pytest.raises(InputError, match="width of 4000000 pixels is outside 1 to 65535"):
            attempt(wide, 10**6, AWGN(10.0))


@pytest.mark.parametrize("policy", [Lagrangian(), Uniform(), Random(), EncoderInTheLoop()], ids=repr)
@pytest.mark.parametrize("snr_db", [-2.0, 10.0, 20.0])
@pytest.mark.parametrize("genie", [False, True], ids=["header", "genie"])
def test_payload_power_is_one_and_the_header_is_qpsk(picture, policy, snr_db, genie):
    frame = BlockJSCC(LINEAR, policy, genie=genie).encode(picture, BUDGET, AWGN(snr_db))
    payload = frame.symbols[frame.header_uses :].astype(np.complex128)
    assert len(payload) == LINEAR.ratios.spent(frame.index) > 0
    assert np.square(np.abs(payload)).mean() == pytest.approx(1, abs=1e-6)
    assert (frame.header_uses == 0) == genie
    np.testing.assert_allclose(np.abs(frame.symbols[: frame.header_uses]), 1, atol=1e-6)


def test_the_power_pool_is_the_image_not_the_block(picture):
    frame = SYSTEM.encode(picture, BUDGET, AWGN(10.0))
    ends = np.cumsum(LINEAR.ratios.array[frame.index])[:-1]
    blocks = [b for b in np.split(frame.symbols[frame.header_uses :], ends) if len(b)]
    powers = np.array([np.square(np.abs(b)).mean() for b in blocks])
    assert powers.max() > 2 * powers.min()


@pytest.mark.parametrize("name", CHANNELS)
@pytest.mark.parametrize("csi", ["perfect", "noisy:20"])
def test_transmit_is_its_parts_composed(picture, name, csi):
    channel = parse_channel(name, 16.0, "perfect" if name == "awgn" else csi)
    sent = SYSTEM.transmit(picture, channel, BUDGET, np.random.default_rng(3))
    frame = SYSTEM.encode(picture, BUDGET, channel)
    received = channel(frame.symbols, np.random.default_rng(3))
    assert (sent.uses, sent.header_uses, sent.outage) == (len(frame.symbols), frame.header_uses, False)
    np.testing.assert_array_equal(sent.index, frame.index)
    np.testing.assert_array_equal(SYSTEM.decode(received).picture, sent.picture)


def test_the_stages_are_timed(picture):
    seconds = SYSTEM.transmit(picture, AWGN(10.0), BUDGET, np.random.default_rng(0)).seconds
    stages = {"complexity", "allocation", "encode", "frame", "channel", "decode", "reassembly"}
    assert seconds.keys() == stages


def test_hopeless_reception_is_an_outage(picture):
    sent = SYSTEM.transmit(picture, AWGN(-25.0), BUDGET, np.random.default_rng(0), belief=AWGN(10.0))
    assert sent.outage is True
    assert (sent.picture == 128).all()
    assert sent.uses > sent.header_uses > 0
    frame = SYSTEM.encode(picture, BUDGET, AWGN(10.0))
    with pytest.raises(OutageError):
        SYSTEM.decode(AWGN(-25.0)(frame.symbols, np.random.default_rng(0)))


def test_a_genie_spares_the_header_and_never_fails(picture):
    genie = replace(SYSTEM, genie=True)
    sent = genie.transmit(picture, AWGN(-25.0), BUDGET, np.random.default_rng(0))
    assert (sent.header_uses, sent.outage) == (0, False)
    honest, spared = (BlockJSCC(LINEAR, Uniform(), genie=genie) for genie in (False, True))
    uses = [system.plan(picture, BUDGET, AWGN(10.0)).index for system in (honest, spared)]
    assert LINEAR.ratios.spent(uses[0]) < LINEAR.ratios.spent(uses[1]) <= BUDGET


def test_quality_rises_with_snr_and_with_uses(picture):
    by_snr = [
        mse(SYSTEM.transmit(picture, AWGN(snr_db), BUDGET, np.random.default_rng(0)), picture)
        for snr_db in (1.0, 4.0, 7.0, 10.0, 13.0, 20.0)
    ]
    assert by_snr == sorted(by_snr, reverse=True)
    by_uses = [
        mse(SYSTEM.transmit(picture, AWGN(10.0), budget, np.random.default_rng(0)), picture)
        for budget in (800, 1500, 3000, 6000)
    ]
    assert by_uses == sorted(by_uses, reverse=True)


def test_adaptive_senders_are_better_than_uniform():
    """By about 0.8 dB on a photograph of 64 blocks; on a dozen blocks there is little to choose."""
    large = photograph(256, 256, "chelsea")

    def sent_by(policy):
        return BlockJSCC(LINEAR, policy).transmit(large, AWGN(10.0), 21_000, np.random.default_rng(0))

    uniform = mse(sent_by(Uniform()), large)
    for policy in (Lagrangian(), EncoderInTheLoop()):
        assert mse(sent_by(policy), large) < 0.9 * uniform


def test_a_sender_has_its_own_noise(picture):
    """Encoder-in-the-loop must plan the same whatever the true noise is; the oracle must not."""

    def plans(policy, channel):
        system = BlockJSCC(LINEAR, policy)
        seeds = map(np.random.default_rng, range(3))
        return {system.transmit(picture, channel, BUDGET, rng).index.tobytes() for rng in seeds}

    fading = Fading(15.0, 0.0, 64)
    assert len(plans(EncoderInTheLoop(), fading)) == 1
    assert len(plans(Lagrangian(), fading)) == 1
    assert len(plans(Oracle(), fading)) > 1


@pytest.mark.parametrize("name", CHANNELS)
def test_frames_of_different_length_meet_the_same_channel(name):
    channel = parse_channel(name, 10.0, "noisy:20" if name != "awgn" else "perfect")
    short, long = np.zeros(700, np.complex64), np.zeros(1500, np.complex64)
    first, second = (channel(symbols, np.random.default_rng(9)) for symbols in (short, long))
    np.testing.assert_array_equal(first.symbols, second.symbols[:700])
    assert first.noise_variance == second.noise_variance
    if first.estimate is not None:
        np.testing.assert_array_equal(first.estimate, second.estimate[:700])


ONCE = """
import hashlib, numpy as np
from jscc_sim.channels import parse_channel
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.testing import sample_picture
from jscc_sim.zoo import load_zoo
channel = parse_channel("rician-block:4:50", 14.0, "noisy:20")
system, rng = BlockJSCC(load_zoo("linear")), np.random.default_rng(8)
sent = system.transmit(sample_picture(100, 90), channel, 3000, rng)
print(hashlib.sha256(sent.picture.tobytes()).hexdigest())
"""


def test_same_bytes_in_another_process():
    channel = parse_channel("rician-block:4:50", 14.0, "noisy:20")
    here = [
        SYSTEM.transmit(sample_picture(100, 90), channel, 3000, np.random.default_rng(8)).picture.tobytes()
        for _ in range(2)
    ]
    assert here[0] == here[1]
    there = subprocess.run([sys.executable, "-c", ONCE], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == hashlib.sha256(here[0]).hexdigest()


def test_planning_needs_no_networks(picture):
    """A budget that will not do is found before torch is imported; see BlockJSCC.plan."""
    system = BlockJSCC(LINEAR)
    plan = system.plan(picture, BUDGET, AWGN(10.0))
    assert "bank" not in vars(system)
    frame = system.encode(picture, BUDGET, AWGN(10.0))
    assert plan.header_uses == frame.header_uses
    np.testing.assert_array_equal(plan.index, frame.index)
    with pytest.raises(BudgetError, match=r"budget of 40 uses is below the \d+ uses .* \(96x128 pixels\)"):
        system.plan(picture, 40, AWGN(10.0))


def test_a_frame_of_another_zoo_is_refused(picture):
    files = {**LINEAR.manifest["files"], "weights.safetensors": "0007" + "0" * 60}
    other = Zoo(replace(LINEAR.checkpoint, name="other", manifest={**LINEAR.manifest, "files": files}))
    frame = SYSTEM.encode(picture, BUDGET, AWGN(10.0))
    with pytest.raises(
        ImpossibleFrameError, match=rf"of zoo linear \({LINEAR.id:04x}\), not of zoo other \(0007\)"
    ):
        BlockJSCC(other).decode(AWGN(10.0)(frame.symbols, np.random.default_rng(0)))


def test_maps_are_smoothed_for_coders_that_see_across_blocks():
    """The linear coder's errors are a block's own: there smoothing only costs."""
    smooth, plain = Lagrangian(smoothing=0.9), Lagrangian(smoothing=0.0)
    for zoo, alike in ((LINEAR, True), (load_zoo("conv-small"), False)):
        alone = zoo.alone()
        found = [
            BlockJSCC(alone, policy).plan(photograph(), BUDGET, AWGN(10.0)) for policy in (smooth, plain)
        ]
        assert np.array_equal(found[0].index, found[1].index) is alike


def test_a_freak_header_of_another_size_is_an_outage(picture):
    """Its CRC holds by chance: what it says is not what was sent."""

    class Freak(BlockJSCC):
        def decode(self, received, genie=None):
            reception = super().decode(received, genie)
            return replace(reception, picture=reception.picture[:-1])

    sent = Freak(LINEAR, Uniform()).transmit(picture, AWGN(10.0), BUDGET, np.random.default_rng(0))
    assert sent.outage
    assert sent.picture.shape == picture.shape
