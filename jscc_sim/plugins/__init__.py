"""Plug-ins: classes of anybody's, found by name, in a module or a file, and run with care."""

from jscc_sim.plugins.guard import errors_named
from jscc_sim.plugins.identity import digest, plugin_sha256
from jscc_sim.plugins.loading import installed_plugins, load_plugin, plugin_file, subclass

__all__ = [
    "digest",
    "errors_named",
    "installed_plugins",
    "load_plugin",
    "plugin_file",
    "plugin_sha256",
    "subclass",
]
