"""The quantised autoencoder: network, entropy code, codec, and the link without an entropy code."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from processes import photograph
from quantised_ladder import front

from jscc_sim.channels import AWGN, Equalised, Fading, Received
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.codecs.learned import HEADER_BYTES
from jscc_sim.coding import context_coder, mcs, qam, soft_transport, transport
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError
from jscc_sim.header import FrameHeader, encode_header
from jscc_sim.learned.quantised.codec import LADDER, Quantised, Rate, grid
from jscc_sim.learned.quantised.link import RATES, PlaneGroup, QuantisedUEP, expected_symbols, planes_of
from jscc_sim.learned.quantised.network import (
    BITS,
    QuantisedArchitecture,
    QuantisedCoder,
    symbols_of,
    values_of,
)
from jscc_sim.learned.quantised.task import QuantisedTask
from jscc_sim.metrics import measure
from jscc_sim.systems.digital import Digital
from jscc_sim.testing import SystemContract
from jscc_sim.training.data import Crops
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.zoo import load_zoo

CODEC = Quantised()
PICTURE = photograph(96, 128)
LARGE = photograph(256, 256, "chelsea")
TINY = QuantisedArchitecture(fine=8, coarse=16, latents=8)
FIXED = tuple(Rate(16, bits) for bits in BITS)


def psnr_db(found, picture):
    return measure(found, picture, metrics=()).psnr_db


def coded(picture, rate):
    """The stream and the picture that comes of it."""
    data = CODEC.stream(picture, rate)
    return data, CODEC.picture(data, rate, *picture.shape[:2])


# --- network and training -----------------------------------------------------------------------------


@pytest.mark.parametrize("bits", BITS)
def test_rounding_is_within_half_a_step(bits):
    latents = torch.linspace(-1, 1, 1001)[None]
    symbols = symbols_of(latents, torch.tensor([bits]))
    assert symbols.unique().tolist() == list(range(2**bits))
    values = values_of(symbols, torch.tensor([bits]))
    assert (values - latents).abs().max() <= 2.0**-bits + 1e-6
    assert torch.equal(symbols_of(values, torch.tensor([bits])), symbols)


def test_channels_that_are_not_sent_do_not_matter():
    torch.manual_seed(0)
    network, latents = QuantisedCoder(TINY), torch.rand(2, 8, 3, 4) * 2 - 1
    other = latents.clone()
    other[0, 3:], other[1, 5:] = 0.9, -0.9
    rate = torch.tensor([3, 5]), torch.tensor([2, 6])
    assert torch.equal(network.synthesise(latents, *rate), network.synthesise(other, *rate))
    other[1, 4] = 0.5
    assert not torch.equal(network.synthesise(latents, *rate), network.synthesise(other, *rate))


def test_it_learns():
    task, held_out = QuantisedTask(TINY), [photograph(256, 256, "chelsea")]
    trainer = Trainer(task, Recipe(steps=40, crops=2, side=64, warm_up=5, kernel_rate=2e-2, other_rate=5e-3))
    crops = Crops([photograph(160, 192), photograph(160, 192, "coffee")], 64)
    before = trainer.validate(held_out)
    assert np.isfinite([trainer.advance(crops) for _ in range(40)]).all()
    after = trainer.validate(held_out)
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] + 2 for name in before)


def test_the_released_network_is_the_task_s():
    assert QuantisedTask().architecture == CODEC.coder.architecture
    assert sum(p.numel() for p in CODEC.coder.parameters()) <= 700_000
    assert CODEC.model.manifest["macs_per_pixel"] == round(QuantisedTask().macs_per_pixel())


def test_the_rates_worth_having():
    assert front([1, 2, 3, 3], [1, 1, 2, 3]) == [False, True, True, False]


# --- entropy code -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 9), (2, 6, 7)])
def test_symbols_come_back(bits, shape):
    rng = np.random.default_rng(bits)
    for symbols in (rng.integers(0, 2**bits, shape), np.zeros(shape, int), np.full(shape, 2**bits - 1)):
        found = context_coder.decode(context_coder.encode(symbols, bits), shape, bits)
        np.testing.assert_array_equal(found, symbols)


def test_what_the_entropy_code_takes():
    rng, shape = np.random.default_rng(0), (4, 24, 24)
    noise = rng.integers(0, 16, shape)
    raw = noise.size * 4 / 8
    assert raw <= len(context_coder.encode(noise, 4)) < 1.05 * raw
    smooth = np.clip(8 + np.cumsum(rng.integers(-1, 2, shape), axis=2), 0, 15)
    assert len(context_coder.encode(smooth, 4)) < 0.65 * raw
    least = noise.size * 4 * context_coder.LEAST_COST / 8
    assert least <= len(context_coder.encode(np.zeros(shape, int), 4)) < least + 60


@pytest.mark.parametrize(("bits", "symbol"), [(2, 4), (2, -1), (9, 0)])
def test_symbols_that_do_not_fit(bits, symbol):
    with pytest.raises(InputError, match=rf"symbols {symbol} to {symbol} do not fit into {bits} bits"):
        context_coder.encode(np.full((1, 1, 1), symbol), bits)


def test_few_bytes_cannot_claim_many_symbols():
    with pytest.raises(InputError, match=r"5 bytes cannot hold 320000000 numbers of 8 bits"):
        context_coder.decode(b"12345", (32, 1000, 10_000), 8)


# --- codec --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (33, 50)])
def test_any_size_comes_back(shape):
    picture = photograph(*shape)
    found = CODEC.decompress(CODEC.encode(picture, CODEC.levels - 1))
    assert found.shape == picture.shape
    assert psnr_db(found, picture) > 24


def test_a_file_is_what_its_documentation_says():
    data = CODEC.encode(PICTURE, 5)
    assert data[:HEADER_BYTES] == CODEC.model.id.to_bytes(2, "big") + bytes([5, 0, 0, 96, 0, 0, 128])
    symbols = context_coder.decode(data[HEADER_BYTES:], grid(LADDER[5], 96, 128), LADDER[5].bits)
    np.testing.assert_array_equal(symbols, CODEC.symbols(PICTURE, LADDER[5]))
    assert CODEC.encode(PICTURE, 5) == data


def test_bytes_and_quality_rise_with_the_level():
    files = [CODEC.encode(LARGE, level) for level in range(0, CODEC.levels, 3)]
    sizes = [len(data) for data in files]
    assert sizes == sorted(sizes)
    found = [psnr_db(CODEC.decompress(data), LARGE) for data in files]
    assert found == sorted(found)


def test_quality_rises_with_the_bits_of_a_latent():
    found = [psnr_db(coded(LARGE, rate)[1], LARGE) for rate in FIXED]
    assert found == sorted(found)
    assert found[1] > found[0] + 1


@pytest.mark.parametrize("rate", [*FIXED, LADDER[0], LADDER[-1]], ids=str)
def test_adaptive_coding_saves_a_tenth(rate):
    data, _ = coded(LARGE, rate)
    assert 8 * len(data) < 0.9 * np.prod(grid(rate, 256, 256)) * rate.bits


def test_other_weights_are_refused(tmp_path):
    files = {**CODEC.model.manifest["files"], "weights.safetensors": "0007" + "0" * 60}
    other = Quantised()
    vars(other)["model"] = replace(CODEC.model, manifest={**CODEC.model.manifest, "files": files})
    data = CODEC.encode(PICTURE, 0)
    with pytest.raises(InputError, match=rf"made with weights {CODEC.model.id:04x}, not 0007"):
        other.decompress(data)
    assert other.version() != CODEC.version()
    assert QuantisedUEP(other).version() != QuantisedUEP(CODEC).version()
    assert Digital(other).version() != Digital(CODEC).version()
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is not a manifest"):
        Quantised(str(tmp_path)).encode(PICTURE, 0)


def test_weights_that_do_not_fit_their_manifest():
    manifest = {**CODEC.model.manifest, "architecture": {"fine": 8}}
    other = Quantised()
    vars(other)["model"] = Checkpoint("quantised", CODEC.model.folder, manifest)
    with pytest.raises(InputError, match=r"weights\.safetensors does not fit the manifest"):
        other.encode(PICTURE, 0)


@pytest.mark.parametrize("count", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files(count):
    """A sentence, or a picture of the size that the file claims."""
    rng, refused = np.random.default_rng(11), 0
    whole = CODEC.encode(photograph(40, 56), 12)
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            start = HEADER_BYTES if rng.random() < 0.8 else 0
            data[rng.integers(start, len(data))] = rng.integers(256)
        if rng.random() < 0.3:
            del data[rng.integers(len(data)) :]
        try:
            found = CODEC.decompress(bytes(data))
        except InputError:
            refused += 1
            continue
        assert found.shape[:2] == CODEC.size(bytes(data))
    assert 0 < refused < count / 2


# --- labels and soft decisions ------------------------------------------------------------------------


def test_gray_labels():
    for bits in BITS:
        planes = planes_of(np.arange(2**bits), bits)
        assert (np.abs(np.diff(planes.astype(int), axis=1)).sum(axis=0) == 1).all(), "neighbours: one bit"
        np.testing.assert_array_equal(planes[0], np.arange(2**bits) >= 2 ** (bits - 1))
        certain = np.where(planes == 1, qam.LLR_LIMIT, -qam.LLR_LIMIT)
        np.testing.assert_allclose(expected_symbols(certain), np.arange(2**bits))


def test_the_expected_number_is_the_mean_over_all_labels():
    llrs = np.random.default_rng(2).normal(0, 2, (4, 5))
    ones = 1 / (1 + np.exp(-llrs))
    expected = np.zeros(5)
    for symbol in range(16):
        label = planes_of(np.array([symbol]), 4)
        expected += symbol * np.prod(np.where(label == 1, ones, 1 - ones), axis=0)
    np.testing.assert_allclose(expected_symbols(llrs), expected)
    np.testing.assert_allclose(expected_symbols(np.zeros((4, 1))), 7.5)


def test_an_error_spoils_a_latent_and_not_the_file():
    rate = Rate(8, 4)
    symbols = CODEC.symbols(LARGE, rate)
    wrong = symbols.copy()
    wrong[3, 10, 20] ^= 5
    right, spoilt = (CODEC.synthesise(x.astype(np.float32), rate, 256, 256) for x in (symbols, wrong))
    rows, columns = np.nonzero((right != spoilt).any(axis=2))
    assert len(rows) > 0
    assert np.ptp(rows) < 100
    assert np.ptp(columns) < 100


def test_what_is_left_of_a_lost_block():
    """Below the waterfall the beliefs about its bits are mostly right; whole blocks are certain."""
    scheme, rng = mcs.find_scheme("16qam-490"), np.random.default_rng(1)
    bits = rng.integers(0, 2, 4 * 488, dtype=np.uint8)
    received = AWGN(30.0)(transport.encode(bits, scheme, 512), rng)
    uses = scheme.uses(512)
    symbols, variance = received.symbols.copy(), np.full(4 * uses, received.noise_variance)
    symbols[uses : 2 * uses] += np.sqrt(0.15) * rng.normal(size=(uses, 2)).view(np.complex128)[:, 0]
    variance[uses : 2 * uses] = 0.3
    llrs = soft_transport.decode(Equalised(symbols, np.ones(4 * uses), variance), scheme, 512).reshape(4, -1)
    assert (np.abs(llrs[[0, 2, 3]]) == qam.LLR_LIMIT).all()
    right = (llrs > 0) == bits.reshape(4, -1)
    assert right[[0, 2, 3]].all()
    assert 0.6 < right[1].mean() < 1
    sure = np.abs(llrs[1]) > np.median(np.abs(llrs[1]))
    assert right[1][sure].mean() > right[1][~sure].mean()


# --- the link without an entropy code -----------------------------------------------------------------

UEP, LDPC = QuantisedUEP(), Digital(CODEC)
BUDGET = PICTURE.size // 8


class TestUEP(SystemContract):
    system = UEP


class TestDigital(SystemContract):
    system = LDPC


@pytest.fixture(scope="module")
def frame():
    return UEP.encode(PICTURE, BUDGET, AWGN(10.0))


def test_transmit_is_its_parts_composed(frame):
    channel = Fading(16.0, 4.0, 50, 20.0)
    sent = UEP.transmit(PICTURE, channel, BUDGET, np.random.default_rng(3))
    ours = UEP.encode(PICTURE, BUDGET, channel)
    found = UEP.decode(channel(ours.symbols, np.random.default_rng(3)))
    np.testing.assert_array_equal(found.picture, sent.picture)
    assert sent.uses == len(ours.symbols) <= BUDGET


def test_payload_power_is_one_and_the_header_is_qpsk(frame):
    payload = frame.symbols[frame.header_uses :]
    assert np.square(np.abs(payload)).mean() == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(np.abs(frame.symbols[: frame.header_uses]), 1, atol=1e-6)


def test_without_noise_it_is_the_codec_s_picture(frame):
    plan, header_uses = UEP.plan(PICTURE, BUDGET, AWGN(10.0))
    assert (header_uses, header_uses + plan.uses) == (frame.header_uses, len(frame.symbols))
    found = UEP.decode(Received(frame.symbols, 1e-6)).picture
    np.testing.assert_array_equal(found, coded(PICTURE, plan.rate)[1])


def test_the_rate_rises_with_the_budget_and_the_snr():
    for budgets, snrs_db in (((800, 1500, 3000, 9000), (10.0,) * 4), ((3000,) * 4, (0.0, 6.0, 12.0, 24.0))):
        plans = [UEP.plan(PICTURE, b, AWGN(s))[0].rate for b, s in zip(budgets, snrs_db, strict=True)]
        places = [RATES.index(rate) for rate in plans]
        assert places == sorted(places)
        assert places[0] < places[-1]


def test_significant_planes_are_better_protected():
    plan, _ = UEP.plan(LARGE, LARGE.size // 8, AWGN(10.0))
    carried = [part.mode.scheme.bits_per_use for part in plan.parts]
    assert carried == sorted(carried)
    assert carried[0] < carried[-1]
    assert sum(part.planes for part in plan.parts) == plan.rate.bits


def test_it_degrades_where_the_file_is_lost():
    """The sender believes 10 dB. The file goes from whole to nothing; this picture fades."""
    found = {}
    for snr_db in (10.0, 8.0, 7.0):
        for system in (UEP, LDPC):
            rng = np.random.default_rng(0)
            sent = system.transmit(PICTURE, AWGN(snr_db), BUDGET, rng, AWGN(10.0))
            found[type(system).__name__, snr_db] = psnr_db(sent.picture, PICTURE), sent.outage
    assert not found["Digital", 10.0][1]
    assert found["Digital", 8.0][1]
    assert not any(found["QuantisedUEP", snr_db][1] for snr_db in (10.0, 8.0, 7.0))
    fading = [found["QuantisedUEP", snr_db][0] for snr_db in (10.0, 8.0, 7.0)]
    assert fading == sorted(fading, reverse=True)
    assert fading[1] > found["Digital", 8.0][0] + 5
    assert fading[2] > found["Digital", 7.0][0] + 3


def test_impossible_frames(frame):
    with pytest.raises(ImpossibleFrameError, match=r"payload of \d+ uses, \d+ arrived"):
        UEP.decode(Received(frame.symbols[:-1], 1e-3))
    with pytest.raises(OutageError, match="no header"):
        UEP.decode(Received(frame.symbols[:3], 1e-3))
    plan, _ = UEP.plan(PICTURE, BUDGET, AWGN(10.0))
    mode = plan.parts[0].mode
    for wrong, error in (
        (replace(plan, rate=Rate(64, 8), parts=(PlaneGroup(8, mode),)), "impossible header"),
        (replace(plan, parts=(PlaneGroup(8, mode),)), "impossible header"),
        (replace(plan, height=65_000, width=65_000), "exceeds the limit"),
        (replace(plan, height=8192, width=8193), "the limit is"),
        (replace(plan, height=4000, width=4000), "arrived"),
    ):
        header = replace(frame_header(plan), height=wrong.height, width=wrong.width, fields=wrong.bits())
        front = encode_header(header, Protection(10.0, 0))
        with pytest.raises(ImpossibleFrameError, match=error):
            UEP.decode(Received(np.concatenate([front, frame.symbols]), 1e-3))
    fields = plan.bits()
    fields[-6:] = 1
    for change, error in (
        ({"system_id": load_zoo("linear").id}, r"the frame is of zoo linear \(.{4}\), not of quantised\+uep"),
        ({"fields": fields}, r"impossible header: .*63"),
    ):
        front = encode_header(replace(frame_header(plan), **change), Protection(10.0, 0))
        with pytest.raises(ImpossibleFrameError, match=error):
            UEP.decode(Received(front, 1e-3))


def frame_header(plan):
    return FrameHeader(plan.height, plan.width, UEP.codec.model.id, 1.0, 10.0, plan.bits())


@pytest.mark.parametrize("count", [30, pytest.param(500, marks=pytest.mark.slow)])
def test_damaged_frames(frame, count):
    """Symbols lost, swapped, silenced or not numbers: a picture or an outage, nothing else."""
    rng = np.random.default_rng(7)
    for case in range(count):
        symbols = frame.symbols.copy()
        start, length = rng.integers(len(symbols)), rng.integers(1, 400)
        kind = case % 4
        if kind == 0:
            symbols = np.delete(symbols, slice(start, start + length))
        elif kind == 1:
            symbols[start : start + length] = 1e3 * rng.normal()
        elif kind == 2:
            symbols[start : start + length] = np.nan
        else:
            symbols = np.roll(symbols, start)
        try:
            found = UEP.decode(Received(symbols, 0.1))
        except (OutageError, InputError):
            continue
        assert found.picture.shape == PICTURE.shape


def test_budgets_and_pictures_that_will_not_do():
    with pytest.raises(BudgetError, match=r"budget of 60 uses is below the \d+, header and all, that 96x128"):
        UEP.check_fits(PICTURE, 60, AWGN(10.0))
    with pytest.raises(InputError, match="1x70000 pixels: the limits are a side of 65535"):
        UEP.encode(np.zeros((1, 70_000, 3), np.uint8), 10**6, AWGN(10.0))
