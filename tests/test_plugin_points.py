"""Channels, systems and codecs of anybody's: from a file, a package, the main program."""

from __future__ import annotations

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
from plugin_files import CODEC, EXAMPLE, SYSTEM, grid, install, only, plugin_folder
from processes import photograph, pixels

from jscc_sim.allocation import AllocationPolicy, Lagrangian, Random, Uniform, load_policy, policy_name
from jscc_sim.channels import AWGN, Channel, Fading, Received, channel_name, parse_channel
from jscc_sim.cli import main
from jscc_sim.codecs import CODECS, find_codec
from jscc_sim.complexity import GradientEnergy
from jscc_sim.errors import InputError
from jscc_sim.plugins import ByValue, plugin_sha256
from jscc_sim.sweeps import DaskCluster, Given, Grid, LocalProcesses, SystemSpec, run, run_trial, table
from jscc_sim.systems.base import System, Transmission
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.digital import Digital
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.ideal import IdealDigital
from jscc_sim.systems.softcast import SoftCast
from jscc_sim.zoo import load_zoo

MEASURED = ["uses", "mse", "psnr_db", "outage", "seed", "status", "snr_db", "system"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return plugin_folder(tmp_path, monkeypatch)


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
