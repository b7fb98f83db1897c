"""The generative receiver: frames of the linear zoo, a search that lowers its criterion, a fallback."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from processes import photograph

from jscc_sim.allocation import Uniform
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN, Equalised, Fading, Received, complex_normal
from jscc_sim.coding.interleaving import places
from jscc_sim.errors import ImpossibleFrameError, InputError, OutageError
from jscc_sim.learned.generative import search as latent_search
from jscc_sim.learned.generative import task as training
from jscc_sim.learned.generative.link import Generative
from jscc_sim.learned.generative.network import (
    BlockVAE,
    BlockVAEArchitecture,
    Gaussian,
    Measurements,
    log_evidence,
)
from jscc_sim.learned.generative.search import criterion, measure, search
from jscc_sim.learned.generative.task import GenerativeTask
from jscc_sim.nn.pictures import image_of
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.testing import SystemContract, sample_picture
from jscc_sim.training.data import Crops
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.release import release_model
from jscc_sim.units import BLOCK_SAMPLES, noise_variance
from jscc_sim.zoo import load_zoo

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = BlockVAEArchitecture(latents=2, width=12, recognition=12)
PICTURE = photograph(96, 160, "coffee")
LINEAR = load_zoo("linear")
BANK = LINEAR.bank
SENDER = BlockJSCC(LINEAR, Uniform())
BUDGET = 15 * 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network after a few steps, as it is released."""
    task = GenerativeTask(SMALL)
    trainer = Trainer(task, Recipe(steps=40, warm_up=5, crops=3, bf16=False))
    crops = Crops([photograph(256, 256, "chelsea"), photograph(256, 256, "rocket")], 96)
    losses = [trainer.advance(crops).item() for _ in range(40)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    folder = tmp_path_factory.mktemp("generative")
    release_model(task, trainer.average, folder, {"data": "a test"})
    return folder


@pytest.fixture(scope="module")
def system(folder):
    return Generative(str(folder), steps=2)


class TestGenerative(SystemContract):
    cbrs = (1 / 8, 1 / 16)

    @pytest.fixture(autouse=True)
    def _system(self, system):
        self.system = system


def measured_of(picture, uses=64, snr_db=10.0, seed=0):
    """(payload, index, grid, measurements) of a picture's blocks, all at one ratio, no gain."""
    blocks, grid = split(picture)
    index = np.full(len(blocks), BANK.ratios.uses.index(uses))
    latents = BANK.encode(blocks, grid, index, snr_db)
    variance = noise_variance(snr_db)
    noisy = latents + complex_normal(len(latents), variance, np.random.default_rng(seed))
    payload = Equalised(noisy, np.ones(len(noisy)), np.full(len(noisy), variance))
    measured = measure(BANK, payload, 1.0, index, BANK.power(index, snr_db), grid.columns)
    return payload, index, grid, measured


# --- model ------------------------------------------------------------------------------------------


def test_evidence_is_that_of_a_gaussian():
    """Up to log N(y; y, noise), which no model changes."""
    rng = np.random.default_rng(0)
    value, mean = (torch.from_numpy(rng.normal(size=(1, 1, 1, 5))) for _ in range(2))
    variance, precision = (torch.from_numpy(rng.gamma(1.0, size=(1, 1, 1, 5))) for _ in range(2))
    found = log_evidence(Measurements(value, precision), mean, variance)
    spread = (variance + 1 / precision).sqrt()
    exact = torch.distributions.Normal(mean, spread).log_prob(value)
    best = torch.distributions.Normal(value, precision.rsqrt()).log_prob(value)
    torch.testing.assert_close(found, (exact - best).sum(-1))


def test_the_estimate_is_the_posterior_mean():
    rng = np.random.default_rng(1)
    mean, noise = 0.7, rng.normal(size=200_000)
    drawn = mean + np.sqrt(2.0) * rng.normal(size=noise.size)
    heard = drawn + np.sqrt(0.5) * noise
    given = Gaussian(torch.tensor(mean), torch.tensor(2.0))
    found = given.estimate(Measurements(torch.from_numpy(heard), torch.full((noise.size,), 2.0))).numpy()
    slope, offset = np.polyfit(heard, drawn, 1)
    np.testing.assert_allclose(found, slope * heard + offset, atol=0.02)


def test_what_was_not_sent_is_not_measured():
    *_, measured = measured_of(PICTURE, uses=16)
    first = np.argsort(-BANK.variance)[:32]
    assert (measured.precision[..., first] > 0).all()
    assert ((measured.precision > 0).sum(-1) == 32).all()
    assert not measured.value[measured.precision == 0].any()


@pytest.mark.parametrize("uses", [0, 16, 64, 768])
def test_the_linear_path_is_the_linear_banks_decode(uses):
    payload, index, grid, measured = measured_of(PICTURE, uses)
    estimate = measured.linear_estimate().numpy().reshape(-1, BLOCK_SAMPLES).astype(np.float64)
    blocks = BANK.inverse(estimate * np.sqrt(BANK.variance))
    theirs = BANK.decode(payload, 1.0, grid, index, 10.0)
    if uses == 0:
        np.testing.assert_allclose(blocks, np.broadcast_to(BANK.mean, blocks.shape), atol=1e-9)
    else:
        np.testing.assert_allclose(blocks, theirs, atol=0.01)


def test_training_measures_as_the_receiver_does():
    """The same coefficients, at the precision that a frame of these blocks has after its gain."""
    task = GenerativeTask(SMALL)
    frame = SENDER.encode(PICTURE, 20_000, AWGN(10.0))
    header, grid = frame.header, split(PICTURE)[1]
    payload = frame.symbols[frame.header_uses :][places(len(frame.symbols) - frame.header_uses)]
    quiet = Equalised(payload, np.ones(len(payload)), np.full(len(payload), noise_variance(10.0)))
    power = BANK.power(frame.index, header.sender_snr_db)
    received = measure(BANK, quiet, header.gain, frame.index, power, grid.columns)
    tensor = torch.from_numpy(PICTURE).permute(2, 0, 1)[None].float() / 255
    coefficients = task.coefficients(tensor)
    sent = received.precision > 0
    torch.testing.assert_close(received.value[sent], coefficients[sent], atol=2e-3, rtol=2e-2)
    busy = coefficients.square().mean((0, 1, 2))
    index = frame.index.reshape(grid.rows, grid.columns)
    expected = task._precision(index, header.sender_snr_db, busy)[None]
    ratio = expected.sum() / received.precision.sum()
    assert ratio.item() == pytest.approx(1.0, abs=0.05)


def test_validation_is_where_the_network_is(monkeypatch):
    """A network on another device is shown pictures, noise and all else there."""
    moved = []

    class OnTheHost:
        def __init__(self, picture):
            self.image = image_of(picture)

        def to(self, device):
            moved.append(device)
            return self.image.to(device)

    monkeypatch.setattr(training, "image_of", OnTheHost)
    task = GenerativeTask(SMALL)
    network = task.network()
    assert all(np.isfinite(list(task.validate(network, [PICTURE, PICTURE]).values())))
    assert moved == [network.look.weight.device] * 2


# --- search -----------------------------------------------------------------------------------------


def test_the_search_lowers_its_criterion(system):
    *_, measured = measured_of(PICTURE)
    found = search(system.prior, measured)
    assert (found.tried[1:] < found.starts[1:]).all(), "from every start but the guess, which may be the best"
    assert found.end < found.starts.min()
    assert search(system.prior, measured, steps=0).end == found.starts.min()


def test_the_criterion_is_the_joint_density(system):
    """Its difference between two latents, from the densities themselves."""
    *_, measured = measured_of(PICTURE, uses=16)
    z = torch.randn(2, SMALL.latents, 12, 20, generator=torch.Generator().manual_seed(0))
    given = system.prior.generate(z)
    likely = torch.distributions.Normal(given.mean, (given.variance + 1 / measured.precision).sqrt())
    densities = torch.where(measured.precision > 0, likely.log_prob(measured.value), 0.0)
    belief = system.prior.recognise(measured)
    first = torch.distributions.Normal(belief.mean, (0.5 * belief.log_variance).exp())
    exact = densities.sum((1, 2, 3)) + first.log_prob(z).sum((1, 2, 3))
    assert 1 < measured.side < 32
    for heard in (measured, measured.low(measured.side)):
        found = criterion(system.prior, heard, belief, z)
        assert (found[1] - found[0]).item() == pytest.approx((exact[0] - exact[1]).item(), rel=1e-3)


def test_where_nothing_wins_the_picture_is_the_linear_one(system, monkeypatch):
    """Block by block: those that lose are the linear bank's, to the last bit."""
    payload, index, grid, measured = measured_of(PICTURE)
    linear = BANK.decode(payload, 1.0, grid, index, 10.0)
    found = search(system.prior, measured)
    chosen = torch.arange(15).reshape(3, 5) % 4 == 0

    def some(prior, measured, steps):
        return dataclasses.replace(found, advantage=torch.where(chosen, 1.0, -1.0))

    monkeypatch.setattr(latent_search, "search", some)
    blocks = latent_search.decode(BANK, system.prior, payload, 1.0, grid, index, 10.0)
    same = (blocks == linear).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(same, ~chosen.reshape(-1).numpy())


def test_what_is_no_number_does_not_win(system):
    *_, measured = measured_of(PICTURE)
    value = measured.value.clone()
    value[0, 1, 1, 0] = torch.inf
    found = search(system.prior, Measurements(value, measured.precision))
    assert not found.wins[1, 1]
    assert found.estimate[found.wins].isfinite().all()


def test_strips_of_a_large_picture(system, monkeypatch):
    """Every block is decoded, once, whatever the strips; blocks not sent are filled from others."""
    monkeypatch.setattr("jscc_sim.nn.conv_bank.STRIP_BLOCKS", 10)
    picture = photograph(256, 160, "chelsea")
    sent = system.transmit(picture, AWGN(10.0), 40 * 32, np.random.default_rng(0))
    monkeypatch.undo()
    whole = system.transmit(picture, AWGN(10.0), 40 * 32, np.random.default_rng(0))
    apart = np.abs(sent.picture.astype(int) - whole.picture)
    assert apart.mean() < 2.0


# --- system -----------------------------------------------------------------------------------------


def test_frames_are_the_linear_zoos(system):
    for channel in (AWGN(10.0), Fading(15.0, 0.0, 64)):
        ours, theirs = (s.encode(PICTURE, BUDGET, channel) for s in (system, SENDER))
        np.testing.assert_array_equal(ours.symbols, theirs.symbols)
        assert ours.header_uses == theirs.header_uses


def test_another_models_frame(system):
    other = BlockJSCC(load_zoo("conv-small"), Uniform())
    frame = other.encode(PICTURE, 3000, AWGN(10.0))
    received = Received(frame.symbols, noise_variance(10.0))
    with pytest.raises(ImpossibleFrameError, match="the frame is of zoo conv-small"):
        system.decode(received)


def test_version_is_of_the_weights(system, folder, tmp_path):
    task = GenerativeTask(SMALL)
    torch.manual_seed(9)
    release_model(task, task.network(), tmp_path, {"data": "a test"})
    assert Generative(str(tmp_path)).version() != system.version() == Generative(str(folder)).version()


def test_weights_that_do_not_fit(folder, tmp_path):
    for name in ("manifest.json", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["architecture"]["latents"] += 1
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="does not fit the manifest"):
        Generative(str(tmp_path)).prepare()


def test_a_prior_of_another_bank(folder, tmp_path):
    task = GenerativeTask(SMALL)
    other = BlockVAE(SMALL, 1.1 * BANK.variance)
    release_model(task, other, tmp_path, {"data": "a test"})
    with pytest.raises(InputError, match="trained with another bank than the zoo linear"):
        Generative(str(tmp_path)).prepare()


def damaged(symbols, header_uses, rng):
    """One of a few kinds of damage."""
    symbols = symbols.copy()
    kind = rng.integers(6)
    first = int(rng.integers(0 if kind % 2 else header_uses, len(symbols)))
    last = int(rng.integers(first, len(symbols))) + 1
    if kind == 0:
        symbols[first:last] = 0
    elif kind == 1:
        return symbols[:first]
    elif kind == 2:
        symbols[first:last] *= np.float32(10.0 ** rng.uniform(-6, 6))
    elif kind == 3:
        symbols[first:last] = complex_normal(last - first, 10.0 ** rng.uniform(-2, 4), rng)
    elif kind == 4:
        symbols[first:last] = np.conj(symbols[first:last][::-1])
    else:
        symbols = np.roll(symbols, int(rng.integers(1, 50)))
    return symbols


@pytest.mark.parametrize("frames", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_damaged_frames(system, frames):
    """A picture or one clear error, whatever arrives."""
    system = dataclasses.replace(system, steps=0)
    picture = sample_picture(64, 64)
    frame = system.encode(picture, 600, AWGN(10.0))
    rng, outcomes = np.random.default_rng(3), {"picture": 0, "error": 0}
    for _ in range(frames):
        symbols = damaged(frame.symbols, frame.header_uses, rng)
        try:
            found = system.decode(Received(symbols, float(10.0 ** rng.uniform(-8, 2)))).picture
        except OutageError:
            outcomes["error"] += 1
        else:
            assert found.shape[2] == 3
            assert found.dtype == np.uint8
            outcomes["picture"] += 1
    assert min(outcomes.values()) > frames // 20


def test_it_gains_on_a_photograph_held_out():
    """The released weights, on the same frame under the same noise as the linear receiver."""
    ours, picture = Generative(), photograph(128, 192)
    frame = ours.encode(picture, 24 * 64 + 300, AWGN(10.0))
    received = AWGN(10.0)(frame.symbols, np.random.default_rng(0))
    found, linear = (
        np.square(system.decode(received).picture.astype(float) - picture).mean() for system in (ours, SENDER)
    )
    assert 10 * np.log10(linear / found) > 0.2
