"""Fit the linear bank: means, colour KLT and coefficient variances of training blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tqdm import tqdm

from jscc_sim.blocks import split
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.nn.linear import LinearBank
from jscc_sim.units import BLOCK, BLOCK_SAMPLES

LEAST_VARIANCE = 1e-3


def fit_linear(paths: list[Path]) -> LinearBank:
    """The bank for the whole blocks of these pictures (those at a ragged edge are left out)."""
    pictures = [_whole_blocks(path) for path in tqdm(paths, desc="reading", delay=2, disable=None)]
    if not any(p.size for p in pictures):
        raise InputError(f"none of the {len(paths)} images has a whole block of {BLOCK}x{BLOCK} pixels")
    samples = np.concatenate([p.reshape(-1, 3) for p in pictures if p.size])
    mean = samples.mean(axis=0, dtype=np.float64)
    covariance = sum(_scatter(p, mean) for p in pictures) / len(samples)
    _, vectors = np.linalg.eigh(covariance)
    flat = LinearBank(mean, vectors[:, ::-1].T.copy(), np.ones(BLOCK_SAMPLES))
    total, count = np.zeros(BLOCK_SAMPLES), 0
    for picture in tqdm(pictures, desc="variances", delay=2, disable=None):
        if picture.size:
            coefficients = flat.transform(split(picture)[0])
            total += np.square(coefficients).sum(axis=0)
            count += len(coefficients)
    return LinearBank(mean, flat.colour, np.maximum(total / count, LEAST_VARIANCE))


def _whole_blocks(path: Path) -> np.ndarray:
    picture = read_picture(path)
    height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
    return picture[:height, :width]


def _scatter(picture: np.ndarray, mean: np.ndarray) -> np.ndarray:
    centred = picture.reshape(-1, 3) - mean
    return centred.T @ centred
