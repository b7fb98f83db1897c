"""The scripts in experiments/: each runs, writes what it says, and goes on where it stopped."""

from __future__ import annotations

import io
import json
import re
import runpy
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from processes import photograph, save
from sweeps import pretend, trial
from tables import results

from jscc_sim.plots.table import read_csv
from jscc_sim.statistics import interval
from jscc_sim.sweeps import Given, replay, run
from jscc_sim.sweeps.row import git_commit

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
STUDIES = (
    *("psnr_vs_cbr", "psnr_vs_snr", "policies", "fading", "snr_mismatch", "side_information"),
    *("baselines_vs_cbr", "baselines_vs_snr", "baselines_fading"),
)


def process(name, *words, cwd):
    """As anybody runs it."""
    command = [sys.executable, str(EXPERIMENTS / f"{name}.py"), *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def script(name, *words, cwd):
    """The same in this process, which has everything loaded."""
    path = str(EXPERIMENTS / f"{name}.py")
    out, err, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", [path, *map(str, words)])
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            code = end.code or 0
    return SimpleNamespace(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with two small pictures; the scripts share the store in its `out`."""
    root = tmp_path_factory.mktemp("work")
    (root / "images").mkdir()
    for name in ("astronaut", "coffee"):
        save(photograph(160, 192, name), root / "images" / f"{name}.png")
    return root


@pytest.mark.parametrize(
    ("name", "said", "files"),
    [
        ("ofdm_receiver", "of 10 within 0.3 dB", ["ofdm_receiver_quick.csv"]),
        pytest.param(
            *("ofdm_papr", "clipping down", ["ofdm_papr_quick.png", "ofdm_papr_quick_ccdf.csv"]),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("ofdm", "16 trials", ["ofdm_quick_price.png", "ofdm_quick_tdl_a_100_3_outage.png"]),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_sent_over_ofdm(work, name, said, files):
    done = script(name, "--images", "images", "--quick", "--zoo", "linear", cwd=work)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout
    for file in files:
        assert (work / "out" / file).stat().st_size > 100


def test_gnu_radio_sends_or_says_that_it_skips(work):
    done = script("gnu_radio", "--image", "images/astronaut.png", "--zoo", "linear", cwd=work)
    assert done.returncode == 0, done.stderr
    sent = re.search(r"over GNU Radio's channel at 15 dB: ([\d.]+) dB", done.stdout)
    assert "skipped: no Python here has GNU Radio" in done.stdout or float(sent.group(1)) > 20


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
        if section in ("gmm", "generative", "vae"):  # two pictures: no interval
            assert re.search(r"[+-]\d+\.\d\d, above in \d of 2", json.dumps(made, ensure_ascii=False))
        if section == "gmm":
            assert {"given, 0.375 bpp", "given, 1 bpp"} <= set(made["over jpeg, dB"])


@pytest.mark.parametrize(
    ("name", "zoo"),
    [
        ("compare_zoos", "linear"),
        ("fades_within_frames", "linear"),
        ("map_smoothness", "linear"),
        ("power", "linear"),
        ("allocation_headroom", "linear"),
        ("busy_pictures", "linear"),
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
    done = process("fading", "--images", "nowhere", cwd=work)
    assert done.returncode == 2
    assert done.stderr == "fading.py: nowhere is not a folder of images\n"


def comparison(work, table, *words, system="block-jscc", beside="hevc+ldpc"):
    table.to_csv(work / "compared.csv", index=False)
    done = script("compare_systems", "compared.csv", "--system", system, "--beside", beside, *words, cwd=work)
    return done.stdout.splitlines()[1:], done.stderr


def test_systems_are_compared_image_by_image(work):
    one = results(("uniform",), (1.0, 10.0), (1 / 16,), images=6)
    other = one.assign(system="hevc+ldpc", policy="", zoo="", complexity="")
    more_db = np.tile([0.5, -0.25, 1.0, 0.0, 0.5, -0.25], 2)
    other["psnr_db"] -= more_db
    other.loc[(other["snr_db"] == 10) & (other["image"] == "2.png"), ["psnr_db", "outage"]] = [10.0, True]
    both = pd.concat([one, other], ignore_index=True)
    lines, errors = comparison(work, both)
    assert errors == ""
    every, arrived = interval(more_db[:6]), interval([0.5, -0.25, 0.0, 0.5, -0.25])
    assert lines[0] == (
        f"awgn 1 dB, CBR 1/16, spent 0.0625 beside 0.0625: +{every.mean:.2f} ± {every.half_width:.2f} dB, "
        "above in 3, below in 2 of 6 images"
    )
    assert lines[1].endswith(
        f"1 lost by hevc+ldpc (2.png); without them +{arrived.mean:.2f} ± {arrived.half_width:.2f} dB, "
        "above in 2, below in 2 of 5 images"
    )
    swapped, _ = comparison(work, both, "--where", "snr_db=1", system="hevc+ldpc", beside="block-jscc")
    assert swapped == [lines[0].replace("+", "-").replace("above in 3, below in 2", "above in 2, below in 3")]
    twice = pd.concat([both, both.assign(repeat=1)], ignore_index=True)
    assert comparison(work, twice)[0][0] == lines[0], "repeats are no further images"


def test_systems_of_a_store_are_compared_too(work):
    run([trial()], work / "compared.sqlite", Given(ThreadPoolExecutor(1)), pretend)
    same = ("--system", "block-jscc", "--beside", "block-jscc")
    done = script("compare_systems", "compared.sqlite", *same, cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("awgn 10 dB, CBR 1/6: no image has a PSNR of both\n"), (
        "pretended rows have none"
    )


def test_a_comparison_of_several_at_once_or_of_none_is_refused(work):
    both = pd.concat([results(), results(("uniform",), (1.0,), system="hevc+ldpc")], ignore_index=True)
    assert "block-jscc has several frames at one point: --where one policy" in comparison(work, both)[1]
    assert comparison(work, both, "--where", "policy=uniform")[1] == (
        "compare_systems.py: block-jscc and hevc+ldpc have no point in common\n"
    )
    both = both[both["system"] == "block-jscc"]
    by_policy = comparison(work, both, "--by", "policy", system="lagrangian", beside="uniform")[0]
    assert len(by_policy) == 4
    assert ": +1.00 dB, above in 4, below in 0 of 4 images" in by_policy[0]
    lossless = both.assign(psnr_db=both["psnr_db"].where(both["image"] != "0.png"))
    (line, *_) = comparison(work, lossless, "--by", "policy", system="lagrangian", beside="uniform")[0]
    assert line.endswith("of 3 images; 1 images have no PSNR of both")


def everything(*words):
    command = [sys.executable, "-m", "experiments", *map(str, words)]
    return subprocess.run(command, cwd=EXPERIMENTS.parent, capture_output=True, text=True, check=False)


@pytest.fixture
def picture(tmp_path):
    """A folder of one."""
    (tmp_path / "pictures").mkdir()
    save(photograph(32, 32), tmp_path / "pictures" / "one.png")
    return tmp_path / "pictures"


def test_all_results_are_a_command(picture):
    said = everything("--images", picture, "--dry-run", "--workers", 2)
    assert said.returncode == 0, said.stderr
    tables = (EXPERIMENTS.parent / "results").glob("*.json")
    made_by = {json.loads(path.read_text())["command"].split()[1] for path in tables}
    for name in made_by - {"experiments/power.py", "experiments/allocation_headroom.py"}:
        assert f"python {name} " in said.stdout, "a committed table that the command does not make"
    assert "power: left out, --train is not given" in said.stdout
    assert "--quick" not in said.stdout
    hours = float(said.stdout.splitlines()[-1].split()[0])
    save(photograph(32, 32, "coffee"), picture / "two.png")
    again = everything("--images", picture, "--dry-run", "--workers", 2)
    assert float(again.stdout.splitlines()[-1].split()[0]) == pytest.approx(2 * hours, abs=0.02)
    assert hours > 0.1


def test_what_fails_of_all_results_is_named(picture, tmp_path):
    said = everything("--images", picture, "--train", picture, "--only", "power", "--out", tmp_path / "out")
    assert said.returncode == 1
    assert "failed: power; the same command tries them again" in said.stderr


def test_no_pictures_to_look_at_are_refused(work):
    done = process("busy_pictures", "photographs", "--pictures", "0", cwd=work)
    assert (done.returncode, done.stderr) == (2, "busy_pictures.py: --pictures 0 is below 1\n")


def test_all_results_of_no_pictures_are_refused(picture, tmp_path):
    said = everything("--images", tmp_path / "none", "--dry-run")
    assert said.returncode == 2
    assert said.stderr == f"python -m experiments: '{tmp_path / 'none'}' is no folder of pictures\n"
    for words, why in (
        (("--workers", 0), "0 workers is below 1\n"),
        (("--only", "power"), "power needs --train FOLDER\n"),
        (("--images", ""), "'' is no folder of pictures\n"),
    ):
        said = everything("--images", picture, "--dry-run", *words)
        assert (said.returncode, said.stdout) == (2, "")
        assert said.stderr.endswith(why)
