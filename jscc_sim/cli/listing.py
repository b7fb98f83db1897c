"""`policies` and `zoo`: what there is to choose from."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from jscc_sim.allocation import GROUP, POLICIES, AllocationPolicy
from jscc_sim.checkpoint import Checkpoint, released
from jscc_sim.errors import InputError, one_line
from jscc_sim.metrics import GROUP as METRIC_GROUP
from jscc_sim.metrics import METRICS, Metric
from jscc_sim.plugins import errors_named, installed_plugins, subclass
from jscc_sim.zoo import Zoo, load_zoo, released_zoos


def policies(arguments: argparse.Namespace) -> int:
    """A line for each policy: name, what it needs, what it does; then those of installed packages."""
    found: dict[str, type[AllocationPolicy]] = dict(POLICIES)
    for name, entry in sorted(installed_plugins(GROUP).items()):
        if name in POLICIES:
            continue
        try:
            with errors_named(f"policy {name}: {entry.value}"):
                found[name] = subclass(entry.value, entry.load(), AllocationPolicy)
        except InputError as error:  # one broken package must not hide the others
            print(f"jscc-sim: {one_line(error)}", file=sys.stderr)
    for name, policy in found.items():
        summary = (policy.__doc__ or "").split("\n", 1)[0]
        if arguments.json:
            needs, realisable = list(policy.needs), policy.realisable
            print(json.dumps({"name": name, "needs": needs, "realisable": realisable, "summary": summary}))
        else:
            note = "" if policy.realisable else " (not realisable: an upper bound)"
            print(f"{name:<20} {', '.join(policy.needs):<20} {summary}{note}")
    return 0


def metrics(arguments: argparse.Namespace) -> int:
    """A line for each metric: name, column of tables, what it is; then those of installed packages."""
    found: dict[str, type[Metric]] = dict(METRICS)
    for name, entry in sorted(installed_plugins(METRIC_GROUP).items()):
        if name in METRICS:
            continue
        try:
            with errors_named(f"metric {name}: {entry.value}"):
                found[name] = subclass(entry.value, entry.load(), Metric)
        except InputError as error:  # one broken package must not hide the others
            print(f"jscc-sim: {one_line(error)}", file=sys.stderr)
    for name, metric in found.items():
        summary, better = (metric.__doc__ or "").split("\n", 1)[0], metric.higher_is_better
        if arguments.json:
            known = {"name": name, "column": metric.column, "higher_is_better": better, "summary": summary}
            print(json.dumps(known))
        else:
            print(f"{name:<12} {metric.column:<12} {'higher' if better else 'lower':<6} is better  {summary}")
    return 0


def zoo(arguments: argparse.Namespace) -> int:
    """What is known of each released zoo, and of the weights of each other learned system."""
    for name in released_zoos():
        known = load_zoo(name)
        _show(arguments, known, {"id": known.id, "sha256": known.sha256})
    for name in released("system"):
        model = Checkpoint.find(name)
        _show(arguments, model, {"id": model.id, "sha256": model.sha256})
    return 0


def _show(arguments: argparse.Namespace, known: Zoo | Checkpoint, identity: Mapping[str, object]) -> None:
    manifest = dict(known.manifest)
    if arguments.json:
        print(json.dumps({"name": known.name, **identity, **manifest}))
        return
    print(f"{known.name}: {manifest['summary']}")
    if isinstance(known, Zoo):
        low, high = manifest["snr_range_db"]
        print(f"  ratios      {', '.join(map(str, known.ratios.uses))} channel uses per 32x32 block")
        print(f"  SNR         {low:g} to {high:g} dB")
    print(f"  parameters  {manifest['parameters']:,}, {manifest['macs_per_pixel']:,.0f} MACs per pixel")
    print(f"  trained on  {manifest['training']['data']}")
    for figure in manifest.get("measured", []):
        print(f"  measured    {figure}")
