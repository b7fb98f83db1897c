"""What a plug-in is known by: the text of its class, and its fields."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from functools import lru_cache
from pathlib import Path


def plugin_sha256(plugin: object) -> str:
    """Of a plug-in's class and fields and, unless it is the package's own, the text of its file.
    Other files which that one imports do not count."""
    cls = type(plugin)
    fields = [(f.name, repr(getattr(plugin, f.name))) for f in dataclasses.fields(plugin)]  # type: ignore[arg-type]
    own = cls.__module__.partition(".")[0] == "jscc_sim"
    text = "" if own else _module_sha256(cls.__module__)
    return digest(cls.__module__, cls.__qualname__, fields, text)


@lru_cache(maxsize=64)
def _module_sha256(name: str) -> str:
    """Hash of a module's file as it was when first asked for: a process keeps the code that it loaded.
    A module of `file.py:Class` has its text's hash in its name already."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or not spec.has_location:
        return ""
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()


def digest(*parts: object) -> str:
    """sha256 of values that JSON can hold, as 64 hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
