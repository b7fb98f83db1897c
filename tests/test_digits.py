"""The digit codec and the digit link: dither as promised, exact files, damage, and gains over PCA."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from jscc_sim.channels import AWGN, Fading, Received
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.coding import dither
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError
from jscc_sim.header import encode_header
from jscc_sim.learned.digits.codec import LEVELS, Digits, load_coder, prior_at, share
from jscc_sim.learned.digits.data import load_digits
from jscc_sim.learned.digits.link import DigitLink, TileLatents
from jscc_sim.learned.digits.network import (
    TILE,
    DigitArchitecture,
    DigitCoder,
    join,
    latents_of,
    split,
    tile_grid,
    tiles_of,
)
from jscc_sim.learned.digits.task import DeformedDigits, DigitTask, code
from jscc_sim.metrics import mean_squared_error
from jscc_sim.nn.pictures import unit_range
from jscc_sim.systems.digital import Digital
from jscc_sim.testing import SystemContract, sample_picture
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.release import release_model

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = DigitTask(DigitArchitecture(hidden=32, blocks=1, latents=6, anchors=3, components=2))
QUICK = Recipe(steps=150, warm_up=5, other_rate=5e-3, crops=64)
EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture(scope="module")
def sheet(digits):
    """120 digits that the networks have not seen and no figure shows."""
    return digits.validation.sheet()[: 8 * 6]


@pytest.fixture(scope="module")
def folder(digits, tmp_path_factory):
    """A small network after a few steps, as it is released."""
    folder = tmp_path_factory.mktemp("model")
    release_model(TINY, trained(QUICK.steps, digits).average, folder, {"data": "a test"})
    return str(folder)


@pytest.fixture(scope="module")
def codec(folder):
    return Digits(folder)


@pytest.fixture(scope="module")
def link(folder):
    return DigitLink(folder)


def trained(steps, digits):
    trainer = Trainer(TINY, QUICK)
    batches = DeformedDigits(digits.training.pixels, "cpu")
    for _ in range(steps):
        trainer.advance(batches)
    return trainer


# --- the digits -----------------------------------------------------------------------------------


def test_a_fifth_is_held_out_and_always_the_same(digits):
    parts = (digits.training, digits.validation, digits.held_out)
    assert [len(part) for part in parts] == [1200, 237, 360]
    assert sum(len(part) for part in parts) == 1797
    assert len(digits.held_out) == pytest.approx(1797 / 5, abs=1)
    assert hashlib.sha256(digits.held_out.pixels.tobytes()).hexdigest()[:12] == "e225d042b3da"
    assert digits.training.pixels.max() == 255
    shown = {digit.tobytes() for digit in digits.held_out.pixels}
    seen = {digit.tobytes() for part in (digits.training, digits.validation) for digit in part.pixels}
    assert not shown & seen, "no digit occurs twice"


def test_sheets_are_tiled_row_by_row(digits):
    sheet = digits.held_out.sheet(20)
    assert sheet.shape == (144, 160, 3)
    np.testing.assert_array_equal(sheet[8:16, 24:32, 1], digits.held_out.pixels[23])
    np.testing.assert_allclose(split(sheet)[23] * 255, digits.held_out.pixels[23].ravel(), atol=1e-3)


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'jscc_sim\[digits\]'"):
        load_digits()


# --- network and training -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (20, 33)])
def test_tiles_there_and_back(size):
    grey = np.repeat(sample_picture(*size)[..., :1], 3, axis=2)
    tiles = split(grey)
    rows, columns = tile_grid(*size)
    assert tiles.shape == (rows * columns, TILE**2)
    np.testing.assert_array_equal(join(tiles, *size), grey)


def test_the_network_s_bits_are_the_table_s():
    """Training's floating point and the code's integers are one prior."""
    torch.manual_seed(0)
    coder = DigitCoder(TINY.architecture)
    with torch.no_grad():
        coder.prior.add_(torch.randn_like(coder.prior))
        coder.prior.copy_(coder.prior.half().float())
    model = Checkpoint("a test", Path(), {"architecture": dataclasses.asdict(TINY.architecture)})
    vars(model)["tensors"] = {"prior": coder.prior.detach().numpy()}
    for level in (0, 20, 63):
        table = dither.frequencies(prior_at(model, level))
        phase, integers = dither.phases(50, 6), np.random.default_rng(1).integers(-4, 5, (50, 6))
        chance = table[np.arange(6), phase, integers + dither.LARGEST] / 2.0**24
        dithered = torch.from_numpy(integers + dither.dither(phase)).float()
        with torch.no_grad():
            bits = coder.bits(dithered, torch.full((50,), share(level)))
        np.testing.assert_allclose(bits.numpy(), np.minimum(-np.log2(chance), 20), rtol=2e-3, atol=2e-3)


def test_deformed_digits(digits):
    batches = DeformedDigits(digits.training.pixels, "cpu")
    drawn = batches.draw(300, np.random.default_rng(0))
    assert drawn.shape == (300, 1, 8, 8)
    assert drawn.dtype == torch.uint8
    assert unit_range(drawn).max() <= 1
    known = {digit.tobytes() for digit in digits.training.pixels}
    kept = np.mean([digit.numpy().tobytes() in known for digit in drawn])
    assert kept == pytest.approx(0.3, abs=0.1)
    energy = drawn.float().square().mean() / digits.training.pixels.astype(float).__pow__(2).mean()
    assert energy == pytest.approx(1, abs=0.1)


def test_it_learns_and_goes_on_where_it_stopped(digits, tmp_path):
    batches = DeformedDigits(digits.training.pixels, "cpu")
    straight = trained(40, digits)
    first = trained(20, digits)
    first.save(tmp_path / "checkpoint")
    second = Trainer(TINY, QUICK)
    second.restore(tmp_path / "checkpoint")
    for _ in range(20):
        second.advance(batches)
    for ours, theirs in zip(straight.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    pictures = TINY.held_out(None)
    before = Trainer(TINY, QUICK).validate(pictures)
    after = straight.validate(pictures)
    assert after["PSNR 0.5"] > before["PSNR 0.5"] + 1
    assert set(after) == {f"{name} {at}" for name in ("bits", "PSNR") for at in (0.2, 0.5, 0.8)}


def test_every_weight_is_trained(digits):
    torch.manual_seed(0)
    network = TINY.network()
    images = unit_range(DeformedDigits(digits.training.pixels, "cpu").draw(64, np.random.default_rng(0)))
    TINY.loss(network, images, np.random.default_rng(0), torch.Generator()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(90, 141), (1, 1), (8, 8), (30, 200)])
def test_files_decode_to_what_the_encoder_saw(codec, size):
    picture = sample_picture(*size)
    for level in (0, 30, 63):
        found = codec.decompress(codec.encode(picture, level))
        latents = latents_of(codec.coder, split(picture), share(level))
        phase = dither.phases(*latents.shape)
        heard = dither.quantise(latents, phase) + dither.dither(phase)
        np.testing.assert_array_equal(found, join(tiles_of(codec.coder, heard, share(level)), *size))
        assert (found == found[..., :1]).all(), "grey"


def test_the_file_is_as_long_as_training_says(codec, sheet):
    tiles = torch.from_numpy(split(sheet))
    for level in (0, 30, 63):
        with torch.no_grad():
            at = torch.full((len(tiles),), share(level))
            bits = [code(codec.coder, tiles, at, torch.Generator().manual_seed(s))[0].sum() for s in range(8)]
        assert 8 * len(codec.encode(sheet, level)) == pytest.approx(np.mean(bits), rel=0.04, abs=9 * 8 + 64)


def test_large_pictures_go_in_parts(codec, monkeypatch):
    picture = sample_picture(90, 141)
    before = codec.encode(picture, 40)
    monkeypatch.setattr("jscc_sim.learned.digits.network.BATCH", 50)
    found = latents_of(codec.coder, split(picture), share(40))
    assert found.shape == (12 * 18, 6)
    assert mean_squared_error(codec.decompress(codec.encode(picture, 40)), codec.decompress(before)) < 1


@pytest.mark.parametrize("times", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_files_never_crash(codec, sheet, times):
    """Whatever a file holds, there is a picture of the claimed size or an error."""
    rng = np.random.default_rng(7)
    data, outcomes = codec.encode(sheet, 40), set()
    for number in range(times):
        broken = bytearray(data[: rng.integers(1, len(data))] if number % 3 == 0 else data)
        if number % 7 == 0:
            broken = bytearray(data[:9] + rng.bytes(int(rng.integers(300))))
        first = 0 if number % 5 == 0 else 9  # the size in the head may cost much time, rightly
        for _ in range(rng.integers(1, 4)):
            if len(broken) > first:
                broken[rng.integers(first, len(broken))] ^= 1 << rng.integers(8)
        if int.from_bytes(broken[3:6], "big") * int.from_bytes(broken[6:9], "big") > 1 << 18:
            continue
        try:
            found = codec.decompress(bytes(broken))
        except InputError:
            outcomes.add("refused")
            continue
        assert found.shape == (*codec.size(bytes(broken)), 3)
        outcomes.add("decoded")
    assert outcomes == {"refused", "decoded"}


def test_other_weights_are_refused(codec, sheet):
    data = bytearray(codec.encode(sheet, 0))
    data[0] ^= 1
    with pytest.raises(InputError, match="not a digits file: made with weights"):
        codec.decompress(bytes(data))


@pytest.mark.parametrize(
    "change", [{"hidden": 31}, {"latents": 7}, {"components": 4}, {"anchors": 1}, {"x": 1}]
)
def test_weights_that_do_not_fit(folder, tmp_path, change):
    shutil.copytree(folder, tmp_path / "model")
    path = tmp_path / "model" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["architecture"] |= change
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="does not fit the manifest"):
        load_coder(Checkpoint.find("digits", str(tmp_path / "model")))


def test_versions_follow_the_weights(folder, digits, tmp_path):
    release_model(TINY, trained(1, digits).average, tmp_path / "other", {"data": "a test"})
    for make in (Digits, DigitLink):
        assert make(folder).version() == make(folder).version()
        assert make(folder).version() != make(str(tmp_path / "other")).version()


# --- analog ---------------------------------------------------------------------------------------


class TestLink(SystemContract):
    cbrs = (1 / 4, 1 / 4)

    @pytest.fixture(autouse=True)
    def _system(self, folder):
        type(self).system = DigitLink(folder)


class TestFilesOverTheChannel(SystemContract):
    cbrs = (1 / 2, 1 / 2)

    @pytest.fixture(autouse=True)
    def _system(self, folder):
        type(self).system = Digital(Digits(folder))


@pytest.mark.parametrize("budget", [300, 301, 500, 10_000])
@pytest.mark.parametrize("size", [(48, 80), (47, 81), (8, 8)])
def test_uses_and_power(link, sheet, size, budget):
    picture = np.tile(sheet, (1, 2, 1))[: size[0], : size[1]]
    frame = link.encode(picture, budget, AWGN(10.0))
    payload = frame.symbols[frame.header_uses :].astype(np.complex128)
    rows, columns = tile_grid(*size)
    latents = min(6, 2 * (budget - frame.header_uses) // (rows * columns))
    assert len(payload) == -(-rows * columns * latents // 2)
    assert len(frame.symbols) <= budget
    assert np.square(np.abs(payload)).mean() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(np.abs(frame.symbols[: frame.header_uses]), 1, atol=1e-6)


def test_a_budget_too_small_by_one(link, sheet):
    with pytest.raises(BudgetError, match=r"of 5 uses is below the (\d+) uses that digits needs") as error:
        link.encode(sheet, 5, AWGN(10.0))
    least = int(str(error.value).split()[7])
    assert len(link.encode(sheet, least, AWGN(10.0)).symbols) == least
    for refuse in (link.check_fits, link.encode):
        with pytest.raises(BudgetError):
            refuse(sheet, least - 1, AWGN(10.0))


def test_quality_rises_with_the_snr_and_the_budget(link, sheet):
    def error(snr_db, budget):
        sent = link.transmit(sheet, AWGN(snr_db), budget, np.random.default_rng(0))
        return mean_squared_error(sent.picture, sheet)

    by_snr = [error(snr_db, 800) for snr_db in (2.0, 6.0, 12.0, 20.0)]
    assert by_snr == sorted(by_snr, reverse=True)
    by_budget = [error(15.0, budget) for budget in (200, 320, 800)]
    assert by_budget == sorted(by_budget, reverse=True)


def test_without_noise_the_latents_arrive_as_they_are(link, sheet):
    frame = link.encode(sheet, 10_000, AWGN(60.0))
    received = AWGN(60.0)(frame.symbols, np.random.default_rng(0))
    found = link.decode(received).picture
    level = link.fields(frame.header).level
    straight = tiles_of(link._coder, latents_of(link._coder, split(sheet), share(level)), share(level))
    assert abs(found.astype(int) - join(straight, *sheet.shape[:2])).max() <= 4  # the gain has 12 bits


def test_a_lost_channel_gives_the_prior_s_mean(link, sheet):
    """The estimate shrinks to the mean as the noise grows, whatever is heard."""
    scaling = link._scaling(20, 6)
    part = AWGN(-30.0)(np.zeros(360, np.complex64), np.random.default_rng(0))
    from jscc_sim.channels import equalise

    heard = scaling.heard(equalise(part, "mmse"), 1e-3, 120)
    np.testing.assert_allclose(heard, np.tile(scaling.means, (120, 1)), atol=1e-2)


@pytest.mark.parametrize("channel", [Fading(15.0), Fading(15.0, 0.0, 64), Fading(15.0, 4.0, 1, 25.0)])
@pytest.mark.parametrize("equaliser", ["none", "zf", "mmse"])
def test_fading_costs_quality_and_no_more(folder, sheet, channel, equaliser):
    system = DigitLink(folder, equaliser)
    for seed in range(3):
        sent = system.transmit(sheet, channel, 900, np.random.default_rng(seed))
        assert sent.outage or sent.picture.shape == sheet.shape


@pytest.mark.parametrize("times", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_symbols(link, sheet, times):
    rng = np.random.default_rng(5)
    frame = link.encode(sheet, 800, AWGN(10.0))
    for number in range(times):
        symbols = AWGN(10.0)(frame.symbols, rng).symbols
        if number % 3 == 0:
            symbols = symbols[: rng.integers(1, len(symbols))]
        elif number % 3 == 1:
            start = rng.integers(len(symbols))
            symbols[start : start + 100] = rng.normal(0, 3, len(symbols[start : start + 100]))
        else:
            symbols = rng.normal(0, 1, (rng.integers(1, 900), 2)).view(np.complex128)[:, 0]
        ones = np.ones(len(symbols))
        try:
            found = link.decode(Received(symbols.astype(np.complex64), 0.1 * ones, ones.astype(complex)))
        except OutageError:
            continue
        assert found.picture.shape == sheet.shape


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"height": 65535, "width": 65535}, "exceeds the limit"),
        ({"height": 4000, "width": 4000}, r"payload of 750000 uses, \d+ arrived"),
        ({"fields": TileLatents(1, 0, 20).bits()}, "0 latents per tile; there are 6"),
        ({"fields": TileLatents(1, 7, 20).bits()}, "7 latents per tile; there are 6"),
    ],
)
def test_forged_headers(link, sheet, change, error):
    frame = link.encode(sheet, 800, AWGN(20.0))
    with pytest.raises(ImpossibleFrameError, match=error):
        link.decode(forged(frame, **change))


def test_frames_of_other_weights_are_refused(link, sheet):
    frame = link.encode(sheet, 800, AWGN(20.0))
    other = frame.header.system_id ^ 1
    with pytest.raises(
        ImpossibleFrameError, match=rf"the frame is of unknown weights \({other:04x}\), not of digits \("
    ):
        link.decode(forged(frame, system_id=other))


def forged(frame, **change):
    """As received over a good channel, with another header."""
    front = encode_header(dataclasses.replace(frame.header, **change), Protection(20.0, 0, 0.0))
    symbols = np.concatenate([front, frame.symbols[frame.header_uses :]])
    return AWGN(20.0)(symbols, np.random.default_rng(0))


# --- the released weights -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def section():
    """The experiment's section."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXPERIMENTS)
        import learned_digits

        yield learned_digits


@pytest.fixture(scope="module")
def curves(section, digits):
    """Bits per digit and PSNR on the held-out fifth, with every byte of the files."""
    return section.rate_curves(Digits(), digits)


def test_a_decibel_over_pca_at_equal_bits(section, curves):
    gains = section.gains_db(curves)
    assert list(gains) == [15, 20, 25, 30, 35]
    assert min(gains.values()) >= 1.0


def test_bits_and_quality_rise_with_lambda(curves):
    rows = curves[curves["coder"] == "digits"]
    bits, psnr_db = rows["bits"].to_numpy(), rows["psnr_db"].to_numpy()
    assert len(bits) == LEVELS
    assert (np.diff(bits) > 0).all()
    assert (np.diff(psnr_db[::3]) > 0).all()
    assert bits[0] < 15
    assert bits[-1] > 35


def test_the_baseline_s_files_decode(section, digits):
    baseline, pixels = section.PCABaseline(digits.training.pixels), digits.validation.pixels
    fine, coarse = (
        np.square(baseline.decode(baseline.encode(pixels, step), step, len(pixels)) - pixels.astype(float))
        for step in (2.0, 100.0)
    )
    assert fine.mean() < 2 < coarse.mean()


def test_what_it_makes_up_looks_like_digits(section, digits):
    scores = section.generation_scores(Digits(), digits)
    assert scores["held out"]["right"] > 0.97
    assert scores["PCA, normal"]["certainty"] < scores["generated"]["certainty"]
    assert scores["PCA, normal"]["confident"] < scores["generated"]["confident"]
    assert scores["generated"]["balance"] > 0.9
    assert scores["generated"]["nearest"] > 0.5 * scores["held out"]["nearest"], "not learnt by heart"
    assert section.generated_sheet(Digits(), np.random.default_rng(0)).shape == (80, 250, 3)


def test_the_released_link_beats_mid_grey_by_far(digits):
    sheet = digits.held_out.sheet()
    sent = DigitLink().transmit(sheet, AWGN(10.0), sheet.size // 24, np.random.default_rng(0))
    assert not sent.outage
    assert mean_squared_error(sent.picture, sheet) < 0.15 * np.var(sheet.astype(float))
