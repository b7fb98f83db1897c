"""What was trained, on disk: a folder with a manifest, safetensors and a card.

Nothing is loaded before its sha256 matches the manifest; nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from jscc_sim.errors import InputError
from jscc_sim.files import read_regular, write_whole

MANIFEST, WEIGHTS, CARD = "manifest.json", "weights.safetensors", "CARD.md"
TRAINING_STATE = "checkpoint.safetensors"
"""Of a training that is not over, or that may go on."""

MADE = "<!-- made by jscc-sim train; take this line away to keep what you write here -->"
"""First line of a card that the next training may replace."""

LARGEST_MANIFEST_BYTES, LARGEST_CARD_BYTES, LARGEST_WEIGHTS_BYTES = 1 << 22, 1 << 22, 1 << 31

BROKEN = (OSError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What is raised where a manifest holds something else than it should."""

MISFITS = (ArithmeticError, LookupError, TypeError, RuntimeError, ValueError)
"""What is raised where weights are not those of the network that a manifest describes."""

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """What was trained, of a learned system or of a zoo's coders. name: the released one's, or the folder's
    path; what: a word for it in messages."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    what: str = "model"

    @classmethod
    def read(cls, name: str, folder: Path, what: str = "model") -> Self:
        """The one in a folder, its tensors not looked at. Raises InputError."""
        try:
            found = cls(name, folder, read_manifest(folder), what)
            _ = found.id, found.sha256
            return found
        except BROKEN as error:
            raise InputError(f"{what} {name}: {folder / MANIFEST} is not a manifest: {error}") from None

    @classmethod
    def find(cls, system: str, name: str = "") -> Self:
        """The released one of a learned system, or that in a folder. Raises InputError."""
        folder = Path(name) if name else models_folder() / system
        name = name or system
        check_finished(folder, f"model {name}")
        found = cls.read(name, folder)
        if "architecture" not in found.manifest:
            raise InputError(f"model {name}: {folder / MANIFEST} is not a manifest: it has no architecture")
        if found.manifest.get("system") != system:
            raise InputError(
                f"model {name} is of the system {found.manifest.get('system')!r}, not {system!r}"
            )
        return found

    @property
    def id(self) -> int:
        """16 bits from the weights alone, which travel in files and frames."""
        return int(self.sha256[:4], 16)

    @property
    def sha256(self) -> str:
        """Of the weights."""
        return str(self.manifest["files"][WEIGHTS])

    @property
    def identity(self) -> str:
        """Of the weights and of the architecture that takes them: what a picture becomes depends on no more,
        wherever the folder is."""
        made_of = json.dumps([self.sha256, self.manifest["architecture"]], sort_keys=True)
        return hashlib.sha256(made_of.encode()).hexdigest()

    @property
    def card(self) -> str:
        """What is to be known of it, for people; empty where nothing is written down. Raises InputError."""
        try:
            return read_regular(self.folder / CARD, LARGEST_CARD_BYTES).decode()
        except FileNotFoundError:
            return ""
        except (OSError, ValueError) as error:
            raise InputError(f"{self.what} {self.name}: {CARD} cannot be read: {error}") from None

    @cached_property
    def tensors(self) -> Tensors:
        """The weights, checked and loaded at first use."""
        return self.load(WEIGHTS)

    def load(self, file: str) -> Tensors:
        """The tensors of one of its files. Raises InputError for one that is missing or damaged."""
        sha256 = self.manifest["files"].get(file, "")
        return read_tensors(f"{self.what} {self.name}", self.folder, file, sha256)

    def misfit(self, error: Exception) -> InputError:
        """What to raise where the weights are not what the manifest says."""
        return InputError(f"{self.what} {self.name}: {WEIGHTS} does not fit the manifest: {error}")

    def save(self, file: str, tensors: Tensors, **fields: Any) -> Self:
        """Add or replace one of its files, and set fields of the manifest."""
        files = {**self.manifest["files"], file: write_tensors(self.folder / file, tensors)}
        return self.update(files=files, **fields)

    def update(self, **fields: Any) -> Self:
        """Set fields of the manifest."""
        write_manifest(self.folder, {**self.manifest, **fields})
        return self.read(str(self.folder), self.folder, self.what)


def save_checkpoint(
    folder: Path, manifest: Mapping[str, Any], weights: Tensors, what: str = "model"
) -> Checkpoint:
    """Write weights, manifest, and a card unless somebody wrote one. What else was in the folder and in an
    earlier manifest does not belong to these weights."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {WEIGHTS: write_tensors(folder / WEIGHTS, weights)}
    write_manifest(folder, {**manifest, "files": files})
    made = Checkpoint.read(str(folder), folder, what)
    if not made.card or made.card.startswith(MADE):
        text = card_of(folder.name, made.manifest).encode()
        write_whole(folder / CARD, lambda handle: handle.write(text), follow=False)
    return made


def card_of(name: str, manifest: Mapping[str, Any]) -> str:
    """The card of a manifest: what a program can say of what it trained."""
    lines = [MADE, f"# {name}", "", str(manifest.get("summary", "")), ""]
    known = {"parameters": "parameters", "macs_per_pixel": "multiply-accumulates per pixel"}
    lines += [f"- **{words}**: {manifest[key]:,}" for key, words in known.items() if key in manifest]
    if "snr_range_db" in manifest:
        lines.append("- **SNR**: {:g} to {:g} dB".format(*manifest["snr_range_db"]))
    lines += [f"- **{key}**: {value}" for key, value in manifest.get("training", {}).items()]
    return "\n".join(lines) + "\n"


def check_finished(folder: Path, what: str) -> None:
    """Raises InputError for a folder in which a training was begun and has left no weights so far."""
    if os.path.exists(folder / TRAINING_STATE) and not os.path.exists(folder / MANIFEST):  # of any name
        raise InputError(f"{what}: its training is unfinished; the same jscc-sim train command goes on")


def models_folder() -> Path:
    """Where the released weights lie, in a checkout and in an installed wheel alike."""
    return Path(str(resources.files("jscc_sim.models")))


def released(kind: str) -> list[str]:
    """Folders of released weights whose manifest has a key: "bank" for zoos, "system" for the others."""
    found = sorted(models_folder().glob(f"*/{MANIFEST}"))
    return [path.parent.name for path in found if kind in read_manifest(path.parent)]


def read_manifest(folder: Path) -> dict[str, Any]:
    """A folder's manifest, an object whose hashes are text. Raises one of BROKEN."""
    manifest = json.loads(read_regular(folder / MANIFEST, LARGEST_MANIFEST_BYTES))
    if not isinstance(manifest, dict):
        raise TypeError("it is no JSON object")
    for name, digest in manifest["files"].items():
        if not isinstance(digest, str):
            raise TypeError(f"the hash of {name} is {digest!r}")
    return manifest


def read_tensors(owner: str, folder: Path, name: str, sha256: str) -> Tensors:
    """The tensors of a file whose hash must be this, floats and all of them finite. Raises InputError, naming
    the owner."""
    path = folder / name
    try:
        content = read_regular(path, LARGEST_WEIGHTS_BYTES)
    except OSError as error:
        raise InputError(f"{owner}: {path} cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputError(f"{owner}: {name} has sha256 {found[:12]}..., not {sha256[:12]}...")
    try:
        tensors = dict(load_tensors(content))
    except (SafetensorError, KeyError, TypeError, ValueError) as error:  # a type that NumPy lacks: KeyError
        raise InputError(f"{owner}: {name} is no safetensors file: {error}") from None
    if whole := next((key for key, values in tensors.items() if values.dtype.kind != "f"), None):
        raise InputError(f"{owner}: {name} holds {tensors[whole].dtype} in {whole}, not floating point")
    if bad := _not_finite(tensors):
        raise InputError(f"{owner}: {name} holds values in {bad} that are not finite in single precision")
    return tensors


def write_tensors(path: Path, tensors: Tensors) -> str:
    """Write them. Returns the file's sha256. Raises InputError for values that nothing would load."""
    if bad := _not_finite(tensors):
        raise InputError(f"weights {path} cannot be written: values in {bad} are not finite")
    content = save_tensors({key: np.ascontiguousarray(value) for key, value in tensors.items()})
    write_whole(path, lambda handle: handle.write(content), follow=False)  # the folder's own, or nobody's
    return hashlib.sha256(content).hexdigest()


def _not_finite(tensors: Tensors) -> str | None:
    """The first tensor with a NaN or an infinity, or with what single precision cannot hold."""
    most = np.finfo(np.float32).max
    return next((name for name, values in tensors.items() if not (np.abs(values) <= most).all()), None)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write it whole or not at all."""
    text = json.dumps(manifest, indent=2) + "\n"
    write_whole(folder / MANIFEST, lambda handle: handle.write(text.encode()), follow=False)
