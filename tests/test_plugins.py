"""Plug-in specs: what each form finds, and the sentence for each way to get it wrong."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

import jscc_sim
from jscc_sim.allocation import POLICIES, AllocationPolicy, Random, WaterFilling, load_policy
from jscc_sim.complexity import Variance, load_estimator
from jscc_sim.errors import InputError
from jscc_sim.plugins import load_plugin, prints_aside

PLUGIN = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from jscc_sim.allocation import AllocationPolicy

@dataclass(frozen=True)
class Mine(AllocationPolicy):
    level: int = 0
    scale: float = 1.0
    greedy: bool = False
    label: str = ""
    table: tuple[int, ...] = ()

    def _allocate(self, blocks, ratios, budget):
        return np.zeros(len(blocks), np.int64)

class Idle(AllocationPolicy):
    pass

@dataclass(frozen=True)
class Demanding(AllocationPolicy):
    level: int

    def _allocate(self, blocks, ratios, budget):
        return np.zeros(len(blocks), np.int64)

class Unrelated:
    pass
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "my.py"
    path.write_text(PLUGIN)
    return path


@pytest.mark.parametrize("name", POLICIES)
def test_every_name(name):
    assert type(load_policy(name)) is POLICIES[name]


def test_fields_by_name():
    assert load_policy("random:seed=7") == Random(seed=7)
    assert load_policy("water-filling: level = 2.5") == WaterFilling(level=2.5)


def test_module_and_class():
    assert load_policy("jscc_sim.allocation.random:Random:seed=3") == Random(seed=3)
    assert load_estimator("jscc_sim.complexity:Variance") == Variance()


def test_file_and_class(plugin):
    mine = load_policy(f"{plugin}:Mine:level=-2,scale=1e-3,greedy=yes,label=a.py")
    assert (mine.level, mine.scale, mine.greedy, mine.label) == (-2, 0.001, True, "a.py")
    assert load_policy(f"{plugin}:Mine") == load_policy(f"{plugin}:Mine")


def test_an_edited_file_is_loaded_anew(plugin):
    before = load_policy(f"{plugin}:Mine")
    plugin.write_text(PLUGIN.replace("level: int = 0", "level: int = 5"))
    assert load_policy(f"{plugin}:Mine").level == 5
    assert before.level == 0


def test_entry_points(monkeypatch):
    group = "jscc_sim.policies"
    installed = [
        importlib.metadata.EntryPoint("other", "jscc_sim.allocation.random:Random", group),
        importlib.metadata.EntryPoint("gone", "no_such_package:Policy", group),
        importlib.metadata.EntryPoint("uniform", "jscc_sim.allocation.random:Random", group),
    ]
    monkeypatch.setattr("jscc_sim.plugins.loading.entry_points", lambda group: installed)
    assert load_policy("other:seed=4") == Random(seed=4)
    assert type(load_policy("uniform")) is POLICIES["uniform"], "a package must not replace a known name"
    with pytest.raises(InputError, match="gone: no_such_package:Policy raised ModuleNotFoundError"):
        load_policy("gone")
    with pytest.raises(InputError, match="oracle, gone, other, package"):
        load_policy("unknown")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("unifrom", "AllocationPolicy 'unifrom' is unknown: it can be uniform, random, quintiles"),
        ("", "AllocationPolicy '' is unknown"),
        ("unifrom:seed=1", "'unifrom' is unknown"),
        ("jscc_sim.allocation", "'jscc_sim.allocation' is unknown"),
        ("random:seed", "Random: 'seed' is not key=value"),
        ("random:", "Random: '' is not key=value"),
        ("random:seed=1,", "Random: '' is not key=value"),
        ("random:sede=1", "Random has no field 'sede'; its fields: seed"),
        ("uniform:seed=1", "Uniform has no field 'seed'; its fields: none"),
        ("random:seed=1,seed=2", "field seed is given twice"),
        ("random:seed=1.5", "Random: seed=1.5 is no int"),
        ("water-filling:level=deep", "WaterFilling: level=deep is no float"),
        ("water-filling:level=0", "water level of 0.0 is not above 0"),
        ("..:Policy", "'..' is unknown"),
        ("...", "'...' is unknown"),
        (".mine:Policy", "'.mine' is unknown"),
        ("no..module:Policy", "'no..module' is unknown"),
        ("no_such.module:Policy", "module no_such.module raised ModuleNotFoundError"),
        ("jscc_sim.allocation:Nothing", "there is no class Nothing in .*__init__.py, it has Encoder"),
        ("jscc_sim.units:Nothing", "there is no class Nothing in .*units.py, nor any AllocationPolicy"),
        ("jscc_sim.units:RatioSet", "RatioSet is no subclass of AllocationPolicy"),
        ("jscc_sim.units:BLOCK", "32 is no subclass of AllocationPolicy"),
        ("jscc_sim.complexity:Variance", "Variance is no subclass of AllocationPolicy"),
        ("missing/my.py:Mine", "file missing/my.py cannot be read: No such file"),
    ],
)
def test_bad_specs(spec, message):
    with pytest.raises(InputError, match=message):
        load_policy(spec)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (":Yours", "there is no class Yours in .*my.py, it has Mine, Idle, Demanding"),
        ("", "my.py: no class is named; write .*my.py:CLASS: there is Mine, Idle, Demanding"),
        (":", "no class is named; write .*my.py:CLASS: there is Mine"),
        (":Unrelated", "Unrelated is no subclass of AllocationPolicy"),
        (":Idle", "Idle is abstract, it does not define _allocate"),
        (":Demanding", "raised TypeError.*level"),
        (":Mine:greedy=perhaps", "greedy=perhaps is no bool"),
        (":Mine:table=3", "field table cannot be set by text"),
    ],
)
def test_bad_specs_of_a_file(plugin, rest, message):
    with pytest.raises(InputError, match=message):
        load_policy(f"{plugin}{rest}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("def broken(:", "raised SyntaxError"),
        ("raise SystemExit('bye')", "raised SystemExit: bye"),
        ("import no_such_module", "raised ModuleNotFoundError"),
    ],
)
def test_a_file_that_fails_is_named_and_leaves_nothing_behind(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    modules = set(sys.modules)
    with pytest.raises(InputError, match=f"broken.py {message}") as caught:
        load_policy(f"{path}:Mine")
    assert caught.value.__cause__ is not None
    assert set(sys.modules) == modules


def test_any_base_can_be_loaded():
    @dataclass(frozen=True)
    class Thing:
        size: int = 1

    assert load_plugin("thing:size=2", {"thing": Thing}, Thing) == Thing(2)
    with pytest.raises(InputError, match="Random is no subclass of Thing"):
        load_plugin("jscc_sim.allocation:Random", {"thing": Thing}, Thing)
    assert issubclass(Random, AllocationPolicy)


def test_a_file_named_like_a_module(plugin, monkeypatch):
    monkeypatch.chdir(plugin.parent)
    plugin.rename("my_own_policy.py")
    with pytest.raises(InputError, match=r"module my_own_policy is not installed; .* my_own_policy.py:CLASS"):
        load_policy("my_own_policy:Mine")
    monkeypatch.syspath_prepend(plugin.parent)
    assert load_policy("my_own_policy:Mine").scale == 1.0, "as a module that can be imported"


def test_what_is_printed_beside_foreign_code_is_printed(capsys):
    """Two threads run some, and leave it in the order in which they came; a third prints for itself."""
    before, both, first_left = sys.stdout, threading.Barrier(3), threading.Event()

    def foreign(name, wait):
        with prints_aside(name):
            both.wait()
            print(f"from {name}")
            both.wait()
            if wait:
                first_left.wait()
        first_left.set()

    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(foreign, f"plug-in {wait}", wait) for wait in (False, True)]
        both.wait()
        print("of one's own")
        both.wait()
        for one in running:
            one.result()
    assert sys.stdout is before
    print("afterwards")
    out, err = capsys.readouterr()
    assert out == "of one's own\nafterwards\n"
    assert sorted(err.splitlines()) == [f"plug-in {w} printed: from plug-in {w}" for w in (False, True)]


def test_two_threads_begin_at_once():
    """In a process whose kernels have not run yet."""
    text = (
        "import threading\nimport numpy as np\nfrom jscc_sim._kernels import blocks as kernels, compiled\n"
        "blocks, both, found = np.zeros((3, 32, 32, 3), np.uint8), threading.Barrier(8), []\n"
        "def run():\n    both.wait()\n    found.append(kernels.luma_variance(blocks).sum())\n"
        "for _ in range(2):\n"
        "    threads = [threading.Thread(target=run) for _ in range(8)]\n"
        "    [t.start() for t in threads]\n    [t.join() for t in threads]\n"
        "print(len(found), len(compiled._launched))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("16 1\n", "")


def test_two_threads_send_pictures(capsys):
    def psnr_db(policy):
        return jscc_sim.transmit("coffee", snr_db=10, cbr="1/24", zoo="linear", policy=policy).psnr_db

    policies = ("uniform", "lagrangian")
    alone = list(map(psnr_db, policies))
    with ThreadPoolExecutor(2) as pool:
        assert [list(pool.map(psnr_db, policies)) for _ in range(3)] == [alone] * 3
    print("still here")
    assert capsys.readouterr().out == "still here\n"
