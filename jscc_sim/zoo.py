"""A zoo on disk: a folder with a manifest, the weights of block coders and a calibration table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.errors import InputError, out_of_memory
from jscc_sim.inference import building
from jscc_sim.nn.bank import Bank
from jscc_sim.prediction import Predictor
from jscc_sim.units import BLOCK_SAMPLES, RatioSet
from jscc_sim.weights import (
    BROKEN,
    MANIFEST,
    MISFITS,
    WEIGHTS,
    Tensors,
    check_finished,
    models_folder,
    read_manifest,
    read_tensors,
    released,
    weights_id,
    write_manifest,
    write_tensors,
)

CALIBRATION = "calibration.safetensors"
BANKS = ("linear", "conv")
DEFAULT_ZOO = "conv"


@dataclass(frozen=True)
class Zoo:
    """One bank of coders with its predictor. name: a released zoo's, or the folder's path."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def ratios(self) -> RatioSet:
        """The channel uses per block on offer. Raises InputError for a set that is none."""
        uses, withheld = self.manifest["ratios"], self.manifest.get("withheld", ())
        for k in (*uses, *withheld):
            if not isinstance(k, int) or k > BLOCK_SAMPLES:
                raise InputError(f"zoo {self.name}: ratio {k!r} is no number of uses up to {BLOCK_SAMPLES}")
        ratios = RatioSet.of(uses, withheld)
        if ratios.uses[0] != 0:
            raise InputError(f"zoo {self.name}: ratios begin with {ratios.uses[0]} uses, not with 0")
        return ratios

    @cached_property
    def sha256(self) -> str:
        """Identifies weights, architecture, calibrations and withheld ratios of the whole family."""
        named = ("bank", "architecture", "files")
        parts = [[[zoo.manifest.get(n) for n in named], zoo.ratios.withheld] for zoo in self.family]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @cached_property
    def family(self) -> tuple[Zoo, ...]:
        """The zoo itself and its companion, if the manifest names one: a sender uses whichever it
        predicts to be better for a frame, and the header says which."""
        name = self.manifest.get("companion")
        if name is None:
            return (self,)
        if name == self.name or (companion := _read_zoo(name)).manifest.get("companion") is not None:
            raise InputError(f"zoo {self.name}: companion {name} has a companion itself")
        if companion.ratios.uses != self.ratios.uses or companion.id == self.id:
            raise InputError(f"zoo {self.name}: companion {name} has other ratios, or the same id")
        return (self, companion)

    def alone(self) -> Zoo:
        """The zoo without its companion."""
        return replace(self, manifest={**self.manifest, "companion": None})

    @property
    def sees_neighbours(self) -> bool:
        """Whether a block's error depends on what is sent of the blocks about it."""
        return bool(self.manifest["bank"] == "conv")

    def prepare(self, predictor: bool = False) -> None:
        """Load the coders of the family now, and if they will be needed the predictors."""
        for zoo in self.family:
            _ = zoo.bank
            if predictor or len(self.family) > 1:
                _ = zoo.predictor

    @property
    def id(self) -> int:
        """16 bits that travel in the header, from the weights alone: a receiver needs no calibration."""
        return weights_id(self.manifest)

    @cached_property
    def bank(self) -> Bank:
        """The coders, checked and loaded at first use."""
        tensors = self._load(WEIGHTS)
        try:
            if self.manifest["bank"] == "linear":
                from jscc_sim.nn.linear import LinearBank

                fields = {key: tensors[key].astype(np.float64) for key in ("mean", "colour", "variance")}
                bank: Bank = LinearBank(**fields, ratios=RatioSet(self.ratios.uses))
            else:
                bank = _conv_bank(self.manifest["architecture"], self.ratios.uses, tensors)
            return bank
        except MISFITS as error:
            if out_of_memory(error):
                raise
            raise InputError(f"zoo {self.name}: {WEIGHTS} does not fit the manifest: {error}") from None

    @cached_property
    def predictor(self) -> Predictor:
        """The calibration table, checked and loaded at first use."""
        if CALIBRATION not in self.manifest["files"]:
            raise InputError(f"zoo {self.name} has no {CALIBRATION}: run jscc-sim calibrate")
        tensors = self._load(CALIBRATION)
        try:
            predictor = Predictor(**{k: v.astype(np.float64) for k, v in tensors.items()})
            if len(predictor.mse) != len(self.ratios):
                raise ValueError(f"{len(predictor.mse)} ratios, not {len(self.ratios)}")
            return predictor
        except (TypeError, ValueError) as error:
            raise InputError(f"zoo {self.name}: {CALIBRATION} is not a calibration: {error}") from None

    def _load(self, name: str) -> Tensors:
        return read_tensors(f"zoo {self.name}", self.folder, name, self.manifest["files"][name])


def released_zoos() -> list[str]:
    """Names of the zoos that come with the package."""
    return released("bank")


def load_zoo(name: str = DEFAULT_ZOO) -> Zoo:
    """A released zoo by name, or any folder with a manifest. Raises InputError, listing the known."""
    zoo = _read_zoo(name)
    _ = zoo.sha256  # its companion too
    return zoo


def _read_zoo(name: str) -> Zoo:
    """A zoo whose companion was not looked at."""
    known = released_zoos()
    folder = models_folder() / name if name in known else Path(name)
    if name not in known and ("\0" in name or not (folder / MANIFEST).exists()):
        check_finished(folder, f"zoo {name}")
        raise InputError(f"zoo {name!r} is neither one of {', '.join(known)} nor a folder with a {MANIFEST}")
    try:
        zoo = Zoo(name, folder, read_manifest(folder))
        _ = zoo.ratios, zoo.id
    except BROKEN as error:
        raise InputError(f"zoo {name}: {folder / MANIFEST} is not a manifest: {error}") from None
    bank, companion = zoo.manifest.get("bank"), zoo.manifest.get("companion")
    if bank not in BANKS:
        raise InputError(f"zoo {name}: bank {bank!r} is not one of {', '.join(BANKS)}")
    if not isinstance(companion, str | None):
        raise InputError(f"zoo {name}: companion {companion!r} is no name of a zoo")
    return zoo


def save_zoo(folder: Path, manifest: Mapping[str, Any], weights: Tensors) -> Zoo:
    """Write weights and manifest; a calibration that was there does not fit the new weights and goes."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {WEIGHTS: write_tensors(folder / WEIGHTS, weights)}
    (folder / CALIBRATION).unlink(missing_ok=True)
    return _write_manifest(folder, {**manifest, "files": files})


def save_calibration(zoo: Zoo, predictor: Predictor, notes: Mapping[str, Any]) -> Zoo:
    """Add a calibration to a zoo's folder and manifest. Raises InputError for a released zoo's name."""
    check_own(zoo)
    digest = write_tensors(
        zoo.folder / CALIBRATION, {k: v.astype(np.float32) for k, v in asdict(predictor).items()}
    )
    files = {**zoo.manifest["files"], CALIBRATION: digest}
    return _write_manifest(zoo.folder, {**zoo.manifest, "files": files, "calibration": dict(notes)})


def check_new(folder: Path) -> None:
    """Raises InputError for the folder of a zoo to come that would go by a released zoo's name."""
    if str(folder) in released_zoos():
        raise InputError(f"zoo folder {folder} has the name of a released zoo: name another one")


def check_own(zoo: Zoo) -> None:
    """Raises InputError for a released zoo, which stays as it is. In a checkout it may be made anew, by its
    folder."""
    ours = models_folder()
    installed = not (ours.parent / "setup.cfg").exists() and zoo.folder.resolve().parent == ours.resolve()
    if installed or zoo.name in released_zoos():
        raise InputError(
            f"zoo {zoo.name} is a released one: copy its folder {zoo.folder} and name the copy's"
        )


def update_manifest(zoo: Zoo, **fields: Any) -> Zoo:
    """Set further fields of the manifest, such as measured figures. Raises InputError for a released
    zoo's name."""
    check_own(zoo)
    return _write_manifest(zoo.folder, {**zoo.manifest, **fields})


def _write_manifest(folder: Path, manifest: Mapping[str, Any]) -> Zoo:
    write_manifest(folder, manifest)
    return load_zoo(str(folder))


@building()
def _conv_bank(architecture: Mapping[str, Any], ratios: tuple[int, ...], tensors: Tensors) -> Bank:
    from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
    from jscc_sim.nn.conv_bank import ConvBank
    from jscc_sim.nn.loading import filled

    uses = tuple(architecture["uses"])
    if uses != ratios:
        raise ValueError(f"coders for {uses}, ratios {ratios}")
    shape = ConvArchitecture(**{**architecture, "uses": uses})
    return ConvBank(filled(lambda: ConvCoder(shape), architecture, tensors))
