"""Plug-ins: classes of anybody's, found by name, in a module or a file, and run with care."""

from jscc_sim.plugins.by_value import ByValue
from jscc_sim.plugins.guard import STOPS, errors_named, prints_aside
from jscc_sim.plugins.identity import digest, fact, is_own, label, plugin_sha256, set_beside
from jscc_sim.plugins.loading import (
    UnknownNameError,
    absolute,
    field_names,
    find_plugin,
    installed_plugins,
    load_plugin,
    plugin_file,
    plugin_name,
    short,
    subclass,
)

__all__ = [
    "STOPS",
    "ByValue",
    "UnknownNameError",
    "absolute",
    "digest",
    "errors_named",
    "fact",
    "field_names",
    "find_plugin",
    "installed_plugins",
    "is_own",
    "label",
    "load_plugin",
    "plugin_file",
    "plugin_name",
    "plugin_sha256",
    "prints_aside",
    "set_beside",
    "short",
    "subclass",
]
