"""The example of a network of one's own, whole, with a few steps of training."""

import csv
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import one_process, photograph, save

from jscc_sim.errors import InputError

EXAMPLE = Path(__file__).parents[1] / "examples" / "deepjscc"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of the example, trained for three steps on two pictures, and one that it sends."""
    folder = tmp_path_factory.mktemp("example")
    for path in EXAMPLE.iterdir():
        if path.suffix in (".py", ".toml"):
            shutil.copy(path, folder)
    (folder / "pictures").mkdir()
    for name in ("coffee", "rocket"):
        save(photograph(80, 96, name), folder / "pictures" / f"{name}.png")
    save(photograph(160, 192), folder / "small.png")
    train = [sys.executable, "train.py", "pictures", "--steps", "3"]
    done = subprocess.run(train, cwd=folder, env={**os.environ}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "deepjscc.safetensors written" in done.stdout
    return folder


@pytest.mark.parametrize("option", [("--minutes", "0"), ("--minutes", "nan"), ("--steps", "0")])
def test_no_training(option, monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLE)
    for name in ("train", "deepjscc"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    train = importlib.import_module("train")
    monkeypatch.setattr(sys, "argv", ["train.py", *option])
    with pytest.raises(InputError, match=r"minutes and .* steps are no training"):
        train.main()


def test_its_rows_beside_ours(folder):
    grid = (folder / "grid.toml").read_text()
    (folder / "grid.toml").write_text(grid.replace('images = "builtin"', 'images = ["small.png"]'))
    commands = [
        ["sweep", "grid.toml", "--store", "rows.sqlite"],
        ["export", "rows.sqlite", "--csv", "rows.csv"],
        ["plot", "rows.sqlite", "--x", "snr_db", "--out", "rows.png"],
        ["report", "rows.sqlite", "-o", "rows.html"],
    ]
    done = one_process(commands, folder)
    assert [ran.code for ran in done] == [0] * 4, done
    with open(folder / "rows.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    own = [row for row in rows if "DeepJSCC" in row["system"]]
    assert {row["system"] for row in rows} == {own[0]["system"], "block-jscc", "jpeg+ldpc"}
    assert len(own) == 2
    assert all(row["status"] == "ok" for row in rows)
    for row in own:
        assert int(row["uses"]) - int(row["header_uses"]) == 4 * (160 // 4) * (192 // 4)
        assert float(row["psnr_db"]) > 5
    assert "DeepJSCC" in (folder / "rows.html").read_text()
