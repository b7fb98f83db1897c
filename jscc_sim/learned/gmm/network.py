"""The image coder behind the codec `gmm`: GDN transforms with attention, a hyperprior, Gaussian mixtures.

The latents are integers on a 16-pixel grid; their distribution is a mixture of three Gaussians whose
parameters come from the hyperlatents, on a 64-pixel grid, and for every second latent of a chequerboard
also from its neighbours, which are decoded first. One network serves all rates: a gain per channel
and level scales the latents before they are rounded.
Sources: Cheng et al. 2020 (mixture, attention), He et al. 2021 (chequerboard), Cui et al. 2021 (gains).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from jscc_sim.learned.gmm.exact import ChequeredConv, ExactConv, step
from jscc_sim.learned.gmm.gdn import GDN
from jscc_sim.nn.levels import between
from jscc_sim.nn.two_scale import FINE_STEP, ResidualPair

COMPONENTS = 3
STRIDE, HYPER_STRIDE = 16, 64
"""Pixels between latents and between hyperlatents."""

LATENT_SCALE = 8.0
"""Of what the transforms give: networks start near 1, latents at the weakest level should be larger."""

LOG_SCALES = (-2.25, 6.0)
LEAST_CHANCE = 2.0**-24

OCTAVES = 4.5
"""Between the gains of the weakest and the strongest level, before training."""


@dataclass(frozen=True)
class MixtureArchitecture:
    """Everything that fixes the shape of the network's weights. anchors: of the gains, weakest first."""

    fine: int = 64
    middle: int = 128
    latents: int = 192
    hyper: int = 64
    context: int = 64
    anchors: int = 8


class LeakyResidual(ResidualPair):
    """x + conv(leaky(conv(x)))."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        return x + self.second(F.leaky_relu(self.first(x), 0.1))


class Attention(nn.Module):
    """x + trunk(x) * sigmoid(mask(x)): the simplified attention of Cheng et al. 2020, section 3.4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_bottleneck(width))
        self.mask = nn.Sequential(_bottleneck(width), nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same."""
        return x + self.trunk(x) * self.mask(x).sigmoid()


def _bottleneck(width: int) -> nn.Sequential:
    half = width // 2
    return nn.Sequential(
        nn.Conv2d(width, half, 1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(half, half, 3, padding=1),
        nn.LeakyReLU(0.1),
        nn.Conv2d(half, width, 1),
    )


class Up(nn.Module):
    """Twice the side, by a 1x1 convolution and pixel shuffle."""

    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.spread = nn.Conv2d(narrow, 4 * wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, narrow, H, W] -> [B, wide, 2H, 2W]."""
        return F.pixel_shuffle(self.spread(x), 2)


class EntropyModel(nn.Module):
    """Level, hyperlatents and decoded neighbours -> mixture parameters, in exact arithmetic: see
    `exact`. Parameters are [B, 3, COMPONENTS, C, H, W]: log weights, means, log scales."""

    def __init__(self, a: MixtureArchitecture) -> None:
        super().__init__()
        self.latents = a.latents
        wide = 2 * a.context
        octaves = torch.linspace(0, OCTAVES * math.log(2), a.anchors)[:, None]
        self.gain = nn.Parameter(octaves.repeat(1, a.latents))
        self.hyper_gain = nn.Parameter(0.5 * octaves.repeat(1, a.hyper))
        self.prior = nn.Parameter(torch.zeros(a.anchors, 3 * COMPONENTS * a.hyper))
        self.level = nn.Parameter(torch.zeros(a.anchors, wide))
        self.hyper_in = ExactConv(a.hyper, 4 * wide, 1)
        self.hyper_middle = ExactConv(wide, 4 * wide, 1)
        self.hyper_out = ExactConv(wide, wide, 3)
        self.context = ChequeredConv(a.latents, wide, 5)
        self.merge = ExactConv(2 * wide, 2 * wide, 1)
        self.parameters_out = ExactConv(2 * wide, 3 * COMPONENTS * a.latents, 1)
        spread = torch.tensor([-1.0, 0.0, 1.0])
        start = torch.stack([torch.zeros(COMPONENTS), 0.5 * spread, spread])[..., None]
        with torch.no_grad():
            self.prior.copy_(start.expand(-1, -1, a.hyper).reshape(-1).expand_as(self.prior))
            self.parameters_out.bias.copy_(start.expand(-1, -1, a.latents).reshape(-1))  # type: ignore[union-attr]
            self.parameters_out.weight.mul_(0.1)

    def of_hyperlatents(self, level: Tensor) -> Tensor:
        """level: [B] in 0 to 1. Returns the parameters [B, 3, COMPONENTS, C, 1, 1] of the hyperlatents."""
        return step(between(self.prior, level)).reshape(len(level), 3, COMPONENTS, -1, 1, 1)

    def features(self, hyperlatents: Tensor, level: Tensor) -> Tensor:
        """Integers [B, C, H/64, W/64] -> what they say of the latents, [B, wide, H/16, W/16]."""
        x = step(hyperlatents * factor(-self.hyper_gain, level))
        x = F.pixel_shuffle(self.hyper_in(x), 2) + step(between(self.level, level))[..., None, None]
        x = F.pixel_shuffle(self.hyper_middle(leaky(x)), 2)
        return self.hyper_out(leaky(x))

    def of_latents(self, features: Tensor, known: Tensor, level: Tensor) -> Tensor:
        """features of the hyperlatents; known: the latents of the first pass [B, C, H, W], zero at the
        places of the second. Returns the parameters of all: right at the first places if `known` is zero
        throughout, and at the others when it holds the first."""
        near = self.context(step(known * factor(-self.gain, level))) * ~first_pass(known)
        x = self.parameters_out(leaky(self.merge(leaky(torch.cat([features, near], 1)))))
        batch, _, height, width = known.shape
        x = x.reshape(batch, 3, COMPONENTS, self.latents, height, width)
        gain = factor(self.gain, level)[:, None]
        means = step(x[:, 1] * gain)
        return torch.stack([x[:, 0], means, x[:, 2] + step(gain.log())], 1)


def leaky(x: Tensor) -> Tensor:
    """A leaky rectifier with an eighth, which is exact in binary."""
    return torch.maximum(x, x / 8)


def first_pass(latents: Tensor) -> Tensor:
    """[H, W] bool: the places of the chequerboard that are decoded first."""
    height, width = latents.shape[-2:]
    rows, columns = torch.arange(height, device=latents.device), torch.arange(width, device=latents.device)
    return (rows[:, None] + columns) % 2 == 0


def factor(table: Tensor, level: Tensor) -> Tensor:
    """[A, C] natural logarithms -> [B, C, 1, 1] factors at levels [B]."""
    return step(between(table, level).exp())[..., None, None]


class MixtureCoder(nn.Module):
    """Pictures [B, 3, H, W] in 0 to 1, H and W multiples of 64, to integers and back."""

    def __init__(self, architecture: MixtureArchitecture) -> None:
        super().__init__()
        a = self.architecture = architecture
        pixels = 3 * FINE_STEP**2
        self.analysis = nn.Sequential(
            nn.PixelUnshuffle(FINE_STEP),
            nn.Conv2d(pixels, a.fine, 3, padding=1),
            GDN(a.fine),
            LeakyResidual(a.fine),
            nn.Conv2d(a.fine, a.middle, 2, stride=2),
            GDN(a.middle),
            LeakyResidual(a.middle),
            Attention(a.middle),
            nn.Conv2d(a.middle, a.latents, 2, stride=2),
        )
        self.synthesis = nn.Sequential(
            Up(a.latents, a.middle),
            Attention(a.middle),
            LeakyResidual(a.middle),
            GDN(a.middle, inverse=True),
            Up(a.middle, a.fine),
            LeakyResidual(a.fine),
            GDN(a.fine, inverse=True),
            nn.Conv2d(a.fine, pixels, 3, padding=1),
            nn.PixelShuffle(FINE_STEP),
        )
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(a.latents, 2 * a.hyper, 1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(2 * a.hyper, 2 * a.hyper, 2, stride=2),
            nn.LeakyReLU(0.1),
            nn.Conv2d(2 * a.hyper, a.hyper, 2, stride=2),
        )
        self.entropy = EntropyModel(a)
        self.inverse_gain = nn.Parameter(-self.entropy.gain.detach().clone())

    def analyse(self, images: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """level: [B] in 0 to 1. Returns latents and hyperlatents, not rounded yet."""
        latents = LATENT_SCALE * self.analysis(images - 0.5).float()
        hyper = LATENT_SCALE * self.hyper_analysis(latents.sign() * latents.abs().log1p()).float()
        return latents * factor(self.entropy.gain, level), hyper * factor(self.entropy.hyper_gain, level)

    def synthesise(self, latents: Tensor, level: Tensor) -> Tensor:
        """Integer latents -> pictures, unclipped."""
        scaled = latents * factor(self.inverse_gain, level)
        return self.synthesis(scaled.float() / LATENT_SCALE).float() + 0.5


def mixture_bits(values: Tensor, parameters: Tensor) -> Tensor:
    """Bits of each value [B, C, H, W] under mixtures [B, 3, COMPONENTS, C, H, W] over unit steps."""
    weights, means, log_scales = parameters.unbind(1)
    inverse = (-log_scales.clamp(*LOG_SCALES)).exp()
    distance = (values[:, None] - means).abs()
    upper, lower = ((half - distance) * inverse for half in (0.5, -0.5))
    chance = (weights.softmax(1) * (torch.special.ndtr(upper) - torch.special.ndtr(lower))).sum(1)
    return -chance.clamp(min=LEAST_CHANCE).log2()
