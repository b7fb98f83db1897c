"""The training loop of all networks: batches, two optimisers, checkpoints that resume exactly."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from jscc_sim.errors import InputError
from jscc_sim.images import Picture
from jscc_sim.inference import random_state_kept
from jscc_sim.nn.pictures import unit_range
from jscc_sim.training.data import Split
from jscc_sim.training.muon import Muon
from jscc_sim.training.task import Batches, Task
from jscc_sim.units import BLOCK

EMA_DECAY = 0.9995
TIMED_STEPS = 40

N = TypeVar("N", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """How to train. The learning rates are `rate` times the usual ones; they warm up, stay, and fall to zero
    over the last `decay_share` of `steps`; a resumed run may set a later or earlier end. steps None: as many
    as `minutes` hold at the speed of the first steps."""

    steps: int | None = None
    minutes: float = 60.0
    seed: int = 0
    crops: int = 6
    side: int = 160
    kernel_rate: float = 4e-3
    other_rate: float = 6e-4
    rate: float = 1.0
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
            return self.rate * min(1.0, warming)
        falling = (self.steps - step) / max(1, round(self.decay_share * self.steps))
        return self.rate * max(0.0, min(1.0, warming, falling))


class Trainer(Generic[N]):
    """The state of a training run: network, its moving average, optimiser, random streams."""

    def __init__(self, task: Task[N], recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.task, self.recipe = task, recipe
        self.network = task.network().float().to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = task.network().float().to(recipe.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average.load_state_dict(self.network.state_dict())
        for method in task.compiled if recipe.compile else ():
            setattr(self.network, method, torch.compile(getattr(self.network, method)))
        kernels = [p for p in self.network.parameters() if p.ndim == 4]
        others = [p for p in self.network.parameters() if p.ndim != 4]
        adam = torch.optim.AdamW(others, recipe.other_rate, (0.9, 0.98), weight_decay=0.01, fused=True)
        self.optimizers: dict[str, torch.optim.Optimizer] = {"adam": adam}
        if kernels:
            self.optimizers["muon"] = Muon(kernels, recipe.kernel_rate)
        self.base_rates = {"muon": recipe.kernel_rate, "adam": recipe.other_rate}
        self.rng = np.random.default_rng(recipe.seed)
        self.generator = torch.Generator(recipe.device).manual_seed(recipe.seed)
        self.step = 0

    def advance(self, batches: Batches) -> Tensor:
        """One optimiser step. Returns the loss."""
        recipe = self.recipe
        images = unit_range(batches.draw(recipe.crops, self.rng))
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = self.base_rates[name] * recipe.schedule(self.step)
        with torch.autocast(torch.device(recipe.device).type, torch.bfloat16, enabled=recipe.bf16):
            loss = self.task.loss(self.network, images, self.rng, self.generator)
        self.network.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.step += 1
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return loss.detach()

    @torch.no_grad()
    def validate(self, pictures: list[Picture]) -> dict[str, float]:
        """The task's figures of the moving average."""
        return dict(self.task.validate(self.average, pictures))

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
            "architecture": json.dumps(dataclasses.asdict(self.task.architecture)),
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
        ours = json.loads(json.dumps(dataclasses.asdict(self.task.architecture)))
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


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@random_state_kept()
def train(split: Split | None, folder: Path, task: Task[N], recipe: Recipe) -> Trainer[N]:
    """Train until `recipe.steps`, or until interrupted; resume from `folder` if it has a checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.safetensors"
    trainer = Trainer(task, recipe)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    batches = task.batches(split, recipe.side, recipe.device)
    held_out = task.held_out(split)
    blocks_per_step = recipe.crops * (recipe.side / BLOCK) ** 2
    with (
        stop_on_signal() as stopped,
        tqdm(total=trainer.recipe.steps, initial=trainer.step, disable=None) as bar,
    ):
        mean, started, first = torch.zeros((), device=recipe.device), time.monotonic(), trainer.step
        while not stopped and (trainer.recipe.steps is None or trainer.step < trainer.recipe.steps):
            mean = mean.lerp(trainer.advance(batches), 1 / min(trainer.step - first, 200))
            bar.update()
            seconds = time.monotonic() - started
            if trainer.recipe.steps is None and trainer.step >= TIMED_STEPS:
                bar.total = round(recipe.minutes * 60 / seconds * (trainer.step - first))
                trainer.recipe = replace(trainer.recipe, steps=max(bar.total, TIMED_STEPS))
            ended = trainer.step == trainer.recipe.steps
            if seconds > recipe.checkpoint_seconds or ended or stopped:
                speed = (trainer.step - first) * blocks_per_step / seconds
                trainer.save(checkpoint)
                figures = "  ".join(f"{k} {v:.4g}" for k, v in trainer.validate(held_out).items())
                line = f"step {trainer.step}/{trainer.recipe.steps}  loss {mean.item():.4f}  "
                tqdm.write(f"{line}validation {figures}  {speed:.0f} blocks/s")
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
