"""A grid: what it says, and what it refuses before anything runs."""

import dataclasses
import time
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from processes import photograph, save
from sweeps import write_grid

from jscc_sim import checkpoint as weights
from jscc_sim.channels import parse_channel
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.images import BUILTIN
from jscc_sim.metrics import PSNR
from jscc_sim.sweeps import Grid, SystemSpec, table

ISSUE = """
seed = 0
images = "photos/"            # a folder, a list of files, or "builtin"
channels = ["awgn", "rayleigh-slow"]
snr_db = [1, 10, 20]
cbr = ["1/24", "1/16"]
repeats = 1
[[systems]]
name = "block-jscc"
policy = "uniform"
[[systems]]
name = "block-jscc"
policy = "lagrangian"
"""
LINEAR = SystemSpec("block-jscc", zoo="linear")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    save(photograph(40, 64), tmp_path / "photos" / "a.png")
    save(photograph(64, 40, "coffee"), tmp_path / "photos" / "b.png")
    return tmp_path


def read(folder, text):
    path = folder / "grid.toml"
    path.write_text(text)
    return Grid.from_toml(path)


def with_zoo(found, zoo="linear"):
    systems = [dataclasses.replace(system, zoo=zoo) for system in found.systems]
    return dataclasses.replace(found, systems=systems)


def grid(**more):
    axes = {
        "images": ["astronaut"],
        "systems": [LINEAR],
        "channels": ["awgn"],
        "snr_db": [10],
        "cbr": ["1/16"],
    }
    return Grid(**{**axes, **more})


def test_the_toml_of_the_readme(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)  # paths are relative to the file, not to where one stands
    found = read(folder, ISSUE)
    assert found.images == tuple(str(folder / "photos" / name) for name in ("a.png", "b.png"))
    assert found.snr_db == (1.0, 10.0, 20.0)
    assert found.cbr == (Fraction(1, 24), Fraction(1, 16))
    assert [system.policy for system in found.systems] == ["uniform", "lagrangian"]
    trials = with_zoo(found).trials()
    assert len(trials) == found.size == 2 * 2 * 2 * 3 * 2
    assert len({trial.key for trial in trials}) == len(trials)
    assert [trial.image for trial in trials] == ["a.png"] * 24 + ["b.png"] * 24


def test_images_as_a_list_and_built_in(folder):
    assert read(folder, ISSUE.replace('"photos/"', '"builtin"')).images == BUILTIN
    found = read(folder, ISSUE.replace('"photos/"', '["photos/b.png", "coffee"]'))
    assert found.images == (str(folder / "photos/b.png"), "coffee")


def test_awgn_has_no_channel_state_to_know(folder):
    found = read(folder, ISSUE.replace("repeats", 'csi = ["perfect", "noisy:20"]\nrepeats'))
    trials = with_zoo(found).trials()
    assert {(t.channel, t.csi) for t in trials} == {
        ("awgn", "perfect"), ("rayleigh-slow", "perfect"), ("rayleigh-slow", "noisy:20")
    }  # fmt: skip
    fading = ISSUE.replace('"awgn", ', "").replace("repeats", 'csi = "noisy:20"\nrepeats')
    assert read(folder, fading).csi == ("noisy:20",)


@pytest.mark.parametrize("channel", ["awgn", "rayleigh-real-fast"])
def test_a_channel_without_an_estimate_and_no_perfect_csi(folder, channel):
    with pytest.raises(InputError, match=f"channels: {channel} has no channel estimate: csi must hold"):
        Grid([str(folder / "photos" / "a.png")], [LINEAR], [channel], [10], ["1/16"], csi=["noisy:20"])


@pytest.mark.parametrize("name", ["jpeg+ldpc-abstraction", "jpeg+ideal", "jpeg+ldpc:csit"])
@pytest.mark.parametrize(("channel", "equaliser"), [("rician-real-fast:1", "zf"), ("rayleigh-slow", "none")])
def test_what_needs_a_known_snr_is_refused_without_one(folder, name, channel, equaliser):
    system = SystemSpec(name, equaliser=equaliser)
    with pytest.raises(InputError, match="not told of the fading"):
        Grid(["chelsea"], [system], [channel], [10], ["1/16"]).trials()
    with pytest.raises(InputError, match="not told of the fading"):
        system.load().transmit(
            np.zeros((32, 32, 3), np.uint8), parse_channel(channel, 10.0), 900, np.random.default_rng(0)
        )
    assert Grid(["chelsea"], [system], ["awgn"], [10], ["1/16"]).trials()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("seed = 0", "sed = 0", r"grid .*grid.toml: key 'sed' is unknown; the keys are images, systems"),
        ("seed = 0", "seed = -1", "seed = -1 is outside 0"),
        ("seed = 0", "seed = true", "seed = True is not a whole number"),
        ("seed = 0", "seed = 2.5", "seed = 2.5 is not a whole number"),
        ("seed = 0", "seed = ", "grid .*grid.toml is not TOML"),
        ("repeats = 1", "repeats = 0", "repeats = 0 is outside 1"),
        ("repeats = 1", "repeats = 100000", "grid of 4800000 trials is above the limit of 1000000"),
        ('"photos/"', '"nowhere"', "nowhere is not a folder of images"),
        ('"photos/"', "[]", "images is empty"),
        ('"photos/"', "3", "images = 3 is neither a folder, a list of files nor builtin"),
        ('"photos/"', '["photos/a.png", "photos/../photos/a.png"]', "images: a.png is there twice"),
        ("[1, 10, 20]", "[]", "snr_db is empty: there is nothing to run"),
        ("[1, 10, 20]", "10", "snr_db = 10 is not a list"),
        ("[1, 10, 20]", '["ten"]', "snr_db = 'ten' is not a number"),
        ("[1, 10, 20]", "[1, nan]", "snr_db of nan dB is outside -30 to 60"),
        ("[1, 10, 20]", "[1, 1.0]", "snr_db: 1.0 is there twice"),
        ('["1/24", "1/16"]', '["1/24", "2"]', "CBR 2 is outside 0 to 1"),
        ('["1/24", "1/16"]', '["1/0"]', "CBR '1/0' is neither"),
        ('["1/24", "1/16"]', '["1/16", 0.0625]', "cbr: 1/16 is there twice"),
        ('["1/24", "1/16"]', "[true]", "cbr: True is neither"),
        ('["awgn", "rayleigh-slow"]', '["awgn", "raleigh"]', "channel 'raleigh' is none of"),
        ('["awgn", "rayleigh-slow"]', "[1]", "channels: 1 is not a string"),
        ("repeats = 1", 'csi = "vague"', "CSI 'vague' is neither"),
        ("repeats = 1", "systems = []", "grid .*grid.toml is not TOML"),
        ('name = "block-jscc"\npolicy = "uniform"', "", "system: key 'name' is missing; the keys are name"),
        ('policy = "uniform"', 'polcy = "uniform"', "system: key 'polcy' is unknown"),
        ('policy = "uniform"', "policy = 3", "system: policy = 3 is not a string"),
        ('policy = "uniform"', 'equaliser = "dfe"', "equaliser = 'dfe' is not one of none, zf, mmse"),
        ('policy = "uniform"', 'side_info = "free"', "side_info = 'free' is not one of transmitted, genie"),
        ('policy = "uniform"', "sender_snr_db = 99", "sender_snr_db of 99.0 dB is outside"),
        ('policy = "uniform"', 'sender_snr_db = "9"', "sender_snr_db = '9' is not a number"),
        ('policy = "uniform"', 'policy = "lagrangian"', "systems: block-jscc, .* is there twice"),
        ("[1, 10, 20]", f"[{400 * '9'}]", "snr_db is a number beyond the range of a float"),
        ("[1, 10, 20]", f"[{5000 * '9'}]", "grid .*grid.toml is not TOML"),
        ("repeats = 1", f"repeats = {400 * '9'}", "repeats = a huge number is outside 1 to 1000000"),
        ('["1/24", "1/16"]', f"[{400 * '9'}]", "CBR of thousands of digits is neither a fraction"),
        ('["1/24", "1/16"]', f'["1/{5000 * "9"}"]', "CBR '1/999.* is neither a fraction"),
        ("[1, 10, 20]", 5000 * "[" + 5000 * "]", "nested too deeply"),
        ("repeats = 1", f"a{5000 * '.a'} = 1", "nested too deeply"),
        ('"photos/"', '["photos/a\\u0000.png"]', "holds a NUL"),
        ('policy = "uniform"', 'policy = "a\\u0000.py:A"', "holds a NUL"),
        ('"block-jscc"', '"morse"', "system 'morse' is not block-jscc, softcast, vae:2"),
    ],
)  # fmt: skip
def test_what_a_grid_refuses(folder, old, new, error):
    assert old in ISSUE
    with pytest.raises(InputError, match=error):
        read(folder, ISSUE.replace(old, new, 1))


def test_numbers_that_python_does_not_even_write():
    for name in ("repeats", "seed"):
        with pytest.raises(InputError, match=f"{name} = a huge number is outside"):
            grid(**{name: 10**6000})
    with pytest.raises(InputError, match="CBR of thousands of digits is neither"):
        grid(cbr=[10**6000])
    with pytest.raises(InputError, match="snr_db is a number beyond"):
        grid(snr_db=[10**6000])


def test_a_large_grid_is_made_at_once(monkeypatch):
    """The time rises with the trials alone, and a manifest is not read for each of them."""
    started = time.monotonic()
    found = grid(snr_db=np.linspace(-30, 60, 60_000).tolist())
    assert found.size == 60_000
    with pytest.raises(InputError, match="grid of 1800000000 trials is above the limit"):
        grid(snr_db=found.snr_db, repeats=30_000)
    read = []
    whole = weights.read_manifest
    monkeypatch.setattr(weights, "read_manifest", lambda folder: read.append(folder) or whole(folder))
    assert len(grid(repeats=3000).trials()) == 3000
    assert len(read) < 300
    assert time.monotonic() - started < 20


def test_no_systems_and_no_file(folder):
    head = ISSUE.partition("[[")[0]
    with pytest.raises(
        InputError,
        match="key 'systems' is missing; the keys are images, systems, channels",
    ):
        read(folder, head)
    with pytest.raises(InputError, match="systems is empty"):
        read(folder, "systems = []\n" + head)
    with pytest.raises(InputError, match=r"write \[\[systems\]\]"):
        read(folder, "systems = ['block-jscc']\n" + head)
    with pytest.raises(InputError, match=r"none.toml cannot be read: No such file"):
        Grid.from_toml(folder / "none.toml")
    (folder / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary.toml is not TOML"):
        Grid.from_toml(folder / "binary.toml")


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"images": "astronaut"}, "images = 'astronaut' is not a list"),
        ({"systems": [{"name": "block-jscc"}]}, "is neither a name, a SystemSpec nor a System"),
        (
            {"systems": [dataclasses.replace(LINEAR, policy="nothing")]},
            "AllocationPolicy 'nothing' is unknown",
        ),
        ({"systems": [dataclasses.replace(LINEAR, zoo="nothing")]}, "zoo 'nothing' is neither"),
        ({"systems": [dataclasses.replace(LINEAR, complexity="variance:x=1")]}, "has no field 'x'"),
        ({"images": ["nobody.png"]}, "image nobody.png does not exist"),
    ],
)
def test_what_its_trials_refuse(more, error):
    with pytest.raises(InputError, match=error):
        grid(**more).trials()


def test_python_files_and_zoos_lie_beside_the_grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "mine.py").write_text("from jscc_sim.allocation import Uniform\nclass Mine(Uniform): pass\n")
    found = Grid.from_toml(write_grid(tmp_path, policy="mine.py:Mine")).systems[0]
    assert found.policy == f"{tmp_path}/mine.py:Mine"
    assert found.label.policy == "mine.py:Mine"
    assert found.zoo == "linear"


def test_equal_pictures_under_two_names_are_refused(tmp_path):
    """They would be one trial, under the name that comes first."""
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.bmp"):
        save(photograph(40, 64), tmp_path / "photos" / name)
    images = [str(tmp_path / "photos" / name) for name in ("a.png", "b.bmp")]
    grid = Grid(images, [SystemSpec("block-jscc", zoo="linear")], ["awgn"], [10.0], ["1/6"])
    with pytest.raises(InputError, match=r"images: b\.bmp and a\.png are the same picture: leave one out"):
        grid.trials()


def test_numpy_numbers_arrays_and_paths_are_what_they_say(folder):
    plain = grid(
        images=[str(folder / "photos/a.png")],
        systems=[SystemSpec("block-jscc", zoo="linear", sender_snr_db=5)],
        snr_db=[1, 10],
        cbr=[0.0625],
        repeats=2,
        seed=3,
    )
    other = grid(
        images=[folder / "photos/a.png"],
        systems=[SystemSpec("block-jscc", zoo="linear", sender_snr_db=np.int64(5))],
        snr_db=np.array([1.0, 10.0], np.float32),
        cbr=np.array([1 / 16]),
        repeats=np.int64(2),
        seed=np.uint8(3),
    )
    assert other == plain
    assert [t.key for t in other.trials()] == [t.key for t in plain.trials()]
    with pytest.raises(InputError, match=r"(?s)snr_db .* is not a list"):
        grid(snr_db=np.ones((2, 2)))
    with pytest.raises(InputError, match=r"snr_db = .* is not a number"):
        grid(snr_db=[np.bool_(True)])


def test_a_zoo_by_its_path(tmp_path):
    assert SystemSpec("block-jscc", zoo=tmp_path) == SystemSpec("block-jscc", zoo=str(tmp_path))


def test_a_toml_with_a_byte_order_mark(folder):
    path = folder / "grid.toml"
    path.write_text(ISSUE, encoding="utf-8-sig")
    assert Grid.from_toml(path).snr_db == (1.0, 10.0, 20.0)


# --- metrics ------------------------------------------------------------------------------------------

MINE = """
from dataclasses import dataclass
from typing import ClassVar
from jscc_sim.metrics import Metric

@dataclass(frozen=True)
class Mine(Metric):
    column: ClassVar[str] = "COLUMN"
    label: ClassVar[str] = "largest error"

    def _measure(self, picture, reference):
        return float(abs(picture.astype(int) - reference).max())
"""


def of_pictures(folder, **more):
    return Grid([str(folder / "photos" / "a.png")], [LINEAR], ["awgn"], [10], ["1/3"], **more)


def keys(folder, **more):
    return [trial.key for trial in of_pictures(folder, **more).trials()]


def test_what_is_measured_is_in_the_key_unless_it_is_the_usual(folder):
    usual = keys(folder)
    assert keys(folder, metrics=["ms-ssim", PSNR(), "ssim"]) == usual
    (folder / "mine.py").write_text(MINE.replace("COLUMN", "largest"))
    found = [usual, keys(folder, metrics=["psnr"]), keys(folder, metrics=[f"{folder}/mine.py:Mine"])]
    (folder / "mine.py").write_text(MINE.replace("COLUMN", "largest") + "# edited")
    found.append(keys(folder, metrics=[f"{folder}/mine.py:Mine"]))
    assert len({tuple(k) for k in found}) == 4


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        ([], "metrics is empty"),
        ("psnr", "is not a list"),
        (["psnr", 3], "metrics: 3 is not a string"),
        (["psnr", "psnr"], "column psnr_db is there twice"),
        (["lpips"], "'lpips' is unknown"),
    ],
)
def test_metrics_that_cannot_be_used(folder, metrics, why):
    with pytest.raises(InputError, match=why):
        of_pictures(folder, metrics=metrics).trials()


@pytest.mark.parametrize("column", ["seconds", "mse", "psnr_db"])
def test_a_metric_takes_no_column_of_a_table(folder, column):
    (folder / "mine.py").write_text(MINE.replace("COLUMN", column))
    with pytest.raises(InputError, match=f"column {column} of Mine.* is one that every row has"):
        of_pictures(folder, metrics=[f"{folder}/mine.py:Mine"]).trials()


def test_metrics_of_a_sweep_are_columns(folder, monkeypatch, capsys):
    """From a file beside the grid, by two workers, beside rows of the usual metrics; then in a plot."""
    monkeypatch.chdir(folder)
    (folder / "mine.py").write_text(MINE.replace("COLUMN", "largest"))
    text = 'images = "photos"\nchannels = ["awgn"]\nsnr_db = [10]\ncbr = ["1/3", "1/4"]\n'
    systems = '[[systems]]\nname = "block-jscc"\nzoo = "linear"\n'
    (folder / "usual.toml").write_text(text + systems)
    (folder / "more.toml").write_text(text + 'metrics = ["psnr", "gmsd", "mine.py:Mine"]\n' + systems)
    for name in ("usual", "more"):
        assert main(["sweep", f"{name}.toml", "--store", "s.sqlite", "--workers", "2"]) == 0
    assert "4 trials, 4 of them run now" in capsys.readouterr().out
    rows = table(folder / "s.sqlite")
    more = rows[rows["ssim"].isna()]
    assert (len(rows), len(more)) == (8, 4)
    assert ((more["largest"] > 5) & (more["largest"] < 256) & (more["gmsd"] > 0)).all()
    assert rows[rows["ssim"].notna()][["largest", "gmsd"]].isna().all(axis=None)
    assert main(["export", "s.sqlite", "--csv", "s.csv"]) == 0
    assert pd.read_csv("s.csv")["largest"].count() == 4
    assert main(["plot", "s.sqlite", "--y", "largest", "--out", "largest.svg"]) == 0
