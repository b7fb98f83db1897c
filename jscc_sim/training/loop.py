"""The training loop: batches of crops, each a frame of its own, checkpoints that resume exactly.

The loss is the mean log of each frame's mean squared error, that is its PSNR: every SNR, every ratio
and every picture weighs the same, with no table of weights.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.nn.conv import ConvArchitecture, ConvCoder
from jscc_sim.training.data import Crops, Split, load
from jscc_sim.training.muon import Muon
from jscc_sim.training.scenario import Scenario, disturb, draw_scenario
from jscc_sim.units import BLOCK

EMA_DECAY = 0.9995
MSE_FLOOR = 1e-5
"""Keeps flat crops, which any network sends at 50 dB, from outweighing the rest."""
VALIDATION_IMAGES = 24
VALIDATION_SNR_DB = 10.0
VALIDATION_USES = 192
TIMED_STEPS = 40


@dataclass(frozen=True)
class Recipe:
    """How to train. The learning rate warms up, stays, and falls to zero over the last
    `decay_share` of `steps`; a resumed run may set a later or earlier end. steps None: as many as
    `minutes` hold at the speed of the first steps."""

    steps: int | None = None
    minutes: float = 60.0
    seed: int = 0
    crops: int = 6
    side: int = 160
    kernel_rate: float = 4e-3
    other_rate: float = 6e-4
    warm_up: int = 300
    decay_share: float = 0.8
    checkpoint_seconds: float = 240.0
    bf16: bool = True
    compile: bool = False
    device: str = "cpu"

    def schedule(self, step: int) -> float:
        """Share of the learning rates that is in force at a step."""
        warming = (step + 1) / self.warm_up
        if self.steps is None:
            return min(1.0, warming)
        falling = (self.steps - step) / max(1, round(self.decay_share * self.steps))
        return max(0.0, min(1.0, warming, falling))


class Trainer:
    """The state of a training run: network, its moving average, optimiser, random streams."""

    def __init__(self, architecture: ConvArchitecture, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.network = ConvCoder(architecture).to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = ConvCoder(architecture).to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average.load_state_dict(self.network.state_dict())
        self.encode, self.decode = self.network.encode, self.network.decode
        if recipe.compile:
            self.encode, self.decode = torch.compile(self.encode), torch.compile(self.decode)
        kernels = [p for p in self.network.parameters() if p.ndim == 4]
        others = [p for p in self.network.parameters() if p.ndim != 4]
        adam = torch.optim.AdamW(others, recipe.other_rate, (0.9, 0.98), weight_decay=0.01, fused=True)
        self.optimizers = {"muon": Muon(kernels, recipe.kernel_rate), "adam": adam}
        self.base_rates = {"muon": recipe.kernel_rate, "adam": recipe.other_rate}
        self.rng = np.random.default_rng(recipe.seed)
        self.generator = torch.Generator(recipe.device).manual_seed(recipe.seed)
        self.step = 0

    def advance(self, crops: Crops) -> Tensor:
        """One optimiser step. Returns the batch's mean PSNR in dB."""
        recipe = self.recipe
        images = unit_range(crops.draw(recipe.crops, self.rng))
        scenario = draw_scenario(images, self.network.architecture.uses, self.rng)
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = self.base_rates[name] * recipe.schedule(self.step)
        with torch.autocast(torch.device(recipe.device).type, torch.bfloat16, enabled=recipe.bf16):
            latents = self.encode(images, scenario.index, scenario.sender_snr_db)
            received, snrs_db = disturb(latents, self.network.used[scenario.index], scenario, self.generator)
            decoded = self.decode(received, scenario.index, snrs_db)
        loss = ((decoded - images).square().mean((1, 2, 3)) + MSE_FLOOR).log().mean()
        self.network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return loss.detach() * (-10 / math.log(10))

    @torch.no_grad()
    def validate(self, pictures: list[Picture]) -> float:
        """Mean PSNR in dB of the moving average, uniform at CBR 1/16 and 10 dB, no header. NaN without
        pictures. Each must have a whole block."""
        psnrs = []
        device = self.recipe.device
        generator = torch.Generator(device).manual_seed(0)
        snr_db = torch.tensor([VALIDATION_SNR_DB], device=device)
        for picture in pictures:
            height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
            whole = torch.from_numpy(np.ascontiguousarray(picture[:height, :width])).to(device)
            image = unit_range(whole.permute(2, 0, 1)[None])
            choice = self.network.architecture.uses.index(VALIDATION_USES)
            index = torch.full((1, height // BLOCK, width // BLOCK), choice, device=device)
            scenario = Scenario(index, snr_db, snr_db, torch.zeros(1, dtype=torch.bool, device=device))
            latents = self.average.encode(image, index, snr_db)
            received, snrs_db = disturb(latents, self.average.used[index], scenario, generator)
            mse = F.mse_loss(self.average.decode(received, index, snrs_db), image)
            psnrs.append(-10 * math.log10(mse.item()))
        return float(np.mean(psnrs)) if psnrs else float("nan")

    def save(self, path: Path) -> None:
        """Write the whole state; an interrupted write leaves the earlier checkpoint."""
        tensors = {f"network.{k}": v for k, v in self.network.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for number, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.{number}.{k}": v for k, v in state.items()}
        tensors["generator"] = self.generator.get_state()
        metadata = {
            "step": str(self.step),
            "rng": json.dumps(self.rng.bit_generator.state),
            "architecture": json.dumps(dataclasses.asdict(self.network.architecture)),
            "steps": json.dumps(self.recipe.steps),
        }
        temporary = path.with_suffix(".partial")
        try:
            save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata)
            temporary.replace(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"checkpoint {path} cannot be written: {error}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def restore(self, path: Path) -> None:
        """Continue where `save` stopped. Raises InputError for a damaged checkpoint, another
        architecture's, or one beyond the steps asked for."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            theirs, step = json.loads(metadata["architecture"]), int(metadata["step"])
            steps, rng = json.loads(metadata["steps"]), json.loads(metadata["rng"])
        except (OSError, SafetensorError, TypeError, KeyError, ValueError) as error:
            raise InputError(f"checkpoint {path} is damaged: {error}") from None
        ours = json.loads(json.dumps(dataclasses.asdict(self.network.architecture)))
        if theirs != ours:
            raise InputError(f"checkpoint {path} has the architecture {theirs}, not {ours}")
        if self.recipe.steps is None:
            self.recipe = replace(self.recipe, steps=steps)
        if self.recipe.steps is not None and step > self.recipe.steps:
            raise InputError(f"checkpoint {path} has {step} steps, more than the {self.recipe.steps} wanted")
        try:
            self._set_state(tensors, rng)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"checkpoint {path} is damaged: {error}") from None
        self.step = step

    def _set_state(self, tensors: dict[str, Tensor], rng: dict[str, Any]) -> None:
        self.network.load_state_dict(part(tensors, "network."))
        self.average.load_state_dict(part(tensors, "average."))
        for name, optimizer in self.optimizers.items():
            groups, moments = optimizer.state_dict()["param_groups"], part(tensors, f"{name}.")
            state = {n: part(moments, f"{n}.") for n in groups[0]["params"]}
            optimizer.load_state_dict(
                {"state": {n: s for n, s in state.items() if s}, "param_groups": groups}
            )
        self.generator.set_state(tensors["generator"])
        self.rng.bit_generator.state = rng


def unit_range(pixels: Tensor) -> Tensor:
    """[B, 3, H, W] uint8 -> float32 in 0 to 1, channels last in memory."""
    return pixels.float().div(255).contiguous(memory_format=torch.channels_last)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def train(split: Split, folder: Path, architecture: ConvArchitecture, recipe: Recipe) -> Trainer:
    """Train until `recipe.steps`, or until interrupted; resume from `folder` if it has a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.safetensors"
    trainer = Trainer(architecture, recipe)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    crops = Crops(load(split.training), recipe.side, recipe.device)
    held_out = [p for p in load(split.validation[:VALIDATION_IMAGES]) if min(p.shape[:2]) >= BLOCK]
    blocks_per_step = recipe.crops * (recipe.side // BLOCK) ** 2
    with (
        stop_on_signal() as stopped,
        tqdm(total=trainer.recipe.steps, initial=trainer.step, disable=None) as bar,
    ):
        mean, started, first = torch.zeros((), device=recipe.device), time.monotonic(), trainer.step
        while not stopped and (trainer.recipe.steps is None or trainer.step < trainer.recipe.steps):
            mean = mean.lerp(trainer.advance(crops), 1 / min(trainer.step - first, 200))
            bar.update()
            seconds = time.monotonic() - started
            if trainer.recipe.steps is None and trainer.step >= TIMED_STEPS:
                bar.total = round(recipe.minutes * 60 / seconds * (trainer.step - first))
                trainer.recipe = replace(trainer.recipe, steps=max(bar.total, TIMED_STEPS))
            ended = trainer.step == trainer.recipe.steps
            if seconds > recipe.checkpoint_seconds or ended or stopped:
                speed = (trainer.step - first) * blocks_per_step / seconds
                trainer.save(checkpoint)
                validation = trainer.validate(held_out)
                line = f"step {trainer.step}/{trainer.recipe.steps}  loss {-mean.item():.3f} dB  "
                tqdm.write(f"{line}validation PSNR {validation:.3f} dB  {speed:.0f} blocks/s")
                started, first = time.monotonic(), trainer.step
    return trainer


@contextlib.contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """A list that fills at Ctrl-C or SIGTERM, so that the loop can end with a checkpoint."""
    stopped: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(s, lambda number, _: stopped.append(number)) for s in signals]
    try:
        yield stopped
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
