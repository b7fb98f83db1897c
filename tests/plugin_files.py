"""Plug-ins in files: a codec, a system and the example of a channel; grids that send a picture by them."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

from processes import photograph, save

from jscc_sim.sweeps import Grid

EXAMPLE = Path(__file__).parents[1] / "examples" / "impulsive.py"

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


def plugin_folder(folder, monkeypatch):
    """The folder, now the current one, with their files, a.png (40x64) and a cache."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("JSCC_SIM_CACHE", str(folder / "cache"))
    save(photograph(40, 64), folder / "a.png")
    shutil.copy(EXAMPLE, folder / "impulsive.py")
    (folder / "means.py").write_text(CODEC)
    (folder / "grey.py").write_text(SYSTEM)
    return folder


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
