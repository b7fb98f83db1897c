"""How networks run: on one thread and without a trace, so that a result is the same whatever a machine's
thread settings are, and the caller's random numbers and threads are as they were."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

# Torch is imported at use: it takes a second or two, which `--help` and refusals need not wait for.


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread; then as many as before are allowed. Convolutions and sums are split by
    the number of threads, and their last bits depend on it. A worker has one core for itself anyway."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def inference() -> Iterator[None]:
    """One thread, and no gradients."""
    import torch

    with one_thread(), torch.inference_mode():
        yield


@contextmanager
def building() -> Iterator[None]:
    """A network or a decoder is made: one thread, and the random state as it was."""
    with one_thread(), random_state_kept():
        yield


@contextmanager
def random_state_kept() -> Iterator[None]:
    """The random numbers that a program draws from torch, NumPy and Python itself are those that it would
    draw without us: a network draws its first weights as it is built, Sionna seeds torch as it is loaded."""
    import torch

    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        random.setstate(before[2])
