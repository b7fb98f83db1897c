"""Training of the convolutional joint source-channel coder.

The loss is the mean log of each frame's mean squared error, that is its PSNR, or of 1 - MS-SSIM: every SNR,
every ratio and every picture weighs the same, with no table of weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from jscc_sim.blocks import reassemble, split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.checkpoint import WEIGHTS
from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.nn.bank import Bank, pool_gain
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.nn.pictures import image_of
from jscc_sim.training.objective import FIGURES, LEAST_SIDE, OBJECTIVES, PSNR, logarithm
from jscc_sim.training.scenario import Scenario, disturb, draw_scenario
from jscc_sim.training.task import Task
from jscc_sim.training.training_range import TrainingRange
from jscc_sim.units import BLOCK, BLOCK_SAMPLES
from jscc_sim.zoo import Zoo

VALIDATION_SNR_DB = 10.0
VALIDATION_USES = 192
LEAST_ERROR = 1e-9
"""In validation: 90 dB."""
CBR = Fraction(VALIDATION_USES, BLOCK_SAMPLES)


@dataclass(frozen=True)
class BlockJSCCTask(Task[ConvCoder]):
    """Every crop is a frame of its own, with its own SNR, ratios and power pool.

    start: the zoo whose weights the network begins with instead of random ones, of the same architecture, or
    of one with fewer layers of attention: new ones change nothing at first; objective: one of OBJECTIVES.
    """

    architecture: ConvArchitecture
    training_range: TrainingRange = field(default_factory=TrainingRange)
    start: Zoo | None = None
    objective: str = PSNR
    system: ClassVar[str] = "block-jscc"
    summary: ClassVar[str] = (
        "convolutional autoencoders, latent channels and modulation per ratio on a shared trunk"
    )
    crops: ClassVar[int] = 6
    side: ClassVar[int] = 160
    logarithmic: ClassVar[bool] = True
    validated: ClassVar[str] = f"every block alike, CBR {CBR}, {VALIDATION_SNR_DB:g} dB, no header"
    multiple: ClassVar[int] = BLOCK
    compiled: ClassVar[tuple[str, ...]] = ("encode", "decode")
    formerly: ClassVar[Mapping[str, Any]] = {"loss": PSNR}

    def settings(self) -> Mapping[str, Any]:
        """See Task.settings."""
        start = None if self.start is None else self.start.manifest["files"][WEIGHTS]
        drawn = {"snr_db": self.training_range.snr_db, "uses": self.training_range.uses}
        return {**drawn, "start": start, "loss": self.objective}

    def network(self) -> ConvCoder:
        """See Task.network. Raises InputError where the start is of another architecture."""
        coder = self.shape()
        if self.start is not None:
            start = conv_coder(self.start)
            extended = replace(start.architecture, attention=self.architecture.attention)
            if extended != self.architecture or start.architecture.attention > self.architecture.attention:
                raise InputError(f"zoo {self.start.name} is of another network than the one to train")
            coder.load_state_dict(start.state_dict(), strict=start.architecture == self.architecture)
        return coder

    def shape(self) -> ConvCoder:
        """See Task.shape."""
        return ConvCoder(self.architecture)

    def loss(
        self, network: ConvCoder, images: Tensor, rng: np.random.Generator, generator: torch.Generator
    ) -> Tensor:
        """The mean logarithm of the error that the objective names: minus PSNR, in natural units."""
        scenario = draw_scenario(images, self.architecture.uses, rng, self.training_range)
        latents = network.encode(images, scenario.index, scenario.sender_snr_db)
        received, snrs_db = disturb(latents, network.used[scenario.index], scenario, generator)
        decoded = network.decode(received, scenario.index, snrs_db)
        return logarithm(self.objective, decoded, images).mean()

    def once(self, network: ConvCoder) -> int:
        """See Task.once."""
        index, snrs = torch.zeros(1, 8, 8, dtype=torch.long), torch.zeros(1, 8, 8, 2)
        latents = network.encode(torch.zeros(1, 3, 8 * BLOCK, 8 * BLOCK), index, torch.zeros(1))
        network.decode(latents, index, snrs)
        return (8 * BLOCK) ** 2

    def validate(self, network: ConvCoder, pictures: list[Picture]) -> Mapping[str, float]:
        """Mean PSNR, uniform at CBR 1/16 and 10 dB, no header; of a network for MS-SSIM that, too, as
        -10 log10(1 - MS-SSIM). Pictures without a whole block are left out; NaN without pictures."""
        names = dict.fromkeys([PSNR, self.objective])
        found: dict[str, list[float]] = {name: [] for name in names}
        device = next(network.parameters()).device
        generator = torch.Generator(device).manual_seed(0)
        snr_db = torch.tensor([VALIDATION_SNR_DB], device=device)
        for picture in whole_blocks(pictures):
            height, width = picture.shape[:2]
            image = image_of(picture).to(device)
            choice = self.architecture.uses.index(VALIDATION_USES)
            index = torch.full((1, height // BLOCK, width // BLOCK), choice, device=device)
            scenario = Scenario.plain(index, snr_db)
            latents = network.encode(image, index, snr_db)
            received, snrs_db = disturb(latents, network.used[index], scenario, generator)
            decoded = network.decode(received, index, snrs_db)
            for name in names if min(height, width) >= LEAST_SIDE else [PSNR]:
                error = OBJECTIVES[name](decoded, image).item()
                found[name].append(-10 * math.log10(max(error, LEAST_ERROR)))
        return {FIGURES[name]: float(np.mean(v)) if v else float("nan") for name, v in found.items()}


def whole_blocks(pictures: Iterable[Picture]) -> Iterator[Picture]:
    """The pictures without what is no whole block; those that have none are left out."""
    for picture in pictures:
        height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
        if height and width:
            yield picture[:height, :width]


def bank_quality_db(
    bank: Bank,
    pictures: Iterable[Picture],
    objective: str = PSNR,
    uses: int = VALIDATION_USES,
    snr_db: float = VALIDATION_SNR_DB,
) -> float:
    """What `BlockJSCCTask.validate` measures of a network, of any bank, at so many uses a block; pictures as
    they arrive, rounded and clipped. Those too small for an objective are left out; NaN without pictures.
    Raises InputError for uses that are no ratio."""
    figures = []
    (choice,) = bank.ratios.indices([uses])
    rng = np.random.default_rng(0)
    for picture in pictures:
        if objective != PSNR and min(picture.shape[:2]) < LEAST_SIDE:
            continue
        blocks, grid = split(picture)
        index = np.full(len(grid), choice)
        latents = bank.encode(blocks, grid, index, snr_db)
        gain = pool_gain(latents)
        received = equalise(AWGN(snr_db)((gain * latents).astype(np.complex64), rng))
        arrived = reassemble(bank.decode(received, gain, grid, index, snr_db), grid)
        error = OBJECTIVES[objective](image_of(arrived), image_of(picture)).item()
        figures.append(-10 * math.log10(max(error, LEAST_ERROR)))
    return float(np.mean(figures)) if figures else float("nan")


def conv_coder(zoo: Zoo) -> ConvCoder:
    """The network of a zoo. Raises InputError for a zoo that has none."""
    if not isinstance(zoo.bank, ConvBank):
        raise InputError(f"zoo {zoo.name} has no network")
    return zoo.bank.coder
