"""What a loaded system is made of: hashes by which a trial's key knows it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property

from jscc_sim.plugins import digest, plugin_sha256
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
