"""The same bytes whatever the thread settings, and a caller's process that is left as it was."""

import hashlib
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from processes import photograph, save

from jscc_sim.channels import AWGN
from jscc_sim.inference import building, inference, one_thread
from jscc_sim.metrics import measure
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.zoo import load_zoo

LINK = ["--cbr", "1/12", "--snr-db", "7"]
SETTINGS = [
    {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"},
    {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
]

SENT = """
import contextlib, io, json, pathlib, sys
from jscc_sim.cli import main
from jscc_sim.sweeps import Grid, run_trial

def say(*argv):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(list(argv)) == 0
    return out.getvalue()

(trial,) = Grid.from_toml("grid.toml").trials()
row = vars(run_trial(trial))
link, zoo, seed = sys.argv[1:5], ["--zoo", "conv-small"], ["--seed", str(trial.seed)]
shown = json.loads(say("transmit", "a.png", *link, *zoo, *seed, "--out", "one.png", "--json"))
say("encode", "a.png", *link, *zoo, "--out", "tx")
say("channel", "tx", "--snr-db", "7", *seed, "--out", "rx")
say("decode", "rx", *zoo, "--out", "two.png")
figures = ("mse", "psnr_db", "ssim", "ms_ssim", "uses")
print(json.dumps([[figures_of[name] for name in figures] for figures_of in (row, shown)]))
"""

FORKED = """
import multiprocessing, sys
import torch
from jscc_sim.channels import AWGN
from jscc_sim.sweeps import SystemSpec
from processes import photograph
import numpy as np

system = SystemSpec("block-jscc", "conv-small").load()

def send():
    return system.transmit(photograph(), AWGN(7.0), 2000, np.random.default_rng(0)).picture.sum()

def child():
    try:
        print(send(), flush=True)
    except Exception as error:
        print(type(error).__name__, error, flush=True)

torch.set_num_threads(2)
torch.randn(500, 500) @ torch.randn(500, 500)
system.prepare()
if sys.argv[1] == "computed":
    send()
forked = multiprocessing.get_context("fork").Process(target=child)
forked.start()
forked.join(60)
print("alive" if forked.is_alive() else forked.exitcode)
forked.kill()
"""


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def python(text, *argv, cwd, env=None):
    """What a process of its own prints."""
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", text, *argv],
        cwd=cwd,
        env={**clean, "PYTHONPATH": os.pathsep.join(sys.path), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def sent_under(setting, folder):
    """Hashes of all files that the programs make of one picture, and its figures."""
    folder.mkdir()
    save(photograph(320, 320), folder / "a.png")
    (folder / "grid.toml").write_text(
        'images = ["a.png"]\nchannels = ["awgn"]\nsnr_db = [7]\ncbr = ["1/12"]\n'
        '[[systems]]\nname = "block-jscc"\nzoo = "conv-small"\n'
    )
    row, shown = json.loads(python(SENT, *LINK, cwd=folder, env=setting)[0])
    assert row == shown
    files = ("tx.sigmf-data", "rx.sigmf-data", "one.png", "two.png")
    hashes = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files]
    assert hashes[2] == hashes[3]
    return [*row, *hashes]


def test_the_same_bytes_whatever_the_thread_settings(tmp_path):
    """`transmit`, the three programs and a sweep's row, which sweeps' workers compute on one thread."""
    found = [sent_under(setting, tmp_path / str(number)) for number, setting in enumerate(SETTINGS)]
    assert all(other == found[-1] for other in found)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_one_inside_and_as_before_outside(threads):
    torch.set_num_threads(threads)
    for context in (one_thread, inference, building):
        with context():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == threads
    with pytest.raises(ZeroDivisionError), one_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == threads


def test_a_kernel_leaves_the_number_of_threads_alone(tmp_path):
    text = (
        "import torch, numpy as np\nfrom jscc_sim.complexity import features\n"
        "before = torch.get_num_threads()\nfeatures(np.zeros((4, 32, 32, 3), np.uint8))\n"
        "print(before, torch.get_num_threads())"
    )
    assert python(text, cwd=tmp_path, env={"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}) == ["1 1"]


def states():
    """Of all random numbers that a program may be drawing."""
    legacy = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), legacy[1].tolist(), legacy[2], random.getstate()


@pytest.mark.parametrize("name", ["block-jscc", "gmm+ldpc", "quantised+uep", "vae:2", "generative", "digits"])
def test_the_callers_random_numbers_are_as_they_were(name):
    picture = photograph(64, 64)
    system = BlockJSCC(load_zoo("conv-small")) if name == "block-jscc" else load_baseline(name, "mmse")
    before = states()
    system.prepare()
    sent = system.transmit(picture, AWGN(15.0), 4000, np.random.default_rng(0))
    measure(sent.picture, picture)
    assert states() == before


def test_loading_sionna_leaves_the_random_state_alone(tmp_path):
    text = (
        "import torch\nfrom jscc_sim.channels import parse_channel\n"
        "torch.manual_seed(3)\nbefore = torch.get_rng_state()\n"
        "parse_channel('tdl-a:100', 10.0)\nprint(torch.equal(before, torch.get_rng_state()))"
    )
    assert python(text, cwd=tmp_path) == ["True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("before", ["prepared", "computed"])
def test_a_forked_process_computes_or_says_why_not(before, tmp_path):
    said, code = python(FORKED, before, cwd=tmp_path, env={"OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2"})
    assert code == "0"
    if before == "prepared":
        assert int(said) > 0
    else:
        assert said.startswith("InputError process ")
        assert "get_context('spawn')" in said
