"""The training loop of all networks: batches, two optimisers, checkpoints that resume exactly, a log."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from jscc_sim.checkpoint import TRAINING_STATE
from jscc_sim.errors import InputError
from jscc_sim.files import check_regular
from jscc_sim.images import Picture
from jscc_sim.inference import random_state_kept
from jscc_sim.nn.pictures import unit_range
from jscc_sim.training.data import Split
from jscc_sim.training.log import LOG, Log, column
from jscc_sim.training.muon import Muon
from jscc_sim.training.progress import EVERY_SECONDS
from jscc_sim.training.task import Batches, Task
from jscc_sim.units import BLOCK

EMA_DECAY = 0.9995
TIMED_STEPS, TIMED_SHARE = 40, 0.2
"""After so many, or so much of the time, it is settled how many steps the time holds. The first does
not count: it may compile."""

LARGEST_CHECKPOINT_BYTES = 1 << 34

KEPT = ("seed", "crops", "side", "rate")
"""Of a recipe: a run that goes on has the same."""

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
    """The state of a training run: network, its moving average, optimiser, random streams. restored: the step
    of the checkpoint that it goes on from, or 0."""

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
        self.step = self.restored = 0

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
        tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
        if not all_finite(tensors):
            raise InputError(
                f"training diverged: after step {self.step} weights are not finite; checkpoint {path} is not "
                "written, and an earlier one is kept"
            )
        metadata = {
            "step": str(self.step),
            "rng": json.dumps(self.rng.bit_generator.state),
            "architecture": json.dumps(dataclasses.asdict(self.task.architecture)),
            "steps": json.dumps(self.recipe.steps),
            "settings": json.dumps(self._settings()),
        }
        metadata["sha256"] = _digest(tensors, metadata)
        temporary = path.with_suffix(".partial")
        try:
            save_file(tensors, temporary, metadata)
            temporary.replace(path)
        except (OSError, SafetensorError) as error:
            raise InputError(f"checkpoint {path} cannot be written: {error}") from None
        finally:
            temporary.unlink(missing_ok=True)

    def restore(self, path: Path) -> None:
        """Continue where `save` stopped. Raises InputError for a damaged checkpoint, another
        architecture's or recipe's, or one beyond the steps asked for."""
        try:
            check_regular(path, LARGEST_CHECKPOINT_BYTES)
            with safe_open(path, "pt") as file:
                metadata = file.metadata()
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            theirs, step = json.loads(metadata["architecture"]), int(metadata["step"])
            steps, rng = json.loads(metadata["steps"]), json.loads(metadata["rng"])
            settings = json.loads(metadata.get("settings", "{}"))
            if "sha256" in metadata and metadata.pop("sha256") != _digest(tensors, metadata):
                raise ValueError("its checksum differs")
            if not all_finite(tensors):
                raise ValueError("it holds values that are not finite")
        except (OSError, SafetensorError, TypeError, KeyError, ValueError, RecursionError) as error:
            raise InputError(f"checkpoint {path} is damaged: {error}") from None
        ours = json.loads(json.dumps(dataclasses.asdict(self.task.architecture)))
        if theirs != ours:
            what = _differences(theirs, ours) or f"it is no architecture of {self.task.system}"
            raise InputError(f"checkpoint {path} is of another network: {what}")
        if self.recipe.steps is None:
            self.recipe = replace(self.recipe, steps=steps)
        if self.recipe.steps is not None and step > self.recipe.steps:
            raise InputError(f"checkpoint {path} has {step} steps, more than the {self.recipe.steps} wanted")
        settings = {**self.task.formerly, **settings}
        for name, value in json.loads(json.dumps(self._settings())).items():
            if settings.get(name, value) != value:
                raise InputError(f"checkpoint {path} is of a run with {name} {settings[name]}, not {value}")
        try:
            self._set_state(tensors, rng)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"checkpoint {path} is damaged: {error}") from None
        self.step = self.restored = step

    def _settings(self) -> dict[str, Any]:
        """What a run that goes on may not change: its manifest names one command."""
        return {name: getattr(self.recipe, name) for name in KEPT} | dict(self.task.settings())

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


def all_finite(tensors: Mapping[str, Tensor]) -> bool:
    """Whether no number is a NaN or an infinity."""
    return all(bool(values.isfinite().all()) for values in tensors.values())


def _digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """sha256 of all that a checkpoint holds, but for this."""
    found = hashlib.sha256(json.dumps(sorted(metadata.items())).encode())
    for name, values in sorted(tensors.items()):
        found.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        found.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries below a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _differences(theirs: Any, ours: dict[str, Any]) -> str:
    """`fine 8, not 16; coarse 16, not 32` of two architectures; empty where they do not compare."""
    if not isinstance(theirs, dict) or theirs.keys() != ours.keys():
        return ""
    return "; ".join(f"{key} {theirs[key]}, not {ours[key]}" for key in ours if theirs[key] != ours[key])


@random_state_kept()
def train(split: Split | None, folder: Path, task: Task[N], recipe: Recipe) -> Trainer[N]:
    """Train until `recipe.steps`, or until interrupted; resume from `folder` if it has a checkpoint. Leaves
    the checkpoint and a log there."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / TRAINING_STATE
    trainer = Trainer(task, recipe)
    if checkpoint.exists():
        trainer.restore(checkpoint)
    log = Log(folder / LOG, trainer.step)
    batches = task.batches(split, recipe.side, recipe.device)
    held_out = task.held_out(split)
    with (
        stop_on_signal() as stop,
        tqdm(total=trainer.recipe.steps, initial=trainer.step, disable=None) as bar,
    ):
        mean, begun, began_at = torch.zeros((), device=recipe.device), time.monotonic(), trainer.step
        saved = said = warm = begun
        while trainer.recipe.steps is None or trainer.step < trainer.recipe.steps:
            with stop.at_once(trainer.step == began_at):  # the first step may compile for minutes
                mean = mean.lerp(trainer.advance(batches), 1 / min(trainer.step - began_at, 200))
            if stop.gave_up:
                break
            bar.update()
            now = time.monotonic()
            made = trainer.step - began_at
            if made == 1:
                warm = now
            speed = (made - 1) / (now - warm) if made > 1 else 1 / (now - begun)
            left = recipe.minutes * 60 - (now - begun)
            timed = made > TIMED_STEPS or (made > 1 and now - warm > TIMED_SHARE * left) or left <= 0
            if trainer.recipe.steps is None and timed:
                bar.total = trainer.step + max(round(left * speed), 0)
                trainer.recipe = replace(trainer.recipe, steps=bar.total)
            ended = trainer.step == trainer.recipe.steps
            due = ended or now - saved > recipe.checkpoint_seconds
            if not (due or stop.wanted or now - said > EVERY_SECONDS):
                continue
            said = now
            row: dict[str, float] = {"step": trainer.step, "seconds": log.seconds_before + now - begun}
            row |= _progress(task, mean.item()) | {"rate": trainer.recipe.schedule(trainer.step - 1)}
            figures: dict[str, float] = {}
            if due or stop.wanted:
                trainer.save(checkpoint)
                saved = now
            if due and not stop.wanted:
                with stop.at_once():
                    figures = trainer.validate(held_out)
            log.add(row | {column(name): value for name, value in figures.items()})
            _say(bar, trainer, row, figures, speed)
            if stop.wanted:
                break
    return trainer


def _progress(task: Task[Any], loss: float) -> dict[str, float]:
    return {"loss_db": 10 / math.log(10) * loss} if task.logarithmic else {"loss": loss}


def _say(
    bar: Any, trainer: Trainer[Any], row: dict[str, float], figures: dict[str, float], speed: float
) -> None:
    """One line on a row of the log; without figures only where no bar says as much. speed: steps a second."""
    recipe = trainer.recipe
    blocks = speed * recipe.crops * (recipe.side / BLOCK) ** 2
    loss = f"loss {row['loss_db']:.2f} dB" if "loss_db" in row else f"loss {row['loss']:.4f}"
    words = [f"step {trainer.step}/{recipe.steps or '?'}", loss]
    words += [f"validation {'  '.join(f'{k} {v:.4g}' for k, v in figures.items())}"] * bool(figures)
    words += [f"{blocks:.0f} blocks/s"]
    left = (recipe.steps - trainer.step) / speed if recipe.steps else 0.0
    words += [f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left"] * bool(left)
    line = "  ".join(words)
    if figures:
        with tqdm.external_write_mode():
            print(line, flush=True)  # a log file is read while it is written
    elif bar.disable:
        print(line, file=sys.stderr, flush=True)


class Stop:
    """Whether Ctrl-C or SIGTERM came, so that the loop can end with a checkpoint."""

    def __init__(self) -> None:
        self.wanted = self.gave_up = self._at_once = False

    def __call__(self, number: int, frame: object) -> None:
        """The signals' handler."""
        self.wanted = True
        if self._at_once:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def at_once(self, allowed: bool = True) -> Iterator[None]:
        """What is done here is given up when a signal comes: it may take long, and costs nothing to lose."""
        self._at_once = allowed
        try:
            yield
        except KeyboardInterrupt:
            self.gave_up = self.wanted
            if not self.wanted:
                raise
        finally:
            self._at_once = False


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """What becomes `wanted` at Ctrl-C or SIGTERM."""
    stop = Stop()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield stop
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
