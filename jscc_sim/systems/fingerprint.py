"""What a loaded system is made of: hashes by which a trial's key knows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from jscc_sim.codecs import Codec
from jscc_sim.errors import InputError
from jscc_sim.plugins import digest, errors_named, is_own, plugin_sha256
from jscc_sim.systems.base import System
from jscc_sim.systems.block_jscc import BlockJSCC


@dataclass(frozen=True)
class Fingerprint:
    """What a loaded system consists of: a retrained zoo or an edited plug-in has another one, and so has a
    system that sends something else than it did. format: see System.format.
    zoo_sha256: of what codes the pictures: for the digital chains the versions of the codec's libraries
    and the measured error rates; realisable: False for a bound."""

    format: int
    zoo_sha256: str
    policy_sha256: str
    complexity_sha256: str
    realisable: bool

    @cached_property
    def parts(self) -> tuple[int | str | bool, ...]:
        """The fields, in their order."""
        return (self.format, self.zoo_sha256, self.policy_sha256, self.complexity_sha256, self.realisable)

    @classmethod
    def of(cls, system: System) -> Fingerprint:
        """Of a loaded system. Raises InputError for one whose class says of itself what it cannot."""
        name = type(system).__name__
        if isinstance(system.format, bool) or not isinstance(system.format, int):
            raise InputError(f"{name} has format = {system.format!r}, which is no whole number")
        if not isinstance(system.realisable, bool):
            raise InputError(f"{name} has realisable = {system.realisable!r}, not True or False")
        if type(system) is not BlockJSCC:
            return cls(system.format, _coder_sha256(system), "", "", system.realisable)
        policy, complexity = plugin_sha256(system.policy), plugin_sha256(system.estimator)
        return cls(system.format, system.zoo.sha256, policy, complexity, system.realisable)


def _coder_sha256(system: System) -> str:
    """Of what the package's own system is made of; where it is a plug-in or holds one, of that too."""
    name = type(system).__name__
    with errors_named(name):
        version = system.version()
    if not isinstance(version, str):
        raise InputError(f"{name} has a version that is a {type(version).__name__}, not text")
    qualname = type(system).__qualname__
    if not is_own(type(system)):
        return digest(qualname, version, plugin_sha256(system))
    return digest(qualname, described(system), version, *map(plugin_sha256, _plugins_in(system)))


def _plugins_in(part: object) -> Iterator[object]:
    """Of the package's own system: codecs, or whatever its fields are, that are not the package's own."""
    for field in dataclasses.fields(part) if isinstance(part, System) else ():  # type: ignore[arg-type]
        value = getattr(part, field.name)
        if isinstance(value, System):
            yield from _plugins_in(value)
        elif isinstance(value, Codec) and not is_own(type(value)):
            yield value


def described(system: System) -> str:
    """As `repr`, but that fields which were renamed keep, in metadata["key"], the name that keys know."""
    if not dataclasses.is_dataclass(system):
        return repr(system)
    shown = {
        f.metadata.get("key", f.name): getattr(system, f.name) for f in dataclasses.fields(system) if f.repr
    }
    words = (f"{k}={_described(v)}" for k, v in shown.items())
    return f"{type(system).__qualname__}({', '.join(words)})"


def _described(value: object) -> str:
    if isinstance(value, System):
        return described(value)
    plugin = isinstance(value, Codec) and not is_own(type(value))
    return f"{type(value).__qualname__}()" if plugin else repr(value)
