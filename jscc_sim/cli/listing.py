"""`policies`, `channels`, `systems`, `codecs`, `metrics`, `zoo`: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence

from jscc_sim import listings
from jscc_sim.listings import Entry


def policies(arguments: argparse.Namespace) -> int:
    """A line for each policy: name, what it needs, what it does; then those of installed packages."""
    return _print(arguments, listings.policies(), _policy)


def metrics(arguments: argparse.Namespace) -> int:
    """A line for each metric: name, column of tables, what it is; then those of installed packages."""
    return _print(arguments, listings.metrics(), _metric)


def channels(arguments: argparse.Namespace) -> int:
    """A line for each channel, what its name takes in it; then those of installed packages."""
    return _print(arguments, listings.channels(), _entry)


def waveforms(arguments: argparse.Namespace) -> int:
    """A line for each waveform, what its name takes in it."""
    return _print(arguments, listings.waveforms(), _entry)


def codecs(arguments: argparse.Namespace) -> int:
    """A line for each codec of the digital chains and of `compress`; then those of installed packages."""
    return _print(arguments, listings.codecs(), _entry)


def systems(arguments: argparse.Namespace) -> int:
    """A line for each system, the options that it takes; then those of installed packages."""
    return _print(arguments, listings.systems(), _system)


def zoo(arguments: argparse.Namespace) -> int:
    """What is known of each released zoo, and of the weights of each other learned system."""
    return _print(arguments, listings.weights(), _weights)


def _print(arguments: argparse.Namespace, entries: Sequence[Entry], line: Callable[[Entry], str]) -> int:
    for entry in entries:
        print(json.dumps(entry) if arguments.json else line(entry))
    return 0


def _policy(entry: Entry) -> str:
    note = "" if entry["realisable"] else " (not realisable: an upper bound)"
    needs = ", ".join(entry["needs"])
    return f"{entry['name']:<20} {needs:<20} {entry['summary']}{_shown(entry['parameters'])}{note}"


def _metric(entry: Entry) -> str:
    better = "higher" if entry["higher_is_better"] else "lower"
    shown = _shown(entry["parameters"])
    return f"{entry['name']:<12} {entry['column']:<12} {better:<6} is better  {entry['summary']}{shown}"


def _entry(entry: Entry) -> str:
    return f"{entry['name']:<36} {entry['summary']}{_shown(entry['parameters'])}"


def _system(entry: Entry) -> str:
    """What an option means is said by `--json`, and by `transmit --help`."""
    return _entry({**entry, "parameters": dict.fromkeys(entry["parameters"], "")})


def _shown(parameters: Mapping[str, str]) -> str:
    words = [f"{name}: {what}" if what else name for name, what in parameters.items()]
    return f" [{'; '.join(words)}]" if words else ""


def _weights(entry: Entry) -> str:
    lines = [f"{entry['name']}: {entry['summary']}"]
    if "ratios" in entry:
        low, high = entry["snr_range_db"]
        lines.append(f"  ratios      {', '.join(map(str, entry['ratios']))} channel uses per 32x32 block")
        lines.append(f"  SNR         {low:g} to {high:g} dB")
    lines.append(f"  parameters  {entry['parameters']:,}, {entry['macs_per_pixel']:,.0f} MACs per pixel")
    lines.append(f"  trained on  {entry['training']['data']}")
    return "\n".join([*lines, *(f"  measured    {figure}" for figure in entry.get("measured", []))])
