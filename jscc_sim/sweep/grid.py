"""A grid of experiments as data: images x systems x channels x CSI x SNRs x CBRs x repeats."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.channels import PERFECT, parse_channel, parse_csi
from jscc_sim.errors import InputError
from jscc_sim.files import read_regular
from jscc_sim.images import BUILTIN, list_pictures, read_picture
from jscc_sim.plugins import errors_named
from jscc_sim.sweep.trial import Trial, pixels_sha256
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.units import LARGEST_SEED, check_snr_db, number, parse_cbr

LARGEST_TOML_BYTES = 1 << 23
"""Of a grid's file."""

MOST_TRIALS = 1_000_000
"""Of one grid: they are all in memory."""


@dataclass(frozen=True)
class Grid:
    """Axes are sequences or arrays [N]; every combination of their values is a trial.

    images: picture files, or names of built-in photographs. channels, csi, snr_db (Es/N0 in dB): as for
    `jscc-sim transmit`. cbr: budgets, '1/16', 0.0625 or a Fraction. repeats: draws of the channel for
    each point. Raises InputError, naming key, value and limit.
    """

    images: Sequence[str]
    systems: Sequence[SystemSpec]
    channels: Sequence[str]
    snr_db: Sequence[float]
    cbr: Sequence[Fraction]
    csi: Sequence[str] = (PERFECT,)
    repeats: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("images", "systems", "channels", "snr_db", "cbr", "csi"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.ndim == 1:
                value = value.tolist()
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise InputError(f"{name} = {value!r} is not a list")
            if not value:
                raise InputError(f"{name} is empty: there is nothing to run")
            paths = name == "images"
            plain = [os.fspath(v) if paths and isinstance(v, PathLike) else v for v in value]
            object.__setattr__(self, name, tuple(plain))
        for name in ("images", "channels", "csi"):
            for value in getattr(self, name):
                if not isinstance(value, str):
                    raise InputError(f"{name}: {value!r} is not a string")
        if not all(isinstance(system, SystemSpec) for system in self.systems):
            raise InputError(f"systems = {self.systems!r} are not all a SystemSpec")
        snrs_db = tuple(check_snr_db(number("snr_db", value), "snr_db") for value in self.snr_db)
        object.__setattr__(self, "snr_db", snrs_db)
        object.__setattr__(self, "cbr", tuple(map(_cbr, self.cbr)))
        _ = self.air
        object.__setattr__(self, "repeats", _whole("repeats", self.repeats, 1, MOST_TRIALS))
        object.__setattr__(self, "seed", _whole("seed", self.seed, 0, LARGEST_SEED))
        if self.size > MOST_TRIALS:
            raise InputError(f"grid of {self.size} trials is above the limit of {MOST_TRIALS}")
        self._check_doubles()

    @property
    def size(self) -> int:
        """How many combinations there are; those that differ in nothing that is simulated count."""
        axes = (self.images, self.systems, self.channels, self.csi, self.snr_db, self.cbr)
        count = self.repeats
        for axis in axes:
            count *= len(axis)
        return count

    @property
    def air(self) -> list[tuple[str, str]]:
        """(channel, CSI): each channel with what a receiver can know of it; one without a channel estimate
        has no CSI but perfect. Raises InputError for a channel that is left with none."""
        for csi in self.csi:
            parse_csi(csi)
        found = []
        for channel in self.channels:
            estimated = parse_channel(channel, 0.0).estimated
            known = [csi for csi in self.csi if estimated or csi == PERFECT]
            if not known:
                raise InputError(f"channels: {channel} has no channel estimate: csi must hold {PERFECT!r}")
            found += [(channel, csi) for csi in known]
        return found

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> Grid:
        """The grid of a TOML file; paths in it are relative to it. images: a folder, a list of files,
        or "builtin". Raises InputError that begins with the file's name."""
        try:
            content = tomllib.loads(read_regular(path, LARGEST_TOML_BYTES).decode("utf-8-sig"))
            _check_text(content)
        except OSError as error:
            raise InputError(f"grid {path} cannot be read: {error.strerror}") from None
        except InputError as error:
            raise InputError(f"grid {path}: {error}") from None
        except RecursionError:  # of the parser, or behind dotted keys, which need none
            raise InputError(f"grid {path} is not TOML that can be read: it is nested too deeply") from None
        except ValueError as error:  # of syntax, of encoding, of numbers of thousands of digits
            raise InputError(f"grid {path} is not TOML: {error}") from None
        folder = Path(path).resolve().parent
        try:
            return cls(**_arguments(content, folder))
        except InputError as error:
            raise InputError(f"grid {path}: {error}") from None

    def trials(self) -> list[Trial]:
        """Every point once, those of one image together. Reads each picture and loads each system's
        manifest and plug-ins. Raises InputError for one that cannot be used, and for two equal pictures:
        they would be one trial."""
        systems = []
        for system in self.systems:
            with errors_named(f"system {system.name}, policy {system.policy}"):
                spec = system.within(Path())
                loaded = spec.load()
                systems.append((spec, Fingerprint.of(loaded)))
            for channel, csi in self.air:
                loaded.check(parse_channel(channel, 0.0, csi))
        points = list(product(systems, self.air, self.snr_db, self.cbr, range(self.repeats)))
        trials: dict[str, Trial] = {}
        seen: dict[str, str] = {}
        for image in self.images:
            picture = read_picture(image)
            name, path = Path(image).name, str(Path(image).resolve()) if Path(image).exists() else image
            pixels, (height, width) = pixels_sha256(picture), picture.shape[:2]
            if seen.setdefault(pixels, name) != name:
                raise InputError(f"images: {name} and {seen[pixels]} are the same picture: leave one out")
            for (spec, made), (channel, csi), snr_db, cbr, repeat in points:
                trial = Trial(
                    spec,
                    made,
                    name,
                    path,
                    pixels,
                    height,
                    width,
                    channel,
                    csi,
                    snr_db,
                    cbr,
                    repeat,
                    self.seed,
                )
                trials.setdefault(trial.key, trial)
        return list(trials.values())

    def _check_doubles(self) -> None:
        """Rows must be told apart by what a table shows."""
        shown: dict[str, list[Hashable]] = {
            "images": [Path(path).name for path in self.images],
            "systems": [dataclasses.astuple(system.label) for system in self.systems],
            **{name: list(getattr(self, name)) for name in ("channels", "csi", "snr_db", "cbr")},
        }
        for name, values in shown.items():
            seen: set[Hashable] = set()
            for value in values:
                if value in seen:
                    raise InputError(f"{name}: {_words(value)} is there twice")
                seen.add(value)


def _arguments(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Constructor arguments of Grid from a parsed TOML file."""
    _check_keys("", content, Grid)
    arguments = {**content, "images": _images(content["images"], folder)}
    systems = content["systems"]
    if not isinstance(systems, list) or not all(isinstance(system, dict) for system in systems):
        raise InputError("systems is not a list of tables: write [[systems]] above each")
    arguments["systems"] = []
    for system in systems:
        _check_keys("system: ", system, SystemSpec)
        arguments["systems"].append(SystemSpec(**system).within(folder))
    if isinstance(content.get("csi"), str):
        arguments["csi"] = [content["csi"]]
    return arguments


def _check_text(value: object) -> None:
    """No name of a file holds a NUL, and what looks for one fails in many ways."""
    if isinstance(value, str) and "\0" in value:
        raise InputError(f"{value!r} holds a NUL")
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            _check_text(part)


def _check_keys(where: str, content: dict[str, Any], cls: type[Any]) -> None:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in content:
        if key not in fields:
            raise InputError(f"{where}key {key!r} is unknown; the keys are {', '.join(fields)}")
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in content:
            raise InputError(f"{where}key {name!r} is missing; the keys are {', '.join(fields)}")


def _images(value: object, folder: Path) -> list[str]:
    """Absolute paths, or names of built-in photographs."""
    if value == "builtin":
        return list(BUILTIN)
    if isinstance(value, str):
        return [str(path) for path in list_pictures((folder / value).resolve())]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InputError(f"images = {value!r} is neither a folder, a list of files nor builtin")
    return [
        item if item in BUILTIN and not (folder / item).exists() else str((folder / item).resolve())
        for item in value
    ]


def _cbr(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise InputError(f"cbr: {value!r} is neither a fraction like '1/16' nor a number")
    if isinstance(value, str | Fraction):
        return parse_cbr(value)
    return parse_cbr(int(value) if isinstance(value, Integral) else float(value))


def _whole(name: str, value: object, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise InputError(f"{name} = {value!r} is not a whole number")
    if not least <= int(value) <= most:
        huge = int(value).bit_length() > 999  # Python writes no number of thousands of digits
        raise InputError(f"{name} = {'a huge number' if huge else value} is outside {least} to {most}")
    return int(value)


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
