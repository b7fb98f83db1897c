"""A system in the words of the command line, from which any process can load it."""

from __future__ import annotations

import copy
import dataclasses
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, cast

from jscc_sim.allocation import AllocationPolicy, load_policy, policy_name
from jscc_sim.channels import EQUALISERS
from jscc_sim.checkpoint import MANIFEST
from jscc_sim.coding.protection import check_margin_db
from jscc_sim.complexity import ComplexityEstimator, estimator_name, load_estimator
from jscc_sim.errors import InputError
from jscc_sim.inference import PRECISIONS, Arithmetic
from jscc_sim.plugins import ByValue, absolute, errors_named, short
from jscc_sim.systems.base import System
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.catalogue import BLOCK_JSCC, load_baseline, standard_name, system_name
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.units import check_snr_db, number
from jscc_sim.zoo import DEFAULT_ZOO, Zoo, load_zoo, released_zoos

SIDE_INFO = ("transmitted", "genie")
COMPANIONS = ("auto", "none")
DEFAULTS = {"zoo": DEFAULT_ZOO, "policy": "lagrangian", "complexity": "variance", "companion": COMPANIONS[0]}
"""Of block-jscc."""

NUMBERS = ("sender_snr_db", "header_margin_db")
"""Fields of a spec that are numbers, or None."""

ARITHMETIC = tuple(vars(Arithmetic()))
"""Fields of a spec that say how networks compute."""


@dataclass(frozen=True)
class SystemSpec:
    """What carries the pictures, as text that any worker can load. Each field is the option of
    `jscc-sim transmit` of that name. policy, complexity: text, or an instance, which workers get by value;
    `SystemSpec.of` makes a spec of a System. zoo, policy, complexity, companion: empty for block-jscc's
    defaults; other systems have none of them, but for a zoo if they are learned; companion: `none` for a
    zoo's own coders alone; sender_snr_db: what the sender believes, None for the truth; header_margin_db: see
    coding.protection.Protection; device, precision, threads: see inference.Arithmetic, of block-jscc.
    Raises InputError, naming field, value and limit."""

    name: str
    zoo: str = ""
    policy: str | AllocationPolicy = ""
    complexity: str | ComplexityEstimator = ""
    equaliser: str = "mmse"
    side_info: str = "transmitted"
    companion: str = ""
    sender_snr_db: float | None = None
    header_margin_db: float | None = None
    precision: str = PRECISIONS[0]
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value: Any = getattr(self, field.name)
            if isinstance(value, Path):
                value = os.fspath(value)
            elif isinstance(value, AllocationPolicy):
                value = policy_name(value)
            elif isinstance(value, ComplexityEstimator):
                value = estimator_name(value)
            if value is not getattr(self, field.name):
                object.__setattr__(self, field.name, value)
            if field.name not in (*NUMBERS, "threads") and not isinstance(value, str):
                raise InputError(f"system: {field.name} = {value!r} is not a string")
        for name, allowed in (("equaliser", EQUALISERS), ("side_info", SIDE_INFO)):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"system: {name} = {getattr(self, name)!r} is not one of {', '.join(allowed)}"
                )
        for name in NUMBERS:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, number(f"system: {name}", getattr(self, name)))
        if self.sender_snr_db is not None:
            check_snr_db(self.sender_snr_db, "system: sender_snr_db")
        check_margin_db(self.header_margin_db)
        if self.header_margin_db is not None and self.side_info == "genie":
            raise InputError(
                f"system: header_margin_db = {self.header_margin_db:g}: with a genie's side information no "
                "header is sent"
            )
        _ = self.arithmetic
        if self.name == BLOCK_JSCC:
            for name, default in DEFAULTS.items():
                object.__setattr__(self, name, getattr(self, name) or default)
            if self.companion not in COMPANIONS:
                raise InputError(
                    f"system: companion = {self.companion!r} is not one of {', '.join(COMPANIONS)}"
                )
        else:
            object.__setattr__(self, "name", standard_name(self.name))
            load_baseline(self.name, self.equaliser, self.zoo, self.header_margin_db)
            for name, none in (
                ("policy", ""),
                ("complexity", ""),
                ("companion", ""),
                ("side_info", SIDE_INFO[0]),
                *vars(Arithmetic()).items(),
            ):
                if getattr(self, name) != none:
                    raise InputError(f"system {self.name} has no {name} {getattr(self, name)}")

    @property
    def arithmetic(self) -> Arithmetic:
        """Of its networks. Raises InputError."""
        return Arithmetic(**{name: getattr(self, name) for name in ARITHMETIC})

    def within(self, folder: Path) -> SystemSpec:
        """The same with Python files and zoo folders, given relative to `folder`, found from anywhere."""
        zoo = self.zoo
        if zoo and zoo not in released_zoos() and (folder / zoo / MANIFEST).is_file():
            zoo = str((folder / zoo).resolve())
        name, policy, complexity = (absolute(spec, folder) for spec in self._plugins)
        return dataclasses.replace(self, name=name, zoo=zoo, policy=policy, complexity=complexity)

    @property
    def _plugins(self) -> tuple[str, str, str]:
        """What a class of anybody's may be named by: text, as all of them are by now."""
        return self.name, cast(str, self.policy), cast(str, self.complexity)

    @cached_property
    def label(self) -> SystemSpec:
        """The same as tables show it: files and folders by their last name."""
        zoo = self.zoo if self.zoo in ("", *released_zoos()) else Path(self.zoo).name
        name, policy, complexity = map(short, self._plugins)
        shown = copy.copy(self)
        for field, value in {"name": name, "zoo": zoo, "policy": policy, "complexity": complexity}.items():
            object.__setattr__(shown, field, value)
        return shown

    @classmethod
    def of(cls, system: System) -> SystemSpec:
        """The spec of a system in memory: of names, where those make the same system; else by value. Raises
        InputError for one that cannot be sent to workers."""
        margin, genie = getattr(system, "header_margin_db", None), getattr(system, "genie", False)
        equaliser = getattr(system, "equaliser", "mmse")
        words: dict[str, Any] = {"equaliser": equaliser, "header_margin_db": margin}
        if type(system) is BlockJSCC:
            zoo = system.zoo
            words |= {"zoo": zoo.name, "policy": system.policy, "complexity": system.estimator}
            words |= vars(zoo.arithmetic)
            words["side_info"] = SIDE_INFO[genie]
            name, companions = BLOCK_JSCC, list(COMPANIONS)
        else:
            (name, words["zoo"]), companions = system_name(system), [""]
        for companion in companions:
            with suppress(InputError):
                spec = cls(name, companion=companion, **words)
                if Fingerprint.of(spec.load()) == Fingerprint.of(system):
                    return spec
        carried = ByValue(system, None if name == BLOCK_JSCC else name)
        return cls(carried, equaliser=equaliser, header_margin_db=margin)

    def load_zoo(self) -> Zoo:
        """Of block-jscc, with its companion or without."""
        zoo = load_zoo(self.zoo).computing(self.arithmetic)
        return zoo if self.companion == COMPANIONS[0] else zoo.alone()

    def load(self, zoo: Zoo | None = None) -> System:
        """The system; its networks are loaded at first use. Raises InputError."""
        if self.name != BLOCK_JSCC:
            return load_baseline(self.name, self.equaliser, self.zoo, self.header_margin_db)
        policy, estimator = load_policy(self.policy), load_estimator(self.complexity)
        genie = self.side_info == "genie"
        zoo = zoo or self.load_zoo()
        return BlockJSCC(zoo, policy, estimator, self.equaliser, genie, self.header_margin_db)


@lru_cache(maxsize=64)
def load_system(spec: SystemSpec, fingerprint: Fingerprint) -> System:
    """The system of a spec with all it needs in memory, once a process; systems of one zoo share it.
    Raises InputError if it no longer has that fingerprint."""
    own = spec.name == BLOCK_JSCC
    zoo = _load_zoo(spec.zoo, spec.companion, spec.arithmetic, fingerprint.zoo_sha256) if own else None
    system = spec.load(zoo)
    if Fingerprint.of(system) != fingerprint:
        shown = spec.label
        what = f"policy {shown.policy} or estimator {shown.complexity}" if own else f"system {shown.name}"
        raise InputError(f"{what} changed since the sweep began")
    with errors_named(type(system).__name__):
        system.prepare()
    return system


@lru_cache(maxsize=8)
def _load_zoo(name: str, companion: str, arithmetic: Arithmetic, sha256: str) -> Zoo:
    zoo = SystemSpec(BLOCK_JSCC, name, companion=companion, **vars(arithmetic)).load_zoo()
    if zoo.sha256 != sha256:
        raise InputError(f"zoo {name} changed since the sweep began")
    return zoo
