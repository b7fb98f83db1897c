"""An instance of a plug-in for other processes: by value, under the name that tables show."""

from __future__ import annotations

import dataclasses
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Collection
from dataclasses import MISSING
from functools import cached_property, lru_cache
from io import BytesIO
from typing import Any, ClassVar

from jscc_sim.errors import InputError, one_line
from jscc_sim.plugins.guard import errors_named
from jscc_sim.plugins.identity import FROM_FILE, digest, label, plugin_sha256


class ByValue(str):
    """The name of an instance, and the instance as it was when this was made: a spec that needs no file and
    no installed package where it is loaded.

    It travels from a program to its own workers alone; nothing keeps it. Equal ones have the same name and
    the same `sha256`, of class and fields. name: by default class and fields, but those `without`. Raises
    InputError for an instance that cannot be sent.
    """

    content: bytes
    sha256: str
    plugin: object = None

    def __new__(cls, plugin: object, name: str | None = None, without: Collection[str] = ()) -> ByValue:
        """See the class."""
        text = label(plugin, without) if name is None else name
        made = _restored(text, _pickled(text, plugin), digest(text, plugin_sha256(plugin)))
        made.plugin = plugin
        return made

    def load(self) -> Any:
        """The instance: here the very one, whose class sees its module as it is now; in another process one
        that is made there once. Raises InputError."""
        return _loaded(self) if self.plugin is None else self.plugin

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True and getattr(other, "sha256", None) == self.sha256

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (str(self), self.content, self.sha256)


def _restored(name: str, content: bytes, sha256: str) -> ByValue:
    made = str.__new__(ByValue, name)
    made.content, made.sha256 = content, sha256
    return made


def _pickled(name: str, plugin: object) -> bytes:
    """Classes of files and of the main program go along, code and all; those of packages are imported."""
    import cloudpickle

    ways = {cached_property: _cached, type(MISSING): _missing}

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # where cloudpickle is needed at all
        dispatch_table: ClassVar = ChainMap(ways, cloudpickle.Pickler.dispatch_table)

    content = BytesIO()
    for module in list(sys.modules.values()):
        if hasattr(module, FROM_FILE):
            cloudpickle.register_pickle_by_value(module)
    try:
        Pickler(content).dump(plugin)
    except Exception as error:
        raise InputError(
            f"{name} cannot be sent to workers: {type(error).__name__}: {one_line(error)}"
        ) from error
    return content.getvalue()


def _missing(_: object) -> tuple[Any, ...]:
    """dataclasses ask whether a default *is* this one."""
    return getattr, (dataclasses, "MISSING")


def _cached(kept: cached_property[Any]) -> tuple[Any, ...]:
    """Python 3.11 has a lock in it, which cannot be sent."""
    return _cached_again, (kept.func, kept.attrname)


def _cached_again(function: Callable[[Any], Any], name: str) -> cached_property[Any]:
    made = cached_property(function)
    made.attrname = name
    return made


@lru_cache(maxsize=32)
def _loaded(spec: ByValue) -> Any:
    with errors_named(f"{spec}, in a worker,"):
        return pickle.loads(spec.content)
