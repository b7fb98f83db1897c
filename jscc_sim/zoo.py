"""A zoo: the checkpoint of coders for blocks, with a calibration table that predicts their errors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.checkpoint import (
    BROKEN,
    MANIFEST,
    MISFITS,
    Checkpoint,
    Tensors,
    check_finished,
    models_folder,
    released,
    save_checkpoint,
)
from jscc_sim.errors import InputError, out_of_memory
from jscc_sim.inference import PRECISIONS, Arithmetic, building
from jscc_sim.nn.bank import Bank
from jscc_sim.prediction import Predictor
from jscc_sim.units import BLOCK_SAMPLES, RatioSet

CALIBRATION = "calibration.safetensors"
BANKS = ("linear", "conv")
DEFAULT_ZOO = "conv"


@dataclass(frozen=True)
class Zoo:
    """One bank of coders with its predictor. arithmetic: of its networks, and of its companion's."""

    checkpoint: Checkpoint
    arithmetic: Arithmetic = field(default_factory=Arithmetic)

    @property
    def name(self) -> str:
        """A released zoo's, or the folder's path."""
        return self.checkpoint.name

    @property
    def folder(self) -> Path:
        """Where it is kept."""
        return self.checkpoint.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What is known of it."""
        return self.checkpoint.manifest

    @property
    def id(self) -> int:
        """16 bits that travel in the header, from the weights alone: a receiver needs no calibration."""
        return self.checkpoint.id

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
        """Identifies weights, architecture, calibrations and withheld ratios of the whole family, and the
        precision that they are computed in."""
        named, precision = ("bank", "architecture", "files"), self.arithmetic.precision
        parts: list[Any] = [
            [[zoo.manifest.get(n) for n in named], zoo.ratios.withheld] for zoo in self.family
        ]
        parts += [precision] if precision != PRECISIONS[0] else []
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
        return (self, replace(companion, arithmetic=self.arithmetic))

    def computing(self, arithmetic: Arithmetic) -> Zoo:
        """The same by another arithmetic. Raises InputError for one of no networks, which has none."""
        usual = vars(Arithmetic())
        for name, value in vars(arithmetic).items() if not self.has_networks else ():
            if value != usual[name]:
                raise InputError(f"zoo {self.name} has no networks: {name} {value} is of networks")
        return replace(self, arithmetic=arithmetic)

    def alone(self) -> Zoo:
        """The zoo without its companion."""
        return self.with_fields(companion=None)

    def with_fields(self, **fields: Any) -> Zoo:
        """The same with other fields of its manifest, not written down."""
        return replace(self, checkpoint=replace(self.checkpoint, manifest={**self.manifest, **fields}))

    @property
    def has_networks(self) -> bool:
        """False for the coder in closed form."""
        return bool(self.manifest["bank"] != "linear")

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

    @cached_property
    def bank(self) -> Bank:
        """The coders, checked and loaded at first use."""
        tensors = self.checkpoint.tensors
        try:
            if self.manifest["bank"] == "linear":
                from jscc_sim.nn.linear import LinearBank

                fields = {key: tensors[key].astype(np.float64) for key in ("mean", "colour", "variance")}
                if not (fields["variance"] > 0).all():
                    raise ValueError(f"a variance is {fields['variance'].min():g}, not above 0")
                bank: Bank = LinearBank(**fields, ratios=RatioSet(self.ratios.uses))
            else:
                shape = self.manifest["architecture"]
                bank = _conv_bank(shape, self.ratios.uses, tensors, self.arithmetic)
            return bank
        except MISFITS as error:
            if out_of_memory(error):
                raise
            raise self.checkpoint.misfit(error) from None

    @cached_property
    def predictor(self) -> Predictor:
        """The calibration table, checked and loaded at first use."""
        if CALIBRATION not in self.manifest["files"]:
            raise InputError(f"zoo {self.name} has no {CALIBRATION}: run jscc-sim calibrate")
        tensors = self.checkpoint.load(CALIBRATION)
        try:
            predictor = Predictor(**{k: v.astype(np.float64) for k, v in tensors.items()})
            if len(predictor.mse) != len(self.ratios):
                raise ValueError(f"{len(predictor.mse)} ratios, not {len(self.ratios)}")
            if not (predictor.low < predictor.high).all():
                raise ValueError("the range of an input is empty")
            return predictor
        except (TypeError, ValueError) as error:
            raise InputError(f"zoo {self.name}: {CALIBRATION} is not a calibration: {error}") from None


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
    zoo = Zoo(Checkpoint.read(name, folder, "zoo"))
    try:
        _ = zoo.ratios
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
    (folder / CALIBRATION).unlink(missing_ok=True)
    return load_zoo(str(save_checkpoint(folder, manifest, weights, "zoo").folder))


def save_calibration(zoo: Zoo, predictor: Predictor, notes: Mapping[str, Any]) -> Zoo:
    """Add a calibration to a zoo's folder and manifest. Raises InputError for a released zoo's name."""
    check_own(zoo)
    tensors = {k: v.astype(np.float32) for k, v in asdict(predictor).items()}
    return load_zoo(str(zoo.checkpoint.save(CALIBRATION, tensors, calibration=dict(notes)).folder))


def check_new(folder: Path) -> None:
    """Raises InputError for the folder of a zoo to come that would go by a released zoo's name."""
    if str(folder) in released_zoos():
        raise InputError(f"zoo folder {folder} has the name of a released zoo: name another one")


def check_own(zoo: Zoo) -> None:
    """Raises InputError for a released zoo, which stays as it is. In a checkout it may be made anew, by its
    folder."""
    if zoo.name in released_zoos() or _is_installed(zoo.folder):
        raise InputError(
            f"zoo {zoo.name} is a released one: copy its folder {zoo.folder} and name the copy's"
        )


def check_unreleased(folder: Path) -> None:
    """Raises InputError for a folder of released weights, zoo or not, inside an installed package."""
    if _is_installed(folder):
        raise InputError(f"output folder {folder} is of released weights, which stay as they are")


def _is_installed(folder: Path) -> bool:
    ours = models_folder().resolve()
    return not (models_folder().parent / "setup.cfg").exists() and ours in (
        folder.resolve(),
        folder.resolve().parent,
    )


def update_manifest(zoo: Zoo, **fields: Any) -> Zoo:
    """Set further fields of the manifest, such as measured figures. Raises InputError for a released
    zoo's name."""
    check_own(zoo)
    return load_zoo(str(zoo.checkpoint.update(**fields).folder))


@building()
def _conv_bank(
    architecture: Mapping[str, Any], ratios: tuple[int, ...], tensors: Tensors, arithmetic: Arithmetic
) -> Bank:
    from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
    from jscc_sim.nn.conv_bank import ConvBank
    from jscc_sim.nn.loading import filled

    uses = tuple(architecture["uses"])
    if uses != ratios:
        raise ValueError(f"coders for {uses}, ratios {ratios}")
    shape = ConvArchitecture(**{**architecture, "uses": uses})
    return ConvBank(filled(lambda: ConvCoder(shape), architecture, tensors), arithmetic)
