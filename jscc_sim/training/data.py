"""Training material: a folder of pictures in memory, split by name, served as random crops."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.errors import InputError
from jscc_sim.images import Picture, list_pictures, read_picture
from jscc_sim.training.progress import announced

if TYPE_CHECKING:  # a folder is split, and refused, before torch is loaded
    from torch import Tensor

HELD_OUT_SHARE = 0.05


@dataclass(frozen=True)
class Split:
    """File paths for training and for validation; the two never overlap."""

    training: list[Path]
    validation: list[Path]


def split_folder(folder: str | Path) -> Split:
    """Hold out the names of `validation.txt`; in a folder that has none of them, the 5 % (at least
    one) whose names hash lowest. Raises InputError for fewer than two pictures."""
    paths = list_pictures(folder)
    if len(paths) < 2:
        raise InputError(f"folder {folder} holds {len(paths)} image; training needs at least 2")
    listed = set(resources.files(__package__).joinpath("validation.txt").read_text().split())
    held = {p for p in paths if p.name in listed}
    if not held:
        count = max(1, round(HELD_OUT_SHARE * len(paths)))
        held = set(sorted(paths, key=_hash_of_name)[:count])
    return Split([p for p in paths if p not in held], sorted(held))


def _hash_of_name(path: Path) -> str:
    return hashlib.sha256(path.name.encode(errors="surrogateescape")).hexdigest()


def load(paths: list[Path]) -> list[Picture]:
    """Every picture in memory."""
    return [read_picture(path) for path in announced(paths, "reading")]


class Crops:
    """Random crops with flips and quarter turns, cut on the device where the pictures lie. Small
    pictures are edge-replicated."""

    def __init__(self, pictures: list[Picture], side: int, device: str = "cpu") -> None:
        import torch

        self.side = side
        self.pixels = torch.from_numpy(np.concatenate([p.reshape(-1, 3) for p in pictures])).to(device)
        self.shape = np.array([p.shape[:2] for p in pictures])
        counts = self.shape.prod(axis=1)
        self.start = np.cumsum(counts) - counts
        self.share = counts / counts.sum()

    def draw(self, count: int, rng: np.random.Generator) -> Tensor:
        """[count, 3, side, side] uint8, channels last in memory."""
        import torch

        chosen = rng.choice(len(self.share), size=count, p=self.share)
        (height, width), start = self.shape[chosen].T[:, :, None], self.start[chosen, None]
        flips = rng.integers(0, 2, (3, count, 1))
        row, column = (
            self._places(rng, size, flip) for size, flip in zip((height, width), flips, strict=False)
        )
        down, across = start + row * width, column
        down, across = np.where(flips[2], across, down), np.where(flips[2], down, across)
        places = torch.from_numpy(np.stack([down, across])).to(self.pixels.device)
        return self.pixels[places[0][:, :, None] + places[1][:, None, :]].permute(0, 3, 1, 2)

    def _places(self, rng: np.random.Generator, size: NDArray[Any], flip: NDArray[Any]) -> NDArray[Any]:
        """[count, side] rows or columns of each crop, of pictures [count, 1] long, in either direction."""
        first = rng.integers(0, np.maximum(size - self.side, 0) + 1)
        steps = np.arange(self.side)
        return np.minimum(first + np.where(flip, self.side - 1 - steps, steps), size - 1)
