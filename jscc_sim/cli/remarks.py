"""What a user may not expect of a command that works: sentences for standard error, and notes to a row."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from jscc_sim.systems.base import System, Transmission
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.systems.spec import DEFAULTS, SystemSpec


def remark(systems: Iterable[tuple[SystemSpec, System]], snrs_db: Iterable[float]) -> None:
    """Say what holds of a whole command, once. snrs_db: of the channel, and what senders take it to be."""
    wanted = sorted(set(snrs_db))
    found = [word for spec, system in systems for word in _remarks(spec.label, system, wanted)]
    for word in dict.fromkeys(found):
        print(f"jscc-sim: {word}", file=sys.stderr)


def notes(spec: SystemSpec, system: System, sent: Transmission, budget: int) -> list[str]:
    """What is particular about one row."""
    found = []
    if isinstance(system, BlockJSCC) and _scores(system) and spec.complexity != DEFAULTS["complexity"]:
        found.append(f"complexity {spec.label.complexity}")
    ratios, index = system.ratios, sent.index
    if ratios and index is not None and len(index) and index.min() == len(ratios) - 1 and sent.uses < budget:
        left, most = budget - sent.uses, ratios.uses[-1]
        found.append(f"{left} uses left over, {most} a block are the most that it can use")
    if sent.uses == sent.header_uses > 0:
        found.append("header alone")
    if sent.reason:
        found.append(sent.reason)
    return found


def _remarks(spec: SystemSpec, system: System, snrs_db: list[float]) -> list[str]:
    if not isinstance(system, BlockJSCC):
        return []
    found = []
    if spec.complexity != DEFAULTS["complexity"] and not _scores(system):
        found.append(f"complexity {spec.complexity} has no effect: policy {spec.policy} does not read it")
    known: Mapping[str, Any] = system.zoo.manifest
    low, high = known.get("snr_range_db", (-float("inf"), float("inf")))
    outside = [f"{snr_db:g}" for snr_db in snrs_db if not low <= snr_db <= high]
    if outside:
        found.append(
            f"SNR of {', '.join(outside)} dB is outside the {low:g} to {high:g} dB that zoo {spec.zoo} was "
            "trained for"
        )
    return found


def _scores(system: BlockJSCC) -> bool:
    """Whether the policy reads what the estimator says. A plug-in may say that it needs nothing of it."""
    return "score" in system.policy.needs
