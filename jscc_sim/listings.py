"""What there is to choose from, by kind: one mapping each, with name, parameters and a summary."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Collection, Mapping
from typing import Any

from jscc_sim.allocation import GROUP as POLICY_GROUP
from jscc_sim.allocation import POLICIES, AllocationPolicy
from jscc_sim.channels import ELSEWHERE, FORMS, IMPAIRMENTS, Channel
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
from jscc_sim.waveforms import PARAMETERS as WAVEFORM_PARAMETERS
from jscc_sim.waveforms import WAVEFORMS
from jscc_sim.zoo import load_zoo, released_zoos

_log = logging.getLogger(__name__)

KINDS = {
    POLICY_GROUP: "policy",
    METRIC_GROUP: "metric",
    CHANNEL_GROUP: "channel",
    CODEC_GROUP: "codec",
    SYSTEM_GROUP: "system",
}
"""What a message calls the plug-ins of a group."""


Entry = Mapping[str, Any]


def policies() -> list[Entry]:
    """Allocation policies: what each needs, and whether a sender could know that."""
    return [
        {
            "name": name,
            "needs": list(policy.needs),
            "realisable": policy.realisable,
            "parameters": _parameters(policy),
            "summary": _summary(policy),
        }
        for name, policy in _with_installed(POLICIES, POLICY_GROUP, AllocationPolicy).items()
    ]


def metrics() -> list[Entry]:
    """Metrics of picture quality: the column of tables that each fills."""
    return [
        {
            "name": name,
            "column": metric.column,
            "higher_is_better": metric.higher_is_better,
            "parameters": _parameters(metric),
            "summary": _summary(metric),
        }
        for name, metric in _with_installed(METRICS, METRIC_GROUP, Metric).items()
    ]


def channels() -> list[Entry]:
    """Channels, and what a name takes in it."""
    found = []
    for form, summary in FORMS.items():
        words = re.findall("[A-Z]+", form)
        found.append(_entry(form, {word: CHANNEL_PARAMETERS[word] for word in words}, summary))
    for name, kind in IMPAIRMENTS.items():
        limits = f"{kind.unit}, {kind.least:g} to {kind.most:g}"
        summary = f"{kind.summary} Behind a channel's name, on samples."
        found.append(_entry(f"+{name}:VALUE", {"VALUE": limits}, summary))
    return found + _installed(CHANNEL_GROUP, Channel, without=ELSEWHERE)


def waveforms() -> list[Entry]:
    """What carries symbols through the air, and what a name takes in it."""
    return [
        _entry(form, WAVEFORM_PARAMETERS if "[" in form else {}, summary)
        for form, summary in WAVEFORMS.items()
    ]


def codecs() -> list[Entry]:
    """Codecs of the digital chains and of `compress`."""
    found = []
    for name in CODECS:
        other = [f"Also called {alias}." for alias, (ours, _) in ALIASES.items() if ours == name]
        weights = {"zoo": "folder of weights not the released ones"} if name in LEARNED else {}
        found.append(_entry(name, weights, " ".join([SUMMARIES[name], *other])))
    return found + _installed(CODEC_GROUP, Codec)


def systems() -> list[Entry]:
    """Systems, and the options that each takes."""
    found = [
        _entry(name, {option: SYSTEM_OPTIONS[option] for option in options}, summary)
        for name, (options, summary) in SYSTEMS.items()
    ]
    return found + _installed(SYSTEM_GROUP, System)


def weights() -> list[Entry]:
    """Released zoos, and the weights of the other learned systems: the manifest of each."""
    zoos = [load_zoo(name) for name in released_zoos()]
    models = [Checkpoint.find(name) for name in released("system")]
    return [
        {"name": found.name, "id": found.id, "sha256": sha256, **found.manifest}
        for found, sha256 in (
            *((zoo.checkpoint, zoo.sha256) for zoo in zoos),
            *((model, model.sha256) for model in models),
        )
    ]


def _entry(name: str, parameters: Mapping[str, str], summary: str) -> Entry:
    return {"name": name, "parameters": parameters, "summary": summary}


def _installed(group: str, base: type, without: Collection[str] = ()) -> list[Entry]:
    """The entries of a group's installed plug-ins."""
    return [
        _entry(name, _parameters(cls, without), _summary(cls))
        for name, cls in _with_installed({}, group, base).items()
    ]


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
            _log.warning("%s", one_line(error))
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
