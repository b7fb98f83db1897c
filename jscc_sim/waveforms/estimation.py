"""The channel between pilots: least squares and straight lines, or linear MMSE with what the pilots suggest.

A linear MMSE estimator needs to know how long the channel's echoes are and how fast it changes. It takes the
pair of a few that makes the pilots most likely: echoes of any delay up to a limit, Doppler shifts of any size
up to one. Rows and carriers are told apart, so that eigenvectors of each do for both. Sources: Edfors et al.
1998 (the estimator); van de Beek et al. 1995 (uniform delays, where the true ones are not known).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from jscc_sim.waveforms.ofdm import OFDM
from jscc_sim.waveforms.synchronisation import early

Grid = NDArray[np.complex128]

SPREADS = (0.0, 0.12, 0.3, 0.6, 1.0)
"""Longest echoes that are tried, as shares of what the prefix has room for."""

DOPPLERS = (0.001, 0.006, 0.015, 0.03, 0.06)
"""Largest Doppler shifts that are tried, in cycles an OFDM symbol; a carrier offset that is left is one."""

MOST_ROWS = 24
"""Rows of pilots that are taken together; a longer frame is estimated in parts."""

TIMING_SLACK = 1.5
"""Samples by which the first path may be early or late."""


@dataclass(frozen=True)
class Estimate:
    """gain: [rows, active] of the channel; error: [rows, active] variance of what it is wrong by."""

    gain: Grid
    error: NDArray[np.float64]


def straight_lines(waveform: OFDM, pilots: Grid, rows: NDArray[np.int64], noise: float) -> Estimate:
    """Between least-squares estimates [pilot rows, pilot carriers], from carrier to carrier and then from row
    to row. rows: of the pilots, the last of them the body's last; noise: variance of a pilot's. The error is
    that of the noise: what the channel does between pilots is not known."""
    over = _weights(waveform.pilot_carriers, np.arange(waveform.active))
    along = _weights(rows, np.arange(rows[-1] + 1))
    gain = along @ pilots @ over.T
    return Estimate(gain, noise * np.outer(np.square(along).sum(1), np.square(over).sum(1)))


def linear_mmse(waveform: OFDM, pilots: Grid, rows: NDArray[np.int64], noise: float) -> Estimate:
    """The same, by linear MMSE. The error holds what the channel does between pilots as well."""
    parts: list[tuple[Grid, NDArray[np.float64]]] = []
    first = 0
    while first < len(rows) - 1 or not parts:
        last = min(first + MOST_ROWS, len(rows)) - 1
        until = rows[last] + (last == len(rows) - 1)
        parts.append(_part(waveform, pilots[first : last + 1], rows[first : last + 1], until, noise))
        first = last
    gain, error = (np.concatenate(both) for both in zip(*parts, strict=True))
    return Estimate(gain, error)


def _part(
    waveform: OFDM, pilots: Grid, rows: NDArray[np.int64], until: int, noise: float
) -> tuple[Grid, NDArray[np.float64]]:
    """[until - first row, active] gains and errors."""
    power = max(float(np.square(np.abs(pilots)).mean()) - noise, 1e-3 * noise, 1e-12)
    noise = max(noise, 1e-9 * power)
    relative = tuple((rows - rows[0]).tolist())
    wanted = int(until - max(rows[0], 0))
    skip = int(max(-rows[0], 0))  # a row of the preamble, in front of the body
    best, found = -np.inf, None
    for spread, doppler in product(SPREADS, DOPPLERS):
        over, along = _delays(waveform, spread), _dopplers(relative, wanted, skip, doppler)
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
    vectors: Grid
    towards: Grid


@lru_cache(maxsize=64)
def _delays(waveform: OFDM, spread: float) -> Correlation:
    """Along the carriers, for echoes that are as likely anywhere up to a share of the prefix."""
    least = early(waveform) - TIMING_SLACK
    most = early(waveform) + TIMING_SLACK + spread * (waveform.cp - early(waveform))
    carriers = waveform.carriers.astype(float)
    return _of(
        carriers[waveform.pilot_carriers], carriers, lambda apart: _uniform(apart / waveform.fft, least, most)
    )


@lru_cache(maxsize=256)
def _dopplers(rows: tuple[int, ...], wanted: int, skip: int, doppler: float) -> Correlation:
    """Along the rows, for shifts that are as likely anywhere up to a largest. rows: of the pilots, from 0."""
    places = np.array(rows, float)
    return _of(places, skip + np.arange(wanted, dtype=float), lambda apart: np.sinc(2 * doppler * apart) + 0j)


def _of(pilots: NDArray[np.float64], places: NDArray[np.float64], correlation) -> Correlation:  # type: ignore[no-untyped-def]
    values, vectors = np.linalg.eigh(correlation(pilots[:, None] - pilots))
    return Correlation(np.maximum(values, 0.0), vectors, correlation(places[:, None] - pilots) @ vectors)


def _uniform(apart: NDArray[np.float64], least: float, most: float) -> Grid:
    """Mean of exp(-2j pi apart delay) over delays from least to most, in samples."""
    return np.exp(-1j * np.pi * apart * (least + most)) * np.sinc(apart * (most - least))


def _weights(knots: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.float64]:
    """[places, knots] by which straight lines between knots are drawn."""
    return np.stack([np.interp(places, knots, unit) for unit in np.eye(len(knots))], axis=1)
