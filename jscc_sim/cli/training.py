"""`train` and `calibrate`: make weights of one's own."""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jscc_sim.checkpoint import WEIGHTS
from jscc_sim.cli.outputs import writable_folder
from jscc_sim.errors import InputError, counted
from jscc_sim.files import check_apart
from jscc_sim.systems.catalogue import BLOCK_JSCC
from jscc_sim.training.calibrate import calibrate as fit_predictor
from jscc_sim.training.calibrate import check_material
from jscc_sim.training.data import Split, split_folder
from jscc_sim.training.learned import WITHOUT_PICTURES
from jscc_sim.training.objective import LEAST_SIDE, MS_SSIM, PSNR
from jscc_sim.training.training_range import TrainingRange
from jscc_sim.units import BLOCK, LARGEST_SEED, STANDARD_RATIOS, RatioSet
from jscc_sim.zoo import (
    Zoo,
    check_new,
    check_own,
    check_unreleased,
    load_zoo,
    save_calibration,
    update_manifest,
)

if TYPE_CHECKING:  # torch is loaded once everything is checked
    from jscc_sim.nn.conv import ConvArchitecture
    from jscc_sim.training.loop import Trainer
    from jscc_sim.training.task import Task

CALIBRATION_IMAGES = 80
CURVES = "training.png"
LINEAR = "linear"
FINE, COARSE, DEPTHS = 128, 192, (3, 3, 3, 4)

WIDEST, DEEPEST, LONGEST_SIDE, MOST_CROPS, MOST = 4096, 100, 8192, 1 << 16, 10**9
"""Limits of options: of channels, residual blocks, a crop's side, crops, and of what else is counted."""

MOST_PIXELS = 1 << 28
"""Of a step's crops: more than any accelerator holds with what a network makes of them."""


def train(arguments: argparse.Namespace) -> int:
    """Train or fit and write what came of it; a zoo is calibrated too."""
    _check(arguments)
    writable_folder(Path(arguments.out))
    check_unreleased(Path(arguments.out))
    split = _material(arguments)
    if split is not None:
        _check_holds_none(Path(arguments.out), [*split.training, *split.validation])
    if arguments.system == BLOCK_JSCC:
        assert split is not None
        start = None if arguments.start is None else load_zoo(arguments.start)
        ratios = STANDARD_RATIOS if start is None else start.ratios
        check_material(_largest(split, CALIBRATION_IMAGES), len(ratios), arguments.seed)
    folder = Path(arguments.out)
    data = _data(split, arguments.folder) if split else "the four fifths of the digits that are not shown"
    notes: dict[str, Any] = {"data": data, "command": _command(arguments)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"zoo folder {folder} cannot be made: {error.strerror}") from None
    if arguments.bank == "linear":
        from jscc_sim.training.linear import fit_linear
        from jscc_sim.training.release import release_linear

        assert split is not None
        _calibrate(release_linear(fit_linear(split.training), folder, notes), split, arguments.seed)
    else:
        task = _task(arguments)
        trainer = _run(arguments, task, split, folder)
        _draw(folder, task)
        if trainer.restored == trainer.step:
            print(
                f"nothing was trained: {folder} has its {counted(trainer.step, 'step')}; --steps with a "
                "larger number goes on",
                flush=True,
            )
        if trainer.step != trainer.recipe.steps:
            print(f"stopped; the same command goes on from {folder}")
            return 130
        notes["steps"] = trainer.step
        from jscc_sim.training.release import release_conv, release_model

        network = trainer.average.cpu()
        if arguments.system == BLOCK_JSCC:
            assert split is not None
            zoo = release_conv(
                network, folder, notes, _training_range(arguments).snr_db, _inherited(arguments)
            )
            _calibrate(zoo, split, arguments.seed)
            _compare(task, split, zoo)
        else:
            release_model(task, network, folder, notes)
    print(f"zoo written to {folder}; use it with --zoo {folder}")
    return 0


def calibrate(arguments: argparse.Namespace) -> int:
    """Fit the calibration of an existing zoo anew."""
    _within(arguments, images=(1, MOST), seed=(0, LARGEST_SEED))
    zoo = load_zoo(arguments.zoo)
    if arguments.companion is not None:
        _ = zoo.with_fields(companion=arguments.companion).family
    if arguments.withhold is not None:
        _ = RatioSet.of(zoo.ratios.uses, arguments.withhold)
    check_own(zoo)
    split = split_folder(arguments.folder)
    check_material(_largest(split, arguments.images), len(zoo.ratios), arguments.seed)
    zoo = _calibrate(zoo, split, arguments.seed, arguments.images)
    if arguments.withhold is not None:
        zoo = update_manifest(zoo, withheld=arguments.withhold)
    if arguments.companion is not None:
        update_manifest(zoo, companion=arguments.companion)
    print(f"calibration written to {arguments.zoo}")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """What `train` is told, before anything is read or written."""
    limits = {"fine": WIDEST, "coarse": WIDEST, "crops": MOST_CROPS, "side": LONGEST_SIDE, "steps": MOST}
    _within(arguments, **{name: (1, most) for name, most in limits.items()}, seed=(0, LARGEST_SEED))
    if arguments.side is not None and arguments.system == BLOCK_JSCC and arguments.side % BLOCK:
        raise InputError(f"--side {arguments.side} is not a multiple of {BLOCK}")
    if arguments.loss == MS_SSIM and arguments.system == BLOCK_JSCC and (arguments.side or 0) < LEAST_SIDE:
        side = f"--side {arguments.side}" if arguments.side else "the usual"
        raise InputError(f"--loss {MS_SSIM} needs crops of --side {LEAST_SIDE} or more, not {side}")
    for depth in arguments.depths or ():
        if not 0 <= depth <= DEEPEST:
            raise InputError(f"--depths {depth} is outside 0 to {DEEPEST}")
    shape, material = ("fine", "coarse", "depths"), ("start", "snr_db", "uses", "attention", "loss")
    if arguments.system != BLOCK_JSCC:
        _none_of(arguments, ("bank", *shape, *material), f"of {BLOCK_JSCC} alone, not of {arguments.system}")
    elif arguments.bank == "linear":
        _none_of(arguments, (*shape, *material, "rate"), "of the bank conv alone, not of linear")
    elif arguments.start is not None:
        _none_of(arguments, shape, f"that of the zoo {arguments.start}, with which --start begins")
        start = load_zoo(arguments.start)
        check_apart([Path(arguments.out) / WEIGHTS], [start.folder / WEIGHTS])
        bank = start.manifest["bank"]
        if bank != "conv":
            raise InputError(f"zoo {arguments.start} has the bank {bank}, no network to start from")
    if arguments.system == BLOCK_JSCC:
        check_new(Path(arguments.out))
    _training_range(arguments)
    if arguments.attention is not None:
        _architecture(arguments, None if arguments.start is None else load_zoo(arguments.start))
    for name in ("minutes", "checkpoint_seconds", "rate"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise InputError(f"--{name.replace('_', '-')} {value:g} is not a number above 0")


def _check_holds_none(out: Path, pictures: Sequence[Path]) -> None:
    """Raises InputError for a folder in which pictures lie that are read: the curves of the training would be
    drawn over one of them, or be one the next time."""
    check_apart([out / CURVES], pictures)
    folder = out.resolve()
    for path in pictures:
        if folder in (path.parent.resolve(), path.resolve().parent):
            raise InputError(f"output folder {out} holds pictures that are read, {path.name}: name another")


def _material(arguments: argparse.Namespace) -> Split | None:
    """The pictures to train on; None for a system that brings its own."""
    if arguments.system in WITHOUT_PICTURES:
        if arguments.folder is not None:
            raise InputError(f"{arguments.system} is trained on digits, not on the folder {arguments.folder}")
        return None
    if arguments.folder is None:
        raise InputError(f"{arguments.system} is trained on a FOLDER of pictures")
    return split_folder(arguments.folder)


def _none_of(arguments: argparse.Namespace, names: Iterable[str], why: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise InputError(f"--{name.replace('_', '-')} is {why}")


def _within(arguments: argparse.Namespace, **limits: tuple[int, int]) -> None:
    for name, (least, most) in limits.items():
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            raise InputError(f"--{name} {value} is outside {least} to {most}")


def _task(arguments: argparse.Namespace) -> Task[Any]:
    from jscc_sim.training.learned import learned_task

    if arguments.system != BLOCK_JSCC:
        return learned_task(arguments.system)
    from jscc_sim.training.block_jscc import BlockJSCCTask

    start = None if arguments.start is None else load_zoo(arguments.start)
    return BlockJSCCTask(
        _architecture(arguments, start), _training_range(arguments), start, arguments.loss or PSNR
    )


def _architecture(arguments: argparse.Namespace, start: Zoo | None) -> ConvArchitecture:
    """Of block JSCC's network. Raises InputError for layers of attention that it cannot have."""
    from jscc_sim.nn.attention import HEAD
    from jscc_sim.nn.conv import ConvArchitecture
    from jscc_sim.training.block_jscc import conv_coder

    if start is None:
        shape = (arguments.fine or FINE, arguments.coarse or COARSE, *(arguments.depths or DEPTHS))
        architecture = ConvArchitecture(STANDARD_RATIOS.uses, *shape)
    else:
        architecture = conv_coder(start).architecture
    layers, least = arguments.attention, architecture.attention
    if layers is None:
        return architecture
    most = min(architecture.encoder_coarse, architecture.decoder_coarse)
    if not least <= layers <= most:
        raise InputError(
            f"--attention {layers} is outside {least} to {most}, the layers that the network has and the "
            "coarse residual blocks of an end"
        )
    if layers and architecture.coarse % HEAD:
        raise InputError(f"--attention needs a multiple of {HEAD} coarse channels, not {architecture.coarse}")
    return replace(architecture, attention=layers)


def _training_range(arguments: argparse.Namespace) -> TrainingRange:
    chosen = {"snr_db": arguments.snr_db, "uses": arguments.uses}
    return TrainingRange(**{name: tuple(ends) for name, ends in chosen.items() if ends is not None})


def _run(arguments: argparse.Namespace, task: Task[Any], split: Split | None, folder: Path) -> Trainer[Any]:
    import torch

    from jscc_sim.training.loop import Recipe
    from jscc_sim.training.loop import train as run

    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda is not there; this machine has cpu")
    side = arguments.side or task.side
    if side % task.multiple:
        raise InputError(f"--side {side} is not a multiple of {task.multiple}")
    crops = arguments.crops or task.crops
    if crops * side**2 > MOST_PIXELS:
        raise InputError(f"--crops {crops} of --side {side} are more than {MOST_PIXELS} pixels in a step")
    recipe = Recipe(
        steps=arguments.steps,
        minutes=arguments.minutes or 60.0,
        seed=arguments.seed,
        crops=crops,
        side=side,
        checkpoint_seconds=arguments.checkpoint_seconds,
        bf16=not arguments.fp32,
        compile=arguments.compile,
        device=arguments.device,
        rate=arguments.rate or 1.0,
    )
    return run(split, folder, task, recipe)


def _inherited(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a zoo that was started from another keeps of its manifest. It is written with the weights: whoever
    is interrupted before the calibration still has it."""
    if arguments.start is None:
        return {}
    manifest = load_zoo(arguments.start).manifest
    return {name: manifest[name] for name in ("companion", "withheld") if name in manifest}


def _compare(task: Task[Any], split: Split, zoo: Zoo) -> None:
    """A line on what the training came to, beside what it began with, or what needs none."""
    from jscc_sim.training.block_jscc import BlockJSCCTask, bank_quality_db, whole_blocks
    from jscc_sim.training.objective import FIGURES

    assert isinstance(task, BlockJSCCTask)
    other = task.start or load_zoo(LINEAR)
    pictures = list(whole_blocks(task.held_out(split)))
    own_db, other_db = (bank_quality_db(one.bank, pictures, task.objective) for one in (zoo, other))
    if math.isnan(own_db):  # there is no picture that is large enough
        return
    what = f"{other.name}, which it began with," if task.start else "the linear coder, which is not trained,"
    behind = ": train longer" if own_db < other_db and not task.start else ""
    print(
        f"validation {FIGURES[task.objective]} ({task.validated}): {own_db:.2f} dB; {what} makes "
        f"{other_db:.2f} dB of the same pictures{behind}"
    )


def _draw(folder: Path, task: Task[Any]) -> None:
    """The curves of the run so far, if it got so far."""
    from jscc_sim.training.log import LOG, read_log

    if (folder / LOG).exists():
        from jscc_sim.plots import save_figure
        from jscc_sim.plots.training import training_figure

        save_figure(training_figure(read_log(folder / LOG), task.validated), folder / CURVES)


def _calibrate(zoo: Zoo, split: Split, seed: int, images: int = CALIBRATION_IMAGES) -> Zoo:
    largest = _largest(split, images)
    notes = {"images": len(largest), "seed": seed, "channel": "AWGN"}
    return save_calibration(zoo, fit_predictor(zoo, largest, seed), notes)


def _largest(split: Split, images: int) -> list[Path]:
    return sorted(split.training, key=lambda path: (-path.stat().st_size, path.name))[:images]


def _command(arguments: argparse.Namespace) -> str:
    """The command that is running, folders by their last name: paths of one machine help nobody."""
    short = {word: Path(word).name for word in (arguments.folder, arguments.out) if word is not None}
    return shlex.join(["jscc-sim", *(short.get(word, word) for word in sys.argv[1:])])


def _data(split: Split, folder: str) -> str:
    return f"{len(split.training)} images of {Path(folder).name}/; {len(split.validation)} held out by name"
