"""The learned image codec with a Gaussian-mixture entropy model (see network.py), as real bytes.

One range-coded stream: hyperlatents, the latents of the chequerboard's first places, those of the others.
The entropy model runs in exact arithmetic, so that a file decodes on any machine, not just on its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from jscc_sim.codecs.learned import LearnedCodec
from jscc_sim.coding import mixture, range_coder
from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.units import ENCODED, check_finite

if TYPE_CHECKING:
    from torch import Tensor

    from jscc_sim.learned.gmm.network import MixtureCoder

STRIP, HALO = 16, 2
"""Rows of latents whose parameters are in memory at once, and what they see beyond (an even number, for
the chequerboard's sake)."""


@dataclass(frozen=True, repr=False)
class GMM(LearnedCodec):
    """Levels go from lambda 0.0006 to 0.2, see task.py."""

    name: ClassVar[str] = "gmm"
    levels: ClassVar[int] = 64
    format: ClassVar[str] = "1"
    densest: ClassVar[float] = 4096  # flat grey has 455

    @property
    def tile(self) -> int:
        """See LearnedCodec.tile."""
        from jscc_sim.learned.gmm.network import HYPER_STRIDE

        return HYPER_STRIDE

    @cached_property
    def coder(self) -> MixtureCoder:
        """The network, its entropy model in double precision."""
        from jscc_sim.learned.gmm.network import MixtureArchitecture, MixtureCoder
        from jscc_sim.nn.loading import loaded

        coder = loaded(self.model, MixtureArchitecture, MixtureCoder)
        coder.entropy.double()
        return coder

    def encode_latents(self, picture: Picture, level: int) -> bytes:
        """See LearnedCodec.encode_latents."""

        with inference():
            latents, hyperlatents = (
                x.clamp(-mixture.LARGEST, mixture.LARGEST) for x in self._rounded(picture, level)
            )
            encoder = range_coder.encoder()
            passes = Passes(self.coder, self._level(level), *hyperlatents.shape[2:])
            mixture.encode(encoder, _whole(hyperlatents).ravel(), passes.of_hyperlatents())
            passes.hear(hyperlatents)
            whole = _whole(latents)
            for known, places in passes.order(latents):
                mixture.encode(encoder, whole[:, places].ravel(), passes.of_latents(known, places))
        return range_coder.code_of(encoder)

    def decode_latents(self, data: bytes, level: int, height: int, width: int) -> Picture:
        """See LearnedCodec.decode_latents."""
        import torch

        from jscc_sim.learned.gmm.network import HYPER_STRIDE
        from jscc_sim.nn.pictures import picture_of

        decoder = range_coder.decoder(data)
        with inference():
            grid = (-(-side // HYPER_STRIDE) for side in (height, width))
            passes = Passes(self.coder, self._level(level), *grid)
            passes.hear(_tensor(mixture.decode(decoder, passes.of_hyperlatents()), passes.hyper_shape))
            shape = 1, passes.entropy.latents, 4 * passes.rows, 4 * passes.columns
            latents = torch.zeros(shape, dtype=torch.float32)
            for known, places in passes.order(latents):
                values = mixture.decode(decoder, passes.of_latents(known, places))
                latents[0][:, torch.from_numpy(places)] = (
                    torch.from_numpy(values).reshape(len(latents[0]), -1).float()
                )
            image = self.coder.synthesise(latents, self._level(level).float())[0]
            return picture_of(image, height, width)

    def estimated_bits(self, picture: Picture, level: int) -> float:
        """What the network takes the latents' bits to be, before they are coded."""
        import torch

        from jscc_sim.learned.gmm.network import mixture_bits

        with inference():
            at = self._level(level)
            latents, hyperlatents = self._rounded(picture, level)
            passes = Passes(self.coder, at, *hyperlatents.shape[2:])
            bits = mixture_bits(hyperlatents, self.coder.entropy.of_hyperlatents(at)).sum()
            passes.hear(hyperlatents)
            for known, places in passes.order(latents):
                parameters = torch.from_numpy(passes.parameters(known, places))[None, ..., None]
                values = latents[..., torch.from_numpy(places)][..., None]
                bits += mixture_bits(values, parameters).sum()
        return float(bits)

    def _rounded(self, picture: Picture, level: int) -> tuple[Tensor, Tensor]:
        """Latents and hyperlatents as whole numbers."""
        from jscc_sim.learned.gmm.network import HYPER_STRIDE
        from jscc_sim.nn.pictures import image_of

        found = self.coder.analyse(image_of(picture, HYPER_STRIDE), self._level(level).float())
        for part in found:
            check_finite(part.numpy(), ENCODED)
        return found[0].round(), found[1].round()

    def _level(self, level: int) -> Tensor:
        import torch

        return torch.tensor([level / (self.levels - 1)], dtype=torch.float64)


class Passes:
    """What both ends know before each part of the stream. rows, columns: of the hyperlatents."""

    def __init__(self, coder: MixtureCoder, level: Tensor, rows: int, columns: int) -> None:
        self.entropy, self.level = coder.entropy, level
        self.rows, self.columns = rows, columns
        self.hyper_shape = (1, coder.architecture.hyper, rows, columns)

    def of_hyperlatents(self) -> mixture.Mixtures:
        """Of all hyperlatents."""
        found = self.entropy.of_hyperlatents(self.level)[0].expand(-1, -1, -1, self.rows, self.columns)
        return mixture.Mixtures(found.reshape(*found.shape[:2], -1).numpy())

    def hear(self, hyperlatents: Tensor) -> None:
        """Take the hyperlatents to what they say of the latents."""
        self.features = self.entropy.features(hyperlatents.double(), self.level)

    def order(self, latents: Tensor) -> Any:
        """For each of the two passes: the latents that are known before it, as they are by then, and
        [H, W] bool, the places to code."""
        import torch

        from jscc_sim.learned.gmm.network import first_pass

        first = first_pass(latents)
        yield torch.zeros_like(latents, dtype=torch.float64), first.numpy()
        yield (latents * first).double(), ~first.numpy()

    def of_latents(self, known: Tensor, places: NDArray[np.bool_]) -> mixture.Mixtures:
        """Of the latents at these places, channel by channel."""
        parameters = self.parameters(known, places)
        return mixture.Mixtures(parameters.reshape(*parameters.shape[:2], -1))

    def parameters(self, known: Tensor, places: NDArray[np.bool_]) -> NDArray[np.float64]:
        """[3, COMPONENTS, C, places], see EntropyModel."""
        height = known.shape[2]
        found = []
        for start in range(0, height, STRIP):
            top, bottom = max(0, start - HALO), min(height, start + STRIP + HALO)
            strip = self.entropy.of_latents(
                self.features[:, :, top:bottom], known[:, :, top:bottom], self.level
            )
            rows = strip[0, ..., start - top : start - top + STRIP, :]
            found.append(rows.numpy()[..., places[start : start + STRIP]])
        return np.concatenate(found, axis=-1)


def _whole(latents: Tensor) -> NDArray[np.int64]:
    return latents[0].numpy().astype(np.int64)


def _tensor(values: NDArray[np.int64], shape: tuple[int, ...]) -> Tensor:
    import torch

    return torch.from_numpy(values.astype(np.float64)).reshape(shape)
