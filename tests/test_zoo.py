"""Zoos on disk: what was saved comes back, and nothing that was changed is loaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from jscc_sim import checkpoint as weights
from jscc_sim import zoo as zoos
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN, Equalised
from jscc_sim.checkpoint import CARD, MANIFEST, WEIGHTS
from jscc_sim.codecs import find_codec
from jscc_sim.errors import InputError
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.nn.linear import LinearBank
from jscc_sim.prediction import Predictor
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import BLOCK_SAMPLES, STANDARD_RATIOS, RatioSet
from jscc_sim.zoo import (
    CALIBRATION,
    load_zoo,
    released_zoos,
    save_calibration,
    save_zoo,
    update_manifest,
)

RATIOS = RatioSet((0, 8, 32))
TINY = ConvArchitecture(RATIOS.uses, fine=4, coarse=8, embedding=4)


def linear_tensors():
    variance = 1e4 / np.arange(1.0, BLOCK_SAMPLES + 1)
    return {"mean": np.full(3, 120.0), "colour": np.eye(3), "variance": variance}


def saved_linear(folder):
    return save_zoo(folder, {"bank": "linear", "ratios": list(RATIOS.uses)}, linear_tensors())


def tiny_coder():
    torch.manual_seed(0)
    return ConvCoder(TINY)


def saved_conv(folder):
    manifest = {"bank": "conv", "ratios": list(RATIOS.uses), "architecture": asdict(TINY)}
    return save_zoo(folder, manifest, {k: v.numpy() for k, v in tiny_coder().state_dict().items()})


def predictor(seed=0):
    rng = np.random.default_rng(seed)
    low, high = np.zeros(10), rng.uniform(1, 20, 10)
    return Predictor(low, high, rng.normal(size=(3, 66)) / 10, rng.normal(size=(3, 66)) / 10)


@pytest.mark.parametrize("left_db", [-40.0, 0.0, 3.7, 11.0, 60.0])
def test_errors_by_the_snr_left_are_the_regression(left_db):
    rng, found = np.random.default_rng(1), predictor()
    features = rng.uniform(-1, 22, (50, 8))
    expected = np.exp2(found.basis(features, 7.3, left_db) @ found.mse.T)
    expected = np.minimum.accumulate(expected, axis=1)
    np.testing.assert_allclose(found.mse_left(features, 7.3)(left_db), expected, rtol=1e-12)


def edit(zoo, **fields):
    """The manifest with fields set, as a careless hand would."""
    path = zoo.folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def replace_weights(zoo, content):
    """Other bytes, with the sha256 that fits them."""
    (zoo.folder / WEIGHTS).write_bytes(content)
    edit(zoo, files={WEIGHTS: hashlib.sha256(content).hexdigest()})


@pytest.fixture
def linear(tmp_path):
    return saved_linear(tmp_path / "linear")


@pytest.fixture
def released(tmp_path, monkeypatch):
    """A models folder of two zoos."""
    for module in (zoos, weights):
        monkeypatch.setattr(module, "models_folder", lambda: tmp_path / "models")
    saved_linear(tmp_path / "models" / "birch")
    saved_conv(tmp_path / "models" / "alder")
    return tmp_path / "models"


# --- round trips ----------------------------------------------------------------------------------


def test_linear_zoo_comes_back(linear):
    bank = load_zoo(str(linear.folder)).bank
    assert isinstance(bank, LinearBank)
    assert bank.ratios == RATIOS
    for name, value in linear_tensors().items():
        np.testing.assert_array_equal(getattr(bank, name), value)


def test_conv_zoo_comes_back(tmp_path):
    bank = load_zoo(str(saved_conv(tmp_path / "conv").folder)).bank
    blocks, grid = split(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    index = np.arange(len(grid)) % 3
    expected = ConvBank(tiny_coder())
    assert bank.architecture == TINY
    latents = bank.encode(blocks, grid, index, 10)
    np.testing.assert_array_equal(latents, expected.encode(blocks, grid, index, 10))
    payload = Equalised(latents, np.ones(len(latents)), np.full(len(latents), 0.1))
    np.testing.assert_array_equal(
        bank.decode(payload, 1.0, grid, index, 10), expected.decode(payload, 1.0, grid, index, 10)
    )


def test_calibration_comes_back(linear):
    zoo = save_calibration(linear, predictor(), {"command": "calibrate"})
    for name, value in asdict(predictor()).items():
        np.testing.assert_allclose(getattr(load_zoo(zoo.name).predictor, name), value, rtol=1e-6)
    assert zoo.manifest["calibration"] == {"command": "calibrate"}


def test_zoo_is_written_whole_and_readable(linear):
    assert sorted(p.name for p in linear.folder.iterdir()) == [CARD, MANIFEST, WEIGHTS]
    assert json.loads((linear.folder / MANIFEST).read_text())["bank"] == "linear"


def test_a_card_is_made_anew_unless_somebody_wrote_it(linear):
    fields = {"bank": "linear", "ratios": [0, 8], "summary": "coders", "snr_range_db": [-2, 20]}
    training = {"command": "jscc-sim train pictures", "steps": 7}

    def made():
        return save_zoo(linear.folder, {**fields, "training": training}, linear_tensors()).checkpoint.card

    assert made().splitlines()[1:] == [
        f"# {linear.folder.name}", "", "coders", "", "- **SNR**: -2 to 20 dB",
        "- **command**: jscc-sim train pictures", "- **steps**: 7",
    ]  # fmt: skip
    training["steps"] = 8
    assert "**steps**: 8" in made()
    (linear.folder / CARD).write_text("mine")
    assert made() == "mine"


def test_further_fields_leave_the_zoo_what_it_is(linear):
    zoo = update_manifest(linear, psnr_db=30.0)
    assert zoo.manifest["psnr_db"] == 30.0
    assert (zoo.sha256, zoo.id) == (linear.sha256, linear.id)


# --- identity -------------------------------------------------------------------------------------


def test_calibration_changes_the_hash_and_not_the_id(linear):
    first = save_calibration(linear, predictor(0), {})
    second = save_calibration(first, predictor(1), {})
    assert len({linear.sha256, first.sha256, second.sha256}) == 3
    assert linear.id == first.id == second.id


def test_id_is_16_bits_of_the_weights(linear, tmp_path):
    digest = hashlib.sha256((linear.folder / WEIGHTS).read_bytes()).digest()
    assert linear.id == int.from_bytes(digest[:2], "big")
    assert saved_conv(tmp_path / "conv").id != linear.id


def test_new_weights_drop_the_old_calibration(linear):
    save_calibration(linear, predictor(), {})
    zoo = save_zoo(linear.folder, {"bank": "linear", "ratios": [0, 8]}, linear_tensors())
    assert not (zoo.folder / CALIBRATION).exists()
    with pytest.raises(InputError, match=r"has no calibration\.safetensors"):
        _ = zoo.predictor


# --- names ----------------------------------------------------------------------------------------


def test_released_zoos_by_name(released):
    assert released_zoos() == ["alder", "birch"]
    assert load_zoo("alder").folder == released / "alder"
    assert load_zoo("birch").name == "birch"


@pytest.mark.parametrize("name", ["oak", "", "birch/", "../birch", "/nowhere/at/all"])
def test_unknown_name_lists_the_known(released, name):
    with pytest.raises(InputError, match="neither one of alder, birch nor a folder"):
        load_zoo(name)


@pytest.mark.parametrize("name", released_zoos())
def test_what_comes_with_the_package_can_be_used(name):
    zoo = load_zoo(name)
    assert zoo.ratios.uses == STANDARD_RATIOS.uses
    blocks, grid = split(np.zeros((32, 32, 3), np.uint8))
    assert zoo.bank.encode(blocks, grid, np.array([3]), 10).shape == (32,)


# --- damage ---------------------------------------------------------------------------------------


def test_changed_weights_are_not_loaded(linear):
    content = bytearray((linear.folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (linear.folder / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.safetensors has sha256 .* not "):
        _ = load_zoo(linear.name).bank


def test_changed_calibration_is_not_loaded(linear):
    save_calibration(linear, predictor(), {})
    (linear.folder / CALIBRATION).write_bytes(b"other")
    with pytest.raises(InputError, match=r"calibration\.safetensors has sha256"):
        _ = load_zoo(linear.name).predictor


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_truncated_weights_whose_hash_fits(linear, share):
    whole = (linear.folder / WEIGHTS).read_bytes()
    replace_weights(linear, whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match="is no safetensors file"):
        _ = load_zoo(linear.name).bank


def test_missing_weights(linear):
    (linear.folder / WEIGHTS).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        _ = load_zoo(linear.name).bank


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "{}", '"text"', '{"ratios": [0, 8]}', '{"ratios": 3, "files": {}}',
        '{"ratios": [0, 8], "files": {}}', '{"ratios": [0, 8], "files": {"weights.safetensors": 7}}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "no hex"}}',
        '{"ratios": [8], "files": {"weights.safetensors": "abcd"}}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd"}, "bank": "other"}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd"}}',
        '{"ratios": [0, 1e999], "files": {"weights.safetensors": "abcd"}, "bank": "linear"}',
        '{"ratios": [0, 8.5], "files": {"weights.safetensors": "abcd"}, "bank": "linear"}',
        '{"ratios": [0, 10000000], "files": {"weights.safetensors": "abcd"}, "bank": "linear"}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": null}, "bank": "linear"}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd", "calibration.safetensors": null},'
        ' "bank": "linear"}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd"}, "bank": "linear", "companion": [1]}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd"}, "bank": "linear",'
        ' "companion": "a\\u0000"}',
        '{"ratios": ' + 100_000 * "[",
        f'{{"ratios": [0, {5000 * "9"}]}}',
        '{"ratios": [0, 8], "files": {"weights.safetensors": "abcd"}}' + (1 << 20) * " ",
    ],
)  # fmt: skip
def test_broken_manifest(linear, text):
    (linear.folder / MANIFEST).write_text(text)
    with pytest.raises(InputError):
        load_zoo(linear.name)


def test_companions_in_a_circle(tmp_path):
    """Three zoos, each the companion of the one before."""
    folders = [tmp_path / name for name in "abc"]
    for number, folder in enumerate(folders):
        edit(saved_linear(folder), companion=str(folders[(number + 1) % 3]))
    with pytest.raises(InputError, match="has a companion itself"):
        load_zoo(str(folders[0]))


def test_manifest_that_is_no_text(linear):
    (linear.folder / MANIFEST).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not a manifest"):
        load_zoo(linear.name)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_weights_that_are_not_finite(linear, value):
    """Neither written nor, with a hash that fits, read."""
    tensors = {**linear_tensors(), "mean": np.array([120.0, value, 120.0])}
    with pytest.raises(InputError, match="values in mean are not finite"):
        weights.write_tensors(linear.folder / "other", tensors)
    replace_weights(linear, weights.save_tensors(tensors))
    with pytest.raises(InputError, match="values in mean that are not finite"):
        _ = load_zoo(linear.name).bank


def test_weights_of_a_type_that_numpy_lacks(linear):
    from safetensors.torch import save

    replace_weights(linear, save({"mean": torch.zeros(3, dtype=torch.bfloat16)}))
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        _ = load_zoo(linear.name).bank


def test_calibration_that_is_not_finite(linear):
    zoo = save_calibration(linear, predictor(), {})
    content = weights.save_tensors({k: np.full_like(v, np.nan) for k, v in asdict(predictor()).items()})
    (zoo.folder / CALIBRATION).write_bytes(content)
    edit(zoo, files={**zoo.manifest["files"], CALIBRATION: hashlib.sha256(content).hexdigest()})
    with pytest.raises(InputError, match="not finite"):
        _ = load_zoo(zoo.name).predictor


@pytest.mark.parametrize("variance", [0, -1])
def test_linear_weights_without_variance(tmp_path, variance):
    tensors = linear_tensors()
    tensors["variance"][9] = variance
    zoo = save_zoo(tmp_path / "z", {"bank": "linear", "ratios": [0, 8]}, tensors)
    with pytest.raises(InputError, match=f"a variance is {variance}, not above 0"):
        _ = zoo.bank


def test_a_calibration_that_covers_no_range(linear):
    flat = predictor()
    zoo = save_calibration(linear, replace(flat, high=flat.low), {})
    with pytest.raises(InputError, match="the range of an input is empty"):
        _ = zoo.predictor


def test_weights_that_are_whole_numbers(linear):
    replace_weights(linear, weights.save_tensors({k: v.astype(int) for k, v in linear_tensors().items()}))
    with pytest.raises(InputError, match=r"holds int64 in [a-z]+, not floating point"):
        _ = load_zoo(linear.name).bank


def test_a_network_without_channels(tmp_path):
    """torch would warn of it first."""
    zoo = saved_conv(tmp_path / "conv")
    edit(zoo, architecture=asdict(TINY) | {"fine": 0})
    with pytest.raises(InputError, match="no channels for weight"):
        _ = load_zoo(zoo.name).bank


@pytest.mark.parametrize("factor", [300.0, 30_000.0])
def test_finite_weights_of_which_nothing_finite_comes(tmp_path, factor):
    """They gave a picture of 5.5 dB and no word, or a traceback."""
    conv = load_zoo("conv-small")
    tensors = weights.read_tensors("", conv.folder, WEIGHTS, conv.manifest["files"][WEIGHTS])
    zoo = tmp_path / "z"
    shutil.copytree(conv.folder, zoo)
    content = weights.save_tensors({k: v.astype(np.float32) * np.float32(factor) for k, v in tensors.items()})
    (zoo / WEIGHTS).write_bytes(content)
    files = {**conv.manifest["files"], WEIGHTS: hashlib.sha256(content).hexdigest()}
    edit(load_zoo(str(zoo)), files=files, companion=None)
    system = BlockJSCC(load_zoo(str(zoo)))
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with pytest.raises(InputError, match="that are not finite: its weights cannot be used"):
        system.transmit(picture, AWGN(10.0), 1536, np.random.default_rng(0))


@pytest.mark.parametrize(("name", "factor", "added"), [("gmm", 0.0, 6e4), ("quantised", 3e4, 0.0)])
def test_no_file_is_made_of_what_is_not_finite(tmp_path, name, factor, added):
    """Such a file could not be decoded."""
    model = weights.Checkpoint.find(name)
    tensors = {k: np.float32(factor) * v.astype(np.float32) + added for k, v in model.tensors.items()}
    (tmp_path / WEIGHTS).write_bytes(weights.save_tensors(tensors))
    digest = hashlib.sha256((tmp_path / WEIGHTS).read_bytes()).hexdigest()
    manifest = json.dumps({**model.manifest, "files": {WEIGHTS: digest}})
    (tmp_path / MANIFEST).write_text(manifest)
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    with pytest.raises(InputError, match="latents that are not finite: its weights cannot be used"):
        find_codec(name, str(tmp_path)).encode(picture, 3)


@pytest.mark.parametrize("lacks", ["mean", "colour", "variance"])
def test_linear_weights_that_lack_a_tensor(tmp_path, lacks):
    tensors = {k: v for k, v in linear_tensors().items() if k != lacks}
    zoo = save_zoo(tmp_path / "z", {"bank": "linear", "ratios": [0, 8]}, tensors)
    with pytest.raises(InputError, match="does not fit the manifest"):
        _ = zoo.bank


def test_no_memory_for_a_network_is_no_misfit(tmp_path, monkeypatch):
    def none_left(*_):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to")

    zoo = saved_conv(tmp_path / "conv")
    monkeypatch.setattr("jscc_sim.zoo._conv_bank", none_left)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        _ = load_zoo(str(zoo.folder)).bank


def test_linear_weights_of_another_shape(tmp_path):
    tensors = {**linear_tensors(), "variance": np.ones(7)}
    zoo = save_zoo(tmp_path / "z", {"bank": "linear", "ratios": [0, 8]}, tensors)
    with pytest.raises(InputError, match="does not fit the manifest"):
        _ = zoo.bank


@pytest.mark.parametrize(
    "architecture", [{}, {"uses": [0, 8, 32], "depth": 3}, asdict(TINY) | {"coarse": 16}, None, "tiny"]
)
def test_conv_weights_of_another_architecture(tmp_path, architecture):
    zoo = saved_conv(tmp_path / "conv")
    edit(zoo, architecture=architecture)
    with pytest.raises(InputError, match="does not fit the manifest"):
        _ = load_zoo(zoo.name).bank


@pytest.mark.parametrize(
    "fields",
    [
        {"encoder_fine": 10_000_000},
        {"encoder_fine": 500},
        {"fine": 20_000},
        {"hidden": 10**30},
        {"embedding": 1e400},
        {"uses": []},
        {"uses": [0, 8, 10**9]},
    ],
)
def test_numbers_of_an_architecture_are_held_against_its_weights(tmp_path, fields):
    """Before a network of that size is built, which would take all memory or for ever."""
    zoo = saved_conv(tmp_path / "conv")
    edit(zoo, architecture=asdict(TINY) | fields)
    started = time.monotonic()
    with pytest.raises(InputError, match="does not fit the manifest"):
        _ = load_zoo(zoo.name).bank
    assert time.monotonic() - started < 5


def test_numbers_of_a_models_architecture_too(tmp_path):
    folder = tmp_path / "gmm"
    shutil.copytree(weights.models_folder() / "gmm", folder)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["architecture"]["anchors"] = 10**9
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="anchors of 1000000000 is more than"):
        _ = find_codec("gmm", str(folder)).coder


def test_more_uses_than_a_linear_block_has(linear):
    edit(linear, ratios=[0, 8, 2000])
    with pytest.raises(InputError, match="2000 uses"):
        _ = load_zoo(linear.name).bank


def test_ratios_that_are_not_the_networks(tmp_path):
    zoo = saved_conv(tmp_path / "conv")
    edit(zoo, ratios=[0, 8, 16, 32])
    with pytest.raises(InputError, match="does not fit the manifest"):
        _ = load_zoo(zoo.name).bank


def test_calibration_of_other_tensors(linear):
    zoo = save_calibration(linear, predictor(), {})
    content = weights.save_tensors({"low": np.zeros(10, np.float32)})
    (zoo.folder / CALIBRATION).write_bytes(content)
    edit(zoo, files={**zoo.manifest["files"], CALIBRATION: hashlib.sha256(content).hexdigest()})
    with pytest.raises(InputError, match="is not a calibration"):
        _ = load_zoo(zoo.name).predictor


def test_calibration_of_another_ratio_set(linear):
    """Tables of 3 ratios for a zoo of 2 would index past the set."""
    zoo = save_calibration(linear, predictor(), {})
    edit(zoo, ratios=[0, 8])
    with pytest.raises(InputError, match="is not a calibration"):
        _ = load_zoo(zoo.name).predictor


def test_the_hash_covers_architecture_and_withheld_ratios():
    zoo = load_zoo("conv-small")
    other = {**zoo.manifest["architecture"], "hidden": 25}
    changed = [{"architecture": other}, {"withheld": [0]}, {"companion": None}]
    hashes = {zoo.with_fields(**fields).sha256 for fields in changed}
    assert len(hashes | {zoo.sha256}) == 4
