"""Streams that are closed or know few letters, names that are no text, memory, threads, Ctrl-C."""

import dataclasses
import os
import subprocess
import sys

import pytest
from processes import photograph, program, save
from refusals import transmit
from sweeps import beside_progress, pretend, trial

from jscc_sim.cli import listing, main
from jscc_sim.errors import guarded, out_of_memory
from jscc_sim.sweeps import export_csv, run, table
from jscc_sim.sweeps.row import FAILED
from jscc_sim.sweeps.store import Store
from jscc_sim.training.data import split_folder

ODD = os.fsdecode(b"p\xff\xc3\xa9.png")
"""A file name that is not UTF-8."""

QUICKLY = ("--no-ssim", "--policy", "quintiles", "--side-info", "genie")
GRID = """
images = "pictures"
channels = ["awgn"]
snr_db = [10]
cbr = ["1/6"]
[[systems]]
name = "block-jscc"
zoo = "linear"
policy = "quintiles"
side_info = "genie"
"""
ASCII = {"PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"}


@pytest.fixture
def odd(tmp_path):
    save(photograph(), tmp_path / ODD)
    return tmp_path


# --- names and messages that are no text ----------------------------------------------------------


@pytest.mark.parametrize("env", [{}, ASCII], ids=["UTF-8", "ASCII"])
def test_a_name_that_no_stream_can_say(odd, env):
    out = ODD.replace(".png", "-out.png")
    ran = program(*transmit(*QUICKLY, "--out", out, image=ODD), cwd=odd, env=env)
    assert (ran.code, ran.err) == (0, "")
    assert (odd / out).is_file()
    assert "p\\udcff" in ran.out
    refused = program(*transmit(image=f"no{ODD}"), cwd=odd, env=env)
    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "nop\\udcff" in refused.err


def test_one_odd_name_does_not_end_a_sweep(odd):
    (odd / "pictures").mkdir()
    for number, name in enumerate(("a.png", ODD, "z.png")):
        save(photograph(64 + number, 64), odd / "pictures" / name)
    (odd / "grid.toml").write_text(GRID)
    ran = program("sweep", "grid.toml", "--store", "rows.sqlite", cwd=odd)
    assert (ran.code, beside_progress(ran.err)) == (0, ""), ran.err
    assert list(table(odd / "rows.sqlite")["image"]) == ["a.png", "p\\udcffé.png", "z.png"]
    assert export_csv(odd / "rows.sqlite", odd / "rows.csv") == 3
    again = program("sweep", "grid.toml", "--store", "rows.sqlite", cwd=odd)
    assert again.out == ran.out.replace("3 of them run now", "0 of them run now")


def test_whatever_an_error_says_its_row_is_kept(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.add(trial(0).row(FAILED, "lone \udcff surrogate"))
        store.add(pretend(trial(1)))
    assert table(tmp_path / "s.sqlite")["error"].iloc[0] == "lone \\udcff surrogate"
    outcome = run([trial(0), trial(1)], tmp_path / "s.sqlite", work=pretend)
    assert (outcome.ok, outcome.failures) == (2, ())


def test_a_report_of_a_table_with_an_odd_name(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.add(dataclasses.replace(pretend(trial()), psnr_db=30.0, cbr=0.1, header_uses=1))
    source = ODD.replace(".png", ".csv")
    export_csv(tmp_path / "s.sqlite", tmp_path / source)
    ran = program("report", source, "-o", "page.html", cwd=tmp_path, env=ASCII)
    assert (ran.code, ran.err) == (0, "")
    assert "p\\udcffé" in (tmp_path / "page.html").read_text("utf-8")


def test_a_policy_with_an_odd_name_in_a_figure(odd):
    policy = "from jscc_sim.allocation import Uniform as Base\nclass Mine(Base):\n    pass\n"
    (odd / ODD.replace(".png", ".py")).write_text(policy)
    named = ("--policy", ODD.replace(".png", ".py:Mine"))
    ran = program(*transmit(*QUICKLY, *named, "--figure", "f.svg", image=ODD), cwd=odd)
    assert (ran.code, ran.err) == (0, "")
    assert (odd / "f.svg").stat().st_size > 1000


def test_training_material_with_odd_names(odd):
    for name in (b"a.png", b"b\xff.png", b"c.png"):
        (odd / os.fsdecode(name)).touch()
    (odd / ODD).unlink()
    split = split_folder(odd)
    assert sorted(p.name for p in split.training + split.validation) == ["a.png", "b\udcff.png", "c.png"]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed(odd, closed):
    """The work is done, what would be said is not, and no file takes a stream's number."""
    words = transmit(*QUICKLY, "--out", "out.png", image="astronaut")
    said = "stderr.txt" if "2>" not in closed else "/dev/null"
    command = f'"$@" 2>{said} {closed}'
    done = subprocess.run(
        ["bash", "-c", command, "bash", sys.executable, "-m", "jscc_sim", *words],
        cwd=odd, check=False, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0
    assert (odd / "out.png").is_file()
    if said == "stderr.txt":
        assert (odd / said).read_text() == ""
    bad = [
        "bash",
        "-c",
        f'"$@" {closed}',
        "bash",
        sys.executable,
        "-m",
        "jscc_sim",
        *transmit(image="absent.png"),
    ]
    assert subprocess.run(bad, cwd=odd, check=False, capture_output=True).returncode == 2


# --- memory and threads ---------------------------------------------------------------------------


def tensor_too_large(arguments=None):
    import torch

    torch.empty(1 << 50, dtype=torch.uint8)


def test_no_memory_for_a_tensor_is_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(listing, "policies", tensor_too_large)
    assert main(["policies"]) == 2
    said = "out of memory: can't allocate memory: you tried to allocate 1125899906842624 bytes."
    assert said in (err := capsys.readouterr().err)
    assert err.count("\n") == 1
    with pytest.raises(SystemExit) as stopped:
        guarded(tensor_too_large)
    assert stopped.value.code == 2
    assert said in capsys.readouterr().err


def test_other_errors_of_torch_are_not_put_down_to_memory(monkeypatch):
    assert out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")) is not None
    assert out_of_memory(ValueError("out of memory")) is None

    def broken(arguments):
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(listing, "policies", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        main(["policies"])


KERNEL = """
import resource, sys
import numpy as np
from jscc_sim._kernels.slopes import take_ties
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
print(take_ties(np.ones((2, 2)), np.array([0, 8]), 1.0, np.zeros(2, np.int64), 8))
"""


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_a_full_cache_of_compiled_code_costs_nothing_but_time(tmp_path):
    """Nor does one whose files were cut short."""

    def ran(most_bytes):
        command = [sys.executable, "-c", KERNEL, str(most_bytes)]
        env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    free = ran(1 << 30)
    kept = [p for p in tmp_path.rglob("*take_ties*") if p.is_file()]
    assert len(kept) == 2
    for path in kept:
        path.write_bytes(path.read_bytes()[:60])
    assert ran(1 << 30) == free
    assert min(p.stat().st_size for p in kept) > 60  # and it is mended
    for path in tmp_path.rglob("*take_ties*"):
        path.unlink()
    assert ran(100) == free
    assert not [p for p in tmp_path.rglob("*take_ties*") if p.stat().st_size > 100]


@pytest.mark.parametrize("number", ["0", "-3", "100000"])
def test_a_number_of_threads_that_numba_does_not_take(tmp_path, number):
    ran = program(*transmit(image="astronaut"), cwd=tmp_path, env={"NUMBA_NUM_THREADS": number})
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"NUMBA_NUM_THREADS = {number}" in ran.err


TWO_THREADS = """
import threading, numpy as np
from jscc_sim.complexity import features
blocks = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3)).astype(np.uint8)
threads = [threading.Thread(target=lambda: [features(blocks) for _ in range(20)]) for _ in range(2)]
for t in threads: t.start()
for t in threads: t.join()
print("fine")
"""


@pytest.mark.skipif(bool(os.environ.get("NUMBA_DISABLE_JIT")), reason="nothing is compiled")
def test_two_threads_on_the_threading_layer_that_takes_one():
    env = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue", "NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-c", TWO_THREADS]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


# --- Ctrl-C ---------------------------------------------------------------------------------------

INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1] and not done:
            done.append(name)
            os.kill(os.getpid(), signal.SIGINT)
done = []
sys.meta_path.insert(0, Interrupt())
sys.argv[0] = "jscc-sim"
from jscc_sim.__main__ import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    "module", ["jscc_sim.training.learned", "jscc_sim.cli.link", "numba", "numpy.linalg", "torch"]
)
def test_ctrl_c_while_libraries_are_loaded(tmp_path, module):
    command = [sys.executable, "-c", INTERRUPTED, module, *transmit(image="astronaut", zoo="conv-small")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "jscc-sim: stopped\n")
