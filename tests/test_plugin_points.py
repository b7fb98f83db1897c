"""Channels, systems and codecs of anybody's: from a file, a package, the main program; good ones and bad."""

from __future__ import annotations

import importlib.metadata
import json
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import photograph, pixels, save

import jscc_sim
from jscc_sim.allocation import AllocationPolicy, Lagrangian, Random, Uniform, load_policy, policy_name
from jscc_sim.channels import AWGN, Channel, Fading, Received, channel_name, parse_channel
from jscc_sim.cli import main
from jscc_sim.codecs import CODECS, Codec, find_codec
from jscc_sim.complexity import ComplexityEstimator, GradientEnergy
from jscc_sim.errors import BudgetError, InputError, OutageError
from jscc_sim.metrics import Metric
from jscc_sim.plugins import ByValue, plugin_sha256
from jscc_sim.sweeps import DaskCluster, Given, Grid, LocalProcesses, SystemSpec, run, run_trial, table
from jscc_sim.systems.base import Frame, LinkSystem, Reception, System, Transmission
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.digital import Digital
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.ideal import IdealDigital
from jscc_sim.systems.softcast import SoftCast
from jscc_sim.units import RatioSet
from jscc_sim.zoo import load_zoo

EXAMPLE = Path(__file__).parents[1] / "examples" / "impulsive.py"
MEASURED = ["uses", "mse", "psnr_db", "outage", "seed", "status", "snr_db", "system"]

CODEC = '''
"""Means of blocks of pixels, packed."""
import zlib
from dataclasses import dataclass
import numpy as np
from jscc_sim.codecs import Codec

@dataclass(frozen=True)
class Means(Codec):
    """Means of blocks, deflated."""

    effort: int = 9
    name, levels = "means", 5

    def encode(self, picture, level):
        side = 1 << (4 - level)
        height, width = picture.shape[:2]
        small = picture[::side, ::side]
        size = height.to_bytes(2, "big") + width.to_bytes(2, "big") + bytes([side])
        return size + zlib.compress(small.tobytes(), self.effort)

    def size(self, data):
        return int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")

    def decode(self, data):
        (height, width), side = self.size(data), data[4]
        rows, columns = -(-height // side), -(-width // side)
        small = zlib.decompressobj().decompress(data[5:], 3 * rows * columns)
        small = np.frombuffer(small, np.uint8).reshape(rows, columns, 3)
        return np.repeat(np.repeat(small, side, 0), side, 1)[:height, :width]

    def version(self):
        return "1"
'''

SYSTEM = '''
from dataclasses import dataclass
import numpy as np
from jscc_sim.systems.base import Frame, LinkSystem, Reception, System, Transmission

@dataclass(frozen=True)
class Grey(LinkSystem):
    """The mean level alone, as the phase of a few symbols."""

    uses: int = 8
    equaliser: str = "mmse"

    def encode(self, picture, budget, belief, csit=None):
        phase = np.exp(1j * np.pi * picture.mean() / 255)
        return Frame(np.full(self.uses, phase, np.complex64), 0, *picture.shape[:2])

    def decode(self, received, genie=None):
        level = np.clip(255 * np.angle(received.symbols.mean()) / np.pi, 0, 255)
        return Reception(np.full((40, 64, 3), level, np.uint8))
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JSCC_SIM_CACHE", str(tmp_path / "cache"))
    save(photograph(40, 64), tmp_path / "a.png")
    shutil.copy(EXAMPLE, tmp_path / "impulsive.py")
    (tmp_path / "means.py").write_text(CODEC)
    (tmp_path / "grey.py").write_text(SYSTEM)
    return tmp_path


def grid(**more):
    axes = {
        "images": ["a.png"],
        "systems": ["softcast"],
        "channels": ["awgn"],
        "snr_db": [10],
        "cbr": ["1/2"],
    }
    return Grid(**{**axes, **more})


def only(**more):
    (trial,) = grid(**more).trials()
    return trial


def install(folder, monkeypatch, group, name, module):
    """A package in a folder of the path, as pip leaves it: a module and its entry point."""
    place = folder / "site"
    place.mkdir(exist_ok=True)
    shutil.copy(module, place / f"installed_{name}.py")
    known = place / f"{name}_plugin-1.0.dist-info"
    known.mkdir()
    (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-plugin\nVersion: 1.0\n")
    cls = {"impulsive": "Impulsive", "means": "Means", "grey": "Grey"}[name]
    (known / "entry_points.txt").write_text(f"[{group}]\n{name} = installed_{name}:{cls}\n")
    monkeypatch.syspath_prepend(str(place))
    importlib.invalidate_caches()
    return place


# --- a newcomer's channel ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Humming(Channel):
    """A tone beside the noise. A class that workers import, or get by value: it is in a test."""

    amplitude: float = 0.1
    csi_db: float | None = None

    def _disturb(self, symbols, fading, noise, estimation):
        received = AWGN(self.snr_db)._disturb(symbols, fading, noise, estimation)
        hum = self.amplitude * np.exp(0.1j * np.arange(len(symbols)))
        return Received((received.symbols + hum).astype(np.complex64), received.noise_variance)


def test_a_channel_from_a_file_on_the_command_line(folder, capsys):
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", "1/2", "--system", "softcast", "--json"]
    assert main([*words, "--channel", "impulsive.py:Impulsive:rate=0.02"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert sent["channel"] == "impulsive.py:Impulsive:rate=0.02"
    assert main([*words, "--channel", "awgn"]) == 0
    assert sent["mse"] != json.loads(capsys.readouterr().out)["mse"]


def test_a_row_of_a_plugin_is_replayed_by_the_command_line(folder, capsys):
    trial = only(channels=["impulsive.py:Impulsive:rate=0.02"])
    row = run_trial(trial)
    assert (row.status, row.channel) == ("ok", "impulsive.py:Impulsive:rate=0.02")
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", row.cbr_fraction, "--system", row.system]
    assert main([*words, "--channel", row.channel, "--seed", str(row.seed), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mse"] == row.mse


def test_an_edited_channel_is_another_trial_with_the_same_seed(folder):
    first = only(channels=["impulsive.py:Impulsive"])
    (folder / "sub").mkdir()
    shutil.copy("impulsive.py", "sub")
    moved = only(channels=["sub/impulsive.py:Impulsive"])
    assert (moved.key, moved.seed) == (first.key, first.seed)
    with_field = only(channels=["impulsive.py:Impulsive:rate=0.5"])
    Path("impulsive.py").write_text(EXAMPLE.read_text() + "# edited\n")
    edited = only(channels=["impulsive.py:Impulsive"])
    assert len({first.key, with_field.key, edited.key, only().key}) == 4
    assert edited.seed == first.seed != with_field.seed
    assert run_trial(first).error == "channel impulsive.py:Impulsive changed since the sweep began"
    Path("impulsive.py").write_text("1 / 0\n")
    broken = run_trial(first)
    assert (broken.status, broken.seed) == ("failed", first.seed)
    assert broken.error.endswith("impulsive.py raised ZeroDivisionError: division by zero")


def test_keys_of_what_was_there_before_stay():
    """A digest of all that is simulated of a trial, and its seed, as stores of before have them."""
    from sweeps import trial

    assert trial().key == "3addd0ef1ece75608d5a31ba1c0a438900f6513d483df708742395b265ee9d32"
    assert trial(channel="rayleigh-block:64", csi="noisy:20").seed == 64508678657700
    assert plugin_sha256(Random(seed=3)) == "f82f43abee9d19ddb9c3edda18465b020847c82863e01d8cd5ab655e9cc94d39"


def test_instances_of_the_packages_own_are_their_names(folder):
    names = ["awgn", "rayleigh-slow", "rayleigh-block:64", "rayleigh-fast", "rician-slow:4"]
    names += ["rician-block:0.3:7", "rician-fast:2.5", "rayleigh-real-fast", "rician-real-fast:4"]
    for name in names:
        assert channel_name(parse_channel(name, 3.0)) == name
    assert isinstance(channel_name(Fading(3.0, real=True, coherence=7)), ByValue)
    named = grid(channels=["awgn", "rayleigh-slow"], csi=["perfect", "noisy:20"])
    given = grid(channels=[AWGN(0.0), Fading(5.0, csi_db=20.0)], csi=["perfect", "noisy:20"])
    assert [trial.key for trial in given.trials()] == [trial.key for trial in named.trials()]
    with pytest.raises(InputError, match=r"has CSI of 20 dB: csi must hold 'noisy:20'"):
        grid(channels=[Fading(5.0, csi_db=20.0)])


SCRIPT = """
if __name__ == "__main__":
    import sys
    from jscc_sim.sweeps import DaskCluster, Grid, LocalProcesses, run
    store, where = sys.argv[1:]
    given = Impulsive(0.0, rate=0.02)
    grid = Grid(["a.png"], ["grey.py:Grey"], [given], [5, 10], ["1/2"], repeats=3)
    run(grid.trials(), store, LocalProcesses(int(where)) if where.isdigit() else DaskCluster(where))
"""
FILE, PACKAGE = "impulsive.py:Impulsive:rate=0.02", "impulsive:rate=0.02"
MAIN = "Impulsive(rate=0.02, ratio=100.0)"
ALL = [(channel, where) for channel in (FILE, PACKAGE, MAIN) for where in ("1", "2", "dask")]


@pytest.mark.parametrize(
    "runs",
    [[(FILE, "1"), (PACKAGE, "2"), (MAIN, "dask")], pytest.param(ALL, marks=pytest.mark.slow)],
    ids=["each", "all"],
)
def test_the_same_rows_from_file_package_and_main_program(folder, monkeypatch, cluster, runs):
    """With one worker, with two, and on Dask's."""
    site = install(folder, monkeypatch, "jscc_sim.channels", "impulsive", EXAMPLE)
    address, found = cluster(site), []
    Path("script.py").write_text(EXAMPLE.read_text().partition("def main")[0] + SCRIPT)
    for number, (channel, where) in enumerate(runs):
        store = f"{number}.sqlite"
        if channel == MAIN:
            words = [sys.executable, "script.py", store, where.replace("dask", address)]
            subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=120)
        else:
            trials = grid(systems=["grey.py:Grey"], channels=[channel], snr_db=[5, 10], repeats=3).trials()
            run(trials, store, DaskCluster(address) if where == "dask" else LocalProcesses(int(where)))
        found.append(table(store))
    assert list(found[0]["status"]) == ["ok"] * 6
    assert found[0]["mse"].nunique() > 1
    for (channel, _), rows in zip(runs, found, strict=True):
        assert set(rows["channel"]) == {channel}
        pd.testing.assert_frame_equal(measured(rows), measured(found[0]))
    keys = [(channel, key) for (channel, _), rows in zip(runs, found, strict=True) for key in rows["key"]]
    assert len(set(keys)) == 6 * 3


def measured(rows):
    return rows[MEASURED].sort_values(["snr_db", "seed"]).reset_index(drop=True)


@pytest.fixture
def cluster(tmp_path):
    """Makes a Dask scheduler with one worker, whose path has a folder; gives its address."""
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'jscc_sim[cluster]'")
    from distributed import Client, LocalCluster

    running = []

    def start(site):
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(site), before)))
        try:
            running.append(
                LocalCluster(
                    n_workers=1,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    local_directory=str(tmp_path / "dask"),
                    silence_logs=50,
                )
            )
        finally:
            os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)
        with Client(running[-1], set_as_default=False) as client:
            client.wait_for_workers(1, timeout=60)
        return running[-1].scheduler_address

    yield start
    for made in running:
        made.close()


# --- systems and codecs -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Inverted(System):
    """Perfect, and wrong. A System whose instance a sweep takes."""

    shift: int = 0
    table: np.ndarray = field(default_factory=lambda: np.zeros(3), compare=False)

    def _transmit(self, picture, channel, budget, rng, belief):
        return Transmission(255 - picture + np.uint8(self.shift), min(budget, 10), 0, False)


def test_a_system_from_a_file_with_its_options(folder, capsys):
    words = ["transmit", "a.png", "--snr-db", "30", "--cbr", "1/2", "--json"]
    assert main([*words, "--system", "grey.py:Grey:uses=20", "--equaliser", "zf"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert (sent["system"], sent["uses"], sent["equaliser"]) == ("grey.py:Grey:uses=20", 20, "zf")
    assert load_baseline("grey.py:Grey:uses=20", "zf").equaliser == "zf"
    for more, message in (
        (["--zoo", "conv"], "system grey.py:Grey has no zoo conv: Grey has no such field"),
        (["--header-margin-db", "3"], "system grey.py:Grey has no header_margin_db 3.0"),
        (["--policy", "uniform"], "system grey.py:Grey has no policy uniform"),
        (["--out", "grey.py"], "grey.py"),
    ):
        assert main([*words, "--system", "grey.py:Grey", *more]) == 2
        assert message in capsys.readouterr().err
    axes = 'images = ["a.png"]\nchannels = ["sub/impulsive.py:Impulsive"]\nsnr_db = [10]\ncbr = ["1/2"]\n'
    Path("grid.toml").write_text(axes + '[[systems]]\nname = "sub/grey.py:Grey"\n')
    (folder / "sub").mkdir()
    for name in ("grey.py", "impulsive.py"):
        shutil.move(name, f"sub/{name}")
    os.chdir("sub")
    (trial,) = Grid.from_toml("../grid.toml").trials()
    os.chdir("..")
    row = run_trial(trial)
    assert (row.status, row.system, row.channel) == ("ok", "grey.py:Grey", "impulsive.py:Impulsive")


def test_an_edited_system_is_another_trial(folder):
    first = only(systems=["grey.py:Grey"])
    assert only(systems=["grey.py:Grey:uses=9"]).key != first.key
    Path("grey.py").write_text(SYSTEM.replace("np.pi *", "3.0 *"))
    second = only(systems=["grey.py:Grey"])
    assert second.key != first.key
    assert run_trial(first).error == "system grey.py:Grey changed since the sweep began"
    assert run_trial(second).status == "ok"


def test_instances_of_systems_and_what_is_in_them(folder):
    """By their names where those make the same, else by value."""
    zoo = load_zoo("linear")
    assert SystemSpec.of(BlockJSCC(zoo, Uniform())) == SystemSpec(
        "block-jscc", zoo="linear", policy="uniform"
    )
    alone = BlockJSCC(load_zoo("conv-small").alone(), Random(seed=3), GradientEnergy(), genie=True)
    assert SystemSpec.of(alone) == SystemSpec(
        "block-jscc", "conv-small", "random:seed=3", "gradient", side_info="genie", companion="none"
    )
    assert SystemSpec.of(Digital(find_codec("jpeg"), csit=True)) == SystemSpec("jpeg+ldpc:csit")
    assert SystemSpec.of(SoftCast("zf", 3.0)) == SystemSpec("softcast", equaliser="zf", header_margin_db=3.0)
    assert SystemSpec.of(IdealDigital(find_codec("webp"))).name == "webp+ideal"
    assert policy_name(Lagrangian(rounds=2)) == "lagrangian:rounds=2,smoothing=0.3"
    assert load_policy(policy_name(Lagrangian(rounds=2))) == Lagrangian(rounds=2)
    spec = SystemSpec.of(Inverted(3))
    assert spec.name.startswith("Inverted(shift=3, table=ndarray-")
    assert (spec.load().shift, type(spec.load())) == (3, Inverted)
    with pytest.raises(InputError, match="was made with equaliser mmse, not zf"):
        replace(spec, equaliser="zf")


def test_a_sweep_of_instances(folder):
    """A grid tells apart what its table could not, and workers get what they cannot import."""
    systems = [Inverted(), Inverted(3), "softcast", SystemSpec("jpeg+ldpc")]
    trials = grid(systems=systems, channels=[Humming(0.0), Humming(0.0, 0.3)]).trials()
    rows = [run_trial(pickle.loads(pickle.dumps(trial))) for trial in trials]
    assert {row.status for row in rows} == {"ok"}
    assert len({row.key for row in rows}) == len(rows) == 8
    assert {row.channel for row in rows} == {"Humming(amplitude=0.1)", "Humming(amplitude=0.3)"}
    assert {row.uses for row in rows if row.system.startswith("Inverted")} == {10}
    other = Inverted(table=np.ones(3))
    assert only(systems=[other]).key != only(systems=[Inverted()]).key
    with pytest.raises(InputError, match=r"channels: Humming\(amplitude=0.1\) is there twice"):
        grid(channels=[Humming(0.0), Humming(5.0)])
    with pytest.raises(InputError, match="neither a name, a SystemSpec nor a System"):
        grid(systems=[find_codec("jpeg")])


def test_an_instance_of_a_class_of_a_file_needs_no_file(folder):
    """By value, code and all: the worker is a process that never saw it."""
    channel = parse_channel("impulsive.py:Impulsive:rate=0.3", 5.0)
    trial = only(channels=[channel], systems=[Digital(find_codec("means.py:Means"))], cbr=["1"])
    here = run_trial(trial)
    Path("impulsive.py").unlink()
    Path("means.py").unlink()
    code = (
        "import pickle, sys; from jscc_sim.sweeps import run_trial;"
        "row = run_trial(pickle.load(sys.stdin.buffer));"
        "print(row.status, row.channel, row.system, row.mse, row.error)"
    )
    words = [sys.executable, "-c", code]
    there = subprocess.run(words, input=pickle.dumps(trial), capture_output=True, check=True).stdout.decode()
    assert here.status == "ok"
    assert there.split("\n")[0] == f"ok {here.channel} {here.system} {here.mse} None"


def test_tables_tell_apart_plugins_of_one_name(folder):
    """Rows of two texts of one file in a table; the curves have names of their own."""
    from jscc_sim.plots.table import check_table

    channels = ["impulsive.py:Impulsive", "awgn"]

    def again():
        with ThreadPoolExecutor(1) as pool:
            run(grid(channels=channels, systems=["grey.py:Grey"]).trials(), "rows.sqlite", Given(pool))

    again()
    assert set(check_table(table("rows.sqlite"))["channel"]) == set(channels)
    Path("impulsive.py").write_text(EXAMPLE.read_text() + "# edited\n")
    again()
    rows = table("rows.sqlite")
    named = {f"impulsive.py:Impulsive {sha[:7]}" for sha in rows["channel_sha256"] if sha}
    assert len(rows) == 3
    assert set(check_table(rows)["channel"]) == {"awgn", *named}
    assert len(named) == 2


NOTEBOOK = """
from dataclasses import dataclass
import sys
import numpy as np
from jscc_sim.channels import Channel, Received
from jscc_sim.sweeps import Grid, LocalProcesses, run, table
from jscc_sim.systems.base import System, Transmission

@dataclass(frozen=True)
class Silent(Channel):
    def _disturb(self, symbols, fading, noise, estimation):
        return Received(symbols, 0.0)

def half(picture):
    return picture // {divisor}

@dataclass(frozen=True)
class Dark(System):
    def _transmit(self, picture, channel, budget, rng, belief):
        return Transmission(half(picture), 1, 0, False)

outcome = run(Grid(["a.png"], [Dark()], [Silent(0.0)], [5], ["1/2"]).trials(), sys.argv[1], LocalProcesses(1))
print(outcome.ran, outcome.ok, list(table(sys.argv[1])["key"]))
"""


def test_classes_of_a_program_without_a_file(folder):
    """As in a notebook: again is the same trial, and an edited helper of theirs another."""

    def ran(divisor):
        words = [sys.executable, "-c", NOTEBOOK.format(divisor=divisor), "rows.sqlite"]
        out = subprocess.run(words, capture_output=True, text=True, check=True, cwd=folder).stdout
        return out.split(maxsplit=2)

    first, again, edited = ran(2), ran(2), ran(3)
    assert (first[:2], again[:2], edited[:2]) == (["1", "1"], ["0", "1"], ["1", "1"])
    assert first[2] == again[2]
    assert len(edited[2].split(",")) == 2


def test_noisy_csi_of_plugins(folder):
    with pytest.raises(InputError, match="Impulsive has no channel estimate, so its CSI cannot be noisy:20"):
        parse_channel("impulsive.py:Impulsive", 10.0, "noisy:20")
    with pytest.raises(InputError, match="Impulsive has no field 'snr_db'; its fields: rate, ratio"):
        parse_channel("impulsive.py:Impulsive:snr_db=3", 10.0)
    found = grid(channels=["impulsive.py:Impulsive", "rayleigh-slow"], csi=["perfect", "noisy:20"])
    assert [csi for _, csi, _ in found.air] == ["perfect", "perfect", "noisy:20"]


def test_policies_and_estimators_as_instances(folder):
    @dataclass(frozen=True)
    class Local(AllocationPolicy):
        """Of a function: nobody can import it."""

        level: int = 0

        def _allocate(self, blocks, ratios, budget):
            return np.full(len(blocks), self.level)

    spec = SystemSpec("block-jscc", zoo="linear", policy=Local(1), complexity=GradientEnergy())
    assert (spec.label.policy, spec.complexity) == ("Local(level=1)", "gradient")
    first = only(systems=[spec], cbr=["1/6"])
    row = run_trial(pickle.loads(pickle.dumps(first)))
    assert (row.status, row.policy, row.complexity) == ("ok", "Local(level=1)", "gradient")
    assert row.ratio_blocks["8"] == 4
    other = only(systems=[replace(spec, policy=Local(2))], cbr=["1/6"])
    assert other.key != first.key


CELL = """
import numpy as np
from dataclasses import dataclass
from jscc_sim.allocation import AllocationPolicy

@dataclass(frozen=True)
class Cell(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        """


def edited(body):
    """A class whose code is made here: the same name, one line of it given."""
    space = {"__name__": "__main__"}
    exec(CELL + body, space)
    return space["Cell"]()


def test_a_class_of_a_notebook_is_known_by_its_code():
    first, same = edited("return np.zeros(len(blocks), int)"), edited("return np.zeros(len(blocks), int)")
    assert plugin_sha256(first) == plugin_sha256(same)
    assert plugin_sha256(edited("return np.ones(len(blocks), int)")) != plugin_sha256(first)
    assert plugin_sha256(edited("return len(blocks)  # a comment")) == plugin_sha256(
        edited("return len(blocks)")
    )


def test_what_a_code_names_outside_itself_counts():
    assert plugin_sha256(_using(1)) != plugin_sha256(_using(2))
    assert plugin_sha256(_using(2)) == plugin_sha256(_using(2))


def _using(level):
    class Closed(AllocationPolicy):
        def _allocate(self, blocks, ratios, budget):
            return np.full(len(blocks), level)

    return Closed()


@pytest.mark.parametrize("code", ["ldpc", "ldpc-abstraction", "ideal"])
def test_a_codec_of_ones_own_in_a_digital_chain(folder, code):
    row = run_trial(only(systems=[f"means.py:Means:effort=3+{code}"], snr_db=[25], cbr=["1"]))
    assert (row.error, row.status, row.system, row.outage) == (
        None,
        "ok",
        f"means.py:Means:effort=3+{code}",
        False,
    )
    assert row.mse < 2000
    instance = Digital(find_codec("means.py:Means:effort=3"))
    assert SystemSpec.of(instance).label.name == "Means(effort=3)+ldpc"
    assert (
        run_trial(pickle.loads(pickle.dumps(only(systems=[instance], snr_db=[25], cbr=["1"])))).status == "ok"
    )


def test_an_edited_codec_is_another_trial_and_finds_no_old_files(folder):
    first = only(systems=["means.py:Means+ideal"])
    other = only(systems=["means.py:Means:effort=1+ideal"])
    assert other.key != first.key
    picture, codec = photograph(40, 64), find_codec("means.py:Means")
    before = codec.file(picture, 4)
    Path("means.py").write_text(CODEC.replace("picture[::side, ::side]", "picture[::side, ::side] // 2"))
    assert only(systems=["means.py:Means+ideal"]).key not in (first.key, other.key)
    assert find_codec("means.py:Means").file(picture, 4) != before, "although its version says the same"
    assert Fingerprint.of(SystemSpec("jpeg+ideal").load()) == Fingerprint.of(IdealDigital(find_codec("jpeg")))


def test_files_of_a_codec_of_ones_own(folder, capsys, monkeypatch):
    assert main(["compress", "a.png", "--codec", "means.py:Means", "--quality", "8", "-o", "a.jsc"]) == 0
    assert main(["decompress", "a.jsc", "-o", "b.png"]) == 2
    assert "of codec 'means', which is a plug-in: say which with --codec" in capsys.readouterr().err
    assert main(["decompress", "a.jsc", "--codec", "jpeg", "-o", "b.png"]) == 2
    assert "of codec 'means', not of jpeg" in capsys.readouterr().err
    assert main(["decompress", "a.jsc", "--codec", "means.py:Means", "-o", "b.png"]) == 0
    np.testing.assert_array_equal(pixels(folder / "b.png"), photograph(40, 64))
    install(folder, monkeypatch, "jscc_sim.codecs", "means", folder / "means.py")
    assert main(["decompress", "a.jsc", "-o", "c.png"]) == 0
    assert main(["compress", "a.png", "--codec", "jpeg", "-o", "j.jsc"]) == 0
    assert main(["decompress", "j.jsc", "--codec", "means", "-o", "c.png"]) == 2
    assert "file j.jsc: of codec jpeg, not of means" in capsys.readouterr().err


# --- listings and names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "group", "name", "first", "parameters"),
    [
        ("channels", "jscc_sim.channels", "impulsive", "awgn", {"rate": "0.01", "ratio": "100.0"}),
        ("systems", "jscc_sim.systems", "grey", "block-jscc", {"uses": "8", "equaliser": "mmse"}),
        ("codecs", "jscc_sim.codecs", "means", "jpeg", {"effort": "9"}),
    ],
)
def test_listings(folder, monkeypatch, capsys, command, group, name, first, parameters):
    install(folder, monkeypatch, group, name, folder / f"{name}.py")
    assert main([command, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (rows[0]["name"], rows[-1]["name"]) == (first, name)
    assert rows[-1]["parameters"] == parameters
    assert all(row["summary"] for row in rows)
    assert main([command]) == 0
    *_, last = capsys.readouterr().out.splitlines()
    assert last.split()[0] == name
    assert next(iter(parameters)) in last
    if command == "channels":
        listed = {row["name"]: row["parameters"] for row in rows}
        assert {"rayleigh-real-fast", "rician-real-fast:K"} <= listed.keys()
        assert "linear" in listed["rician-block:K:L"]["K"]
        assert "uses" in listed["rician-block:K:L"]["L"]
        assert parse_channel("impulsive:rate=0.5", 3.0).rate == 0.5


def test_every_codec_and_channel_is_listed(capsys):
    main(["codecs", "--json"])
    assert [json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()] == list(CODECS)
    with pytest.raises(SystemExit):
        main(["transmit", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "rician-real-fast:K" in shown
    assert "every L channel uses (block)" in shown
    assert "linear" in shown


def test_bpg_is_hevc(folder, caplog):
    spec = SystemSpec("bpg+ldpc")
    assert spec == SystemSpec("hevc+ldpc")
    assert find_codec("bpg") is CODECS["hevc"]
    said = [record.getMessage() for record in caplog.records]
    assert said in ([], ["bpg: its coder here is HEVC (x265, 4:4:4), and its name is hevc"])  # once a process
    code = "from jscc_sim.systems.spec import SystemSpec; SystemSpec('bpg+ldpc'); SystemSpec('bpg+ideal')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == "bpg: its coder here is HEVC (x265, 4:4:4), and its name is hevc\n"


# --- plug-ins that break their promises ---------------------------------------------------------------


@dataclass(frozen=True)
class Broken(Channel):
    """A channel that does what it is told."""

    how: str = ""

    def _disturb(self, symbols, fading, noise, estimation):
        right = Received(symbols.copy(), 0.1)
        match self.how:
            case "raises":
                raise ValueError("no such luck\nat all")
            case "ends":
                raise SystemExit(3)
            case "nan":
                right.symbols[3] = np.nan
            case "long":
                return replace(right, symbols=np.zeros(len(symbols) + 1, np.complex64))
            case "wide":
                return replace(right, symbols=symbols.astype(np.complex128))
            case "real":
                return replace(right, symbols=list(symbols))
            case "estimate":
                return replace(right, estimate=np.ones(5, np.complex64))
            case "variance":
                return replace(right, noise_variance=float("nan"))
            case "negative":
                return replace(right, noise_variance=-1.0)
            case "tuple":
                return symbols, 0.1
            case "prints":
                print("hello", len(symbols))
        return right

    def outage_snr_db(self):
        return float("nan") if self.how == "plans" else self.snr_db


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "Broken raised ValueError: no such luck at all"),
        ("ends", "Broken raised SystemExit: 3"),
        ("nan", "Broken returned symbols that are not finite"),
        ("long", r"Broken returned symbols of shape \[2401\] for 2400 uses"),
        ("wide", "Broken returned symbols of complex128, not an array of complex64"),
        ("real", "Broken returned symbols of list, not an array of complex64"),
        ("estimate", r"Broken returned an estimate of shape \[5\] for 2400 uses"),
        ("variance", "Broken returned a noise variance of nan, not a number from 0 on"),
        ("negative", "Broken returned a noise variance of -1.0, not"),
        ("tuple", "Broken returned a tuple, not what is Received"),
    ],
)
def test_a_channel_that_breaks_its_promise(folder, how, message):
    """The row says so in one sentence, and the sweep goes on."""
    from jscc_sim.errors import one_line

    trials = grid(systems=["grey.py:Grey:uses=2400"], channels=[Broken(0.0, how), "awgn"]).trials()
    with ThreadPoolExecutor(1) as pool:
        outcome = run(trials, "rows.sqlite", Given(pool))
    assert outcome.ok == 1
    ((_, error),) = outcome.failures
    assert one_line(error) == error
    with pytest.raises(InputError, match=message):
        raise InputError(error)


def test_what_a_plugin_prints_is_no_output(folder, capsys, monkeypatch):
    monkeypatch.setattr("jscc_sim.plugins.guard._said", set())
    channel = Broken(10.0, "prints")
    for _ in range(2):
        channel(np.ones(5, np.complex64), np.random.default_rng(0))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Broken printed: hello 5\n")


BAD = """
from dataclasses import dataclass, field
from jscc_sim.channels import Channel
from jscc_sim.codecs import Codec
from jscc_sim.systems.base import System

class Lazy(Channel):
    pass

@dataclass(frozen=True)
class Listing(Channel):
    taps: list = field(default_factory=list)
    def _disturb(self, symbols, fading, noise, estimation): pass

class Idle(System):
    pass

class Nameless(Codec):
    levels = 3
    def encode(self, picture, level): pass
    def size(self, data): pass
    def decode(self, data): pass
    def version(self): return "1"

class Slashed(Nameless):
    name = "../x"

class Levelless(Nameless):
    name, levels = "x", 0

class Looking(Nameless):
    name, look_ahead = "looking", "far"

class Versionless(Nameless):
    name = "x"
    def version(self): return 3

class Failing(Nameless):
    name = "x"
    def version(self): raise OSError("no library")

class Jpeg(Nameless):
    name = "jpeg"

class Other:
    pass
"""


@pytest.mark.parametrize(
    ("option", "spec", "message"),
    [
        ("--channel", "bad.py:Lazy", "bad.py:Lazy: Lazy is abstract, it does not define _disturb"),
        ("--channel", "bad.py:Listing", "field taps is a list, which changes or holds what does"),
        ("--channel", "bad.py:Other", "bad.py:Other: Other is no subclass of Channel"),
        ("--channel", "bad.py:Nothing", "there is no class Nothing in"),
        ("--channel", "bad.py", "no class is named; write bad.py:CLASS: there is Lazy, Listing"),
        ("--channel", "gone.py:A", "file gone.py cannot be read"),
        ("--channel", "jscc_sim.channels:AWGN:x=3", "AWGN has no field 'x'; its fields: none"),
        ("--channel", "raleigh", "channel 'raleigh' is none of awgn, rayleigh-slow, rayleigh-block:L"),
        ("--system", "bad.py:Idle", "Idle is abstract, it does not define _transmit"),
        ("--system", "bad.py:Lazy", "Lazy is no subclass of System"),
        ("--system", "bad.py:Nameless+ldpc", "its name is None, not letters, digits, - and _"),
        ("--system", "bad.py:Slashed+ldpc", "its name is '../x', not letters"),
        ("--system", "bad.py:Levelless+ideal", "levels = 0 is no number from 1 to"),
        ("--system", "bad.py:Versionless+ideal", "its version is a int, not text"),
        ("--system", "bad.py:Looking+ideal", "look_ahead = 'far' is no number from 0 to 1048576"),
        ("--system", "bad.py:Failing+ideal", "codec bad.py:Failing raised OSError: no library"),
        ("--system", "bad.py:Jpeg+ideal", "its name is jpeg, which is the package's own"),
        ("--system", "bad.py:Lazy+ideal", "Lazy is no subclass of Codec"),
        ("--system", "gif+ideal", "codec 'gif' is not one of jpeg, jpeg2000"),
    ],
)
def test_plugins_that_cannot_be_used(folder, capsys, option, spec, message):
    Path("bad.py").write_text(BAD)
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", "1/2", option, spec]
    assert main([*words, *([] if option == "--system" else ["--system", "softcast"])]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_tuple_that_holds_a_list(folder):
    with pytest.raises(InputError, match="field by is a tuple, which changes or holds what does"):
        grid(channels=[Held(10.0, ([1],))])


@dataclass(frozen=True)
class Held(Channel):
    by: tuple = ()

    def _disturb(self, symbols, fading, noise, estimation):
        return Received(symbols, 0.1)


def test_a_channel_that_plans_with_no_snr():
    with pytest.raises(InputError, match=r"plans with \[0.0, nan\] dB, not with finite SNRs"):
        grid(channels=[Broken(0.0, "plans")])


class Ending(BaseException):
    """No Exception, and without words."""

    def __str__(self):
        raise RuntimeError


@dataclass(frozen=True)
class BrokenLink(LinkSystem):
    """A link that does what it is told."""

    how: str = ""

    def encode(self, picture, budget, belief, csit=None):
        symbols = np.ones(40, np.complex64)
        match self.how:
            case "long":
                symbols = np.ones(budget + 1, np.complex64)
            case "loud":
                symbols *= 2
            case "nan":
                symbols[1] = np.inf
            case "wide":
                symbols = symbols.astype(np.complex128)
            case "matrix":
                symbols = symbols.reshape(4, 10)
            case "raises":
                raise RuntimeError("encoder")
            case "tuple":
                return symbols
            case "ends":
                raise Ending
            case "notes":
                return Frame(symbols, 0, *picture.shape[:2], seconds={"encode": "long"})
            case "half":
                return Frame(symbols, 1.5, *picture.shape[:2])
        return Frame(symbols, 50 if self.how == "header" else 0, *picture.shape[:2])

    def decode(self, received, genie=None):
        if self.how == "decoder":
            raise KeyError("decoder")
        if self.how == "nothing":
            return None
        kind = np.float32 if self.how == "float" else np.uint8
        shape = {"grey": (40, 64), "empty": (0, 64, 3)}.get(self.how, (40, 64, 3))
        return Reception(np.zeros(shape, kind), None if self.how == "timeless" else {})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("long", "BrokenLink made a frame of 3841 uses for a budget of 3840"),
        ("loud", "BrokenLink made symbols of mean power 4.000, above 1"),
        ("nan", "BrokenLink made symbols that are not finite"),
        ("wide", "BrokenLink made symbols that are complex128 [40], not complex64 [uses]"),
        ("matrix", "BrokenLink made symbols that are complex64 [4, 10], not complex64 [uses]"),
        ("raises", "BrokenLink raised RuntimeError: encoder"),
        ("tuple", "BrokenLink encoded to a ndarray, not to a Frame"),
        ("header", "BrokenLink says that 50 of 40 uses are the header"),
        ("decoder", "BrokenLink raised KeyError: 'decoder'"),
        ("nothing", "BrokenLink made NoneType of a picture, not an array of uint8"),
        ("float", "BrokenLink made an array of float32 of a picture, not an array of uint8"),
        ("grey", "BrokenLink made a picture of shape [40, 64], not [H, W, 3]"),
        ("empty", "BrokenLink made a picture of shape [0, 64, 3], not [H, W, 3]"),
        ("ends", "BrokenLink raised Ending: Ending without words"),
        ("notes", "BrokenLink took 'long' seconds to encode, which is no time"),
        ("half", "BrokenLink says that 1.5 of 40 uses are the header"),
        ("timeless", "BrokenLink says None of its seconds, not how many by stage"),
    ],
)
def test_a_link_that_breaks_its_promise(folder, how, message):
    row = run_trial(only(systems=[BrokenLink(how)]))
    assert (row.status, row.error) == ("failed", message)
    with pytest.raises(InputError) as caught:
        BrokenLink(how).transmit(photograph(40, 64), AWGN(10.0), 3840, np.random.default_rng(0))
    assert str(caught.value) == message


NOTES = {
    "timeless": {"seconds": None},
    "coder": {"coder": 5},
    "papr": {"papr_db": "low"},
    "made": {"header_snr_db": "high"},
    "index": {"index": "ABC"},
    "outside": {"index": np.array([0, 2, 0, 1])},
}


@dataclass(frozen=True)
class BrokenSystem(System):
    """A system that does what it is told."""

    ratios = RatioSet((16, 32))

    how: str = ""

    def _transmit(self, picture, channel, budget, rng, belief):
        right = Transmission(picture.copy(), 10, 5, False)
        match self.how:
            case "uses":
                return replace(right, uses=budget + 1)
            case "header":
                return replace(right, header_uses=11)
            case "size":
                return replace(right, picture=picture[:-1])
            case "outage":
                return replace(right, outage=None)
            case "seconds":
                return replace(right, seconds={"encode": float("nan")})
            case "none":
                return None
            case "spoils":
                picture[:] = 0
                return right
            case "numpy":
                levels = {"papr_db": np.float32(3), "header_snr_db": np.float64(4)}
                whole = {"uses": np.int64(10), "header_uses": np.int16(5)}
                return replace(right, seconds={"encode": np.float32(1)}, **whole, **levels)
        if self.how in NOTES:
            return replace(right, **NOTES[self.how])
        raise ValueError("sorry")

    def prepare(self):
        if self.how == "prepare":
            raise OSError("no weights")

    def check(self, channel):
        if self.how == "check":
            raise KeyError("channel")

    def version(self):
        return 5 if self.how == "version" else "1"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("uses", "BrokenSystem spent 3841 uses, which is no whole number from 0 to 3840"),
        ("header", "BrokenSystem spent 11 header uses, which is no whole number from 0 to 10"),
        ("size", "BrokenSystem made a picture of shape [39, 64, 3] of one of [40, 64, 3]"),
        ("outage", "BrokenSystem says that an outage is None, not True or False"),
        ("seconds", "BrokenSystem took nan seconds to encode, which is no time"),
        ("none", "BrokenSystem returned a NoneType, not a Transmission"),
        ("raises", "BrokenSystem raised ValueError: sorry"),
        ("timeless", "BrokenSystem says None of its seconds, not how many by stage"),
        ("coder", "BrokenSystem says that 5 coded the picture, which is no name"),
        ("papr", "BrokenSystem says that its PAPR is 'low', which is no number of dB"),
        ("made", "BrokenSystem made its header for 'high', which is no number of dB"),
        ("index", "BrokenSystem made an index that is str, not whole numbers [4]"),
        ("outside", "BrokenSystem made an index outside 0 to 1, its ratios"),
        ("prepare", "BrokenSystem raised OSError: no weights"),
    ],
)
def test_a_system_that_breaks_its_promise(folder, how, message):
    row = run_trial(only(systems=[BrokenSystem(how)]))
    assert (row.status, row.error) == ("failed", message)


def test_a_system_that_spoils_its_picture_is_measured_against_what_was_sent(folder):
    picture = photograph(40, 64)
    sent = jscc_sim.transmit(picture, snr_db=10, cbr="1/2", system=BrokenSystem("spoils"))
    assert np.array_equal(picture, photograph(40, 64))
    assert sent.psnr_db is None  # it took its copy before
    assert run_trial(only(systems=[Black()])).psnr_db < 20


@dataclass(frozen=True)
class Black(System):
    """Gives what it was given, which it has painted black."""

    def _transmit(self, picture, channel, budget, rng, belief):
        picture[:] = 0
        return Transmission(picture, 10, 5, False)


def test_numbers_of_numpy_go_into_tables(folder):
    sent = jscc_sim.transmit("a.png", snr_db=10, cbr="1/2", system=BrokenSystem("numpy"))
    json.dumps([sent.uses, sent.header_uses, sent.papr_db, sent.header_snr_db, dict(sent.seconds)])
    rows = jscc_sim.sweep("a.png", snr_db=10, cbr="1/2", systems=BrokenSystem("numpy"))
    assert list(rows["status"]) == ["ok"]
    assert list(rows["papr_db"]) == [3.0]


def test_a_check_that_fails_is_named(folder):
    with pytest.raises(InputError, match="BrokenSystem raised KeyError: 'channel'"):
        jscc_sim.transmit("a.png", snr_db=10, cbr="1/2", system=BrokenSystem("check"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "two", "Odd has format = 'two', which is no whole number"),
        ("realisable", "no", "Odd has realisable = 'no', not True or False"),
    ],
)
def test_what_a_class_says_of_itself(folder, field, value, message):
    odd = type("Odd", (Black,), {field: value})()
    with pytest.raises(InputError, match=message):
        grid(systems=[odd]).trials()


@dataclass(frozen=True)
class Masked(Metric):
    """A field that has no hash."""

    column, label = "masked", "masked"
    mask: object = None

    def _measure(self, picture, reference):
        return float(np.sum(self.mask))


METRICS = """
from dataclasses import dataclass
from jscc_sim.metrics import Metric

class Loud(Metric):
    column, label = "snr_db", "loud"
    def _measure(self, picture, reference): return 1.0

class Psnr(Loud):
    column = "psnr_db"

class Lines(Loud):
    column, label = "lines", "two\\nlines"
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Loud", "metrics: column snr_db of Loud() is one that every row has"),
        ("Psnr", "metrics: column psnr_db of Psnr() is one that every row has"),
        ("Lines", "metric Lines: label 'two\\nlines' is no line that can be printed"),
    ],
)
def test_columns_that_are_there_already(folder, capsys, name, message):
    (folder / "loud.py").write_text(METRICS)
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", "1/2", "--system", "softcast", "--json"]
    assert main([*words, "--metrics", f"loud.py:{name}"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err


def test_a_metric_of_arrays(folder):
    (trial,) = grid(metrics=[Masked(np.ones(3))]).trials()
    assert run_trial(trial).metrics == {"masked": 3.0}
    assert trial.key != grid(metrics=[Masked(np.zeros(3))]).trials()[0].key


@dataclass(frozen=True)
class BrokenMetric(Metric):
    """A metric that does what it is told."""

    column, label = "broken", "broken"
    how: str = ""

    def _measure(self, picture, reference):
        match self.how:
            case "huge":
                return 10**400
            case "budget":
                raise BudgetError("mine")
            case "outage":
                raise OutageError("mine")
        raise Ending


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("huge", "metric BrokenMetric raised OverflowError: int too large to convert to float"),
        ("budget", "metric BrokenMetric raised BudgetError: mine"),
        ("outage", "metric BrokenMetric raised OutageError: mine"),
        ("ends", "metric BrokenMetric raised Ending: Ending without words"),
    ],
)
def test_a_metric_that_breaks_its_promise(folder, how, message):
    """No outage, and no budget that is too small."""
    row = run_trial(only(metrics=[BrokenMetric(how)]))
    assert (row.status, row.error) == ("failed", message)


def test_a_version_that_is_no_text(folder):
    with pytest.raises(InputError, match="BrokenSystem has a version that is a int, not text"):
        grid(systems=[BrokenSystem("version")]).trials()


class BrokenCodec(Codec):
    """A codec that does what it is told."""

    name, levels, how = "broken", 3, ""

    def encode(self, picture, level):
        if self.how == "raises":
            raise ValueError("encoder")
        if self.how == "ending":
            raise Ending
        if self.how == "nothing":
            return b""
        if self.how == "spoils":
            picture[:] = 0
        return "text" if self.how == "text" else bytes([40, 64, level])

    def size(self, data):
        return (40.5, 64) if self.how == "half" else (data[0], data[1])

    def decode(self, data):
        if self.how == "ends":
            raise SystemExit(1)
        if self.how == "float":
            return np.full((40, 64, 3), np.nan)
        return np.zeros((40, 63 if self.how == "size" else 64, 3), np.uint8)

    def version(self):
        return "1"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "broken cannot code 40x64 pixels: encoder"),
        ("text", "broken encodes to a str, not to bytes"),
        ("ending", "broken cannot code 40x64 pixels: Ending without words"),
        ("nothing", "broken encodes to no bytes at all"),
        ("half", "not a broken file: 'float' object cannot be interpreted as an integer"),
        ("ends", "broken file cannot be decoded: 1"),
        ("float", "broken file decodes to float64, not to an array of uint8"),
        ("size", "broken file of 40x64 pixels decodes to (40, 63, 3)"),
    ],
)
def test_a_codec_that_breaks_its_promise(folder, how, message):
    codec = type("BrokenCodec", (BrokenCodec,), {"how": how})()
    with pytest.raises(InputError) as caught:
        codec.decompress(codec.compress(photograph(40, 64), 800))
    assert str(caught.value) == message


def test_a_codec_that_spoils_its_picture(folder):
    picture = photograph(40, 64)
    type("BrokenCodec", (BrokenCodec,), {"how": "spoils"})().compress(picture, 800)
    assert np.array_equal(picture, photograph(40, 64))


class Painting(ComplexityEstimator):
    def _score(self, blocks):
        blocks[:] = 0
        return np.ones(len(blocks))


@dataclass(frozen=True)
class Constant(ComplexityEstimator):
    def _score(self, blocks):
        return np.ones(len(blocks))


class Levelling(AllocationPolicy):
    """Forgets all errors and then allocates as the default does."""

    needs = Lagrangian.needs

    def _allocate(self, blocks, ratios, budget):
        index = Lagrangian().allocate(blocks, ratios, budget)
        for known in (blocks.score, blocks.mse, blocks.energy):
            if known is not None:
                known[:] = 0
        return index


def test_what_plugins_do_to_their_arguments_stays_with_them(folder):
    """The sender still has its picture, and the zoo its table."""

    def psnr_db(**more):
        return jscc_sim.transmit("a.png", snr_db=10, cbr="1/4", zoo="linear", **more).psnr_db

    assert psnr_db(complexity=Painting()) == psnr_db(complexity=Constant())
    before = psnr_db()
    assert [psnr_db(policy=Levelling()), psnr_db()] == [before, before]


def test_an_instance_that_cannot_be_sent(folder):
    @dataclass(frozen=True)
    class Open(System):
        handle: object = field(compare=False)

        def _transmit(self, picture, channel, budget, rng, belief):
            return None

    with (
        open("a.png", "rb") as handle,
        pytest.raises(InputError, match=r"Open\(.*cannot be sent to workers: TypeError"),
    ):
        grid(systems=[Open(handle)])


class OwnInit(Channel):
    """Not a dataclass of its own."""

    def __init__(self, snr_db, rate=0.1):
        super().__init__(snr_db)
        self.rate = rate

    def _disturb(self, symbols, fading, noise, estimation):
        return Received(symbols, 0.1)


@dataclass(frozen=True)
class Derived(OwnInit):
    """What it sets follows from its fields."""

    share: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "table", (self.snr_db, self.share))


class Weighted(Metric):
    """Not a dataclass of its own either."""

    column, label = "weighted", "weighted"

    def __init__(self, weight):
        self.weight = weight

    def _measure(self, picture, reference):
        return self.weight


def test_what_an_init_of_ones_own_sets_is_known(folder):
    """Two instances that differ are two, and no row of one is taken for the other's."""
    found = []
    for weight in (1.0, 2.0):
        trials = grid(metrics=[Weighted(weight)]).trials()
        run(trials, folder / "rows.sqlite", Given(ThreadPoolExecutor(1)))
        rows = table(folder / "rows.sqlite")
        found += list(rows[rows["key"] == trials[0].key]["weighted"])
    assert found == [1.0, 2.0]


def test_a_channel_whose_state_is_no_field(folder):
    """At another SNR it would be another channel."""
    assert grid(channels=[OwnInit(10.0)]).trials()
    with pytest.raises(InputError, match=r"channel OwnInit\(rate=0.5\): rate is no field: write @dataclass"):
        grid(channels=[OwnInit(10.0, 0.5)])
    (row,) = (run_trial(trial) for trial in grid(channels=[Derived(10.0)]).trials())
    assert row.status == "ok"


@dataclass(frozen=True)
class Drawing(Metric):
    """A field that Python writes with its address in memory."""

    column, label = "drawing", "drawing"
    rng: object = None

    def _measure(self, picture, reference):
        return 1.0


class Addressed:
    def __repr__(self):
        return object.__repr__(self)


@pytest.mark.parametrize("make", [lambda: np.random.default_rng(1), Addressed])
def test_no_address_is_in_a_key(make):
    assert plugin_sha256(Drawing(make())) == plugin_sha256(Drawing(make()))
    assert plugin_sha256(Drawing(np.random.default_rng(1))) != plugin_sha256(
        Drawing(np.random.default_rng(2))
    )
