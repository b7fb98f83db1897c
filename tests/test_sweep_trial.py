"""One trial: its key, its seed, its row, and the row again by `jscc-sim transmit`."""

import dataclasses
import json
import shutil
import subprocess
from fractions import Fraction

import pytest
from processes import photograph, save
from sweeps import trial, write_grid

import jscc_sim
from jscc_sim.cli import main
from jscc_sim.images import read_picture
from jscc_sim.sweeps import Grid, SystemSpec, run_trial
from jscc_sim.sweeps.row import git_commit, versions
from jscc_sim.sweeps.work import _frame
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.zoo import load_zoo

POLICY = """
from dataclasses import dataclass
import numpy as np
from jscc_sim.allocation import AllocationPolicy

@dataclass(frozen=True)
class Mine(AllocationPolicy):
    least: int = 0

    def _allocate(self, blocks, ratios, budget):
        if budget < self.least:
            raise ValueError("two\\nlines")
        return np.zeros(len(blocks), np.int64)
"""
SENT = {
    *("uses", "header_uses", "cbr", "psnr_db", "mse", "ssim", "ms_ssim", "outage", "ratio_blocks", "seed"),
    *("height", "width", "budget_uses", "cbr_budget", "snr_db", "sender_snr_db", "image", "system", "zoo"),
    *("policy", "complexity", "channel", "csi", "equaliser", "side_info", "coder", "papr_db"),
}
"""What a row shares with `transmit --json`."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(photograph(40, 64), "a.png")
    (tmp_path / "mine.py").write_text(POLICY)
    return tmp_path


def one(policy="uniform", image="a.png", cbr="1/6", channel="awgn", csi="perfect", zoo="linear", **more):
    system = SystemSpec("block-jscc", zoo=zoo, policy=policy, **more)
    (only,) = Grid([image], [system], [channel], [10], [cbr], [csi]).trials()
    return only


OTHERS = {
    "system": [
        SystemSpec("block-jscc", zoo="linear", policy="random"),
        SystemSpec("block-jscc", zoo="linear", complexity="dct"),
        SystemSpec("block-jscc", zoo="linear", equaliser="zf"),
        SystemSpec("block-jscc", zoo="linear", side_info="genie"),
        SystemSpec("block-jscc", zoo="linear", companion="none"),
        SystemSpec("block-jscc", zoo="linear", sender_snr_db=3),
        SystemSpec("block-jscc", zoo="linear", header_margin_db=3),
    ],
    "fingerprint": [
        dataclasses.replace(trial().fingerprint, **{name: "other"})
        for name in ("zoo_sha256", "policy_sha256", "complexity_sha256", "format")
    ],
    "pixels_sha256": ["other"],
    "channel": ["rayleigh-slow"],
    "csi": ["noisy:20"],
    "snr_db": [10.5],
    "cbr": [Fraction(1, 16)],
    "repeat": [1],
    "root_seed": [1],
}
IN_SEED = {"pixels_sha256", "channel", "snr_db", "repeat", "root_seed"}


@pytest.mark.parametrize("name", OTHERS)
def test_key_and_seed_depend_on_what_is_simulated(name):
    first = trial()
    for value in OTHERS[name]:
        other = dataclasses.replace(first, **{name: value})
        assert other.key != first.key
        assert (other.seed != first.seed) == (name in IN_SEED)


@pytest.mark.parametrize(
    "name",
    [
        *("block-jscc", "jpeg+ldpc", "jpeg+ldpc-abstraction", "jpeg+ideal", "softcast"),
        *("vae:2", "digits", "generative", "quantised+uep"),
    ],
)
def test_another_format_of_a_system_is_another_trial(name, monkeypatch):
    """What an old store has settled is run again once a system sends something else."""
    system = SystemSpec(name).load()
    before = Fingerprint.of(system)
    assert before.format == system.format > 1
    monkeypatch.setattr(type(system), "format", system.format + 1)
    assert Fingerprint.of(system) == dataclasses.replace(before, format=before.format + 1)
    assert trial(fingerprint=Fingerprint.of(system)).key != trial(fingerprint=before).key


def test_names_are_not_simulated():
    moved = trial(image="b.png", path="/elsewhere/b.png", system=SystemSpec("block-jscc", zoo="/tmp/linear"))
    assert (moved.key, moved.seed) == (trial().key, trial().seed)
    assert trial().seed < 10**15  # all its digits in a spreadsheet


def test_an_edited_policy_is_another_trial(folder):
    first, with_field = one("mine.py:Mine"), one("mine.py:Mine:least=1")
    (folder / "sub").mkdir()
    shutil.copy("mine.py", "sub")
    assert one("sub/mine.py:Mine").key == first.key
    (folder / "mine.py").write_text(POLICY + "# edited\n")
    keys = {first.key, with_field.key, one("mine.py:Mine").key, one("uniform").key}
    assert len(keys) == 4
    row = run_trial(first)
    assert (row.status, row.error) == (
        "failed", "policy mine.py:Mine or estimator variance changed since the sweep began"
    )  # fmt: skip


def test_a_policy_of_a_module_is_known_by_its_text(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    shutil.copy("mine.py", "mine_as_module.py")
    assert (
        one("mine_as_module:Mine").fingerprint.policy_sha256 != one("mine.py:Mine").fingerprint.policy_sha256
    )


def test_a_changed_picture_or_zoo_is_no_result(folder):
    shutil.copytree(load_zoo("linear").folder, "zoo")
    first = one(zoo="zoo")
    assert first.key == one().key
    other = dataclasses.replace(first.fingerprint, zoo_sha256="0" * 64)
    assert (
        run_trial(dataclasses.replace(first, fingerprint=other)).error
        == f"zoo {folder}/zoo changed since the sweep began"
    )
    save(photograph(40, 64, "coffee"), "b.png")
    second = one(image="b.png")
    save(photograph(40, 64), "b.png")
    assert run_trial(second).error == f"image {folder}/b.png changed since the sweep began"


def test_what_a_trial_becomes(folder):
    rows = {
        name: run_trial(one(f"mine.py:Mine:least={least}", cbr=cbr))
        for name, least, cbr in (("ok", 0, "1/6"), ("infeasible", 0, "1/200"), ("failed", 9**9, "1/6"))
    }
    assert {name: row.status for name, row in rows.items()} == {name: name for name in rows}
    assert rows["ok"].error is None
    assert rows["ok"].seconds == sum(rows["ok"].stage_seconds.values()) > 0
    assert sum(rows["ok"].ratio_blocks.values()) == 4
    assert (rows["ok"].coder, rows["infeasible"].coder, rows["infeasible"].papr_db) == ("linear", None, None)
    assert (rows["ok"].versions, rows["ok"].git_commit) == (versions(), git_commit())
    assert rows["infeasible"].error.startswith("budget of 38 uses is below the")
    assert rows["failed"].error == "Mine raised ValueError: two lines"
    assert rows["failed"].uses is rows["failed"].psnr_db is rows["infeasible"].outage is None
    empty = run_trial(one(cbr="1/10000"))
    assert (empty.status, empty.error) == ("infeasible", "CBR 1/10000 of 40x64 pixels is 0 channel uses")


@pytest.mark.parametrize(
    "setting",
    [
        {"policy": "lagrangian"},
        {"policy": "oracle", "channel": "rayleigh-block:64", "csi": "noisy:20", "complexity": "dct"},
        {"channel": "rician-slow:4", "sender_snr_db": 4, "equaliser": "zf"},
        {"side_info": "genie", "cbr": "1/24"},
        {"image": "coffee", "policy": "proportional"},
    ],
    ids=lambda setting: next(iter(setting.values())),
)
def test_transmit_replays_a_row(folder, capsys, setting):
    only = one(**setting)
    row = run_trial(only)
    options = ["--policy", "uniform"]
    for name, value in setting.items():
        if name != "image":
            options += ["--" + name.replace("_", "-"), str(value)]
    seeded = ["--cbr", row.cbr_fraction, "--snr-db", "10", "--zoo", "linear", "--seed", str(row.seed)]
    assert main(["transmit", row.image, *seeded, *options, "--json"]) == 0
    sent = json.loads(capsys.readouterr().out)
    assert {name: getattr(row, name) for name in SENT} == {name: sent[name] for name in SENT}


def test_repeats_meet_other_channels(folder):
    system = SystemSpec("block-jscc", zoo="linear", policy="uniform")
    grid = Grid(["a.png"], [system], ["rayleigh-slow"], [10], ["1/6"], repeats=3)
    assert len({run_trial(each).mse for each in grid.trials()}) == 3


def test_policies_meet_the_same_channel(tmp_path):
    trials = Grid.from_toml(write_grid(tmp_path)).trials()
    by_policy = [[t.seed for t in trials if t.system.policy == policy] for policy in ("uniform", "random")]
    assert by_policy[0] == by_policy[1]
    assert len(set(by_policy[0])) == 4
    assert read_picture(trials[0].path).shape == (40, 64, 3)


def test_trials_share_what_the_sender_makes_and_nothing_else(folder, monkeypatch):
    """One frame for all repeats, and for all true SNRs of a sender that believes the same; rows as alone."""
    system = SystemSpec("block-jscc", zoo="linear", policy="lagrangian", sender_snr_db=8)
    grid = Grid(["a.png"], [system], ["awgn"], [6, 10], ["1/3", "1/2"], repeats=3)
    made = []
    encode = BlockJSCC.encode

    def counted(self, picture, budget, belief, csit=None):
        made.append(budget)
        return encode(self, picture, budget, belief, csit)

    monkeypatch.setattr(BlockJSCC, "encode", counted)
    _frame.cache_clear()
    rows = [run_trial(point) for point in grid.trials()]
    assert sorted(made) == sorted({row.budget_uses for row in rows})
    assert len({row.mse for row in rows}) == len(rows) == 12
    for point, row in zip(grid.trials(), rows, strict=True):
        _frame.cache_clear()
        alone = run_trial(point)
        assert (alone.mse, alone.uses, alone.ratio_blocks) == (row.mse, row.uses, row.ratio_blocks)


def test_a_frame_belongs_to_what_the_sender_believes(folder):
    _frame.cache_clear()
    rows = [run_trial(one("lagrangian", cbr="1/2", channel=c)) for c in ("awgn", "rayleigh-slow")]
    assert all(row.status == "ok" for row in rows)
    assert _frame.cache_info().misses == 2


def test_a_row_says_who_coded_and_how_peaky(folder, tmp_path):
    """The companion's frames are named; a system without symbols has no peaks."""
    own, companions = (one(zoo="conv-small", cbr=cbr) for cbr in ("1/6", "1/2"))
    assert run_trial(own).coder == "conv-small"
    assert run_trial(dataclasses.replace(companions, snr_db=20.0)).coder == "linear"
    shutil.copytree(load_zoo("linear").folder, "deep/mine")
    assert run_trial(one(zoo="deep/mine")).coder == "mine"

    def baseline(name):
        (only,) = Grid(["a.png"], [SystemSpec(name)], ["awgn"], [10], ["1/3"]).trials()
        return run_trial(only)

    real, lot, ideal = (baseline(f"jpeg+{code}") for code in ("ldpc", "ldpc-abstraction", "ideal"))
    assert real.coder == lot.coder == "64qam-466"
    assert real.papr_db == pytest.approx(3.68, abs=0.1)  # of 64QAM 10 log10(98 / 42); corners are as frequent
    assert lot.papr_db is ideal.papr_db is None


def test_only_what_makes_results_makes_a_checkout_dirty(tmp_path, monkeypatch):
    def git(*words):
        name = ["-c", "user.name=A", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *name, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    for file in ("jscc_sim/__init__.py", "models/a", "results/a.csv", "README.md", "setup.cfg"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("1")
    git("init", "-q")
    monkeypatch.setattr(jscc_sim, "__file__", str(tmp_path / "jscc_sim/__init__.py"))
    assert git_commit.__wrapped__() is None, "no commit yet"
    git("add", ".")
    git("commit", "-qm", "1")
    commit = git("rev-parse", "HEAD")
    assert git_commit.__wrapped__() == commit
    for file in ("results/a.csv", "results/new.csv", "README.md", "notes"):
        (tmp_path / file).write_text("2")
    assert git_commit.__wrapped__() == commit
    for file in ("jscc_sim/__init__.py", "models/new", "setup.cfg"):
        before = (tmp_path / file).read_text() if (tmp_path / file).exists() else None
        (tmp_path / file).write_text("2")
        assert git_commit.__wrapped__() == f"{commit}-dirty", file
        (tmp_path / file).unlink() if before is None else (tmp_path / file).write_text(before)
    (tmp_path / "deep").mkdir()
    (tmp_path / "jscc_sim").rename(tmp_path / "deep/jscc_sim")
    monkeypatch.setattr(jscc_sim, "__file__", str(tmp_path / "deep/jscc_sim/__init__.py"))
    assert git_commit.__wrapped__() is None, "somebody else's checkout"
