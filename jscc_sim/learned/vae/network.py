"""The analog variational autoencoder behind the system `vae:N`: N real latents per 4x4 pixels.

The channel is the posterior: the encoder gives the mean of each latent, the channel adds the noise of known
variance that a VAE would draw, and the prior, a unit Gaussian, is what the receiver shrinks by before its
network looks. One network serves every N and SNR: a latent head for each N on a shared trunk, and residual
blocks modulated by N and the SNRs in force. The convolutions run over the whole picture.
After Kingma & Welling 2014 (VAE), Bourtsoulatze et al. 2019 (deep JSCC).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.images import Picture
from jscc_sim.inference import inference
from jscc_sim.nn.conv import RatioConditioning
from jscc_sim.nn.pictures import image_of, picture_of
from jscc_sim.nn.two_scale import COARSE_STEP, FINE_STEP, TwoScale

CHOICES = (2, 4, 8)
"""The N that there are: real latents of a cell."""

SNR_RANGE_DB = (-2.0, 22.0)
"""What training shows. Both ends take a better channel for the best of these."""


@dataclass(frozen=True)
class VAEArchitecture:
    """Everything that fixes the shape of the network's weights."""

    fine: int = 64
    coarse: int = 64
    encoder_fine: int = 1
    encoder_coarse: int = 1
    decoder_coarse: int = 1
    decoder_fine: int = 2
    embedding: int = 32
    hidden: int = 32


class VAECoder(TwoScale):
    """Encoder and decoder for every N. Pictures are [B, 3, H, W] in 0 to 1, H and W multiples of 8;
    choice: [B] index into CHOICES. Latents are [B, C, H/4, W/4], the channels of all N beside each other."""

    used: Tensor
    """[3, C] bool: the latent channels of each choice."""

    def __init__(self, architecture: VAEArchitecture) -> None:
        a = self.architecture = architecture
        super().__init__(a)
        self.sender = RatioConditioning(len(CHOICES), 1, self.sender_widths, a.embedding, a.hidden)
        self.receiver = RatioConditioning(len(CHOICES), 2, self.receiver_widths, a.embedding, a.hidden)
        owner = torch.tensor([k for k, n in enumerate(CHOICES) for _ in range(n)])
        self.register_buffer("used", owner == torch.arange(len(CHOICES))[:, None], persistent=False)

    def make_heads(self) -> None:
        """See TwoScale.make_heads."""
        coarse, latents = self.architecture.coarse, sum(CHOICES)
        self.analysis_head = nn.Conv2d(coarse, 4 * latents, 1)
        self.synthesis_head = nn.Conv2d(2 * 4 * latents, coarse, 1)

    def encode(self, images: Tensor, choice: Tensor, snr_db: Tensor) -> Tensor:
        """snr_db: [B], what the sender believes. Returns latents, zero outside the channels of the choice."""
        modulations = self.sender(choice[:, None, None], snr_db[:, None, None, None])
        x = self.shrink(images, modulations)
        latents = F.pixel_shuffle(self.analysis_head(x), 2)
        return latents.float() * self.used[choice][:, :, None, None]

    def decode(self, means: Tensor, trust: Tensor, choice: Tensor, snr_db: Tensor) -> Tensor:
        """means: of the latents given what was received, under the unit Gaussian prior; trust: one minus
        their variance, the same shape: received * trust = mean for a latent heard at unit gain; snr_db: [B],
        what the sender believed. Returns images [B, 3, H, W], unclipped."""
        used = self.used[choice][:, :, None, None].float()
        share = (trust * used).sum((1, 2, 3)) / (used.sum((1, 2, 3)) * trust[0, 0].numel())
        left_db = 10 * torch.log10(share / (1 - share).clamp(min=1e-6))
        snrs_db = torch.stack([snr_db, left_db], -1)[:, None, None]
        modulations = self.receiver(choice[:, None, None], snrs_db)
        heard = F.pixel_unshuffle(torch.cat([means * used, trust * used], 1), 2)
        x = self.synthesis_head(heard.contiguous(memory_format=torch.channels_last))
        return self.grow(x, modulations)


def grid_of(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of the latents' grid: the picture's sides are padded to multiples of 8."""
    per_side = COARSE_STEP // FINE_STEP
    return -(-height // COARSE_STEP) * per_side, -(-width // COARSE_STEP) * per_side


def latent_count(n: int, height: int, width: int) -> int:
    """Real latents of a picture: an even number."""
    rows, columns = grid_of(height, width)
    return n * rows * columns


@inference()
def latents_of(coder: VAECoder, picture: Picture, n: int, snr_db: float) -> NDArray[np.float64]:
    """[H, W, 3] uint8 -> the latents [n * cells], channel after channel. snr_db: the sender's belief."""
    choice = torch.tensor([CHOICES.index(n)])
    latents = coder.encode(
        image_of(picture, COARSE_STEP), choice, torch.tensor([snr_db], dtype=torch.float32)
    )
    return np.asarray(latents[0, coder.used[choice[0]]].reshape(-1).numpy(), dtype=np.float64)


@inference()
def decoded(
    coder: VAECoder,
    means: NDArray[np.float64],
    trust: NDArray[np.float64],
    size: tuple[int, int],
    n: int,
    snr_db: float,
) -> Picture:
    """The reverse. means, trust: [n * cells], see VAECoder.decode; size: height and width."""
    rows, columns = grid_of(*size)
    choice = torch.tensor([CHOICES.index(n)])
    used = coder.used[choice[0]]
    heard = torch.zeros(2, len(used), rows, columns, dtype=torch.float32)
    for plane, values in zip(heard, (means, trust), strict=True):
        plane[used] = torch.from_numpy(values.reshape(n, rows, columns).astype(np.float32))
    image = coder.decode(heard[:1], heard[1:], choice, torch.tensor([snr_db], dtype=torch.float32))[0]
    return picture_of(image, *size)
