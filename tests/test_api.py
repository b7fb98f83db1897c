"""The package in a few calls: the ten jobs of the page, and what `transmit` and `sweep` take and refuse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import photograph, save

import jscc_sim
from jscc_sim.cli import main
from jscc_sim.errors import BudgetError, InputError
from jscc_sim.images import BUILTIN
from jscc_sim.metrics import GMSD
from jscc_sim.systems.softcast import SoftCast

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "ten_jobs.md").read_text()
HEAD, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TITLES = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
MOST_LINES = 5
SMALL = {"snr_db": 10, "cbr": "1/4", "zoo": "linear"}


def statements(code):
    """Lines of a job besides the class of one's own and what is empty."""
    lines = [line for line in code.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith((" ", "@", "class "))]
    return len(lines) - len(own), len(own)


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "deep").mkdir(parents=True)
    save(photograph(96, 128), tmp_path / "photo.png")
    for number, name in enumerate(("coffee", "chelsea")):
        save(photograph(160 + 32 * number, 192, name), tmp_path / "photos" / f"{name}.png")
    save(photograph(128, 160, "rocket"), tmp_path / "photos" / "deep" / "rocket.png")
    return tmp_path


@pytest.mark.parametrize(("title", "code"), list(zip(TITLES, BLOCKS, strict=True)), ids=TITLES)
def test_a_job_of_the_page(photos, title, code, capsys):
    if "training" in code:
        (photos / "training").mkdir()
        for name in BUILTIN:
            jscc_sim.write_picture(jscc_sim.read_picture(name), photos / "training" / f"{name}.png")
    lines, own = statements(code)
    assert lines <= MOST_LINES
    assert own <= MOST_LINES + 1
    namespace = {"__name__": "jobs"}
    exec(compile(HEAD + code, title, "exec"), namespace)
    assert capsys.readouterr().out or title in (
        "Plot and report",
        "Your own data",
        "Your own allocation policy",
        "Your own autoencoder",
    )
    for name in re.findall(r'"(\w+\.(?:png|pdf|html))"', code):
        assert (photos / name).stat().st_size > 1000
    rows = namespace.get("rows")
    if rows is not None:
        assert (rows["status"] != "failed").all(), rows["error"].tolist()
        assert (rows["status"] == "ok").mean() > 0.6, "these pictures are small"


def test_there_are_ten():
    assert len(BLOCKS) == 10


def test_what_is_lazy_is_there():
    for name in jscc_sim.__all__:
        assert getattr(jscc_sim, name) is not None
    assert set(jscc_sim.__all__) == {"__version__", *jscc_sim._HOME}
    with pytest.raises(AttributeError, match="no attribute 'transmitt'"):
        _ = jscc_sim.transmitt


def test_no_name_is_a_module_too():
    """Whoever imports the module would find it in place of the name."""
    package = Path(jscc_sim.__file__).parent
    modules = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(jscc_sim.__all__)


def test_the_import_loads_nothing():
    heavy = {"numpy", "torch", "pandas", "numba", "argparse"}
    code = f"import sys, jscc_sim; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- transmit ---------------------------------------------------------------------------------------


def test_the_same_as_the_command(photos, capsys):
    options = {"channel": "rayleigh-block:64", "csi": "noisy:20", "seed": 7, "policy": "quintiles"}
    sent = jscc_sim.transmit("photo.png", **SMALL, **options)
    words = [
        word
        for name, value in {**SMALL, **options}.items()
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    assert main(["transmit", "photo.png", *words, "--json", "--out", "got.png"]) == 0
    row = json.loads(capsys.readouterr().out)
    np.testing.assert_array_equal(jscc_sim.read_picture("got.png"), sent.picture)
    for name in (
        "uses",
        "header_uses",
        "budget_uses",
        "cbr",
        "outage",
        "psnr_db",
        "papr_db",
        "header_snr_db",
    ):
        assert getattr(sent, name) == row[name]
    assert sent.metrics["ssim"] == row["ssim"]
    assert sent.allocation.shape == (3, 4)
    assert sent.allocation.sum() == sent.uses - sent.header_uses
    assert len(sent.sent) == len(sent.received.symbols) == sent.uses


@pytest.mark.parametrize("kind", ["path", "pixels", "Pillow"])
def test_pictures_of_any_kind(photos, kind):
    from PIL import Image

    path = photos / "photo.png"
    with Image.open(path) as opened:
        picture = {"path": path, "pixels": jscc_sim.read_picture(path), "Pillow": opened.convert("RGB")}[kind]
    assert jscc_sim.transmit(picture, **SMALL).psnr_db == jscc_sim.transmit("photo.png", **SMALL).psnr_db


def test_instances_and_names_are_the_same(photos):
    named = jscc_sim.transmit("photo.png", snr_db=10, cbr=0.25, system="softcast", channel="rician-slow:4")
    given = jscc_sim.transmit(
        "photo.png",
        snr_db=10,
        cbr=0.25,
        system=SoftCast(),
        channel=jscc_sim.Fading(3.0, 4.0),
        metrics=[GMSD()],
    )
    np.testing.assert_array_equal(named.picture, given.picture)
    assert list(given.metrics) == ["gmsd"]
    assert given.allocation is None
    assert "softcast" in repr(named)


def test_an_outage_is_told(photos):
    lost = jscc_sim.transmit("photo.png", **{**SMALL, "snr_db": -25}, sender_snr_db=15, header_margin_db=0)
    assert lost.outage
    assert "OUTAGE" in repr(lost)
    assert (lost.picture == 128).all()


@pytest.mark.parametrize(
    ("picture", "options", "error", "why"),
    [
        ("nowhere.png", {}, InputError, "nowhere.png"),
        (np.zeros((4, 5)), {}, InputError, r"shape \[4, 5\] and type float64 is not \[H, W, 3\] of uint8"),
        ("photo.png", {"cbr": "1/3000"}, BudgetError, "budget"),
        ("photo.png", {"cbr": -1}, InputError, "CBR"),
        (
            "photo.png",
            {"system": SoftCast(), "zoo": "linear"},
            InputError,
            "zoo = .linear. belongs into the system",
        ),
        ("photo.png", {"system": 3}, InputError, "system 3 is neither a name"),
        ("photo.png", {"channel": "awgnn"}, InputError, "awgnn"),
        ("photo.png", {"metrics": "lpips"}, InputError, "lpips"),
        ([[1, 2], [3]], {}, InputError, "a list is no picture: "),
        ("photo.png", {"snr_db": "ten"}, InputError, "snr_db = 'ten' is not a number"),
        ("photo.png", {"snr_db": [10]}, InputError, r"snr_db = \[10\] is not a number"),
        ("photo.png", {"snr_db": True}, InputError, "snr_db = True is not a number"),
        ("photo.png", {"cbr": None}, InputError, "cbr = None is not a number"),
        ("photo.png", {"cbr": True}, InputError, "cbr = True is not a number"),
        ("photo.png", {"cbr": 10**400}, InputError, "cbr is a number beyond the range of a float"),
        ("photo.png", {"channel": None}, InputError, "channel = None is not a string or a Channel"),
        ("photo.png", {"csi": 20.0}, InputError, "csi = 20.0 is not a string"),
        ("photo.png", {"metrics": None}, InputError, "metrics = None is neither a name nor a Metric"),
        ("photo.png", {"seed": -1}, InputError, "seed = -1 is outside 0 to"),
        ("photo.png", {"seed": 1.5}, InputError, "seed = 1.5 is not a whole number"),
    ],
)
def test_what_will_not_do(photos, picture, options, error, why):
    with pytest.raises(error, match=why):
        jscc_sim.transmit(picture, **{**SMALL, **({"zoo": ""} if "system" in options else {}), **options})


# --- sweep ------------------------------------------------------------------------------------------


def test_rows_are_those_of_the_command(photos, capsys):
    rows = jscc_sim.sweep("photos", snr_db=[5, 10], cbr="1/4", systems="softcast", store="mine.sqlite")
    axes = 'images = "photos"\nchannels = ["awgn"]\nsnr_db = [5, 10]\ncbr = ["1/4"]\n'
    text = axes + '[[systems]]\nname = "softcast"\n'
    (photos / "grid.toml").write_text(text)
    assert main(["sweep", "grid.toml", "--store", "theirs.sqlite"]) == 0
    theirs = jscc_sim.load("theirs.sqlite")
    same = ["key", "image", "uses", "psnr_db", "ssim", "seed"]
    pd.testing.assert_frame_equal(rows[same], theirs[same], check_dtype=False)
    again = jscc_sim.sweep("photos", snr_db=5, cbr=1 / 4, systems=SoftCast(), store="mine.sqlite")
    assert again["key"].tolist() == rows[rows["snr_db"] == 5]["key"].tolist()


def test_a_class_of_a_function_is_in_the_rows(photos):
    @dataclass(frozen=True)
    class Quiet(jscc_sim.Channel):
        def _disturb(self, symbols, fading, noise, estimation):
            return jscc_sim.AWGN(30.0).disturb(symbols, fading, noise, estimation)

    rows = jscc_sim.sweep("photo.png", snr_db=1, cbr="1/4", systems="softcast", channels=["awgn", Quiet(1.0)])
    psnr_db = rows.set_index("channel")["psnr_db"]
    assert psnr_db["Quiet()"] > psnr_db["awgn"] + 5


@pytest.mark.parametrize(
    ("images", "options", "why"),
    [
        (None, {}, "picture of shape"),
        ("", {}, "images: an empty name is that of no picture"),
        (np.zeros((4, 5), np.uint8), {}, r"picture of shape \[4, 5\]"),
        ("photo.png", {"cbr": [None]}, "cbr = None is not a number"),
        ("photo.png", {"cbr": [True]}, "cbr = True is not a number"),
        ("photo.png", {"snr_db": np.ones((1, 2))}, r"snr_db = \[1.0, 1.0\] is not a number"),
        ("photo.png", {"metrics": None}, "metrics = None is neither a name nor a Metric"),
        ("photo.png", {"workers": "2"}, "workers = '2' is not a whole number"),
        ("photo.png", {"workers": 1.5}, "workers = 1.5 is not a whole number"),
        ("photo.png", {"store": 3}, "store = 3 is no name of a file"),
    ],
)
def test_sweeps_that_will_not_do(photos, images, options, why):
    axes = {"snr_db": 10, "cbr": "1/4", "systems": "softcast"}
    with pytest.raises(InputError, match=why):
        jscc_sim.sweep(images, **{**axes, **options})


def test_metrics_are_named_as_for_transmit(photos):
    """One, a list, or text with commas, spaces and fields."""
    (photos / "mine.py").write_text(METRIC)
    spec = "mine.py:Mine:high=3,low=1"
    axes = {"snr_db": np.array(10.0), "cbr": "1/4", "systems": "softcast"}
    one = jscc_sim.sweep("photo.png", **axes, metrics=GMSD())
    assert "gmsd" in one
    text = jscc_sim.sweep("photo.png", **axes, metrics=f"psnr, {spec}")
    assert list(text["mine"]) == [2.0]
    assert jscc_sim.transmit("photo.png", **SMALL, metrics=GMSD()).metrics.keys() == {"gmsd"}


METRIC = """
from dataclasses import dataclass
from jscc_sim.metrics import Metric

@dataclass(frozen=True)
class Mine(Metric):
    column, label = "mine", "mine"
    high: int = 0
    low: int = 0

    def _measure(self, picture, reference):
        return self.high - self.low
"""


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda rows: jscc_sim.plot(None), "a NoneType is no table of results"),
        (lambda rows: jscc_sim.plot("rows.csv"), "a str is no table of results"),
        (lambda rows: jscc_sim.plot(rows, out=3), "figure = 3 is no name of a file"),
        (lambda rows: jscc_sim.plot(rows, wide=True), "plot of psnr_db has no option wide: its options are "),
        (lambda rows: jscc_sim.report([], "page.html"), "a list is no table of results"),
        (lambda rows: jscc_sim.report(rows, None), "report = None is no name of a file"),
        (lambda rows: jscc_sim.load(None), "table = None is no name of a file"),
        (lambda rows: jscc_sim.train(3, "zoo"), "folder = 3 is no name of a file"),
    ],
)
def test_tables_that_will_not_do(photos, call, why):
    with pytest.raises(InputError, match=why):
        call(pd.DataFrame())


def test_a_report_twice(photos):
    rows = jscc_sim.sweep("photo.png", snr_db=10, cbr=["1/4", "1/3"], systems="softcast", metrics="psnr")
    for _ in range(2):
        jscc_sim.report(rows, "page.html")
    assert callable(jscc_sim.report)


def test_patterns_that_match_nothing(photos):
    with pytest.raises(InputError, match=r"no file matches photos/\*\*/\*\.tif"):
        jscc_sim.sweep("photos/**/*.tif", snr_db=5, cbr="1/4", systems="softcast")


def test_a_failed_trial_is_a_row_and_said(photos, caplog):
    @dataclass(frozen=True)
    class Fussy(jscc_sim.Channel):
        def _disturb(self, symbols, fading, noise, estimation):
            raise ValueError("not today")

    rows = jscc_sim.sweep("photo.png", snr_db=1, cbr="1/4", systems="softcast", channels=[Fussy(1.0)])
    assert rows["status"].tolist() == ["failed"]
    assert "not today" in caplog.text


@pytest.mark.parametrize(
    "kind", ["systems", "channels", "waveforms", "policies", "codecs", "metrics", "zoos"]
)
def test_lists(kind):
    found = getattr(jscc_sim, f"list_{kind}")()
    assert len(found) >= (2 if kind == "waveforms" else 5)
    assert found["summary"].str.len().min() > 10


def test_options_of_a_training_that_do_not_exist(photos):
    with pytest.raises(InputError, match="are not those of jscc-sim train"):
        jscc_sim.train("training", "out", minuts=3)


NOTEBOOK = """
from dataclasses import dataclass
import jscc_sim

NOISE_DB = 40.0

@dataclass(frozen=True)
class Mine(jscc_sim.Channel):
    def _disturb(self, symbols, fading, noise, estimation):
        return jscc_sim.AWGN(NOISE_DB).disturb(symbols, fading, noise, estimation)

def psnr_db(store):
    given = {"snr_db": 9, "cbr": "1/4"}
    rows = jscc_sim.sweep("photo.png", **given, systems="softcast", channels=[Mine(9)], store=store)
    sent = jscc_sim.transmit("photo.png", **given, system="softcast", channel=Mine(9))
    return [sent.psnr_db, rows["psnr_db"][0]]

first = psnr_db("rows.sqlite")
NOISE_DB = 0.0
second = psnr_db("rows.sqlite")
print(*first, *second)
"""


def test_what_a_class_of_a_notebook_names_may_change(photos):
    """A global that it uses is as it is now, in `transmit` and in a sweep, also beside rows of before."""
    (photos / "notebook.py").write_text(NOTEBOOK)
    done = subprocess.run([sys.executable, "notebook.py"], capture_output=True, text=True, check=True)
    sent, row, sent_now, row_now = map(float, done.stdout.split())
    assert min(sent, row) > max(sent_now, row_now) + 5
