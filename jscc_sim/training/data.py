"""Training material: a folder of pictures in memory, split by name, served as random crops."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from jscc_sim.errors import InputError
from jscc_sim.images import Picture, list_pictures, read_picture

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
        held = set(sorted(paths, key=lambda p: hashlib.sha256(p.name.encode()).hexdigest())[:count])
    return Split([p for p in paths if p not in held], sorted(held))


def load(paths: list[Path]) -> list[Picture]:
    """Every picture in memory, with a progress bar when that takes a while."""
    return [read_picture(p) for p in tqdm(paths, desc="reading", delay=2, disable=None)]


class Crops:
    """Random crops with flips and quarter turns. Small pictures are edge-replicated."""

    def __init__(self, pictures: list[Picture], side: int) -> None:
        self.side = side
        self.pictures = pictures
        pixels = np.array([p.shape[0] * p.shape[1] for p in pictures], dtype=np.float64)
        self.share = pixels / pixels.sum()

    def draw(self, count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """[count, 3, side, side] uint8."""
        chosen = rng.choice(len(self.pictures), size=count, p=self.share)
        return np.stack([self._crop(self.pictures[i], rng) for i in chosen])

    def _crop(self, picture: Picture, rng: np.random.Generator) -> NDArray[np.uint8]:
        height, width = picture.shape[:2]
        side = self.side
        top = rng.integers(0, max(height - side, 0) + 1)
        left = rng.integers(0, max(width - side, 0) + 1)
        crop = picture[top : top + side, left : left + side]
        short = ((0, side - crop.shape[0]), (0, side - crop.shape[1]), (0, 0))
        crop = np.rot90(np.pad(crop, short, mode="edge"), int(rng.integers(4)))
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        return np.ascontiguousarray(crop.transpose(2, 0, 1))
