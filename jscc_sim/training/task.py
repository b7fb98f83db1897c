"""What a network is trained for: its shape, its loss, and how well it does on pictures held out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Generic, Protocol, TypeVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from jscc_sim.images import Picture
from jscc_sim.training.data import Crops, Split, load

N = TypeVar("N", bound=nn.Module)

HELD_OUT = 24
"""Pictures of the validation split that are looked at during training."""


class Batches(Protocol):
    """Where batches come from."""

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """[count, C, H, W] uint8."""


class Task(ABC, Generic[N]):
    """A network and what it should learn. Randomness that is not `rng`'s or `generator`'s must not
    enter, or a resumed run is another run."""

    architecture: Any
    """A dataclass that fixes the shape of the network's weights."""

    system: ClassVar[str]
    """What the network is for, as the command line calls it."""

    summary: ClassVar[str]
    """One line on the network."""

    crops: ClassVar[int]
    side: ClassVar[int]
    """What a batch is made of unless told otherwise."""

    logarithmic: ClassVar[bool] = False
    """Whether the loss is the natural logarithm of an error, and is told in dB."""

    validated: ClassVar[str] = ""
    """What the figures of `validate` are of, where their names do not say it."""

    multiple: ClassVar[int] = 1
    """Sides of crops must be multiples of it."""

    formerly: ClassVar[Mapping[str, Any]] = {}
    """What settings were while checkpoints did not say them."""

    compiled: ClassVar[tuple[str, ...]] = ()
    """Methods of the network that torch.compile may take."""

    @abstractmethod
    def network(self) -> N:
        """A new network, with the weights that training begins with."""

    def shape(self) -> N:
        """A network of the same shape whose weights are of no matter."""
        return self.network()

    @abstractmethod
    def loss(
        self, network: N, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """What a step lowers. images: [B, 3, H, W] in 0 to 1, channels last in memory."""

    @abstractmethod
    def once(self, network: N) -> int:
        """Use both ends once, for the count of operations. Returns the pixels that were coded."""

    @abstractmethod
    def validate(self, network: N, pictures: list[Picture]) -> Mapping[str, float]:
        """Figures by name, of pictures held out."""

    def settings(self) -> Mapping[str, Any]:
        """What else, besides architecture and recipe, makes the run what it is; for JSON."""
        return {}

    @final
    def macs_per_pixel(self) -> float:
        """Multiply-accumulates of encoder and decoder together, as torch counts them without computing."""
        with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
            pixels = self.once(self.shape())
        return counter.get_total_flops() / 2 / pixels

    def batches(self, split: Split | None, side: int, device: str) -> Batches:
        """The training material. split: the pictures; None where the task brings its own."""
        assert split is not None
        return Crops(load(split.training), side, device)

    def held_out(self, split: Split | None) -> list[Picture]:
        """What `validate` is given."""
        assert split is not None
        return load(split.validation[:HELD_OUT])


def middles(pictures: Iterable[Picture], side: int, step: int) -> Iterator[Picture]:
    """The middle of each, sides at most so long and multiples of a step; of those that have a step at all."""
    for picture in pictures:
        height, width = (min(whole, side) // step * step for whole in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        if height and width:
            yield picture[top : top + height, left : left + width]
