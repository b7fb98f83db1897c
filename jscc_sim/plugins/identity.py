"""What a plug-in is known by: the text of its file, or its code where it has none, and its fields.

What is equal in every process that loads the same plug-in, and differs where anything of it does.
"""

from __future__ import annotations

import dataclasses
import dis
import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from enum import Enum
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

OWN = "jscc_sim"
FROM_FILE = "__jscc_sim_file__"
"""Attribute of modules that were made of `file.py:Class`: no process finds them by their names."""

HASH_DIGITS = 16
"""Of a file's text, at the end of such a module's name, which is all that a class by value has of it."""

_HASHED = re.compile(f"_[0-9a-f]{{{HASH_DIGITS}}}$")

MAIN = ("__main__", "__mp_main__")
"""The program that was started, which no other process can import as what it is here."""

_PLAIN = (bool, int, float, complex, str, bytes, Path, Enum, Fraction, np.generic)

LONGEST_LABEL, LONGEST_FIELD = 120, 40
"""Letters."""

_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")
"""In what Python writes of an object: another one in every process."""

_GENERATED = ("__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__replace__")
"""What dataclasses write by themselves; their fields say as much."""

_BOOKKEEPING = frozenset({
    *("__module__", "__qualname__", "__dict__", "__weakref__", "__annotations__", "__doc__", "__slotnames__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__annotations_cache__"),
    *("__dataclass_fields__", "__dataclass_params__", "__match_args__", "__abstractmethods__", "_abc_impl"),
    *("__orig_bases__", "__parameters__"),
})  # fmt: skip
"""Attributes of a class that Python keeps, and its author did not write."""


def digest(*parts: object) -> str:
    """sha256 of values that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def is_own(cls: type) -> bool:
    """Whether a class is the package's own."""
    return cls.__module__.partition(".")[0] == OWN


def is_importable(named: type | FunctionType) -> bool:
    """Whether another process finds the class or function where this one did."""
    module = sys.modules.get(named.__module__)
    if module is None or named.__module__ in MAIN or getattr(module, "__spec__", None) is None:
        return False
    found: Any = module
    for name in named.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is named


def plugin_sha256(plugin: Any, without: Collection[str] = ()) -> str:
    """Of a plug-in's class and fields and, unless it is the package's own, the text of its file, or its
    code where another process could not import it. without: fields that do not count. Other files which
    that file imports do not count either."""
    cls = type(plugin)
    fields = [(name, fact(value)) for name, value in _fields(plugin) if name not in without]
    return digest(cls.__module__, cls.__qualname__, fields, "" if is_own(cls) else class_sha256(cls))


def label(plugin: object, without: Collection[str] = ()) -> str:
    """A plug-in as tables show it: the name of its class, with its fields."""
    fields = [f"{name}={_shown(value)}" for name, value in _fields(plugin) if name not in without]
    text = f"{type(plugin).__name__}({', '.join(fields)})"
    return text if len(text) <= LONGEST_LABEL else f"{type(plugin).__name__}({digest(fields)[:7]})"


def _shown(value: object) -> str:
    if isinstance(value, str):
        text = value
    elif value is None or isinstance(value, bool | int | float | tuple | list | Path):
        text = str(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        return label(value)
    else:
        return f"{type(value).__name__}-{digest(fact(value))[:7]}"
    return text if len(text) <= LONGEST_FIELD else f"{type(value).__name__}-{digest(fact(value))[:7]}"


def _fields(plugin: object) -> Iterator[tuple[str, object]]:
    """Of a dataclass its fields, and what else it has set; what was computed and kept is neither."""
    if dataclasses.is_dataclass(plugin):
        yield from ((f.name, getattr(plugin, f.name)) for f in dataclasses.fields(plugin))
    yield from _set_beside(plugin).items()


def set_beside(plugin: object) -> list[str]:
    """Attributes that an instance has set beside the fields of a dataclass, as an `__init__` of its own
    does."""
    return list(_set_beside(plugin))


def _set_beside(plugin: object) -> dict[str, object]:
    known = {name for name, _ in _members(type(plugin))}
    if dataclasses.is_dataclass(plugin):
        known |= {f.name for f in dataclasses.fields(plugin)}
    return {name: value for name, value in getattr(plugin, "__dict__", {}).items() if name not in known}


def _members(cls: type) -> Iterator[tuple[str, object]]:
    for base in cls.__mro__:
        yield from vars(base).items()


def class_sha256(cls: type) -> str:
    """Of the text of a class's file, or of its code where no other process could import it. A module of
    `file.py:Class` has its text's hash in its name already."""
    if is_importable(cls):
        return _module_sha256(cls.__module__)
    return "" if _HASHED.search(cls.__module__) else digest(_class_code(cls, set()))


@lru_cache(maxsize=64)
def _module_sha256(name: str) -> str:
    """As it was when first asked for: a process keeps the code that it loaded."""
    spec = getattr(sys.modules[name], "__spec__", None)
    if spec is None or not spec.has_location:
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def fact(value: object) -> str:
    """A value as text that is the same in every process; `repr` where that says it."""
    return _fact(value, set())


def _fact(value: Any, seen: set[int]) -> str:
    if value is None or isinstance(value, _PLAIN):
        return repr(value)
    if id(value) in seen:
        return "..."
    seen = seen | {id(value)}
    if isinstance(value, tuple | list):
        words = ", ".join(_fact(part, seen) for part in value)
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        return f"({words}{comma})" if isinstance(value, tuple) else f"[{words}]"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(_fact(part, seen) for part in value))}}}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_fact(k, seen)}: {_fact(v, seen)}' for k, v in value.items())}}}"
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value)
        held = repr(value.tolist()).encode() if value.dtype.hasobject else content.tobytes()
        return f"array {value.dtype} {value.shape} {hashlib.sha256(held).hexdigest()}"
    if isinstance(value, np.random.Generator):
        return f"generator {_fact(value.bit_generator.state, seen)}"
    if isinstance(value, ModuleType):
        return f"module {value.__name__}"
    if isinstance(value, CodeType):
        return digest(_code(value, seen))
    if isinstance(value, type):
        name = f"{value.__module__}.{value.__qualname__}"
        return name if is_importable(value) or is_own(value) else f"{name} {digest(_class_code(value, seen))}"
    if isinstance(value, FunctionType):
        named = f"{value.__module__}.{value.__qualname__}"
        return named if is_importable(value) else _function(value, seen)
    if isinstance(value, MethodType):
        return f"method {_fact([value.__func__, value.__self__], seen)}"
    if isinstance(value, partial):
        return f"partial {_fact([value.func, value.args, value.keywords], seen)}"
    if isinstance(value, staticmethod | classmethod):
        return f"{type(value).__name__} {_fact(value.__func__, seen)}"
    if isinstance(value, cached_property):
        return f"cached {_fact(value.func, seen)}"
    if isinstance(value, property):
        return f"property {_fact([value.fget, value.fset, value.fdel], seen)}"
    return f"{_fact(type(value), seen)} {_state(value, seen)}"


def _state(value: Any, seen: set[int]) -> str:
    """Of an object: weights where it has some, an array where it is as good as one, else what it has set."""
    if callable(getattr(value, "state_dict", None)):
        return _fact({**value.state_dict(), "": _ADDRESS.sub("", repr(value)), **_settings(value)}, seen)
    if callable(getattr(value, "detach", None)) and callable(getattr(value, "cpu", None)):
        held = value.detach().cpu()
        return _fact([str(held.dtype), np.asarray(held.float() if held.is_floating_point() else held)], seen)
    if getattr(type(value), "__repr__", None) is not object.__repr__ and not dataclasses.is_dataclass(value):
        return _ADDRESS.sub("", repr(value))
    return _fact([list(pair) for pair in _fields(value)] if hasattr(value, "__dict__") else "", seen)


def _settings(network: Any) -> dict[str, object]:
    """What modules of classes that are not torch's own have set, besides weights and modules in them; of
    torch's own, what they write of themselves says it."""
    if not callable(getattr(network, "named_modules", None)):
        return {}
    import torch

    bare, found = vars(torch.nn.Module()), {}
    for name, module in network.named_modules():
        if not type(module).__module__.startswith("torch."):
            own = {key: value for key, value in vars(module).items() if key not in bare}
            found.update({f"{name} {key}": value for key, value in own.items() if _is_setting(value)})
    return found


def _is_setting(value: object) -> bool:
    """Whether it can be what a network computes with. Objects of other kinds are left out: configurations,
    say, that hold the time at which they were made."""
    if isinstance(value, tuple | list | set | frozenset):
        return all(map(_is_setting, value))
    if isinstance(value, Mapping):
        return all(map(_is_setting, value.values()))
    plain = value is None or isinstance(value, (*_PLAIN, np.ndarray, FunctionType, MethodType, partial))
    return plain or any(callable(getattr(value, name, None)) for name in ("state_dict", "detach"))


def _class_code(cls: type, seen: set[int]) -> list[Any]:
    """Of a class that no file is known of, and of those that it inherits from: what its author wrote."""
    seen = seen | {id(cls)}
    parts: list[Any] = []
    for base in cls.__mro__:
        if base is object or is_own(base) or is_importable(base):
            parts.append(f"{base.__module__}.{base.__qualname__}")
            continue
        generated = _GENERATED if dataclasses.is_dataclass(base) else ()
        for name, value in sorted(vars(base).items()):
            by_itself = name in generated and getattr(value, "__code__", None) is not None
            if name not in _BOOKKEEPING and not (by_itself and value.__code__.co_filename == "<string>"):
                parts.append([name, _fact(value, seen)])
        if dataclasses.is_dataclass(base):
            for field in dataclasses.fields(base):
                default = [field.default, field.default_factory]
                known = [_fact(d, seen) for d in default if d is not dataclasses.MISSING]
                parts.append([field.name, str(field.type), known])
    return parts


def _function(function: FunctionType, seen: set[int]) -> str:
    """Its code, its defaults, and what it knows from outside: what it encloses, globals that it names."""
    enclosed = []
    for cell in function.__closure__ or ():
        try:
            enclosed.append(_fact(cell.cell_contents, seen))
        except ValueError:  # empty as yet
            enclosed.append("")
    names = sorted(_names(function.__code__) & function.__globals__.keys())
    outside = [[name, _fact(function.__globals__[name], seen)] for name in names]
    defaults = _fact([function.__defaults__, function.__kwdefaults__], seen)
    return digest(_code(function.__code__, seen), defaults, enclosed, outside)


def _names(code: CodeType) -> set[str]:
    """Globals that it names; `np.where` is not one of the name `where`."""
    found = {op.argval for op in dis.get_instructions(code) if op.opname == "LOAD_GLOBAL"}
    for const in code.co_consts:
        if isinstance(const, CodeType):
            found |= _names(const)
    return found


def _code(code: CodeType, seen: set[int]) -> list[Any]:
    """Without where it stands: a line above it more or less is the same code."""
    consts = [_fact(const, seen) for const in code.co_consts]
    return [code.co_code.hex(), consts, code.co_names, code.co_varnames, code.co_freevars, code.co_flags]
