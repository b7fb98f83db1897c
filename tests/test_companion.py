"""A zoo with a companion: the sender takes the one that promises less error, the header says which."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from processes import photograph
from safetensors.numpy import load_file

from jscc_sim.allocation import EncoderInTheLoop, Lagrangian, Uniform
from jscc_sim.channels import AWGN, Fading
from jscc_sim.checkpoint import WEIGHTS
from jscc_sim.errors import ImpossibleFrameError, InputError
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.zoo import load_zoo, save_calibration, save_zoo

LINEAR = load_zoo("linear")
BUDGET = 4000


def zoo_that_promises(folder, octaves, companion="linear", flatness=1.0):
    """The linear coder, a little off so that its id differs, with errors predicted 2**octaves as large."""
    weights = load_file(LINEAR.folder / WEIGHTS)
    weights["mean"] = weights["mean"] + np.float32(0.5)
    weights["variance"] = weights["variance"] ** np.float32(flatness)
    manifest = {"bank": "linear", "ratios": list(LINEAR.ratios.uses), "companion": companion}
    biased = LINEAR.predictor.mse.copy()
    biased[:, 0] += octaves
    return save_calibration(
        save_zoo(folder, manifest, weights), replace(LINEAR.predictor, mse=biased), {"note": "biased"}
    )


@pytest.mark.parametrize("policy", [Uniform(), Lagrangian(), EncoderInTheLoop()], ids=repr)
@pytest.mark.parametrize(("octaves", "own"), [(-1.0, True), (1.0, False)])
def test_the_better_promise_is_taken(tmp_path, policy, octaves, own):
    zoo = zoo_that_promises(tmp_path / "zoo", octaves)
    system, picture = BlockJSCC(zoo, policy), photograph()
    frame = system.encode(picture, BUDGET, AWGN(10.0))
    expected = zoo if own else LINEAR
    assert (frame.coder, frame.header.system_id) == (expected.name, expected.id)
    sent = system.transmit(picture, AWGN(10.0), BUDGET, np.random.default_rng(0))
    assert not sent.outage
    assert sent.coder == expected.name
    assert np.square(sent.picture.astype(float) - picture).mean() < 700


@pytest.mark.parametrize("policy", [Uniform(), Lagrangian()], ids=repr)
@pytest.mark.parametrize("octaves", [-0.3, 0.3])
def test_coders_that_promise_about_the_same_are_tried(tmp_path, policy, octaves):
    """The zoo's variances are wrong: whatever its calibration says, the companion is better."""
    zoo = zoo_that_promises(tmp_path / "zoo", octaves, flatness=0.5)
    frame = BlockJSCC(zoo, policy).encode(photograph(), BUDGET, AWGN(10.0))
    assert frame.coder == LINEAR.name


@pytest.mark.parametrize("name", ["conv", "conv-small"])
@pytest.mark.parametrize("cbr", [48, 8])
@pytest.mark.parametrize("image", ["coffee", "rocket", "chelsea"])
def test_quality_rises_with_the_snr(name, cbr, image):
    """Through the SNRs at which the companion takes over."""
    system, picture = BlockJSCC(load_zoo(name)), photograph(160, 192, image)
    found = [
        system.transmit(picture, AWGN(snr_db), picture.size // cbr, np.random.default_rng(0))
        for snr_db in (4.0, 10.0, 14.0, 17.0, 20.0)
    ]
    psnrs_db = [psnr_between(sent.picture, picture) for sent in found]
    assert psnrs_db == sorted(psnrs_db)


def test_under_fading_the_promise_counts(tmp_path):
    """One fade that a sender draws tells nothing of those that will come: no frame is tried on it."""
    wrong = zoo_that_promises(tmp_path / "zoo", -0.3, flatness=0.5)
    fading = Fading(10.0)
    assert BlockJSCC(wrong).plan(photograph(), BUDGET, fading).zoo.name == wrong.name
    assert BlockJSCC(wrong).plan(photograph(), BUDGET, AWGN(10.0)).zoo.name == LINEAR.name


def test_a_zoo_alone_never_takes_the_companion(tmp_path):
    zoo = zoo_that_promises(tmp_path / "zoo", 1.0)
    frame = BlockJSCC(zoo.alone()).encode(photograph(), BUDGET, AWGN(10.0))
    assert frame.coder == zoo.name
    assert zoo.alone().sha256 != zoo.sha256


def test_a_receiver_without_the_companion_says_so(tmp_path):
    zoo = zoo_that_promises(tmp_path / "zoo", 1.0)
    frame = BlockJSCC(zoo).encode(photograph(), BUDGET, AWGN(10.0))
    alone = zoo_that_promises(tmp_path / "alone", 1.0, companion=None)
    received = AWGN(10.0)(frame.symbols, np.random.default_rng(0))
    with pytest.raises(
        ImpossibleFrameError, match=r"the frame is of zoo linear \([0-9a-f]{4}\), not of zoo "
    ):
        BlockJSCC(alone).decode(received)


def test_the_hash_covers_the_companion(tmp_path):
    with_it = zoo_that_promises(tmp_path / "a", 1.0)
    without = zoo_that_promises(tmp_path / "b", 1.0, companion=None)
    assert with_it.id == without.id
    assert with_it.sha256 != without.sha256


def test_a_companion_that_cannot_be_one(tmp_path):
    unknown = zoo_that_promises(tmp_path / "zoo", 1.0, companion=None)
    broken = unknown.with_fields(companion="nowhere")
    with pytest.raises(InputError, match="nowhere"):
        _ = broken.family
    chained = zoo_that_promises(tmp_path / "first", 1.0)
    second = unknown.with_fields(companion=str(chained.folder))
    with pytest.raises(InputError, match="has a companion itself"):
        _ = second.family
