"""What a loaded system is made of: hashes by which a trial's key knows it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

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
        """Of a loaded system."""
        if not isinstance(system, BlockJSCC):
            coder = digest(type(system).__qualname__, described(system), system.version())
            return cls(system.format, coder, "", "", system.realisable)
        policy, complexity = plugin_sha256(system.policy), plugin_sha256(system.estimator)
        return cls(system.format, system.zoo.sha256, policy, complexity, system.realisable)


def described(system: System) -> str:
    """As `repr`, but that fields which were renamed keep, in metadata["key"], the name that keys know."""
    if not dataclasses.is_dataclass(system):
        return repr(system)
    shown = {
        f.metadata.get("key", f.name): getattr(system, f.name) for f in dataclasses.fields(system) if f.repr
    }
    words = (f"{k}={described(v) if isinstance(v, System) else repr(v)}" for k, v in shown.items())
    return f"{type(system).__qualname__}({', '.join(words)})"


def plugin_sha256(plugin: object) -> str:
    """Of a plug-in's class and fields and, unless it is the package's own, the text of its file.
    Other files which that one imports do not count."""
    cls = type(plugin)
    fields = [(f.name, repr(getattr(plugin, f.name))) for f in dataclasses.fields(plugin)]  # type: ignore[arg-type]
    own = cls.__module__.partition(".")[0] == "jscc_sim"
    text = "" if own else _module_sha256(cls.__module__)
    return digest(cls.__module__, cls.__qualname__, fields, text)


@lru_cache(maxsize=64)
def _module_sha256(name: str) -> str:
    """Hash of a module's file as it was when first asked for: a process keeps the code that it loaded.
    A module of `file.py:Class` has its text's hash in its name already."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or not spec.has_location:
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def digest(*parts: object) -> str:
    """sha256 of values that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
