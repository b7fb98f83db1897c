"""Training on tiny pictures: it learns, resumes exactly, survives a kill, and its zoo sends pictures."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from processes import photograph, save
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from jscc_sim.checkpoint import Checkpoint
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.nn.conv import ConvArchitecture
from jscc_sim.training.block_jscc import BlockJSCCTask, bank_quality_db
from jscc_sim.training.data import Crops, split_folder
from jscc_sim.training.learned import LEARNED, WITHOUT_PICTURES
from jscc_sim.training.linear import fit_linear
from jscc_sim.training.loop import Recipe, Trainer
from jscc_sim.training.scenario import draw_scenario
from jscc_sim.training.training_range import TrainingRange
from jscc_sim.units import STANDARD_RATIOS
from jscc_sim.zoo import load_zoo

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = ConvArchitecture(fine=8, coarse=16, encoder_fine=1, encoder_coarse=1, decoder_coarse=1, decoder_fine=1)
TASK = BlockJSCCTask(TINY)
SMALL = tuple(shlex.split("--fine 8 --coarse 16 --depths 1 1 1 1 --side 64 --crops 2 --fp32"))
RECIPE = Recipe(steps=60, crops=2, side=64, warm_up=5, bf16=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty-two parts of photographs, 160x192 pixels each."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(22):
        name = ("astronaut", "coffee")[number % 2]
        whole = photograph(300, 340, name)
        top, left = 13 * (number // 2), 12 * (number // 2)
        save(np.ascontiguousarray(whole[top : top + 160, left : left + 192]), root / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def crops(folder):
    return Crops([photograph(160, 192), photograph(160, 192, "coffee")], RECIPE.side)


def state(trainer, path):
    """All that a checkpoint holds, comparable."""
    trainer.save(path)
    return {name: values.tobytes() for name, values in load_file(path).items()}, metadata_of(path)


def metadata_of(path):
    with safe_open(path, "np") as file:
        return file.metadata()


def test_it_learns(crops):
    quick = replace(RECIPE, kernel_rate=2e-2, other_rate=5e-3)
    trainer, held_out = Trainer(TASK, quick), [photograph(64, 96, "chelsea")]
    before = trainer.validate(held_out)
    losses = [trainer.advance(crops) for _ in range(60)]
    assert np.isfinite(losses).all()
    assert trainer.validate(held_out)["PSNR"] > before["PSNR"] + 2
    assert trainer.validate(held_out) == trainer.validate(held_out)


@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
def test_a_resumed_run_is_the_same_run(crops, tmp_path, bf16):
    recipe = Recipe(steps=12, crops=2, side=64, warm_up=5, bf16=bf16)
    straight = Trainer(TASK, recipe)
    losses = [straight.advance(crops) for _ in range(12)]
    first = Trainer(TASK, recipe)
    before = [first.advance(crops) for _ in range(5)]
    first.save(tmp_path / "checkpoint")
    second = Trainer(TASK, recipe)
    second.restore(tmp_path / "checkpoint")
    assert second.step == 5
    assert before + [second.advance(crops) for _ in range(7)] == losses
    assert state(second, tmp_path / "a") == state(straight, tmp_path / "b")


def test_the_number_of_steps_is_remembered(crops, tmp_path):
    trainer = Trainer(TASK, RECIPE)
    trainer.advance(crops)
    trainer.save(tmp_path / "checkpoint")
    other = Trainer(TASK, Recipe(crops=2, side=64))
    other.restore(tmp_path / "checkpoint")
    assert other.recipe.steps == 60


@pytest.fixture
def checkpoint(crops, tmp_path):
    trainer = Trainer(TASK, RECIPE)
    trainer.advance(crops)
    trainer.advance(crops)
    path = tmp_path / "checkpoint.safetensors"
    trainer.save(path)
    return path


def test_another_architectures_checkpoint(checkpoint):
    other = ConvArchitecture(fine=16, coarse=16)
    with pytest.raises(
        InputError,
        match=r"checkpoint.safetensors is of another network: fine 8, not 16; encoder_fine 1, not ",
    ):
        Trainer(BlockJSCCTask(other), RECIPE).restore(checkpoint)


def test_another_systems_checkpoint(checkpoint, capsys):
    out = str(checkpoint.parent)
    assert main(["train", "--system", "digits", "--out", out, "--steps", "3"]) == 2
    shown = capsys.readouterr().err
    assert "checkpoint.safetensors is of another network: it is no architecture of digits\n" in shown
    assert shown.count("\n") == 1


def test_fewer_steps_than_there_are(checkpoint):
    with pytest.raises(InputError, match="has 2 steps, more than the 1 wanted"):
        Trainer(TASK, Recipe(steps=1)).restore(checkpoint)


@pytest.mark.parametrize(
    ("task", "changed", "words"),
    [
        (TASK, {"seed": 1}, "seed 0, not 1"),
        (TASK, {"rate": 0.5}, r"rate 1\.0, not 0\.5"),
        (TASK, {"side": 96}, "side 64, not 96"),
        (
            replace(TASK, training_range=TrainingRange(snr_db=(0, 3))),
            {},
            r"snr_db \[-2\.0, 20\.0\], not \[0, 3\]",
        ),
        (
            replace(TASK, training_range=TrainingRange(uses=(16, 99))),
            {},
            r"uses \[16\.0, 640\.0\], not \[16, 99\]",
        ),
    ],
    ids=["seed", "rate", "side", "SNRs", "uses"],
)
def test_a_run_goes_on_as_it_began(checkpoint, task, changed, words):
    with pytest.raises(InputError, match=f"is of a run with {words}"):
        Trainer(task, replace(RECIPE, **changed)).restore(checkpoint)


def test_a_run_that_diverged_keeps_its_last_checkpoint(checkpoint, crops):
    before = checkpoint.read_bytes()
    trainer = Trainer(TASK, RECIPE)
    trainer.restore(checkpoint)
    with torch.no_grad():
        next(trainer.average.parameters()).flatten()[0] = torch.nan
    with pytest.raises(InputError, match="training diverged: after step 2 weights are not finite"):
        trainer.save(checkpoint)
    assert checkpoint.read_bytes() == before


def test_checkpoints_of_before_there_was_a_choice_of_losses(checkpoint, monkeypatch):
    def settings(task):
        return {name: value for name, value in said(task).items() if name != "loss"}

    said = BlockJSCCTask.settings
    with monkeypatch.context() as earlier:
        earlier.setattr(BlockJSCCTask, "settings", settings)
        Trainer(TASK, RECIPE).save(checkpoint)
    Trainer(TASK, RECIPE).restore(checkpoint)
    with pytest.raises(InputError, match="of a run with loss psnr, not ms-ssim"):
        Trainer(replace(TASK, objective="ms-ssim"), RECIPE).restore(checkpoint)


def test_checkpoints_of_before_there_were_hashes(checkpoint):
    metadata = metadata_of(checkpoint)
    for name in ("sha256", "settings"):
        del metadata[name]
    save_file(load_file(checkpoint), checkpoint, metadata)
    trainer = Trainer(TASK, RECIPE)
    trainer.restore(checkpoint)
    assert trainer.step == 2


def flip_a_bit(path):
    tensors, metadata = load_file(path), metadata_of(path)
    tensors["average.analysis_stem.bias"][0] += 1e-3
    save_file(tensors, path, metadata)


def another_step(path):
    save_file(load_file(path), path, {**metadata_of(path), "step": "3"})


def not_finite(path):
    tensors, metadata = load_file(path), metadata_of(path)
    tensors["network.analysis_stem.bias"][0] = np.nan
    del metadata["sha256"]
    save_file(tensors, path, metadata)


def lose_a_tensor(path):
    tensors = load_file(path)
    tensors.pop("generator")
    metadata = metadata_of(path)
    save_file(tensors, path, metadata)


def lose_the_metadata(path):
    save_file(load_file(path), path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"nonsense" * 100),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lose_a_tensor,
        lose_the_metadata,
        flip_a_bit,
        another_step,
        not_finite,
    ],
    ids=["empty", "nonsense", "cut", "tensor lost", "metadata lost", "flipped", "another step", "NaN"],
)
def test_a_damaged_checkpoint(checkpoint, damage):
    damage(checkpoint)
    with pytest.raises(InputError, match=r"checkpoint.safetensors is damaged"):
        Trainer(TASK, RECIPE).restore(checkpoint)


def test_a_damaged_checkpoint_at_the_command_line(folder, tmp_path, capsys):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nonsense" * 100)
    assert main(["train", str(folder), "--out", str(tmp_path), *SMALL, "--steps", "5"]) == 2
    shown = capsys.readouterr().err
    assert "is damaged" in shown
    assert shown.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_earlier_one(checkpoint, crops, monkeypatch):
    def half(tensors, path, metadata):
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device")

    before = checkpoint.read_bytes()
    monkeypatch.setattr("jscc_sim.training.loop.save_file", half)
    with pytest.raises(InputError, match=r"cannot be written: .*No space left"):
        Trainer(TASK, RECIPE).save(checkpoint)
    assert checkpoint.read_bytes() == before
    assert [p.name for p in checkpoint.parent.iterdir()] == [checkpoint.name]


def wait_for(path, process, seconds=240):
    """Until a file is there, or the process that should write it has ended."""
    end = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists(), "no checkpoint was written"


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """A zoo whose training was killed once, and one whose training was not."""
    root = tmp_path_factory.mktemp("zoos")
    command = ["train", str(folder), *SMALL, "--steps", "40", "--seed", "5"]
    killed = [sys.executable, "-m", "jscc_sim", *command, "--out", str(root / "killed")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*killed, "--checkpoint-seconds", "0.01"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(root / "killed" / "checkpoint.safetensors", process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    step = int(metadata_of(root / "killed" / "checkpoint.safetensors")["step"])
    printed = ""
    for name in ("killed", "straight"):  # fresh processes: oneDNN's gradients vary with what ran before
        again = [sys.executable, "-m", "jscc_sim", *command, "--out", str(root / name)]
        printed += subprocess.run(again, env=environment, capture_output=True, text=True, check=True).stdout
    return root, process.returncode, step, printed


def test_a_killed_run_goes_on_to_the_same_weights(trained):
    root, code, step, _ = trained
    assert code == -signal.SIGKILL, "the run had ended before it was killed"
    assert 0 < step < 40
    weights = [(root / name / "weights.safetensors").read_bytes() for name in ("killed", "straight")]
    assert weights[0] == weights[1]
    assert not list((root / "killed").glob("*.partial"))


def test_progress_is_shown(trained):
    lines = [line for line in trained[3].splitlines() if line.startswith("step 40/40")]
    assert len(lines) == 2
    for word in ("loss", "validation PSNR", "blocks/s"):
        assert word in lines[0]


def test_what_was_trained_sends_pictures(trained, tmp_path, capsys):
    zoo = str(trained[0] / "straight")
    image = save(photograph(100, 130), tmp_path / "image.png")
    command = ["transmit", str(image), "--zoo", zoo, "--cbr", "1/4", "--snr-db", "12", "--json"]
    assert main([*command, "--out", str(tmp_path / "got.png")]) == 0
    assert '"outage": false' in capsys.readouterr().out
    assert main(["transmit", str(image), "--zoo", "linear", "--cbr", "1/4", "--snr-db", "12"]) == 0


def test_a_zoo_to_start_from(trained, folder, tmp_path, capsys):
    """No step at a rate of next to nothing leaves the weights; the zoo says what it was trained for."""
    start, out = str(trained[0] / "straight"), str(tmp_path / "tuned")
    words = ("--start", start, "--snr-db", "0", "4", "--uses", "64", "64", "--rate", "1e-9", "--steps", "1")
    sizes = ("--side", "64", "--crops", "2", "--fp32")
    assert main(["train", str(folder), "--out", out, *words, *sizes]) == 0
    tuned, origin = load_zoo(out), load_zoo(start)
    assert tuned.manifest["snr_range_db"] == [0, 4]
    assert tuned.manifest["architecture"] == origin.manifest["architecture"]
    before, after = (load_file(zoo.folder / "weights.safetensors") for zoo in (origin, tuned))
    for name, weights in before.items():
        np.testing.assert_allclose(after[name], weights, atol=1e-5)


def test_a_mixture_is_what_crops_meet():
    images = torch.rand(64, 3, 64, 64)
    training_range = TrainingRange((3.0, 5.0), (64.0, 64.0))
    found = draw_scenario(images, TINY.uses, np.random.default_rng(0), training_range)
    assert 3 <= found.snr_db.min() < found.snr_db.max() <= 5
    assert 4 <= found.index.float().median() <= 5  # of 64 or 96 uses


def test_a_linear_zoo_from_the_command_line(folder, tmp_path, capsys):
    zoo = str(tmp_path / "linear")
    assert main(["train", str(folder), "--bank", "linear", "--out", zoo]) == 0
    assert main(["calibrate", str(folder), "--zoo", zoo, "--seed", "1"]) == 0
    image = save(photograph(100, 130), tmp_path / "image.png")
    capsys.readouterr()
    assert main(["transmit", str(image), "--zoo", zoo, "--cbr", "1/4", "--snr-db", "12"]) == 0
    assert "OUTAGE" not in capsys.readouterr().out


@pytest.mark.parametrize("system", sorted(LEARNED))
def test_a_learned_system_from_the_command_line(system, folder, tmp_path, capsys):
    pictures = [] if system in WITHOUT_PICTURES else [str(folder)]
    command = ["train", *pictures, "--system", system, "--out", str(tmp_path), "--crops", "2", "--side", "64"]
    for steps in (2, 3):
        assert main([*command, "--fp32", "--steps", str(steps)]) == 0
        assert Checkpoint.find(system, str(tmp_path)).manifest["training"]["steps"] == steps
    assert "--zoo" in capsys.readouterr().out


def test_crops_that_a_network_cannot_take(folder, tmp_path, capsys):
    command = ["train", str(folder), "--system", "gmm", "--out", str(tmp_path), "--side", "40"]
    assert main(command) == 2
    assert capsys.readouterr().err == "jscc-sim: --side 40 is not a multiple of 64\n"


def test_too_few_blocks_to_calibrate_on(tmp_path, capsys):
    for name in ("a.png", "b.png"):
        save(photograph(64, 64), tmp_path / name)
    assert main(["train", str(tmp_path), "--bank", "linear", "--out", str(tmp_path / "zoo")]) == 2
    assert "24 whole blocks" in capsys.readouterr().err


def test_pictures_without_a_whole_block(tmp_path):
    paths = [save(photograph(20, 40), tmp_path / name) for name in ("a.png", "b.png")]
    with pytest.raises(InputError, match="none of the 2 images has a whole block"):
        fit_linear(paths)


def empty_files(folder, names):
    for name in names:
        (folder / name).touch()


def test_listed_names_are_never_trained_on(tmp_path):
    from importlib import resources

    listed = resources.files("jscc_sim.training").joinpath("validation.txt").read_text().split()
    assert len(listed) == len(set(listed)) == 100
    others = [f"inet_{number}.jpg" for number in range(30)]
    empty_files(tmp_path, [*listed, *others])
    split = split_folder(tmp_path)
    assert {p.name for p in split.validation} == set(listed)
    assert {p.name for p in split.training} == set(others)


@pytest.mark.parametrize(("count", "held"), [(2, 1), (19, 1), (100, 5)])
def test_a_folder_without_listed_names_holds_some_out(tmp_path, count, held):
    empty_files(tmp_path, [f"{number}.png" for number in range(count)])
    split = split_folder(tmp_path)
    assert len(split.validation) == held
    assert len(split.training) == count - held
    assert not set(split.training) & set(split.validation)
    empty_files(tmp_path, ["notes.txt"])
    assert split_folder(tmp_path) == split


@pytest.mark.parametrize(("names", "message"), [([], "no image files"), (["a.png"], "at least 2")])
def test_folders_too_small(tmp_path, names, message):
    empty_files(tmp_path, names)
    with pytest.raises(InputError, match=message):
        split_folder(tmp_path)
    with pytest.raises(InputError, match="is not a folder"):
        split_folder(tmp_path / "absent")


@pytest.mark.parametrize("size", [(20, 50), (64, 64), (160, 192)])
def test_crops_have_their_shape_and_content(size):
    picture = photograph(*size)
    drawn = Crops([picture], 64).draw(5, np.random.default_rng(0))
    assert drawn.shape == (5, 3, 64, 64)
    assert drawn.dtype == torch.uint8
    colours = set(map(tuple, picture.reshape(-1, 3)))
    assert set(map(tuple, drawn.permute(0, 2, 3, 1).reshape(-1, 3).tolist())) <= colours


def test_too_little_to_calibrate_on_is_said_before_training(tmp_path, capsys):
    """Two pictures whose blocks are enough for a frame, and too few for a regression at every ratio."""
    for number in range(2):
        save(photograph(160, 192), tmp_path / f"{number}.png")
    out = tmp_path / "zoo"
    assert main(["train", str(tmp_path), "--out", str(out), *SMALL, "--steps", "1"]) == 2
    said = re.search(
        r"(\d+) blocks at ratio \d+ .* 264 needed: about (\d+) images like these 1, or larger",
        capsys.readouterr().err,
    )
    assert said is not None
    fewest, enough = map(int, said.groups())
    assert enough * fewest >= 264 > fewest
    assert not out.exists()


def test_a_zoo_or_model_whose_training_is_unfinished_is_called_so(tmp_path):
    (tmp_path / "checkpoint.safetensors").touch()
    for find in (load_zoo, partial(Checkpoint.find, "gmm")):
        with pytest.raises(InputError, match="its training is unfinished; the same jscc-sim train command"):
            find(str(tmp_path))


def test_a_bank_is_measured_as_a_network_is():
    """Uniform at 192 uses a block and 10 dB, unless told otherwise; a bank that returns what it was given
    leaves the noise alone."""

    class Straight:
        ratios = STANDARD_RATIOS

        def encode(self, blocks, grid, index, sender_snr_db):
            self.blocks, self.asked = blocks, (set(index), sender_snr_db)
            return np.ones(192 * len(grid), np.complex64)

        def decode(self, payload, gain, grid, index, sender_snr_db):
            noise = payload.symbols - 1
            self.noise_db = 10 * np.log10(np.square(np.abs(noise)).mean())
            return np.where(self.blocks < 128, self.blocks + np.float32(3.2), self.blocks - np.float32(3.2))

    bank, pictures = Straight(), [photograph(100, 130), photograph(20, 40), photograph(64, 64)]
    assert bank_quality_db(bank, pictures) == pytest.approx(20 * np.log10(255 / 3))
    assert bank.asked == ({7}, 10.0)
    assert abs(bank.noise_db + 10) < 0.2
    assert np.isnan(bank_quality_db(bank, []))
    large = [photograph(192, 200), *pictures]
    small_left_out = bank_quality_db(bank, large, "ms-ssim", 64, 4.0)
    assert bank.asked == ({STANDARD_RATIOS.uses.index(64)}, 4.0)
    assert small_left_out == bank_quality_db(bank, large[:1], "ms-ssim", 64)
    assert np.isnan(bank_quality_db(bank, pictures, "ms-ssim"))
    with pytest.raises(InputError, match="100 uses"):
        bank_quality_db(bank, pictures, uses=100)
