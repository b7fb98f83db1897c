"""The linear baseline of `vae:N`: the KLT of 4x4 pixels, N coefficients as analog symbols.

The rotation is fitted on training pictures. Power is water-filled and the receiver's estimate is linear least
squares, both for the picture's own means and variances of the N coefficients, which both ends have free of
charge: no sender of these N coefficients over as many uses does better by linear means. No frame and no
header: a bound that stands beside a system. Source: Lee & Petersen 1976.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, EqualisedReals, equalise, symbols_of
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.nn.water_filling import water_filled
from jscc_sim.units import DECODED, check_finite, noise_variance

PATCH = 4
PATCH_SAMPLES = 3 * PATCH**2
KLT_FILE = "patch_klt.safetensors"
LEAST_VARIANCE = 1e-9


@dataclass(frozen=True, eq=False)
class PatchKLT:
    """mean: [48] of a patch's samples, 8-bit units; rotation: [48, 48] rows are the KLT's vectors, most
    variable first."""

    mean: NDArray[np.float64]
    rotation: NDArray[np.float64]

    def __post_init__(self) -> None:
        if (self.mean.shape, self.rotation.shape) != ((PATCH_SAMPLES,), (PATCH_SAMPLES, PATCH_SAMPLES)):
            raise ValueError(f"mean and rotation have the shapes {self.mean.shape}, {self.rotation.shape}")

    @classmethod
    def beside(cls, model: Checkpoint) -> PatchKLT:
        """The one in a model's folder. Raises InputError."""
        tensors = model.load(KLT_FILE)
        try:
            return cls(*(tensors[key].astype(np.float64) for key in ("mean", "rotation")))
        except (KeyError, ValueError) as error:
            raise InputError(f"model {model.name}: {KLT_FILE} is no patch KLT: {error}") from None

    def save_beside(self, model: Checkpoint) -> None:
        """Into a model's folder and manifest."""
        fields = {"mean": self.mean, "rotation": self.rotation}
        model.save(KLT_FILE, {name: values.astype(np.float32) for name, values in fields.items()})

    def transmit(
        self,
        picture: Picture,
        n: int,
        channel: Channel | None,
        rng: np.random.Generator,
        equaliser: str = "mmse",
    ) -> Picture:
        """What a receiver makes of a picture's n coefficients per patch, n/32 uses per pixel of the picture
        padded to whole patches. channel: None for no noise at all."""
        patches = patches_of(picture)
        sent = (patches - self.mean) @ self.rotation[:n].T
        means = sent.mean(0)
        found = sent if channel is None else means + _over(sent - means, channel, rng, equaliser)
        return picture_of_patches(found @ self.rotation[:n] + self.mean, picture.shape[:2])


def fit_patch_klt(pictures: Iterable[Picture]) -> PatchKLT:
    """The KLT of all whole patches of these pictures."""
    total, square, count = np.zeros(PATCH_SAMPLES), np.zeros((PATCH_SAMPLES, PATCH_SAMPLES)), 0
    for picture in pictures:
        height, width = (side // PATCH * PATCH for side in picture.shape[:2])
        patches = patches_of(picture[:height, :width])
        total += patches.sum(0)
        square += patches.T @ patches
        count += len(patches)
    mean = total / count
    _, vectors = np.linalg.eigh(square / count - np.outer(mean, mean))
    return PatchKLT(mean, np.ascontiguousarray(vectors[:, ::-1].T))


def patches_of(picture: Picture) -> NDArray[np.float64]:
    """[H, W, 3] uint8 -> [patches, 48]; edge pixels are repeated to fill."""
    below, right = (-side % PATCH for side in picture.shape[:2])
    padded = np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge")
    rows, columns = padded.shape[0] // PATCH, padded.shape[1] // PATCH
    tiles = padded.reshape(rows, PATCH, columns, PATCH, 3).swapaxes(1, 2)
    return tiles.reshape(rows * columns, PATCH_SAMPLES).astype(np.float64)


def picture_of_patches(patches: NDArray[np.float64], size: tuple[int, ...]) -> Picture:
    """The reverse: rounded, clipped, cropped to (height, width)."""
    height, width = size
    rows, columns = -(-height // PATCH), -(-width // PATCH)
    check_finite(patches, DECODED)
    whole = patches.reshape(rows, columns, PATCH, PATCH, 3).swapaxes(1, 2)
    pixels = whole.reshape(rows * PATCH, columns * PATCH, 3)[:height, :width]
    return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _over(
    sent: NDArray[np.float64], channel: Channel, rng: np.random.Generator, equaliser: str
) -> NDArray[np.float64]:
    """Least-squares estimate of coefficients [patches, n] of mean 0; n is even."""
    variance = np.maximum(sent.var(0), LEAST_VARIANCE)
    half, each = noise_variance(channel.snr_db) / 2, np.ones(len(variance))
    power = water_filled(np.sqrt(variance), half, each.sum() / 2, each)  # two are a use of unit power
    amplitude = np.sqrt(power / variance)
    symbols = symbols_of(np.ascontiguousarray(sent * amplitude).reshape(-1))
    reals = EqualisedReals.of(equalise(channel(symbols, rng), equaliser))
    values, strength, noise = (
        x.reshape(sent.shape) for x in (reals.values, reals.gain, reals.noise_variance)
    )
    gain = strength * amplitude
    return np.asarray(values * gain * variance / (gain**2 * variance + noise))
