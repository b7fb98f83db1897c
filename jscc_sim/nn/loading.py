"""Stored weights into a network and out of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from jscc_sim.inference import building
from jscc_sim.weights import Model

A = TypeVar("A")
N = TypeVar("N", bound=nn.Module)


def filled(network: N, tensors: Mapping[str, NDArray[Any]]) -> N:
    """The network with these weights, in single precision, ready for inference. Raises RuntimeError if
    they are not its own."""
    network.load_state_dict({k: torch.from_numpy(v.astype(np.float32)) for k, v in tensors.items()})
    return network.float().eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@building()
def loaded(model: Model, architecture: Callable[..., A], network: Callable[[A], N]) -> N:
    """The network that a manifest's architecture describes, with the model's weights. Raises InputError
    where they are not each other's."""
    try:
        return filled(network(architecture(**model.manifest["architecture"])), model.tensors)
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise model.misfit(error) from None


def halved(network: nn.Module) -> dict[str, NDArray[np.float16]]:
    """The weights in half precision, as they are stored."""
    state = network.state_dict()
    return {key: value.detach().cpu().numpy().astype(np.float16) for key, value in state.items()}
