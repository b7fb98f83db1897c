"""What a training run leaves and says, and what an interrupted one keeps."""

import csv
import re
import shlex
import shutil
import signal
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from processes import photograph, save

import jscc_sim.training.calibrate as calibration
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.nn.conv import ConvArchitecture
from jscc_sim.plots.training import training_figure
from jscc_sim.training import loop, progress
from jscc_sim.training.block_jscc import BlockJSCCTask
from jscc_sim.training.data import split_folder
from jscc_sim.training.log import Log, column, read_log
from jscc_sim.training.loop import Recipe, Trainer, train
from jscc_sim.zoo import load_zoo, update_manifest

pytestmark = pytest.mark.usefixtures("one_thread")
TINY = ConvArchitecture(fine=8, coarse=16, encoder_fine=1, encoder_coarse=1, decoder_coarse=1, decoder_fine=1)
SMALL = tuple(shlex.split("--side 64 --crops 2 --fp32"))
SHAPE = tuple(shlex.split("--fine 8 --coarse 16 --depths 1 1 1 1"))
RECIPE = Recipe(steps=6, crops=2, side=64, warm_up=5, bf16=False, checkpoint_seconds=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight parts of photographs, 160x192 pixels each."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        whole = photograph(260, 300, ("astronaut", "coffee")[number % 2])
        part = whole[12 * number : 12 * number + 160, 10 * number : 10 * number + 192]
        save(np.ascontiguousarray(part), root / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def few_blocks_will_do(monkeypatch):
    """To calibrate on: these pictures are small."""
    monkeypatch.setattr(calibration, "LEAST_SAMPLES", 0)


@pytest.fixture
def talkative(monkeypatch):
    """Rows and lines at every occasion."""
    monkeypatch.setattr(loop, "EVERY_SECONDS", -1.0)
    monkeypatch.setattr(progress, "EVERY_SECONDS", -1.0)


@pytest.fixture
def uncalibrated(monkeypatch):
    """Calibrations end as Ctrl-C ends them."""

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("jscc_sim.cli.training.fit_predictor", stop)


def rows(path):
    with open(path, newline="") as handle:
        return list(csv.DictReader(handle))


# --- the log --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("talkative", "uncalibrated")
def test_a_run_leaves_a_log_and_a_curve_and_speaks_without_a_terminal(folder, tmp_path, capsys):
    command = ["train", str(folder), "--out", str(tmp_path), *SHAPE, *SMALL]
    assert main([*command, "--steps", "3"]) == 130
    shown = capsys.readouterr()
    assert [line.split()[:2] for line in shown.err.splitlines() if line.startswith("step")] == [
        ["step", "1/3"],
        ["step", "2/3"],
    ]
    assert "reading: 0 of 7" in shown.err
    assert re.search(r"step 1/3  loss -[\d.]+ dB  \d+ blocks/s  \d+ s left\n", shown.err)
    assert shown.out.startswith("step 3/3  loss -")
    assert "dB  validation PSNR " in shown.out
    assert (tmp_path / "training.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "training.png").unlink()
    assert main([*command, "--steps", "5"]) == 130
    found = rows(tmp_path / "training.csv")
    assert list(found[0]) == ["step", "seconds", "loss_db", "rate", "validation_psnr_db"]
    assert [row["step"] for row in found] == ["1", "2", "3", "4", "5"]
    assert [bool(row["validation_psnr_db"]) for row in found] == [False, False, True, False, True]
    seconds = [float(row["seconds"]) for row in found]
    assert seconds == sorted(seconds)
    assert all(-60 < float(row["loss_db"]) < 0 for row in found)
    assert (tmp_path / "training.png").exists()
    capsys.readouterr()
    assert main([*command, "--minutes", "9"]) == 130
    assert capsys.readouterr().out == (
        f"nothing was trained: {tmp_path} has its 5 steps; --steps with a larger number goes on\n"
    )
    assert rows(tmp_path / "training.csv") == found


def test_a_run_ends_with_what_it_came_to_beside_the_linear_coder(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("jscc_sim.cli.training._calibrate", lambda *_: None)
    assert main(["train", str(folder), "--out", str(tmp_path), *SHAPE, *SMALL, "--steps", "2"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "linear" in line)
    own, linear = map(float, re.findall(r"([\d.]+) dB(?:;| of the same)", line))
    assert own == pytest.approx(float(rows(tmp_path / "training.csv")[-1]["validation_psnr_db"]), abs=0.1)
    assert own < 15
    assert 25 < linear < 40
    assert line.startswith("validation PSNR (every block alike, CBR 1/16, 10 dB, no header): ")
    assert line.endswith(": train longer")


def test_a_run_that_began_with_a_zoo_ends_with_what_it_came_to_beside_that(
    folder, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("jscc_sim.cli.training._calibrate", lambda *_: None)
    barely = ("--start", "conv-small", "--rate", "1e-6", "--minutes", "1e-4")
    assert main(["train", str(folder), "--out", str(tmp_path), *barely, *SMALL]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "began" in line)
    own, start = map(float, re.findall(r"([\d.]+) dB(?:;| of the same)", line))
    assert "dB; conv-small, which it began with, makes " in line
    assert own == pytest.approx(start, abs=0.015), "the same noise"
    assert len(rows(tmp_path / "training.csv")) == 1
    assert int(rows(tmp_path / "training.csv")[0]["step"]) < 5, "a time is held, however short"


@pytest.mark.parametrize(
    ("seconds", "steps"), [((30, 1), 91), ((1, 1), 120), ((0.1, 0.1), 1200), ((150, 1), 1)]
)
def test_steps_are_as_many_as_the_time_holds_behind_the_first(folder, tmp_path, monkeypatch, seconds, steps):
    """The first, which may compile, takes another time than the others."""
    first, other = seconds
    clock = [0.0]

    def advance(trainer, batches):
        clock[0] += other if trainer.step else first
        trainer.step += 1
        return torch.zeros(())

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(Trainer, "advance", advance)
    monkeypatch.setattr(Trainer, "validate", lambda *_: {})
    recipe = replace(RECIPE, steps=None, minutes=2, checkpoint_seconds=1e9)
    assert train(split_folder(folder), tmp_path, BlockJSCCTask(TINY), recipe).step == steps


def test_a_resumed_log_goes_on_from_the_checkpoint(tmp_path):
    path = tmp_path / "training.csv"
    first = Log(path, 0)
    for step in (10, 20, 1_234_567):
        first.add({"step": step, "seconds": 1.5 * step, "loss": 0.5})
    again = Log(path, 20)
    assert again.seconds_before == 30
    again.add({"step": 30, "seconds": 40.0, "loss": 0.25, "validation_psnr_db": 20.0})
    assert path.read_text().splitlines() == [
        *("step,seconds,loss,validation_psnr_db", "10,15,0.5,", "20,30,0.5,", "30,40,0.25,20")
    ]
    assert Log(path, 0).rows == [], "a run from the beginning"


@pytest.mark.parametrize(
    "text", ["step,seconds\n1,fast\n", "a,b\n1,2\n", "step,seconds\n1,2,3\n", "\0\n\0\n"]
)
def test_another_table_is_no_log(tmp_path, text):
    (tmp_path / "training.csv").write_text(text)
    with pytest.raises(InputError, match="is not a log of training"):
        read_log(tmp_path / "training.csv")


def test_curves_of_a_log():
    names = ["PSNR 1", "PSNR 2", "bpp 1"]
    assert [column(name) for name in names] == [
        *("validation_psnr_db_1", "validation_psnr_db_2", "validation_bpp_1")
    ]
    table = [{"step": 10 * n, "seconds": 60.0 * n, "loss": 1 / n, "rate": 1.0} for n in (1, 2, 3)]
    table[2] |= {column(name): 5.0 + number for number, name in enumerate(names)}
    figure = training_figure(table)
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "validation PSNR (dB)", "validation bpp"]
    assert "30 steps in 3 minutes." in figure.texts[0].get_text()
    assert "Validation" not in figure.texts[0].get_text()
    loss, psnr, _ = (axes.lines for axes in figure.axes)
    assert list(loss[0].get_xdata()) == [10, 20, 30]
    assert [list(line.get_ydata()) for line in psnr] == [[5.0], [6.0]]


def test_curves_of_a_short_run():
    """Two rows: points that are seen, axes that do not blow up nothing, conditions of the validation."""
    row = {"step": 61, "seconds": 60.4, "loss_db": -12.25, "rate": 1.0, "validation_psnr_db": 13.25}
    before = {"step": 40, "seconds": 40.0, "loss_db": -12.26, "validation_psnr_db": 13.24}
    figure = training_figure([before, row], BlockJSCCTask.validated)
    assert [axes.get_xlim() for axes in figure.axes] == [(0, pytest.approx(62.83))] * 2
    assert all(np.ptp(axes.get_ylim()) == pytest.approx(1.0) for axes in figure.axes)
    assert all(axes.lines[0].get_marker() not in ("", "None") for axes in figure.axes)
    note = figure.texts[0].get_text()
    assert "61 steps in 60 seconds.\nValidation: every block alike, CBR 1/16, 10 dB, no header." in note
    assert "1 step in 2 minutes" in training_figure([row | {"step": 1, "seconds": 100}]).texts[0].get_text()


# --- Ctrl-C ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Interrupted(BlockJSCCTask):
    """Ctrl-C comes in the loss of a step, or in a validation."""

    at: int = 0
    validating: bool = False

    def __post_init__(self):
        object.__setattr__(self, "seen", [])

    def loss(self, *arguments):
        self.seen.append("step")
        if self.seen.count("step") == self.at and not self.validating:
            signal.raise_signal(signal.SIGINT)
            self.seen.append("went on")
        return super().loss(*arguments)

    def validate(self, network, pictures):
        if self.validating:
            signal.raise_signal(signal.SIGINT)
        self.seen.append("validated")
        return {"PSNR": 20.0}


@pytest.mark.parametrize(
    ("task", "steps", "seen"),
    [
        (Interrupted(TINY, at=1), 0, ["step"]),
        (Interrupted(TINY, at=2), 2, ["step", "validated", "step", "went on"]),
        (Interrupted(TINY, validating=True), 1, ["step"]),
    ],
    ids=["first step", "later step", "validation"],
)
def test_an_interrupt_ends_the_run_soon_and_keeps_what_was_done(task, steps, seen, folder, tmp_path):
    """No validation follows, one that runs is given up, and so is the first step, which may compile."""
    handler = signal.getsignal(signal.SIGINT)
    trainer = train(split_folder(folder), tmp_path, task, RECIPE)
    assert task.seen == seen
    assert trainer.step == steps
    assert (tmp_path / "checkpoint.safetensors").exists() == (steps > 0)
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = train(split_folder(folder), tmp_path, BlockJSCCTask(TINY), RECIPE)
    assert resumed.step == 6
    assert [row["step"] for row in read_log(tmp_path / "training.csv")] == [1, 2, 3, 4, 5, 6]


# --- calibration ----------------------------------------------------------------------------------


@pytest.fixture
def linear(tmp_path):
    shutil.copytree(load_zoo("linear").folder, tmp_path / "zoo")
    return load_zoo(str(tmp_path / "zoo"))


def test_an_interrupted_calibration_goes_on(folder, linear, monkeypatch):
    paths, collect, calls = split_folder(folder).training, calibration.collect, []

    def counted(*arguments):
        calls.append(arguments)
        if len(calls) == 10:
            raise KeyboardInterrupt
        collect(*arguments)

    monkeypatch.setattr(calibration, "fit", lambda samples, _: samples.arrays())
    straight = calibration.calibrate(linear, paths, 3, 2)
    assert len(straight) == 4
    assert not (linear.folder / calibration.KEPT).exists()
    monkeypatch.setattr(calibration, "KEEP_SECONDS", -1.0)
    monkeypatch.setattr(calibration, "collect", counted)
    with pytest.raises(KeyboardInterrupt):
        calibration.calibrate(linear, paths, 3, 2)
    kept = (linear.folder / calibration.KEPT).read_bytes()
    resumed = calibration.calibrate(linear, paths, 3, 2)
    assert len(calls) == 10 + 2 * (len(paths) - 4), "four of the pictures were done"
    for name, values in straight.items():
        np.testing.assert_array_equal(resumed[name], values)
    assert not (linear.folder / calibration.KEPT).exists()
    for content, seed in ((kept, 4), (kept[: len(kept) // 2], 3)):  # of another seed; cut
        (linear.folder / calibration.KEPT).write_bytes(content)
        calls[:] = [None] * 20
        calibration.calibrate(linear, paths, seed, 2)
        assert len(calls) == 20 + 2 * len(paths)


@pytest.mark.usefixtures("talkative")
def test_a_calibration_speaks_without_a_terminal(folder, linear, capsys, monkeypatch):
    monkeypatch.setattr(calibration, "fit", lambda samples, _: samples)
    calibration.calibrate(linear, split_folder(folder).training, frames=1)
    assert "calibrating: 3 of 7\n" in capsys.readouterr().err


@pytest.mark.usefixtures("uncalibrated")
def test_a_started_zoo_keeps_companion_and_withheld_ratios(folder, tmp_path, capsys):
    begun, tuned = str(tmp_path / "begun"), str(tmp_path / "tuned")
    assert main(["train", str(folder), "--out", begun, *SHAPE, *SMALL, "--steps", "1"]) == 130
    assert "withheld" not in load_zoo(begun).manifest
    update_manifest(load_zoo(begun), companion="linear", withheld=[0, 8])
    assert main(["train", str(folder), "--out", tuned, "--start", begun, *SMALL, "--steps", "1"]) == 130
    assert "stopped" in capsys.readouterr().err
    zoo = load_zoo(tuned)
    assert (zoo.manifest["companion"], zoo.ratios.withheld) == ("linear", (0, 8))
    assert "calibration.safetensors" not in zoo.manifest["files"]


def test_a_calibration_leaves_withheld_ratios_unless_told(folder, linear, monkeypatch):
    monkeypatch.setattr("jscc_sim.cli.training.fit_predictor", lambda zoo, *_: zoo.predictor)
    update_manifest(linear, withheld=[0, 8])
    for words, withheld in (((), [0, 8]), (("--withhold", "16"), [16]), (("--withhold",), [])):
        command = ["calibrate", str(folder), "--zoo", str(linear.folder), *words]
        assert main(command) == 0
        assert load_zoo(str(linear.folder)).manifest["withheld"] == withheld
