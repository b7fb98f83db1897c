"""What networks and functions are made of: the modules, tensors and arrays that they hold, and their hash."""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

LIBRARIES = ("torch", "numpy", "jscc_sim")
"""Whose functions hold no weights of their own."""

NUMBERS = "biufc"
"""Kinds of NumPy's types that weights can have."""

Part = nn.Module | Tensor | np.ndarray


def modules_of(*functions: object) -> list[nn.Module]:
    """Those that they are, or hold."""
    return [part for part in parts_of(*functions) if isinstance(part, nn.Module)]


def weights_sha256(*functions: object) -> str:
    """Of all weights that they hold, and of the layers that are printed of their modules."""
    found = hashlib.sha256()
    for part in parts_of(*functions):
        if isinstance(part, nn.Module):
            found.update(repr(part).encode())
            held = {name: value for name, value in part.state_dict().items() if isinstance(value, Tensor)}
        else:
            held = {"": part if isinstance(part, Tensor) else torch.from_numpy(part.copy())}
        for name, value in held.items():
            found.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            found.update(value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def parts_of(*functions: object) -> Iterator[Part]:
    """Modules, tensors and arrays: the functions themselves, what they are methods of, the arguments of
    partials, the variables around them that functions use. Each once, in this order."""
    seen: dict[int, object] = {}
    todo = list(reversed(functions))
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen[id(one)] = one
        if isinstance(one, nn.Module | Tensor) or (isinstance(one, np.ndarray) and one.dtype.kind in NUMBERS):
            yield one
        else:
            todo += reversed(_held_by(one))


def _held_by(one: object) -> list[object]:
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.MethodType):
        return [one.__self__, one.__func__]
    if isinstance(one, types.FunctionType):
        if (one.__module__ or "").partition(".")[0] in LIBRARIES:
            return []
        variables = inspect.getclosurevars(one)
        return [*variables.nonlocals.values(), *variables.globals.values(), *(one.__defaults__ or ())]
    if isinstance(one, list | tuple):
        return list(one)
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, type | types.ModuleType) or type(one).__module__.partition(".")[0] in LIBRARIES:
        return []
    return list(getattr(one, "__dict__", {}).values())
