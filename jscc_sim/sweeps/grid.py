"""A grid of experiments as data: images x systems x channels x CSI x SNRs x CBRs x repeats."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import product
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np

from jscc_sim.channels import (
    PERFECT,
    Channel,
    channel_label,
    channel_name,
    channel_sha256,
    is_built_in,
    parse_channel,
    takes_noisy_csi,
)
from jscc_sim.errors import InputError
from jscc_sim.files import read_regular
from jscc_sim.images import BUILTIN, list_pictures, read_picture
from jscc_sim.metrics import DEFAULT, Metric, load_metrics, metric_name
from jscc_sim.plugins import absolute, errors_named, plugin_sha256, short
from jscc_sim.sweeps.row import check_columns
from jscc_sim.sweeps.trial import Trial, pixels_sha256
from jscc_sim.systems.base import System
from jscc_sim.systems.catalogue import BLOCK_JSCC
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.units import LARGEST_SEED, check_snr_db, number, parse_cbr, whole
from jscc_sim.waveforms import ESTIMATED, OFDM, SYMBOLS, csi_with, parse_link, waveform_name
from jscc_sim.zoo import load_zoo

LARGEST_TOML_BYTES = 1 << 23
"""Of a grid's file."""

MOST_TRIALS = 1_000_000
"""Of one grid: they are all in memory."""


@dataclass(frozen=True)
class Grid:
    """Axes are sequences or arrays [N]; every combination of their values is a trial.

    images: picture files, or names of built-in photographs. systems: names or specs; or instances, which
    travel to the workers by value. channels, csi, snr_db (Es/N0 in dB): as for `jscc-sim transmit`; a channel
    may be an instance, too, which is taken at the grid's SNRs and CSI; csi: what is usual with each waveform
    where it is empty. cbr: budgets, '1/16', 0.0625 or a
    Fraction. repeats: draws of the channel for each point. metrics: what is
    measured, names or instances. Raises InputError, naming key, value and limit.
    """

    images: Sequence[str]
    systems: Sequence[SystemSpec | System | str]
    channels: Sequence[Channel | str]
    snr_db: Sequence[float]
    cbr: Sequence[Fraction]
    csi: Sequence[str] = ()
    repeats: int = 1
    seed: int = 0
    metrics: Sequence[Metric | str] = tuple(map(metric_name, DEFAULT))
    waveforms: Sequence[str | OFDM] = (SYMBOLS,)

    def __post_init__(self) -> None:
        for name in ("images", "systems", "channels", "snr_db", "cbr", "csi", "metrics", "waveforms"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.ndim == 1:
                value = value.tolist()
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise InputError(f"{name} = {value!r} is not a list")
            if not value and (name != "csi" or value is None):
                raise InputError(f"{name} is empty: there is nothing to run")
            paths = name == "images"
            plain = [os.fspath(v) if paths and isinstance(v, PathLike) else v for v in value]
            object.__setattr__(self, name, tuple(plain))
        given = [channel for channel in self.channels if isinstance(channel, Channel)]
        object.__setattr__(self, "channels", tuple(map(_channel_name, self.channels)))
        object.__setattr__(self, "systems", tuple(map(_system_spec, self.systems)))
        object.__setattr__(self, "waveforms", tuple(map(waveform_name, self.waveforms)))
        named = [metric_name(metric) if isinstance(metric, Metric) else metric for metric in self.metrics]
        object.__setattr__(self, "metrics", tuple(named))
        for name in ("images", "channels", "csi", "metrics", "waveforms"):
            for value in getattr(self, name):
                if not isinstance(value, str):
                    raise InputError(f"{name}: {value!r} is not a string")
        snrs_db = tuple(check_snr_db(number("snr_db", value), "snr_db") for value in self.snr_db)
        object.__setattr__(self, "snr_db", snrs_db)
        object.__setattr__(self, "cbr", tuple(map(_cbr, self.cbr)))
        _ = self.air
        for channel in given:
            csi_db = getattr(channel, "csi_db", None)
            if csi_db is not None and f"noisy:{csi_db:g}" not in self.csi:
                raise InputError(
                    f"channels: {channel} has CSI of {csi_db:g} dB: csi must hold 'noisy:{csi_db:g}'"
                )
        object.__setattr__(self, "repeats", whole("repeats", self.repeats, 1, MOST_TRIALS))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0, LARGEST_SEED))
        if self.size > MOST_TRIALS:
            raise InputError(f"grid of {self.size} trials is above the limit of {MOST_TRIALS}")
        self._check_doubles()

    @property
    def specs(self) -> tuple[SystemSpec, ...]:
        """The systems: what was a name or an instance is a spec by now."""
        return cast(tuple[SystemSpec, ...], self.systems)

    @property
    def _channels(self) -> tuple[str, ...]:
        return cast(tuple[str, ...], self.channels)

    @property
    def _waveforms(self) -> tuple[str, ...]:
        return cast(tuple[str, ...], self.waveforms)

    @property
    def size(self) -> int:
        """How many combinations there are; those that differ in nothing that is simulated count."""
        axes = (self.images, self.systems, self.channels, self.csi or (SYMBOLS,), self.snr_db, self.cbr)
        count = self.repeats * len(self.waveforms)
        for axis in axes:
            count *= len(axis)
        return count

    @property
    def air(self) -> list[tuple[str, str, str]]:
        """(channel, CSI, waveform): each channel with what a receiver can know of it, by each waveform that
        can undo it; symbols over a channel without estimate have no CSI but perfect. Raises InputError for a
        channel, and for a waveform, that is left with none."""
        for csi in self.csi:
            _check_csi(csi, self._waveforms)
        found: list[tuple[str, str, str]] = []
        refused: dict[str, InputError] = {}
        for waveform, channel in product(self._waveforms, self._channels):
            try:
                found += [(channel, csi, waveform) for csi in self._known(channel, waveform)]
            except InputError as error:
                refused.setdefault(waveform, error)
                refused.setdefault(channel, error)
        for alone, used in ((self._channels, 0), (self._waveforms, 2)):
            for name in alone:
                if name not in {pair[used] for pair in found}:
                    raise refused[name]
        return found

    def _known(self, channel: str, waveform: str) -> list[str]:
        """The CSI that a receiver can have. Raises InputError for none, and where the waveform cannot undo
        the channel."""
        noisy = waveform != SYMBOLS or takes_noisy_csi(parse_channel(channel, 0.0))
        wanted = self.csi or [csi_with(waveform)]
        known = [csi_with(waveform, csi) for csi in wanted if _can_be_known(csi, waveform, noisy)]
        if not known:
            usual = csi_with(waveform)
            raise InputError(f"channels: {channel} has no channel estimate: csi must hold {usual!r}")
        for csi in known:
            parse_link(channel, 0.0, csi, waveform)
        return known

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

    def on(self, device: str) -> Grid:
        """The same with the networks of block-jscc on a device, see inference.Arithmetic; what has none stays
        as it is."""
        return replace(self, systems=[_on(spec, device) for spec in self.specs])

    def trials(self) -> list[Trial]:
        """Every point once, those of one image together. Reads each picture and loads each system's
        manifest and plug-ins. Raises InputError for one that cannot be used, and for two equal pictures:
        they would be one trial."""
        systems = []
        air = [(absolute(channel, Path()), *how) for channel, *how in self.air]
        known = {channel: _known(channel) for channel, *_ in air}
        for system in self.specs:
            with errors_named(f"system {system.label.name}, policy {system.label.policy}"):
                spec = system.within(Path())
                loaded = spec.load()
                systems.append((spec, Fingerprint.of(loaded)))
                for channel, csi, waveform in air:
                    loaded.check(parse_link(channel, 0.0, csi, waveform))
        metrics = self._metrics()
        points = list(product(systems, air, self.snr_db, self.cbr, range(self.repeats)))
        trials: dict[str, Trial] = {}
        seen: dict[str, str] = {}
        for image in self.images:
            picture = read_picture(image)
            name, path = Path(image).name, str(Path(image).resolve()) if Path(image).exists() else image
            pixels, (height, width) = pixels_sha256(picture), picture.shape[:2]
            if seen.setdefault(pixels, name) != name:
                raise InputError(f"images: {name} and {seen[pixels]} are the same picture: leave one out")
            for (spec, made), (channel, csi, waveform), snr_db, cbr, repeat in points:
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
                    channel_sha256=known[channel][0],
                    channel_label=known[channel][1],
                    metrics=metrics,
                    waveform=waveform,
                )
                trials.setdefault(trial.key, trial)
        return list(trials.values())

    def _metrics(self) -> tuple[tuple[str, str], ...]:
        """(name, hash) of what is measured; none where that is the usual. Raises InputError for a metric that
        cannot be used, or whose column is another's."""
        names = [absolute(name, Path()) for name in cast(tuple[str, ...], self.metrics)]
        metrics = load_metrics(names)
        if len(metrics) == len(DEFAULT) and all(metric in DEFAULT for metric in metrics):
            return ()
        check_columns(metrics)
        return tuple((name, plugin_sha256(metric)) for name, metric in zip(names, metrics, strict=True))

    def _check_doubles(self) -> None:
        """Rows must be told apart by what a table shows."""
        shown: dict[str, list[Hashable]] = {
            "images": [Path(path).name for path in self.images],
            "systems": [_told_apart(system.label) for system in self.specs],
            "channels": [short(channel) for channel in self._channels],
            **{name: list(getattr(self, name)) for name in ("csi", "snr_db", "cbr", "waveforms")},
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
        name = system["name"]
        found = {**system, "name": absolute(name, folder) if isinstance(name, str) else name}
        arguments["systems"].append(SystemSpec(**found).within(folder))
    if isinstance(content["channels"], list):
        named = content["channels"]
        arguments["channels"] = [absolute(name, folder) if isinstance(name, str) else name for name in named]
    if isinstance(content.get("metrics"), list):
        named = content["metrics"]
        arguments["metrics"] = [absolute(name, folder) if isinstance(name, str) else name for name in named]
    for key in ("csi", "waveforms"):
        if isinstance(content.get(key), str):
            arguments[key] = [content[key]]
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


def _can_be_known(csi: str, waveform: str, noisy: bool) -> bool:
    """Whether a receiver can know so much of a channel, which may be noisily known."""
    try:
        return csi_with(waveform, csi) in (csi, ESTIMATED) and (noisy or csi == PERFECT)
    except InputError:
        return False


def _check_csi(csi: str, waveforms: Sequence[str]) -> None:
    """Raises InputError for what none of them knows."""
    errors = []
    for waveform in waveforms:
        try:
            csi_with(waveform, csi)
        except InputError as error:
            errors.append(error)
    if len(errors) == len(waveforms):
        raise errors[0]


def _told_apart(label: SystemSpec) -> tuple[Hashable, ...]:
    """What of a system makes other trials: not where and on how many threads it computes."""
    told = (field.name for field in dataclasses.fields(label) if field.name not in ("device", "threads"))
    return tuple(getattr(label, name) for name in told)


def _on(spec: SystemSpec, device: str) -> SystemSpec:
    networks = spec.name == BLOCK_JSCC and load_zoo(spec.zoo).has_networks
    return replace(spec, device=device) if networks else spec


def _channel_name(value: object) -> object:
    return channel_name(value) if isinstance(value, Channel) else value


def _known(channel: str) -> tuple[str, str]:
    """(hash, label) of a channel that is a plug-in."""
    if is_built_in(channel):
        return "", ""
    plugin = parse_channel(channel, 0.0)
    return channel_sha256(plugin), channel_label(plugin)


def _system_spec(value: object) -> SystemSpec:
    if isinstance(value, SystemSpec):
        return value
    if isinstance(value, System):
        return SystemSpec.of(value)
    if isinstance(value, str):
        return SystemSpec(value)
    raise InputError(f"systems: {value!r} is neither a name, a SystemSpec nor a System")


def _cbr(value: object) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, str | Real):
        raise InputError(f"cbr: {value!r} is neither a fraction like '1/16' nor a number")
    if isinstance(value, str | Fraction):
        return parse_cbr(value)
    return parse_cbr(int(value) if isinstance(value, Integral) else float(value))


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
