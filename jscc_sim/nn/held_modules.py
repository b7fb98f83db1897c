"""The modules that functions of torch hold, however they hold them."""

from __future__ import annotations

import functools
import inspect
import types

from torch import nn

LIBRARIES = ("torch", "numpy", "jscc_sim")
"""Whose functions and objects hold none of their own."""


def modules_of(*functions: object) -> list[nn.Module]:
    """Each once: the functions themselves, what they are methods of, the arguments of partials, the variables
    around them that functions use, and what these hold in turn."""
    found, seen, todo = [], set(), list(reversed(functions))
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, nn.Module):
            found.append(one)
        else:
            todo += reversed(_held_by(one))
    return found


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
