"""`policies`, `channels`, `systems`, `codecs`, `metrics`, `zoo`: what there is to choose from."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Collection, Mapping
from typing import Any

from jscc_sim.allocation import GROUP as POLICY_GROUP
from jscc_sim.allocation import POLICIES, AllocationPolicy
from jscc_sim.channels import ELSEWHERE, FORMS, Channel
from jscc_sim.channels import GROUP as CHANNEL_GROUP
from jscc_sim.channels import PARAMETERS as CHANNEL_PARAMETERS
from jscc_sim.checkpoint import Checkpoint, released
from jscc_sim.codecs import ALIASES, CODECS, LEARNED, SUMMARIES, Codec
from jscc_sim.codecs import GROUP as CODEC_GROUP
from jscc_sim.errors import InputError, one_line
from jscc_sim.metrics import GROUP as METRIC_GROUP
from jscc_sim.metrics import METRICS, Metric
from jscc_sim.plugins import errors_named, installed_plugins, subclass
from jscc_sim.systems.base import System
from jscc_sim.systems.catalogue import GROUP as SYSTEM_GROUP
from jscc_sim.systems.catalogue import OPTIONS as SYSTEM_OPTIONS
from jscc_sim.systems.catalogue import SYSTEMS
from jscc_sim.zoo import Zoo, load_zoo, released_zoos

KINDS = {
    POLICY_GROUP: "policy",
    METRIC_GROUP: "metric",
    CHANNEL_GROUP: "channel",
    CODEC_GROUP: "codec",
    SYSTEM_GROUP: "system",
}
"""What a message calls the plug-ins of a group."""


def policies(arguments: argparse.Namespace) -> int:
    """A line for each policy: name, what it needs, what it does; then those of installed packages."""
    for name, policy in _with_installed(POLICIES, POLICY_GROUP, AllocationPolicy).items():
        summary, fields = _summary(policy), _parameters(policy)
        if arguments.json:
            known = {"name": name, "needs": list(policy.needs), "realisable": policy.realisable}
            print(json.dumps({**known, "parameters": fields, "summary": summary}))
        else:
            note = "" if policy.realisable else " (not realisable: an upper bound)"
            print(f"{name:<20} {', '.join(policy.needs):<20} {summary}{_shown(fields)}{note}")
    return 0


def metrics(arguments: argparse.Namespace) -> int:
    """A line for each metric: name, column of tables, what it is; then those of installed packages."""
    for name, metric in _with_installed(METRICS, METRIC_GROUP, Metric).items():
        summary, better = _summary(metric), metric.higher_is_better
        if arguments.json:
            known = {"name": name, "column": metric.column, "higher_is_better": better, "summary": summary}
            print(json.dumps(known))
        else:
            print(f"{name:<12} {metric.column:<12} {'higher' if better else 'lower':<6} is better  {summary}")
    return 0


def channels(arguments: argparse.Namespace) -> int:
    """A line for each channel, what its name takes in it; then those of installed packages."""
    for form, summary in FORMS.items():
        words = form.partition(":")[2].split(":")
        parameters = {word: CHANNEL_PARAMETERS[word] for word in words if word}
        _line(arguments, form, parameters, summary)
    for name, channel in _with_installed({}, CHANNEL_GROUP, Channel).items():
        _line(arguments, name, _parameters(channel, ELSEWHERE), _summary(channel))
    return 0


def codecs(arguments: argparse.Namespace) -> int:
    """A line for each codec of the digital chains and of `compress`; then those of installed packages."""
    for name in CODECS:
        other = [f"Also called {alias}." for alias, (ours, _) in ALIASES.items() if ours == name]
        weights = {"zoo": "folder of weights not the released ones"} if name in LEARNED else {}
        _line(arguments, name, weights, " ".join([SUMMARIES[name], *other]))
    for name, cls in _with_installed({}, CODEC_GROUP, Codec).items():
        _line(arguments, name, _parameters(cls), _summary(cls))
    return 0


def systems(arguments: argparse.Namespace) -> int:
    """A line for each system, the options that it takes; then those of installed packages."""
    for name, (options, summary) in SYSTEMS.items():
        meant = {option: SYSTEM_OPTIONS[option] if arguments.json else "" for option in options}
        _line(arguments, name, meant, summary)
    for name, system in _with_installed({}, SYSTEM_GROUP, System).items():
        _line(arguments, name, _parameters(system), _summary(system))
    return 0


def _line(arguments: argparse.Namespace, name: str, parameters: Mapping[str, str], summary: str) -> None:
    if arguments.json:
        print(json.dumps({"name": name, "parameters": parameters, "summary": summary}))
    else:
        print(f"{name:<36} {summary}{_shown(parameters)}")


def _with_installed(known: Mapping[str, type[Any]], group: str, base: type) -> dict[str, type[Any]]:
    """Those that are known, and those of installed packages. One that cannot be loaded is named."""
    found = dict(known)
    for name, entry in sorted(installed_plugins(group).items()):
        if name in known:
            continue
        try:
            with errors_named(f"{KINDS[group]} {name}: {entry.value}"):
                found[name] = subclass(entry.value, entry.load(), base)
        except InputError as error:  # one broken package must not hide the others
            print(f"jscc-sim: {one_line(error)}", file=sys.stderr)
    return found


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").split("\n", 1)[0]


def _parameters(cls: type, without: Collection[str] = ()) -> dict[str, str]:
    """Field -> its default as text, empty where it has to be given."""
    shown = {}
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if field.init and field.name not in without:
            has = field.default is not dataclasses.MISSING
            shown[field.name] = str(field.default) if has else ""
    return shown


def _shown(parameters: Mapping[str, str]) -> str:
    words = [f"{name}: {what}" if what else name for name, what in parameters.items()]
    return f" [{'; '.join(words)}]" if words else ""


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
