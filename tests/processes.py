"""Commands in real processes: `python -m jscc_sim`, or several commands in one that never saw the others."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
from PIL import Image

from jscc_sim.images import read_picture

_RUNNER = """
import contextlib, io, json, pathlib, sys, traceback
from jscc_sim.cli import main

def files():
    return {str(p): (p.lstat().st_ino, p.lstat().st_mtime_ns) for p in pathlib.Path().rglob("*")}

results = []
for argv in json.loads(sys.argv[1]):
    before, out, err = files(), io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as error:
            code = error.code
        except BaseException:
            traceback.print_exc()
            code = 1
    heavy = [name for name in ("torch", "sionna", "pandas") if name in sys.modules]
    results.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "heavy": heavy})
    after = files()
    results[-1]["changed"] = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
print(json.dumps(results))
"""


@dataclass(frozen=True)
class Ran:
    """One command's exit code, what it printed, the slow libraries that its process had loaded, and the
    files below its folder that it made, changed or removed."""

    code: int
    out: str
    err: str
    heavy: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def program(*argv, cwd, **more):
    """One command as a user runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "jscc_sim", *map(str, argv)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **more.pop("env", {})},
        **more,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def one_process(commands, cwd, env=None, seconds=None):
    """Several commands one after the other in a process of their own, within so many seconds."""
    text = json.dumps([[str(word) for word in argv] for argv in commands])
    done = subprocess.run(
        [sys.executable, "-c", _RUNNER, text],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    return [
        Ran(r["code"], r["out"], r["err"], tuple(r["heavy"]), tuple(r["changed"]))
        for r in json.loads(done.stdout)
    ]


def photograph(height=96, width=128, name="astronaut"):
    """A crop of a built-in photograph, edges and smooth parts in it."""
    return np.ascontiguousarray(read_picture(name)[60 : 60 + height, 170 : 170 + width])


def save(picture, path):
    Image.fromarray(picture).save(path)
    return path


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
