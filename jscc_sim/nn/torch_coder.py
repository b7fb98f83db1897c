"""Somebody's own encoder and decoder in torch, on pictures of any size: how they are called, and what their
latents are on the channel."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jscc_sim.channels import Symbols
from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.nn.held_modules import modules_of
from jscc_sim.nn.pictures import unit_range
from jscc_sim.plugins import errors_named

TILES_AT_ONCE = 16

LEAST_PROBE, PROBE_SNR_DB = 64, 10.0
"""Side in pixels of the smallest picture that the shape of latents is found out from, and its SNR."""

ARGUMENTS = {"encoder": ("images", "snr_db"), "decoder": ("latents", "snr_db", "variance")}


@dataclass(frozen=True, eq=False)
class TorchCoder:
    """An encoder and its decoder, at one rate.

    encoder(images, snr_db): images [B, 3, H, W] float32 in 0 to 1; snr_db [B], what the sender believes.
    Returns latents [B, ...] of any shape: complex ones, each a channel use, or real ones, each two that
    follow each other a use.
    decoder(latents, snr_db, variance): latents as they arrived, in their shape; snr_db [B], what the receiver
    measures; variance: of the noise in each latent, in their shape, of a complex one that of both its parts
    together. Returns images, unclipped.
    Each is given as many of these as it has arguments without a default, on the device that its weights are
    on.

    tile: side of the tiles that a picture is cut into; 0 for pictures as a whole, where the sides of the
    latents must grow with the picture's in proportion. multiple: of what the sides of whole pictures are
    padded to. name: for errors. Raises InputError wherever the two do not keep to this.
    """

    encoder: Callable[..., Tensor]
    decoder: Callable[..., Tensor]
    tile: int = 0
    multiple: int = 16
    name: str = "network"

    def __post_init__(self) -> None:
        if self.tile < 0:
            raise InputError(f"{self.name}: tile of {self.tile} pixels is below 0")
        if self.multiple < 1:
            raise InputError(f"{self.name}: sides padded to multiples of {self.multiple} pixels, below 1")

    def uses(self, height: int, width: int) -> int:
        """Channel uses of a picture's latents."""
        rows, columns = self._grid(height, width)
        count = math.prod(self._latents.at(*self._side(height, width)))
        return rows * columns * count // self._latents.per_use

    def encode(self, picture: Picture, snr_db: float) -> NDArray[np.float64]:
        """[2 uses] reals, tile after tile, pair by pair the symbols before the gain."""
        expected, found = self._latents.at(*self._side(*picture.shape[:2])), []
        with self._running():
            for images in self._tiles(picture).split(TILES_AT_ONCE):
                latents = self._encoded(images, snr_db)
                if latents.shape[1:] != expected or _per_use(latents) != self._latents.per_use:
                    raise InputError(
                        f"{self.name}: encoder gave {_shape(latents)} for images {_shape(images)}; smaller "
                        f"ones promised {[len(images), *expected]}: name a tile"
                    )
                found.append(latents.reshape(-1))
            latents = torch.cat(found)
            reals = torch.view_as_real(latents).reshape(-1) if latents.is_complex() else latents
        if not torch.isfinite(reals).all():
            raise InputError(f"{self.name}: encoder gave values that are not finite")
        return np.asarray(reals.numpy(), dtype=np.float64)

    def decode(
        self, symbols: Symbols, variance: NDArray[np.float64], height: int, width: int, snr_db: float
    ) -> Picture:
        """symbols: [uses] latents as they arrived, on the encoder's scale; variance: [uses] complex, of the
        noise in them."""
        side = self._side(height, width)
        shape = (-1, *self._latents.at(*side))
        latents = torch.from_numpy(symbols.astype(np.complex64))
        noise = torch.from_numpy(variance.astype(np.float32))
        if self._latents.per_use == 2:
            latents, noise = torch.view_as_real(latents), noise[:, None].expand(-1, 2) / 2
        batches = zip(*(v.reshape(shape).split(TILES_AT_ONCE) for v in (latents, noise)), strict=True)
        with self._running():
            images = torch.cat([self._decoded(heard, left, side, snr_db) for heard, left in batches])
        return self._stitched(images, height, width)

    def _side(self, height: int, width: int) -> tuple[int, int]:
        """Of an image that the encoder is given."""
        if self.tile:
            return self.tile, self.tile
        return height + -height % self.multiple, width + -width % self.multiple

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of such images."""
        tall, wide = self._side(height, width)
        return -(-height // tall), -(-width // wide)

    def _tiles(self, picture: Picture) -> Tensor:
        """[tiles, 3, tall, wide], edges replicated."""
        height, width = picture.shape[:2]
        (tall, wide), (rows, columns) = self._side(height, width), self._grid(height, width)
        below, right = rows * tall - height, columns * wide - width
        padded = torch.from_numpy(np.pad(picture, ((0, below), (0, right), (0, 0)), mode="edge"))
        tiles = padded.reshape(rows, tall, columns, wide, 3).permute(0, 2, 4, 1, 3)
        return unit_range(tiles.reshape(-1, 3, tall, wide))

    def _stitched(self, images: Tensor, height: int, width: int) -> Picture:
        """The reverse, rounded and clipped."""
        rows, columns = self._grid(height, width)
        tall, wide = images.shape[2:]
        whole = images.reshape(rows, columns, 3, tall, wide).permute(0, 3, 1, 4, 2)
        pixels = (whole.reshape(rows * tall, columns * wide, 3) * 255).round().clamp(0, 255).byte()
        return pixels[:height, :width].contiguous().numpy()

    def _encoded(self, images: Tensor, snr_db: float) -> Tensor:
        latents = self._call("encoder", images, torch.full((len(images),), snr_db))
        count = 0 if latents.ndim < 2 or len(latents) != len(images) else latents[0].numel()
        if not count or count % _per_use(latents):
            raise InputError(
                f"{self.name}: encoder gave {_shape(latents)} for images {_shape(images)}, not complex "
                "latents or an even number of real ones for each"
            )
        return latents.to(torch.complex64 if latents.is_complex() else torch.float32)

    def _decoded(self, latents: Tensor, noise: Tensor, side: tuple[int, int], snr_db: float) -> Tensor:
        images = self._call("decoder", latents, torch.full((len(latents),), snr_db), noise)
        if images.shape != (len(latents), 3, *side) or images.is_complex():
            raise InputError(
                f"{self.name}: decoder gave {_shape(images)}, not {[len(latents), 3, *side]}; sides are "
                f"padded to multiples of {self.multiple} (multiple) or cut into tiles (tile)"
            )
        if not torch.isfinite(images).all():
            raise InputError(f"{self.name}: decoder gave values that are not finite")
        return images.float()

    def _call(self, end: str, *arguments: Tensor) -> Tensor:
        function, name = getattr(self, end), f"{self.name}: {end}"
        weights = next((w for held in modules_of(function) for w in held.parameters()), torch.empty(0))
        with errors_named(name):
            found = function(*(a.to(weights.device) for a in arguments[: self._needed[end]]))
        if not isinstance(found, Tensor):
            raise InputError(f"{name} gave a {type(found).__name__}, not a tensor")
        return found.cpu()

    @cached_property
    def _needed(self) -> dict[str, int]:
        """How many arguments each takes."""
        found = {}
        for end, offered in ARGUMENTS.items():
            names = _needed_by(getattr(self, end))
            if names is None:
                raise InputError(f"{self.name}: {end} is no function whose arguments can be told")
            if not 1 <= len(names) <= len(offered):
                raise InputError(
                    f"{self.name}: {end} has {len(names)} arguments without a default ({', '.join(names)}), "
                    f"not 1 to {len(offered)} for {', '.join(offered)}"
                )
            found[end] = len(names)
        return found

    @cached_property
    def _latents(self) -> LatentShape:
        """Found out on small pictures, so that a forged header costs no memory."""

        def probe(tall: int, wide: int) -> Tensor:
            return self._encoded(torch.full((1, 3, tall, wide), 0.5), PROBE_SNR_DB)

        side = self.tile or -(-LEAST_PROBE // self.multiple) * self.multiple
        with self._running():
            square = probe(side, side)
            taller, wider = (square, square) if self.tile else (probe(2 * side, side), probe(side, 2 * side))
        if not square.ndim == taller.ndim == wider.ndim:
            raise InputError(f"{self.name}: encoder gives latents of no fixed number of sides: name a tile")
        return LatentShape(
            side, tuple(square.shape[1:]), _grown(square, taller), _grown(square, wider), _per_use(square)
        )

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Inference: the modules are put to it, and left as they were."""
        training = [
            m for held in modules_of(self.encoder, self.decoder) for m in held.modules() if m.training
        ]
        for module in training:
            module.training = False
        try:
            with inference():
                yield
        finally:
            for module in training:
                module.training = True


@dataclass(frozen=True)
class LatentShape:
    """The shape of an image's latents. square: that of images of so many pixels a side; tall, wide: which of
    its sides grow with the image's height, and with its width; per_use: latents in a channel use."""

    side: int
    square: tuple[int, ...]
    tall: tuple[bool, ...]
    wide: tuple[bool, ...]
    per_use: int

    def at(self, height: int, width: int) -> tuple[int, ...]:
        """Of an image's latents, if they grow in proportion."""
        return tuple(
            size * (height if tall else self.side) * (width if wide else self.side) // self.side**2
            for size, tall, wide in zip(self.square, self.tall, self.wide, strict=True)
        )


def _needed_by(function: Callable[..., object]) -> list[str] | None:
    """The names of the arguments that it cannot be called without; None if that cannot be told."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return None
    return [p.name for p in signature.parameters.values() if p.default is p.empty and p.kind in kinds]


def _grown(latents: Tensor, larger: Tensor) -> tuple[bool, ...]:
    """Which sides of an image's latents are longer."""
    return tuple(b > a for a, b in zip(latents.shape[1:], larger.shape[1:], strict=True))


def _per_use(latents: Tensor) -> int:
    return 1 if latents.is_complex() else 2


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
