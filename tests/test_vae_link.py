"""The analog VAE link: contract, power, noise as trained, damage, and the linear baseline below it."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from processes import photograph

from jscc_sim.channels import AWGN, Fading, Received
from jscc_sim.checkpoint import WEIGHTS, Checkpoint, models_folder
from jscc_sim.coding.protection import Protection
from jscc_sim.errors import BudgetError, ImpossibleFrameError, InputError, OutageError
from jscc_sim.header import FrameHeader, encode_header
from jscc_sim.images import read_picture
from jscc_sim.learned.vae import link as vae_link
from jscc_sim.learned.vae.link import CHOICE_BITS, VAE, LatentCount, VAELink
from jscc_sim.learned.vae.network import CHOICES, VAEArchitecture, VAECoder, latent_count, latents_of
from jscc_sim.learned.vae.patch_klt import (
    KLT_FILE,
    PatchKLT,
    fit_patch_klt,
)
from jscc_sim.learned.vae.task import VAELinkTask, receive
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.nn.loading import loaded
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.testing import SystemContract
from jscc_sim.training.data import Crops
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.release import release_model

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = VAELinkTask(VAEArchitecture(fine=8, coarse=8, decoder_fine=1, embedding=8, hidden=8))
PICTURE = read_picture("coffee")[64:192, 128:320]
BUDGET, STEPS = 40_000, 80


class LinkContract(SystemContract):
    cbrs = (1 / 4, 1 / 4)


class TestTwo(LinkContract):
    system = VAELink(2)


class TestFour(LinkContract):
    system = VAELink(4)


class TestEight(LinkContract):
    system = VAELink(8)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """The folder of a small network with random weights."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("other")
    release_model(TINY, TINY.network(), folder, {"data": "none"})
    return str(folder)


@pytest.fixture(scope="module")
def klt():
    return PatchKLT.beside(Checkpoint.find(VAE))


def psnr_db(got, picture):
    return psnr_of_mse(mean_squared_error(got, picture))


def send(n, channel, picture=PICTURE, seed=0, **more):
    sent = VAELink(n).transmit(picture, channel, BUDGET, np.random.default_rng(seed), **more)
    assert not sent.outage
    return sent


def link_psnr_db(n, channel, picture=PICTURE):
    return float(np.mean([psnr_db(send(n, channel, picture, seed).picture, picture) for seed in range(3)]))


# --- frames -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", CHOICES)
@pytest.mark.parametrize("size", [(128, 192), (47, 81), (1, 1), (1, 300)])
def test_uses_and_power(n, size):
    picture = np.resize(PICTURE, (*size, 3))
    frame = VAELink(n).encode(picture, 50_000, AWGN(10.0))
    payload = frame.symbols[frame.header_uses :]
    blocks = -(-size[0] // 8) * -(-size[1] // 8)
    assert len(payload) == 2 * n * blocks == latent_count(n, *size) // 2, "n/32 per pixel of whole 8x8 blocks"
    assert np.mean(np.abs(payload.astype(complex)) ** 2) == pytest.approx(1.0, abs=1e-5)
    np.testing.assert_allclose(np.abs(frame.symbols[: frame.header_uses]), 1.0, atol=1e-6)


@pytest.mark.parametrize("value", [0, 255])
def test_flat_pictures(value):
    picture = np.full((40, 56, 3), value, np.uint8)
    assert psnr_db(send(8, AWGN(10.0), picture).picture, picture) > 25


@pytest.mark.parametrize("n", CHOICES)
def test_a_budget_too_small_by_one(n):
    system, channel = VAELink(n, header_margin_db=0.0), AWGN(10.0)
    needed = len(system.encode(PICTURE, BUDGET, channel).symbols)
    assert send(n, channel).uses > needed, "the header's margin"
    assert VAELink(n).transmit(PICTURE, channel, needed, np.random.default_rng(0)).uses == needed
    system.check_fits(PICTURE, needed, channel)
    assert system.transmit(PICTURE, channel, needed, np.random.default_rng(0)).uses == needed
    message = f"budget of {needed - 1} uses is below the {needed} uses that vae:{n} needs for 128x192 pixels"
    for act in (system.check_fits, system.encode):
        with pytest.raises(BudgetError, match=message):
            act(PICTURE, needed - 1, channel)


@pytest.mark.parametrize("n", ["3", "", "two", "16", "2:4", "-2", "2.0"])
def test_other_n(n):
    with pytest.raises(InputError, match="vae:2, vae:4, vae:8"):
        load_baseline(f"vae:{n}")
    assert load_baseline("vae:4") == VAELink(4)
    with pytest.raises(InputError, match="vae:3 is none of vae:2, vae:4, vae:8"):
        VAELink(3)


def test_a_receiver_of_any_n_takes_every_n():
    channel, rng = AWGN(10.0), np.random.default_rng
    for n in CHOICES:
        received = channel(VAELink(n).encode(PICTURE, BUDGET, channel).symbols, rng(0))
        by_other = VAELink(2).decode(received).picture
        np.testing.assert_array_equal(VAELink(n).decode(received).picture, by_other)


@pytest.mark.parametrize("n", CHOICES)
def test_fields_there_and_back(n):
    fields = LatentCount(300, 200, n)
    assert len(fields.bits()) == CHOICE_BITS
    header = FrameHeader(300, 200, 0, 1.0, 10.0, np.pad(fields.bits(), (0, 30)))
    assert LatentCount.read(header) == fields


# --- what arrives -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", CHOICES)
@pytest.mark.parametrize("equaliser", ["none", "mmse"])
def test_the_system_hears_what_training_heard(n, equaliser, monkeypatch):
    """Order, gain, noise and shrinkage at run time are those of `receive`."""
    heard = []
    monkeypatch.setattr(vae_link, "decoded", lambda _, *values: heard.append(values) or PICTURE)
    system = VAELink(n, equaliser=equaliser)
    system.transmit(PICTURE, AWGN(6.0), BUDGET, np.random.default_rng(0), belief=AWGN(3.0))
    means, trust, size, sent_n, snr_db = heard[0]
    assert (size, sent_n, snr_db) == (PICTURE.shape[:2], n, 3)
    latents = latents_of(loaded(Checkpoint.find(VAE), VAEArchitecture, VAECoder), PICTURE, n, 3.0)
    variance = np.square(latents).mean() * 10**-0.6
    np.testing.assert_allclose(trust, 1 / (1 + variance), rtol=0.005)
    error = means / trust - latents
    assert error.var() == pytest.approx(variance, rel=0.06)
    assert abs(np.corrcoef(error, latents)[0, 1]) < 0.06


def test_receive_adds_the_noise_of_the_channel():
    generator = torch.Generator().manual_seed(1)
    used = torch.tensor([[True, True, False], [True, False, False], [True, True, True]])
    latents = (
        torch.randn(3, 3, 64, 64, generator=generator) * torch.tensor([0.5, 2.0, 1.0])[:, None, None, None]
    )
    latents = latents * used[:, :, None, None]
    noise, fading = torch.tensor([0.1, 1.0, 0.25]), torch.tensor([False, False, True])
    means, trust, level = receive(latents, used, noise, fading, generator)
    for k, deviation in enumerate((0.5, 2.0, 1.0)):
        heard = used[k]
        assert level[k].item() == pytest.approx(deviation**2, rel=0.1)
        variance = 1 / trust[k, heard] - 1
        error = (means[k, heard] / trust[k, heard] - latents[k, heard]) / variance.sqrt()
        assert error.var().item() == pytest.approx(1.0, rel=0.06)
        expected = (level[k] * noise[k]).item()
        if fading[k]:
            assert (expected / variance).mean().item() == pytest.approx(1.0, rel=0.06), "of unit mean power"
            assert variance.std() > expected
        else:
            torch.testing.assert_close(variance, torch.full_like(variance, expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n", CHOICES)
def test_quality_rises_with_the_snr(n):
    curve = [
        link_psnr_db(n, AWGN(snr_db))
        for snr_db in (-5.0, -2.0, 1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0, 25.0, 60.0)
    ]
    assert curve == sorted(curve)


@pytest.mark.parametrize("snr_db", [-2.0, 4.0, 10.0, 20.0])
def test_quality_rises_with_n(snr_db):
    curve = [link_psnr_db(n, AWGN(snr_db)) for n in CHOICES]
    assert curve == sorted(curve)
    assert curve[-1] - curve[0] > 1


@pytest.mark.parametrize("n", CHOICES)
@pytest.mark.parametrize("coherence", [1, 64])
def test_fading_costs_quality_and_no_more(n, coherence):
    steady, fading = link_psnr_db(n, AWGN(12.0)), link_psnr_db(n, Fading(12.0, 0.0, coherence))
    assert steady - 4 < fading < steady


def test_a_sender_that_is_wrong_loses_little():
    received = send(4, AWGN(10.0), belief=AWGN(4.0)).picture
    assert psnr_db(received, PICTURE) > psnr_db(send(4, AWGN(4.0)).picture, PICTURE)


# --- damage -------------------------------------------------------------------------------------------


def damaged(symbols, rng):
    """What a bad radio, or a bad person, makes of a frame."""
    symbols = symbols.copy()
    kind = rng.integers(5)
    if kind == 0:
        return symbols[: rng.integers(0, len(symbols))]
    places = rng.integers(0, len(symbols), rng.integers(1, 200))
    if kind == 1:
        symbols[places] = (rng.normal(size=(len(places), 2)) * 10.0 ** rng.uniform(-3, 6)).view(complex)[:, 0]
    if kind == 2:
        symbols[rng.integers(0, len(symbols)) :] = 0
    if kind == 3:
        symbols = np.roll(symbols, rng.integers(1, 50))
    if kind == 4:
        symbols = (symbols * 10.0 ** rng.uniform(-4, 4)).astype(np.complex64)
    return symbols


@pytest.mark.parametrize("times", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_symbols(times):
    """A picture or an error of ours, whatever arrives."""
    rng, system, shown = np.random.default_rng(0), VAELink(2), 0
    small = PICTURE[:32, :40]
    symbols = system.encode(small, BUDGET, AWGN(10.0)).symbols
    for _ in range(times):
        received = Received(damaged(symbols, rng), float(10.0 ** rng.uniform(-6, 1)))
        try:
            picture = system.decode(received).picture
        except (OutageError, InputError):
            continue
        assert picture.shape == small.shape
        shown += 1
    assert 0.1 * times < shown < 0.9 * times


@pytest.mark.parametrize("value", [0, 1e-30, 1e18, 3e38])
@pytest.mark.parametrize("noise_variance", [1e-6, 1e3])
def test_a_payload_beyond_measure(value, noise_variance):
    """Recordings may hold any finite number."""
    frame = VAELink(4).encode(PICTURE, BUDGET, AWGN(-20.0))
    symbols = frame.symbols.copy()
    symbols[frame.header_uses :] = value
    symbols[: frame.header_uses] *= 1e4
    assert VAELink(4).decode(Received(symbols, noise_variance)).picture.shape == PICTURE.shape


def test_symbols_cut_short():
    symbols = VAELink(4).encode(PICTURE, BUDGET, AWGN(10.0)).symbols
    payload = latent_count(4, *PICTURE.shape[:2]) // 2
    with pytest.raises(ImpossibleFrameError, match=f"payload of {payload} uses, {payload - 1} arrived"):
        VAELink(4).decode(Received(symbols[:-1], 0.1))
    with pytest.raises(OutageError, match="no header"):
        VAELink(4).decode(Received(symbols[:3], 0.1))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"height": 65535, "width": 65535}, "image of 65535 x 65535 pixels exceeds the limit"),
        ({"height": 5000}, r"payload of \d+ uses, \d+ arrived"),
        ({"fields": np.ones(CHOICE_BITS, np.uint8)}, "impossible header: latents 3"),
    ],
)
def test_forged_headers(change, error):
    frame = VAELink(4).encode(PICTURE, BUDGET, AWGN(10.0))
    forged = encode_header(dataclasses.replace(frame.header, **change), Protection(10.0, 0, 0.0))
    with pytest.raises(ImpossibleFrameError, match=error):
        VAELink(4).decode(Received(np.concatenate([forged, frame.symbols[frame.header_uses :]]), 0.1))


def test_fields_cut_short():
    with pytest.raises(ImpossibleFrameError, match="impossible header: 2 bits wanted, 1 left"):
        LatentCount.read(FrameHeader(8, 8, 0, 1.0, 0.0, np.zeros(1, np.uint8)))


# --- weights ------------------------------------------------------------------------------------------


def test_other_weights_are_another_system(other):
    released, small = VAELink(2), VAELink(2, other)
    assert released.version() != small.version()
    assert Checkpoint.find(VAE).identity in released.version()
    frame = small.encode(PICTURE, BUDGET, AWGN(10.0))
    assert small.decode(Received(frame.symbols, 0.1)).picture.shape == PICTURE.shape
    with pytest.raises(
        ImpossibleFrameError,
        match=r"the frame is of unknown weights \(.{4}\), not of vae:2 \(.{4}\)",
    ):
        released.decode(Received(frame.symbols, 0.1))


@pytest.mark.parametrize("architecture", [{"fine": 16}, {"width": 3}, {"fine": "x"}, {"fine": -1}, "none"])
def test_weights_that_do_not_fit(other, tmp_path, architecture):
    shutil.copytree(other, tmp_path / "m")
    path = tmp_path / "m" / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "architecture": architecture}))
    with pytest.raises(InputError, match="does not fit the manifest"):
        VAELink(2, str(tmp_path / "m")).prepare()


def test_weights_that_are_not_there(other, tmp_path):
    with pytest.raises(InputError, match="is not a manifest"):
        VAELink(2, str(tmp_path)).prepare()
    shutil.copytree(other, tmp_path / "m")
    (tmp_path / "m" / WEIGHTS).write_bytes(b"no")
    with pytest.raises(InputError, match="has sha256"):
        VAELink(2, str(tmp_path / "m")).prepare()


def test_the_released_weights():
    model = Checkpoint.find(VAE)
    coder = loaded(model, VAEArchitecture, VAECoder)
    assert model.manifest["parameters"] == sum(p.numel() for p in coder.parameters())
    task = VAELinkTask(VAEArchitecture(**model.manifest["architecture"]))
    assert model.manifest["macs_per_pixel"] == round(task.macs_per_pixel())
    assert (models_folder() / VAE / WEIGHTS).stat().st_size <= 1e6
    assert (models_folder() / VAE / "CARD.md").is_file()


# --- training -----------------------------------------------------------------------------------------


def test_it_learns():
    """From random weights, in a few steps, at every N."""
    trainer = Trainer(
        TINY, Recipe(steps=STEPS, crops=6, warm_up=5, bf16=False, kernel_rate=1e-2, other_rate=3e-3)
    )
    pictures = [photograph(120, 136)]
    crops, before = Crops([photograph(300, 400, "coffee")], 32), TINY.validate(trainer.network, pictures)
    for _ in range(STEPS):
        trainer.advance(crops)
    after = TINY.validate(trainer.network, pictures)
    assert after.keys() == {"PSNR 2", "PSNR 4", "PSNR 8"}
    assert all(after[name] > before[name] + 2 for name in after)


def test_every_weight_is_trained():
    torch.manual_seed(0)
    network, rng = TINY.network(), np.random.default_rng(0)
    images = torch.rand(12, 3, 32, 40)
    TINY.loss(network, images, rng, torch.Generator().manual_seed(0)).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.parameters())


def test_latents_of_other_choices_play_no_part():
    torch.manual_seed(0)
    network, choice, snr_db = TINY.network(), torch.tensor([1]), torch.tensor([5.0])
    latents = network.encode(torch.rand(1, 3, 16, 24), choice, snr_db)
    assert latents.shape == (1, sum(CHOICES), 4, 6)
    used = VAECoder(TINY.architecture).used[1]
    assert not latents[:, ~used].any()
    assert (latents[:, used].flatten(2).std(2) > 0).all()
    trust = torch.rand(1, sum(CHOICES), 4, 6)
    decoded = network.decode(latents, trust, choice, snr_db)
    noise = torch.randn(latents.shape) * ~used[:, None, None]
    again = network.decode(latents + noise, trust + noise.abs(), choice, snr_db)
    torch.testing.assert_close(again, decoded)


# --- the linear baseline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", CHOICES)
@pytest.mark.parametrize("snr_db", [-2.0, 4.0, 10.0])
@pytest.mark.parametrize("name", ["coffee", "astronaut"])
def test_the_link_is_above_its_baseline(klt, n, snr_db, name):
    picture = photograph(192, 256, name)
    linear = psnr_db(klt.transmit(picture, n, AWGN(snr_db), np.random.default_rng(0)), picture)
    assert link_psnr_db(n, AWGN(snr_db), picture) > linear


def test_a_rival_that_is_not_there(other, tmp_path):
    with pytest.raises(InputError, match=f"{KLT_FILE} cannot be read"):
        PatchKLT.beside(Checkpoint.find(VAE, other))
    shutil.copytree(other, tmp_path / "m")
    fitted = fit_patch_klt([PICTURE])
    fitted.save_beside(Checkpoint.find(VAE, str(tmp_path / "m")))
    back = PatchKLT.beside(Checkpoint.find(VAE, str(tmp_path / "m")))
    np.testing.assert_allclose(back.rotation, fitted.rotation, atol=1e-6)
    (tmp_path / "m" / KLT_FILE).write_bytes(b"no")
    with pytest.raises(InputError, match="has sha256"):
        PatchKLT.beside(Checkpoint.find(VAE, str(tmp_path / "m")))
