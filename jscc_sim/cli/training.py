"""`train` and `calibrate`: make a zoo of one's own."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from jscc_sim.errors import InputError
from jscc_sim.training.calibrate import calibrate as fit_predictor
from jscc_sim.training.data import Split, split_folder
from jscc_sim.units import BLOCK, STANDARD_RATIOS
from jscc_sim.zoo import Zoo, load_zoo, save_calibration, update_manifest

CALIBRATION_IMAGES = 80


def train(arguments: argparse.Namespace) -> int:
    """Train or fit, write the zoo, calibrate it."""
    _check(arguments)
    split = split_folder(arguments.folder)
    folder = Path(arguments.out)
    notes = {"data": _data(split, arguments.folder), "command": _command(arguments)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"zoo folder {folder} cannot be made: {error.strerror}") from None
    if arguments.bank == "linear":
        from jscc_sim.training.linear import fit_linear
        from jscc_sim.training.release import release_linear

        zoo = release_linear(fit_linear(split.training), folder, notes)
    else:
        trained = _train_conv(arguments, split, folder, notes)
        if trained is None:
            print(f"stopped; the same command goes on from {folder}")
            return 130
        zoo = trained
    _calibrate(zoo, split, CALIBRATION_IMAGES, arguments.seed)
    print(f"zoo written to {folder}; use it with --zoo {folder}")
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit the calibration of an existing zoo anew."""
    _at_least(arguments, images=1, seed=0)
    zoo = load_zoo(arguments.zoo)
    if arguments.companion is not None:
        _ = replace(zoo, manifest={**zoo.manifest, "companion": arguments.companion}).family
    zoo = _calibrate(zoo, split_folder(arguments.folder), arguments.images, arguments.seed)
    if arguments.companion is not None:
        update_manifest(zoo, companion=arguments.companion)
    print(f"calibration written to {arguments.zoo}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """The numbers of `train`, before anything is read or written."""
    _at_least(arguments, fine=1, coarse=1, crops=1, side=1, steps=1, seed=0)
    if arguments.side % BLOCK:
        raise InputError(f"--side {arguments.side} is not a multiple of {BLOCK}")
    if min(arguments.depths) < 0:
        raise InputError(f"--depths {min(arguments.depths)} is below 0")
    for name in ("minutes", "checkpoint_seconds"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name.replace('_', '-')} {value:g} is not a number above 0")


def _at_least(arguments: argparse.Namespace, **limits: int) -> None:
    for name, least in limits.items():
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise InputError(f"--{name} {value} is below {least}")


def _train_conv(
    arguments: argparse.Namespace, split: Split, folder: Path, notes: dict[str, Any]
) -> Zoo | None:
    import torch

    from jscc_sim.nn.conv import ConvArchitecture
    from jscc_sim.training.loop import Recipe
    from jscc_sim.training.loop import train as run
    from jscc_sim.training.release import release_conv

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda is not there; this machine has cpu")
    recipe = Recipe(
        steps=arguments.steps,
        minutes=arguments.minutes or 60.0,
        seed=arguments.seed,
        crops=arguments.crops,
        side=arguments.side,
        checkpoint_seconds=arguments.checkpoint_seconds,
        bf16=not arguments.fp32,
        compile=arguments.compile,
        device=arguments.device,
    )
    shape = (arguments.fine, arguments.coarse, *arguments.depths)
    architecture = ConvArchitecture(STANDARD_RATIOS.uses, *shape)
    trainer = run(split, folder, architecture, recipe)
    if trainer.step != trainer.recipe.steps:
        return None
    return release_conv(trainer.average.cpu(), folder, {**notes, "steps": trainer.step})


def _calibrate(zoo: Zoo, split: Split, images: int, seed: int) -> Zoo:
    largest = sorted(split.training, key=lambda path: (-path.stat().st_size, path.name))[:images]
    predictor = fit_predictor(zoo, largest, seed)
    return save_calibration(zoo, predictor, {"images": len(largest), "seed": seed, "channel": "AWGN"})


def _command(arguments: argparse.Namespace) -> str:
    """The command that is running, folders by their last name: paths of one machine help nobody."""
    short = {word: Path(word).name for word in (arguments.folder, arguments.out)}
    return shlex.join(["jscc-sim", *(short.get(word, word) for word in sys.argv[1:])])


def _data(split: Split, folder: str) -> str:
    return f"{len(split.training)} images of {Path(folder).name}/; {len(split.validation)} held out by name"
