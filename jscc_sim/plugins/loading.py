"""Plug-ins named on the command line: NAME, package.module:Class or file.py:Class, then :key=value,..."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from jscc_sim.errors import InputError
from jscc_sim.files import read_regular
from jscc_sim.plugins.by_value import ByValue
from jscc_sim.plugins.guard import errors_named
from jscc_sim.plugins.identity import FROM_FILE, HASH_DIGITS

T = typing.TypeVar("T")

LARGEST_BYTES = 1 << 22
"""Of a file of code."""

_FILE = re.compile(r"(?P<file>.+?\.py)(?::(?P<name>[^:]*)(?::(?P<fields>.*))?)?", re.DOTALL)


class UnknownNameError(InputError):
    """A spec that is the name of nothing. installed: names of the group's entry points."""

    def __init__(self, message: str, installed: Sequence[str]) -> None:
        super().__init__(message)
        self.installed = installed


def load_plugin(
    spec: str | T,
    known: Mapping[str, type[T]],
    base: type,
    entry_point_group: str | None = None,
    given: Mapping[str, object] | None = None,
) -> T:
    """An instance of the class that `spec` names, its dataclass fields set from `key=value,...`.

    spec: NAME, package.module:Class or file.py:Class, each with `:key=value,...` behind it or not; or an
    instance, by value or as it is. A NAME is looked up in `known`, then among the installed entry points of
    the group. Values are converted to the field's type: int, float, bool or str. given: fields that are set
    elsewhere, and not by the text. A file whose text did not change gives the same class each time. Raises
    InputError that names the spec and what is wrong with it, UnknownNameError for a name of nothing.
    """
    if isinstance(spec, ByValue) or not isinstance(spec, str):
        plugin = spec.load() if isinstance(spec, ByValue) else spec
        subclass(str(spec), type(plugin), base)
        return plugin
    cls, fields = find_plugin(spec, known, base, entry_point_group)
    given = given or {}
    with errors_named(spec):
        return cls(**_arguments(cls, fields, given), **given)


def plugin_name(plugin: T, known: Mapping[str, type[T]]) -> str:
    """The text that `load_plugin` makes the same instance of, or else the instance by value. Raises
    InputError for one that cannot be sent to workers."""
    for name, cls in known.items():
        if type(plugin) is cls:
            text = ",".join(f"{f.name}={getattr(plugin, f.name)}" for f in dataclasses.fields(cls) if f.init)  # type: ignore[arg-type]
            spec = f"{name}:{text}" if text and plugin != cls() else name
            with suppress(InputError):
                if load_plugin(spec, known, cls) == plugin:
                    return spec
    return ByValue(plugin)


def find_plugin(
    spec: str, known: Mapping[str, type[T]], base: type, entry_point_group: str | None = None
) -> tuple[type[T], str | None]:
    """The class that a spec names, which can be instantiated, and the text of its fields or None. Raises
    InputError, see `load_plugin`."""
    found, fields = _find(spec, known, base, entry_point_group)
    cls = subclass(spec, found, base)
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise InputError(f"{spec}: {cls.__name__} is abstract, it does not define {missing}")
    return cls, fields


def field_names(cls: type) -> set[str]:
    """Of a dataclass, those that its constructor takes."""
    return {f.name for f in dataclasses.fields(cls) if f.init} if dataclasses.is_dataclass(cls) else set()


def plugin_file(spec: str) -> Path | None:
    """The file of file.py:Class; None for a spec of another kind."""
    found = None if isinstance(spec, ByValue) else _FILE.fullmatch(spec)
    return Path(found["file"]) if found else None


def absolute(spec: str, folder: Path) -> str:
    """The same spec, its Python file found from anywhere. folder: what its path is relative to."""
    found = None if isinstance(spec, ByValue) else _FILE.fullmatch(spec)
    return f"{(folder / found['file']).resolve()}{spec[found.end('file') :]}" if found else spec


def short(spec: str) -> str:
    """A spec as tables show it: its Python file by its last name; of an instance the name alone."""
    found = None if isinstance(spec, ByValue) else _FILE.fullmatch(spec)
    return f"{Path(found['file']).name}{spec[found.end('file') :]}" if found else str(spec)


def subclass(spec: str, found: object, base: type) -> type[typing.Any]:
    """What a spec named, if it is a class below `base`. Raises InputError."""
    if not (isinstance(found, type) and issubclass(found, base)):
        raise InputError(f"{spec}: {getattr(found, '__name__', found)} is no subclass of {base.__name__}")
    return found


def installed_plugins(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by their names, not loaded."""
    return {entry.name: entry for entry in entry_points(group=group)}


def _find(
    spec: str, known: Mapping[str, type], base: type, entry_point_group: str | None
) -> tuple[object, str | None]:
    """The object a spec names, and the text of its fields or None."""
    in_file = _FILE.fullmatch(spec)
    if in_file:
        return _member(_load_file(Path(in_file["file"])), in_file["name"], spec, base), in_file["fields"]
    name, colon, rest = spec.partition(":")
    if name in known:
        return known[name], rest if colon else None
    installed = installed_plugins(entry_point_group) if entry_point_group else {}
    if name in installed:
        with errors_named(f"{spec}: {installed[name].value}"):
            return installed[name].load(), rest if colon else None
    class_name, more, fields = rest.partition(":")
    if not all(map(str.isidentifier, [class_name, *name.split(".")])):
        names = ", ".join([*known, *sorted(installed.keys() - known)])
        raise UnknownNameError(
            f"{base.__name__} {name!r} is unknown: it can be {names}, package.module:Class or file.py:Class",
            sorted(installed.keys() - known),
        )
    return _member(_load_module(name), class_name, spec, base), fields if more else None


def _load_module(name: str) -> ModuleType:
    file = Path(*name.split(".")).with_suffix(".py")
    if file.is_file() and not _importable(name):
        raise InputError(f"module {name} is not installed; for the file write {file}:CLASS")
    with errors_named(f"module {name}"):
        return importlib.import_module(name)


def _importable(name: str) -> bool:
    """Whether there is a module of that name; a package above it that fails to load says so later."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _load_file(path: Path) -> ModuleType:
    """The module of a file. Its text's hash is in its name, so an edited file is another module."""
    try:
        text = read_regular(path, LARGEST_BYTES)
    except OSError as error:
        raise InputError(f"file {path} cannot be read: {error.strerror or error}") from None
    name = f"{path.stem}_{hashlib.sha256(text).hexdigest()[:HASH_DIGITS]}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path.resolve())
    setattr(module, FROM_FILE, True)
    sys.modules[name] = module  # dataclasses look their module up while the class is made
    try:
        with errors_named(f"file {path}"):
            exec(compile(text, path, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _member(module: ModuleType, name: str | None, spec: str, base: type) -> object:
    if name and hasattr(module, name):
        return getattr(module, name)
    found = [
        n for n, v in vars(module).items() if isinstance(v, type) and issubclass(v, base) and v is not base
    ]
    if not name:
        which = f"there is {', '.join(found)}" if found else f"there is no {base.__name__} in it"
        raise InputError(f"{spec}: no class is named; write {spec.rstrip(':')}:CLASS: {which}")
    has = f"it has {', '.join(found)}" if found else f"nor any {base.__name__}"
    raise InputError(f"{spec}: there is no class {name} in {module.__file__}, {has}")


def _arguments(cls: type, fields: str | None, given: Collection[str] = ()) -> dict[str, object]:
    """Constructor arguments of a dataclass from `key=value,...`."""
    if fields is None:
        return {}
    own = [f.name for f in dataclasses.fields(cls) if f.init] if dataclasses.is_dataclass(cls) else []
    own = [name for name in own if name not in given]
    types = typing.get_type_hints(cls)
    arguments: dict[str, object] = {}
    for pair in fields.split(","):
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals:
            raise InputError(f"{cls.__name__}: {pair!r} is not key=value")
        if key not in own:
            raise InputError(f"{cls.__name__} has no field {key!r}; its fields: {', '.join(own) or 'none'}")
        if key in arguments:
            raise InputError(f"{cls.__name__}: field {key} is given twice")
        convert = _CONVERT.get(types[key])
        if convert is None:
            raise InputError(f"{cls.__name__}: field {key} cannot be set by text, only in code")
        try:
            arguments[key] = convert(value)
        except (ValueError, KeyError):
            raise InputError(f"{cls.__name__}: {key}={value} is no {types[key].__name__}") from None
    return arguments


_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_CONVERT: dict[type, Callable[[str], object]] = {
    int: int,
    float: float,
    str: str,
    bool: lambda text: _TRUTH[text.lower()],
}
