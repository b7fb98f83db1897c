"""Allocation policies: from block statistics, a ratio set and a budget to a ratio for each block."""

from __future__ import annotations

from collections.abc import Mapping

from jscc_sim.allocation.base import TABLES, AllocationPolicy, BlockStatistics
from jscc_sim.allocation.encoder_in_the_loop import EncoderInTheLoop
from jscc_sim.allocation.equal_slope import total_error
from jscc_sim.allocation.fitting import fit_to_budget
from jscc_sim.allocation.lagrangian import Lagrangian
from jscc_sim.allocation.oracle import Oracle
from jscc_sim.allocation.proportional import Proportional
from jscc_sim.allocation.quintiles import VarianceQuintiles
from jscc_sim.allocation.random import Random
from jscc_sim.allocation.uniform import Uniform
from jscc_sim.allocation.water_filling import WaterFilling
from jscc_sim.plugins import load_plugin, plugin_name

__all__ = [
    "GROUP",
    "POLICIES",
    "TABLES",
    "AllocationPolicy",
    "BlockStatistics",
    "EncoderInTheLoop",
    "Lagrangian",
    "Oracle",
    "Proportional",
    "Random",
    "Uniform",
    "VarianceQuintiles",
    "WaterFilling",
    "fit_to_budget",
    "load_policy",
    "policy_name",
    "total_error",
]

POLICIES: Mapping[str, type[AllocationPolicy]] = {
    "uniform": Uniform,
    "random": Random,
    "quintiles": VarianceQuintiles,
    "proportional": Proportional,
    "water-filling": WaterFilling,
    "lagrangian": Lagrangian,
    "encoder-in-the-loop": EncoderInTheLoop,
    "oracle": Oracle,
}
"""Names on the command line."""


GROUP = "jscc_sim.policies"
"""Of the entry points by which installed packages add theirs."""


def load_policy(spec: str | AllocationPolicy) -> AllocationPolicy:
    """A policy from NAME, package.module:Class or file.py:Class, with :key=value,... or without; or an
    instance, by value or as it is.

    Raises InputError, see `load_plugin`.
    """
    return load_plugin(spec, POLICIES, AllocationPolicy, GROUP)


def policy_name(policy: AllocationPolicy) -> str:
    """The text that `load_policy` makes the same policy of, or else the policy by value."""
    return plugin_name(policy, POLICIES)
