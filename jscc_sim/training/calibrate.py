"""Fit a zoo's predictor: code training pictures over AWGN and regress each block's error and energy.

What is collected is kept now and then beside the zoo, so that an interrupted calibration goes on."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from jscc_sim.blocks import BlockGrid, split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.checkpoint import WEIGHTS, write_tensors
from jscc_sim.complexity import FEATURES, features
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, block_energies
from jscc_sim.prediction import Predictor
from jscc_sim.training.progress import announced
from jscc_sim.units import BLOCK
from jscc_sim.zoo import Zoo

SENDER_SNR_DB = (-2.0, 20.0)
BELIEF_ERROR_DB = 5.0
FRAMES = 10
LEAST_BLOCKS = 24
TERMS = 66
"""Of the regression: all monomials of at most second degree of ten inputs."""

LEAST_SAMPLES = 4 * TERMS
"""Blocks at each ratio."""

RIDGE = 1e-3
TINY = 1e-6
SCORING_STEPS, SCORING_GAIN = 30, 1e-6
KEPT, KEEP_SECONDS = "calibration-state.safetensors", 20.0


@dataclass
class Samples:
    """Rows of (ratio, ten inputs, log2 error, log2 energy), collected frame by frame."""

    ratio: list[NDArray[np.int64]] = field(default_factory=list)
    inputs: list[NDArray[np.float64]] = field(default_factory=list)
    mse: list[NDArray[np.float64]] = field(default_factory=list)
    energy: list[NDArray[np.float64]] = field(default_factory=list)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All rows of each."""
        return {name: np.concatenate(parts) for name, parts in vars(self).items() if parts}


def calibrate(zoo: Zoo, paths: list[Path], seed: int = 0, frames: int = FRAMES) -> Predictor:
    """The predictor of a zoo, from `frames` random frames of each picture. A frame has a random level
    of uses, blocks at ratios that scatter widely about it, and a random SNR that its sender believes
    more or less rightly. Goes on with what an interrupted call with the same arguments kept."""
    kept, same = zoo.folder / KEPT, _identity(zoo, paths, seed, frames)
    done, samples, rng = _resumed(kept, same, seed) or (0, Samples(), np.random.default_rng(seed))
    spoken = time.monotonic()
    for number, path in enumerate(announced(paths, "calibrating", done), done):
        if time.monotonic() - spoken > KEEP_SECONDS and samples.ratio:
            spoken = time.monotonic()
            _keep(kept, same, number, samples, rng)
        for drawn in draw_frames(path, len(zoo.ratios), rng, frames):
            collect(zoo.bank, drawn, rng, samples)
    check_counts(np.concatenate([np.zeros(0, np.int64), *samples.ratio]), len(zoo.ratios), len(paths))
    predictor = fit(samples, len(zoo.ratios))
    kept.unlink(missing_ok=True)
    return predictor


def _identity(zoo: Zoo, paths: Sequence[Path], seed: int, frames: int) -> str:
    """Of all that the samples depend on."""
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    coders = [zoo.manifest["bank"], zoo.manifest.get("architecture"), zoo.manifest["files"][WEIGHTS]]
    return hashlib.sha256(json.dumps([coders, files, seed, frames]).encode()).hexdigest()


def _keep(path: Path, same: str, done: int, samples: Samples, rng: np.random.Generator) -> None:
    bits = rng.bit_generator
    spawned = bits.seed_seq.n_children_spawned  # type: ignore[attr-defined]
    state = json.dumps({"same": same, "done": done, "rng": bits.state, "spawned": spawned}).encode()
    write_tensors(path, {**samples.arrays(), "state": np.frombuffer(state, np.uint8)})


def _resumed(path: Path, same: str, seed: int) -> tuple[int, Samples, np.random.Generator] | None:
    """Pictures that are done, their samples, and the random stream behind them; None where nothing fitting
    was kept."""
    try:
        tensors = load_file(path)
        state = json.loads(tensors.pop("state").tobytes())
        if state["same"] != same:
            return None
        samples = Samples(**{name: [values] for name, values in tensors.items()})
        rng = np.random.default_rng(np.random.SeedSequence(seed, n_children_spawned=state["spawned"]))
        rng.bit_generator.state = state["rng"]
        return int(state["done"]), samples, rng
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, AttributeError):
        return None


def check_material(paths: list[Path], ratios: int, seed: int = 0, frames: int = FRAMES) -> None:
    """Raises InputError where `calibrate` would, for too few blocks: known without a coder, so before hours
    of training."""
    rng = np.random.default_rng(seed)
    index = [np.zeros(0, np.int64)]
    for path in announced(paths, "looking at blocks"):
        index += [drawn.index for drawn in draw_frames(path, ratios, rng, frames)]
    check_counts(np.concatenate(index), ratios, len(paths))


def check_counts(index: NDArray[np.int64], ratios: int, images: int) -> None:
    """Raises InputError for too few blocks at some ratio. index: [N] ratio of every block."""
    if not len(index):
        raise InputError(f"none of the {images} images has {LEAST_BLOCKS} whole blocks to calibrate on")
    counts = np.bincount(index, minlength=ratios)
    if counts.min() < LEAST_SAMPLES:
        raise InputError(
            f"{counts.min()} blocks at ratio {counts.argmin()} are too few to calibrate on; {LEAST_SAMPLES} "
            f"needed: about {_enough(images, int(counts.min()))} images like these {images}, or larger ones "
            f"(what is held out for validation does not count)"
        )


def _enough(images: int, fewest: int) -> int:
    """Images of the same sizes at which the rarest ratio has blocks enough, with a tenth to spare."""
    return max(images + 1, math.ceil(1.1 * images * LEAST_SAMPLES / max(fewest, 1)))


@dataclass(frozen=True, eq=False)
class Drawn:
    """A frame before it is coded. index: [N] ratio of each block."""

    blocks: NDArray[np.uint8]
    grid: BlockGrid
    described: NDArray[np.float64]
    index: NDArray[np.int64]
    sender_snr_db: float
    snr_db: float


def draw_frames(path: Path, ratios: int, rng: np.random.Generator, frames: int) -> Iterator[Drawn]:
    """Frames of the whole blocks of a picture; none if they are few."""
    picture = read_picture(path)
    height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
    if height * width < LEAST_BLOCKS * BLOCK**2:
        return
    blocks, grid = split(picture[:height, :width])
    described = features(blocks)
    activity = described[:, FEATURES.index("luma_gradient")]
    for _ in range(frames):
        level = rng.uniform(0.5, ratios - 0.5)
        lean = rng.choice([0.0, 0.5]) * (activity - activity.mean())
        wanted = level + lean + rng.uniform(0.3, 3.0) * rng.standard_normal(len(grid))
        index = np.clip(np.rint(wanted), 0, ratios - 1).astype(np.int64)
        if index.any():
            sender_snr_db = rng.uniform(*SENDER_SNR_DB)
            snr_db = sender_snr_db + rng.uniform(-BELIEF_ERROR_DB, BELIEF_ERROR_DB)
            yield Drawn(blocks, grid, described, index, sender_snr_db, snr_db)


def collect(bank: Bank, drawn: Drawn, rng: np.random.Generator, samples: Samples) -> None:
    """Add one frame's blocks to the samples. Takes nothing of rng's own stream."""
    blocks, grid, index, sender_snr_db = drawn.blocks, drawn.grid, drawn.index, drawn.sender_snr_db
    latents = bank.encode(blocks, grid, index, sender_snr_db)
    gain = math.sqrt(len(latents) / np.square(np.abs(latents)).sum())
    received = equalise(AWGN(drawn.snr_db)((gain * latents).astype(np.complex64), rng))
    decoded = bank.decode(received, gain, grid, index, sender_snr_db)
    left_db = drawn.snr_db + 20 * math.log10(gain)
    columns = [np.full((len(grid), 1), value) for value in (sender_snr_db, left_db)]
    samples.ratio.append(index)
    samples.inputs.append(np.hstack([drawn.described, *columns]))
    samples.mse.append(block_errors(decoded, blocks))
    samples.energy.append(block_energies(latents, index, bank.ratios))


def fit(samples: Samples, ratios: int) -> Predictor:
    """Regression of errors and energies on the inputs, ratio by ratio."""
    ratio, inputs = np.concatenate(samples.ratio), np.vstack(samples.inputs)
    low, high = np.quantile(inputs, [0.002, 0.998], axis=0)
    high = np.maximum(high, low + TINY)
    terms = TERMS
    predictor = Predictor(low, high, np.zeros((ratios, terms)), np.zeros((ratios, terms)))
    for k in range(ratios):
        chosen = ratio == k
        rows = inputs[chosen]
        basis = predictor.basis(rows[:, :-2], rows[:, -2], rows[:, -1])
        same_snr = predictor.basis(rows[:, :-2], rows[:, -2], rows[:, -2])
        predictor.mse[k] = _regress(basis, np.concatenate(samples.mse)[chosen])
        if k:
            predictor.energy[k] = _regress(same_snr, np.concatenate(samples.energy)[chosen])
    return predictor


def _regress(basis: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of log2 of the values' mean: a gamma regression with a logarithmic link, by Fisher scoring
    from the fit of the logarithms. Source: McCullagh & Nelder 1989, chapter 8."""
    penalty = RIDGE * len(basis) * np.eye(basis.shape[1])
    penalty[0, 0] = 0
    inverse = np.linalg.inv(basis.T @ basis + penalty)
    values = np.maximum(values, TINY)
    weights = inverse @ (basis.T @ np.log(values))
    weights[0] += np.log(values.mean() / np.exp(basis @ weights).mean())
    loss = _gamma_loss(basis @ weights, values)
    for _ in range(SCORING_STEPS):
        excess = values * np.exp(-(basis @ weights)) - 1
        better = inverse @ (basis.T @ (basis @ weights + excess))
        loss, before = _gamma_loss(basis @ better, values), loss
        if loss > before - SCORING_GAIN:
            break
        weights = better
    return np.asarray(weights / np.log(2), dtype=np.float64)


def _gamma_loss(logs: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Mean negative log-likelihood of gamma-distributed values whose means have these logarithms."""
    return float((values * np.exp(-logs) + logs).mean())
