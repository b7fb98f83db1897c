"""How networks run: on one thread, unless told otherwise, and without a trace, so that a result is the same
whatever a machine's thread settings are, and the caller's random numbers and threads are as they were."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from jscc_sim.errors import InputError

# Torch is imported at use: it takes a second or two, which `--help` and refusals need not wait for.

PRECISIONS = ("fp32", "bf16")
MOST_THREADS = 1024

_DEVICE = re.compile("cpu|cuda(:[0-9]{1,3})?")


@dataclass(frozen=True)
class Arithmetic:
    """What networks compute on, and in. device: `cpu`, `cuda` or `cuda:N`; precision: of weights and
    features, fp32 or bf16; threads: of the processor. Anything but the default changes last bits; bf16 costs
    a picture some 0.003 dB. Raises InputError for what there is not."""

    device: str = "cpu"
    precision: str = PRECISIONS[0]
    threads: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise InputError(f"device = {self.device!r} is not cpu, cuda or cuda:N")
        if self.precision not in PRECISIONS:
            raise InputError(f"precision = {self.precision!r} is not one of {', '.join(PRECISIONS)}")
        if isinstance(self.threads, bool) or not isinstance(self.threads, int):
            raise InputError(f"threads = {self.threads!r} is no whole number")
        if not 1 <= self.threads <= MOST_THREADS:
            raise InputError(f"threads = {self.threads} is outside 1 to {MOST_THREADS}")

    def ready(self) -> Arithmetic:
        """The same, if this machine has the device. Raises InputError."""
        if self.device != "cpu":
            import torch

            found = torch.cuda.device_count() if torch.cuda.is_available() else 0
            if int(self.device.partition(":")[2] or 0) >= found:
                raise InputError(f"device {self.device}: torch finds {found} GPUs on this machine")
        return self

    @property
    def dtype(self) -> Any:
        """Torch's name of the precision."""
        import torch

        return torch.bfloat16 if self.precision == "bf16" else torch.float32


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch computes on so many threads; then as many as before are allowed."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one. Convolutions and sums are split by the number of threads, and their last bits
    depend on it. A worker has one core for itself anyway."""
    with threads(1):
        yield


@contextmanager
def inference(count: int = 1) -> Iterator[None]:
    """So many threads, and no gradients."""
    import torch

    with threads(count), torch.inference_mode():
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
