"""Stored weights into a network and out of one."""

from __future__ import annotations

import io
import pickle
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from jscc_sim.checkpoint import LARGEST_WEIGHTS_BYTES, MISFITS, Checkpoint
from jscc_sim.errors import InputError, one_line, out_of_memory
from jscc_sim.files import read_regular
from jscc_sim.inference import building

A = TypeVar("A")
N = TypeVar("N", bound=nn.Module)

SAFETENSORS = ".safetensors"

NESTED, REPLICATED = ("state_dict", "model"), "module."
"""Under which many keep the weights in a checkpoint, and what DataParallel puts before their names."""

UNLIKE = 8
"""Times the longest side of a network's weights: no number of its architecture is larger."""


def filled(
    network: Callable[[], N], architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]
) -> N:
    """The network with these weights, in single precision, ready for inference. Raises one of MISFITS if they
    are not its own, before it takes more memory than they do. architecture: what the network is made of."""
    _check_numbers(architecture, tensors)
    with _no_larger(tensors):
        made = network()
    made.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()})
    return made.float().eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@building()
def loaded(model: Checkpoint, architecture: Callable[..., A], network: Callable[[A], N]) -> N:
    """The network that a manifest's architecture describes, with the model's weights. Raises InputError
    where they are not each other's."""
    tensors, described = model.tensors, model.manifest["architecture"]
    try:
        shape = architecture(**described)
        return filled(lambda: network(shape), described, tensors)
    except MISFITS as error:
        if out_of_memory(error):
            raise
        raise model.misfit(error) from None


def _check_numbers(architecture: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
    """ValueError for a number that no side of the weights, nor their count, comes near: it would be taken for
    a width or a depth. (torch's device `meta` would tell all, but takes seconds to load.)"""
    most = UNLIKE * max([len(tensors), *(side for values in tensors.values() for side in values.shape)])
    for name, value in architecture.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int) and number > most:
                raise ValueError(f"{name} of {number} is more than {most}, as large as its weights allow")


@contextmanager
def _no_larger(tensors: Mapping[str, NDArray[Any]]) -> Iterator[None]:
    """ValueError once a network that is being built has more weights than there are, twice over: layers of
    their own kind register some of theirs twice. An architecture's numbers may be anything."""
    room = {"tensors": 2 * len(tensors), "weights": 2 * sum(values.size for values in tensors.values())}
    builder = threading.get_ident()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is None or threading.get_ident() != builder:
            return
        if not parameter.numel():
            raise ValueError(f"the architecture has no channels for {name}")
        room["tensors"] -= 1
        room["weights"] -= parameter.numel()
        if min(room.values()) < 0:
            raise ValueError("the architecture is of a larger network")

    hook = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        hook.remove()


def halved(network: nn.Module) -> dict[str, NDArray[np.float16]]:
    """The weights in half precision, as they are stored."""
    state = network.state_dict()
    return {key: value.detach().cpu().numpy().astype(np.float16) for key, value in state.items()}


def load_weights(network: N, path: str | PathLike[str]) -> N:
    """A network of anybody's with the weights of a file: see `read_weights`. It is the same object, ready for
    inference. Raises InputError for weights of another network."""
    weights = read_weights(path)
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        if out_of_memory(error):
            raise
        raise InputError(
            f"weights {path} are not those of {type(network).__name__}: {one_line(error)}"
        ) from None
    return network.eval().requires_grad_(False)


def read_weights(path: str | PathLike[str]) -> Mapping[str, Tensor]:
    """The tensors of a .safetensors file, or of a state dict that torch saved, alone or as `state_dict` or
    `model` of a checkpoint; names without the `module.` of DataParallel. Nothing but tensors is unpickled.
    Raises InputError."""
    try:
        content = read_regular(path, LARGEST_WEIGHTS_BYTES)
    except OSError as error:
        raise InputError(f"weights {path} cannot be read: {error.strerror or error}") from None
    try:
        if str(path).endswith(SAFETENSORS):
            found: Any = load_safetensors(content)
        else:
            found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, EOFError, *MISFITS) as error:
        raise InputError(f"weights {path} are no {_kind(path)}: {one_line(error)}") from None
    for name in NESTED:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"weights {path} hold something else than tensors by their names")
    for name, values in found.items():
        if not torch.isfinite(values).all():
            raise InputError(f"weights {path} hold values in {name} that are not finite")
    if found and all(str(name).startswith(REPLICATED) for name in found):
        return {name.removeprefix(REPLICATED): values for name, values in found.items()}
    return dict(found)


def _kind(path: str | PathLike[str]) -> str:
    return "safetensors file" if str(path).endswith(SAFETENSORS) else "state dict that torch saved"
