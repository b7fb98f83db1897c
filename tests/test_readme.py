"""The README, and the page on use that goes on from it, do what they say: their Python runs, the policy takes
part, the commands parse."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from processes import photograph, save

from jscc_sim.cli import build_parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
USE = (ROOT / "docs" / "using.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README + USE, re.DOTALL)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", README + USE, re.DOTALL) for line in block.splitlines()
]


def run(*words, cwd):
    done = subprocess.run([sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_example_prints_uses_and_psnr(tmp_path):
    example = next(code for code in PYTHON if "jscc_sim.transmit" in code)
    uses, header_uses, psnr_db = run("-c", example, cwd=tmp_path).split()
    assert 0 < int(header_uses) < int(uses) <= 49152
    assert 26 < float(psnr_db) < 40


def test_a_policy_of_ones_own(tmp_path):
    policy = next(code for code in PYTHON if "class SquareRoot" in code)
    contract = next(code for code in PYTHON if "PolicyContract" in code)
    assert len(policy.strip().splitlines()) <= 15
    (tmp_path / "my_policy.py").write_text(policy)
    (tmp_path / "test_my_policy.py").write_text(contract)
    assert "passed" in run("-m", "pytest", "-q", "test_my_policy.py", cwd=tmp_path)
    command = next(line for line in COMMANDS if "SquareRoot" in line)
    table = run("-m", "jscc_sim", *shlex.split(command)[1:], "--zoo", "linear", cwd=tmp_path)
    assert "SquareRoot" in table


def test_it_takes_part_in_the_experiment(tmp_path):
    """The README's own command, on small pictures and with the zoo that is quick."""
    policy = next(code for code in PYTHON if "class SquareRoot" in code)
    (tmp_path / "my_policy.py").write_text(policy)
    line = next(line for line in COMMANDS if "policies.py" in line)
    words = shlex.split(line)[1:]
    script = [str(ROOT / words[0]), *words[1:]]
    images = [save(photograph(160, 192, name), tmp_path / f"{name}.png") for name in ("astronaut", "coffee")]
    more = ["--images", str(images[0].parent), "--zoo", "linear"]
    shown = run(*script, *more, cwd=tmp_path)
    assert re.search(r"my_policy.py:SquareRoot +[+-]\d", shown)
    table = (tmp_path / "out" / "policies_quick.csv").read_text()
    assert table.count("my_policy.py:SquareRoot") == len(images)
    assert (tmp_path / "out" / "policies_quick_gain.png").stat().st_size > 10_000


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("jscc-sim ")])
def test_commands_parse(line):
    words = shlex.split(line.split(">")[0])[1:]
    build_parser().parse_args(words)


def test_it_fits_on_two_screens():
    assert len(README.splitlines()) <= 150


def test_files_that_it_names_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
    for script in re.findall(r"python (experiments/\w+\.py)", README):
        assert (ROOT / script).exists(), script


def test_every_make_target_that_it_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", README))
    assert named
    assert named <= targets


def test_the_python_blocks_run_in_their_order(tmp_path):
    """Behind the imports that they name; LPIPS with a stand-in for its package."""
    blocks = [code for code in PYTHON[1:] if "jscc_sim.transmit" in code or "jscc_sim.sweep" in code]
    blocks += [code for code in PYTHON if "class Clipped" in code or "class LPIPS" in code]
    assert len(blocks) == 5
    (tmp_path / "photos").mkdir()
    for name in ("coffee", "chelsea"):
        save(photograph(160, 192, name), tmp_path / "photos" / f"{name}.png")
    (tmp_path / "lpips.py").write_text(
        "class LPIPS:\n    def __init__(self, verbose): pass\n"
        "    def __call__(self, x, y): return (x - y).abs().mean()\n"
    )
    ordered = sorted(blocks, key=PYTHON.index)
    head = "from dataclasses import dataclass\nimport numpy as np\nfrom torch import nn\n"
    tail = (
        'print(jscc_sim.transmit("coffee", snr_db=10, cbr="1/48", zoo="linear", metrics=LPIPS()).metrics)\n'
    )
    (tmp_path / "readme.py").write_text(head + "\n".join(ordered) + tail)
    shown = run("readme.py", cwd=tmp_path)
    assert "lpips" in shown
    assert (tmp_path / "psnr.pdf").exists()
