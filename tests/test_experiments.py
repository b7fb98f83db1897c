"""The scripts in experiments/: each runs, writes what it says, and goes on where it stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from processes import photograph, save

from jscc_sim.plots.table import read_csv
from jscc_sim.sweep import replay
from jscc_sim.sweep.row import git_commit

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
STUDIES = (
    *("psnr_vs_cbr", "psnr_vs_snr", "policies", "fading", "snr_mismatch", "side_information"),
    *("rivals_vs_cbr", "rivals_vs_snr", "rivals_fading"),
)


def script(name, *words, cwd):
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with two small pictures; the scripts share the store in its `out`."""
    root = tmp_path_factory.mktemp("work")
    (root / "images").mkdir()
    for name in ("astronaut", "coffee"):
        save(photograph(160, 192, name), root / "images" / f"{name}.png")
    return root


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_ends_with_its_files(work, name):
    words = ("--images", "images", "--quick", "--zoo", "linear")
    (work / "out").mkdir(exist_ok=True)
    (work / "out" / f"{name}_quick.json").write_text('{"command": "earlier", "stale": "for a reason"}')
    done = script(name, *words, cwd=work)
    assert done.returncode == 0, done.stderr
    assert "trials with 1 workers" in done.stdout
    table = read_csv(work / "out" / f"{name}_quick.csv")
    made = json.loads((work / "out" / f"{name}_quick.json").read_text())
    assert made["trials"] == len(table)
    assert name in made["command"]
    assert "stale" not in made
    assert made["git_commit"] == [str(git_commit())]
    row = table[table["status"] == "ok"].iloc[-1]
    if name != "side_information":  # its pictures are gone
        again = replay(row, str(work / "images" / row["image"]))
        assert again["psnr_db"] == pytest.approx(row["psnr_db"], abs=1e-3)
        assert again["coder"] == row["coder"]
    for figure in (work / "out").glob(f"{name}_quick*.png"):
        assert figure.stat().st_size > 10_000
    assert (work / "out" / f"{name}_quick.pdf").exists()
    before = pd.read_csv(work / "out" / f"{name}_quick.csv")
    assert script(name, *words, cwd=work).returncode == 0
    pd.testing.assert_frame_equal(pd.read_csv(work / "out" / f"{name}_quick.csv"), before)


def test_the_sections_of_the_learned_codecs_end_with_their_files(work):
    done = script("learned_codecs", "--images", "images", "--quick", cwd=work)
    assert done.returncode == 0, done.stderr
    for section in ("gmm", "gmm_channel", "quantised", "digits", "generative", "vae"):
        made = json.loads((work / "out" / f"learned_codecs_quick_{section}.json").read_text())
        assert "learned_codecs.py" in made["command"]
        assert (work / "out" / f"learned_codecs_quick_{section}.png").stat().st_size > 10_000
        assert len(pd.read_csv(work / "out" / f"learned_codecs_quick_{section}.csv"))


@pytest.mark.parametrize(
    ("name", "zoo"),
    [
        ("compare_zoos", "linear"),
        ("fades_within_frames", "linear"),
        ("map_smoothness", "linear"),
        ("power", "linear"),
        ("sender_refinement", "conv-small"),
    ],
)
def test_a_script_of_validation_pictures_says_something_of_each_point(work, name, zoo):
    (work / "photographs").mkdir(exist_ok=True)
    for file in ("one.png", "two.png"):  # one of them is held out
        save(photograph(96, 128, "coffee"), work / "photographs" / file)
    steps = ("--steps", "1") if name == "sender_refinement" else ()
    done = script(name, "photographs", "--zoo", zoo, "--pictures", "1", *steps, cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" dB") >= 3
    assert "nan" not in done.stdout


def test_what_goes_wrong_is_one_sentence(work):
    done = script("fading", "--images", "nowhere", cwd=work)
    assert done.returncode == 2
    assert done.stderr == "fading.py: nowhere is not a folder of images\n"
