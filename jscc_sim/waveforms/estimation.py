"""The channel between pilots: least squares and straight lines, or linear MMSE with what the pilots suggest.

A linear MMSE estimator needs to know how long the channel's echoes are and how fast it changes. It takes the
pair of a few that makes the pilots most likely: echoes that fall exponentially, Doppler shifts of any size
within a band. Rows and carriers are told apart, so that eigenvectors of each do for both. Source: Edfors et
al. 1998 (the estimator; exponential power over the delay).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from jscc_sim.waveforms.resource_grid import ResourceGrid
from jscc_sim.waveforms.synchronisation import early

Gains = NDArray[np.complex128]

SPREADS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""Delay spreads that are tried, as shares of the prefix: echoes whose power falls exponentially."""

DOPPLERS, LEANS = (0.001, 0.004, 0.01, 0.02, 0.035, 0.06), (0.0, -0.6, 0.6)
"""Doppler shifts that are tried, in cycles an OFDM symbol: within so much about a middle, which is so many
times as much. It is rarely 0: a frame is turned back by the shift of its strongest paths."""

MOST_ROWS = 24
"""Rows of pilots that are taken together; a longer frame is estimated in parts."""

TIMING_SLACK = 1.0
"""Samples by which the first path may be early or late."""


@dataclass(frozen=True)
class Estimate:
    """gain: [rows, active] of the channel; error: [rows, active] variance of what it is wrong by."""

    gain: Gains
    error: NDArray[np.float64]


def straight_lines(grid: ResourceGrid, pilots: Gains, rows: NDArray[np.int64], noise: float) -> Estimate:
    """Between least-squares estimates [pilot rows, pilot carriers], from carrier to carrier and then from row
    to row. rows: of the pilots, the last of them the body's last; noise: variance of a pilot's. The error is
    that of the noise: what the channel does between pilots is not known."""
    over = _weights(grid.pilot_carriers, np.arange(grid.active))
    along = _weights(rows, np.arange(rows[-1] + 1))
    gain = along @ pilots @ over.T
    return Estimate(gain, noise * np.outer(np.square(along).sum(1), np.square(over).sum(1)))


def linear_mmse(grid: ResourceGrid, pilots: Gains, rows: NDArray[np.int64], noise: float) -> Estimate:
    """The same, by linear MMSE. The error holds what the channel does between pilots as well."""
    parts: list[tuple[Gains, NDArray[np.float64]]] = []
    first = 0
    while first < len(rows) - 1 or not parts:
        last = min(first + MOST_ROWS, len(rows)) - 1
        until = rows[last] + (last == len(rows) - 1)
        parts.append(_part(grid, pilots[first : last + 1], rows[first : last + 1], until, noise))
        first = last
    gain, error = (np.concatenate(both) for both in zip(*parts, strict=True))
    return Estimate(gain, error)


def _part(
    grid: ResourceGrid, pilots: Gains, rows: NDArray[np.int64], until: int, noise: float
) -> tuple[Gains, NDArray[np.float64]]:
    """[until - first row, active] gains and errors."""
    power = max(float(np.square(np.abs(pilots)).mean()) - noise, 1e-3 * noise, 1e-12)
    noise = max(noise, 1e-9 * power)
    relative = tuple((rows - rows[0]).tolist())
    wanted = int(until - max(rows[0], 0))
    skip = int(max(-rows[0], 0))  # a row of the preamble, in front of the body
    best, found = -np.inf, None
    for spread, doppler, lean in product(SPREADS, DOPPLERS, LEANS):
        over, along = _delays(grid, spread), _dopplers(relative, wanted, skip, doppler, lean)
        seen = along.vectors.conj().T @ pilots @ over.vectors.conj()
        levels = power * np.outer(along.values, over.values) + noise
        likelihood = float(-(np.log(levels) + np.square(np.abs(seen)) / levels).sum())
        if likelihood > best:
            best, found = likelihood, (over, along, seen, levels)
    assert found is not None
    over, along, seen, levels = found
    gain = power * along.towards @ (seen / levels) @ over.towards.T
    known = np.square(np.abs(along.towards)) @ (1 / levels) @ np.square(np.abs(over.towards)).T
    return gain, np.maximum(power - power**2 * known, 0.0)


@dataclass(frozen=True, eq=False)
class Correlation:
    """Of a channel along one axis. values: [P] eigenvalues of the correlation of P pilots, vectors: [P, P];
    towards: [N, P] correlation of N places with the pilots, times the vectors."""

    values: NDArray[np.float64]
    vectors: Gains
    towards: Gains


@lru_cache(maxsize=64)
def _delays(grid: ResourceGrid, spread: float) -> Correlation:
    """Along the carriers, for echoes of a delay spread behind a first path that may be early or late."""
    least, most = early(grid) - TIMING_SLACK, early(grid) + TIMING_SLACK
    carriers = grid.carriers.astype(float)
    turn = 2j * np.pi * spread * grid.cp / grid.fft
    pilots = carriers[grid.pilot_carriers]
    return _of(pilots, carriers, lambda apart: _uniform(apart / grid.fft, least, most) / (1 + turn * apart))


@lru_cache(maxsize=256)
def _dopplers(rows: tuple[int, ...], wanted: int, skip: int, doppler: float, lean: float) -> Correlation:
    """Along the rows, for shifts that are as likely anywhere about a middle. rows: of the pilots, from 0."""
    pilots, places = np.array(rows, float), skip + np.arange(wanted, dtype=float)
    least, most = (lean - 1) * doppler, (lean + 1) * doppler
    return _of(pilots, places, lambda apart: _uniform(-apart, least, most))


def _of(
    pilots: NDArray[np.float64],
    places: NDArray[np.float64],
    correlation: Callable[[NDArray[np.float64]], Gains],
) -> Correlation:
    values, vectors = np.linalg.eigh(correlation(pilots[:, None] - pilots))
    return Correlation(np.maximum(values, 0.0), vectors, correlation(places[:, None] - pilots) @ vectors)


def _uniform(apart: NDArray[np.float64], least: float, most: float) -> Gains:
    """Mean of exp(-2j pi apart x) over x from least to most."""
    return np.exp(-1j * np.pi * apart * (least + most)) * np.sinc(apart * (most - least))


def _weights(knots: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """[places, knots] by which straight lines between knots are drawn."""
    return np.stack([np.interp(places, knots, unit) for unit in np.eye(len(knots))], axis=1)
