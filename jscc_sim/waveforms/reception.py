"""An OFDM receiver: from samples, and nothing else, to symbols, the channel's estimate, the noise of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Received, equalise, turned
from jscc_sim.coding import qam, small_block
from jscc_sim.errors import OutageError, counted
from jscc_sim.waveforms.base import LS, Samples
from jscc_sim.waveforms.estimation import Estimate, linear_mmse, straight_lines
from jscc_sim.waveforms.resource_grid import PREAMBLE_ROWS, ResourceGrid, rows_of
from jscc_sim.waveforms.synchronisation import Synchronisation, find_frames, prefix_turn

LEAST_EVIDENCE = 10.0
"""Nats for the word that tells the rows, against noise."""

CLEARLY_ALIKE, LEAST_ALIKE = 8.0, 2.0
"""Of neighbouring pilots: see `_alike`."""

LEAST_NOISE = 1e-12


def receive(grid: ResourceGrid, samples: Samples, estimator: str) -> Received:
    """See Waveform.receive."""
    _, spectrum = _first_frame(grid, samples)
    noise = _noise(grid, spectrum)
    pilots, at = _pilots(grid, spectrum)
    make = straight_lines if estimator == LS else linear_mmse
    if estimator == LS:
        pilots, at = pilots[1:], at[1:]  # straight lines begin where the body does
    return placed(grid, spectrum, make(grid, pilots, at, noise), noise)


def _steadied(
    grid: ResourceGrid, samples: Samples, found: Synchronisation, rows: int
) -> NDArray[np.complex64]:
    """The spectra of a frame, turned back by what its carrier is off."""
    count = PREAMBLE_ROWS + rows
    steady = turned(_cut(samples, found.start, count * grid.row_samples), -found.cycles)
    steady = turned(steady, -prefix_turn(grid, steady))
    return spectra(grid, turned(steady, -_pilot_turn(grid, spectra(grid, steady))))


def _goes_on(grid: ResourceGrid, spectrum: NDArray[np.complex64]) -> bool:
    """Whether a frame is there to its end. Where it was cut off, and something else follows, neighbouring
    pilots are clearly alike at first, and not at all in the end."""
    pilots, _ = _pilots(grid, spectrum)
    last = max(len(pilots) // 4, 2)
    return _alike(pilots[:-last]) < CLEARLY_ALIKE or _alike(pilots[-last:]) > LEAST_ALIKE


def _alike(pilots: NDArray[np.complex128]) -> float:
    """How much neighbouring pilots of each row agree, in standard deviations of what noise makes of it."""
    power = max(float(np.square(np.abs(pilots)).sum()), 1e-30)
    together = abs((pilots[:, :-1].conj() * pilots[:, 1:]).sum())
    return float(together / power * np.sqrt(pilots.size))


def placed(grid: ResourceGrid, spectrum: NDArray[np.complex64], estimate: Estimate, noise: float) -> Received:
    """What the data places of a frame's rows [PREAMBLE_ROWS + rows, fft] received."""
    places = grid.data_places(len(spectrum) - PREAMBLE_ROWS)
    return _at(grid, spectrum, estimate, noise, places)


def _at(
    grid: ResourceGrid,
    spectrum: NDArray[np.complex64],
    estimate: Estimate,
    noise: float,
    places: NDArray[np.int64],
) -> Received:
    """The same of some places of the body."""
    body = spectrum[PREAMBLE_ROWS:, grid.carriers].reshape(-1)
    return Received(
        body[places].astype(np.complex64),
        noise + estimate.error.reshape(-1)[places],
        estimate.gain.reshape(-1)[places].astype(np.complex64),
    )


def _noise(grid: ResourceGrid, spectrum: NDArray[np.complex64]) -> float:
    """Its variance, as the empty carriers hear it."""
    return max(float(np.square(np.abs(spectrum[:, grid.quiet])).mean()), LEAST_NOISE)


def spectra(grid: ResourceGrid, samples: Samples) -> NDArray[np.complex64]:
    """[rows, fft] of a frame that begins with the first sample."""
    from scipy import fft

    rows = samples.reshape(-1, grid.row_samples)[:, grid.cp :]
    return np.asarray(fft.fft(rows, axis=1, norm="ortho"))


def _cut(samples: Samples, start: int, length: int) -> Samples:
    """So many samples from a place on, zeros where there are none."""
    part = samples[max(start, 0) : max(start + length, 0)]
    before = max(-start, 0)
    return np.pad(part, (before, length - before - len(part)))


def _first_frame(grid: ResourceGrid, samples: Samples) -> tuple[Synchronisation, NDArray[np.complex64]]:
    """The first whole one, and its spectra [PREAMBLE_ROWS + rows, fft]. Raises OutageError without one."""
    seen, cut = 0, ""
    for found in find_frames(grid, samples):
        seen += 1
        rows = _rows_told(grid, samples, found)
        if rows is None:
            continue
        missing = found.start + (PREAMBLE_ROWS + rows) * grid.row_samples - len(samples)
        if missing <= grid.cp:
            spectrum = _steadied(grid, samples, found, rows)
            if _goes_on(grid, spectrum):
                return found, spectrum
            continue
        cut = cut or f": {missing} samples of one of {PREAMBLE_ROWS + rows} OFDM symbols are missing"
    like = ""
    if seen:
        like = f": {counted(seen, 'place')} look like a preamble, and none goes on as a frame of {grid.name}"
    raise OutageError(f"no whole frame found in {len(samples)} samples{cut or like}")


def _rows_told(grid: ResourceGrid, samples: Samples, found: Synchronisation) -> int | None:
    """How many rows a frame says that its body has, if it says so."""
    least = PREAMBLE_ROWS + grid.least_rows
    cut = turned(_cut(samples, found.start, least * grid.row_samples), -found.cycles)
    spectrum = spectra(grid, cut)
    noise = _noise(grid, spectrum)
    estimate = linear_mmse(grid, *_pilots(grid, spectrum), noise)
    heard = _at(grid, spectrum, estimate, noise, grid.signal_places)
    word = small_block.decode(grid.signs * qam.soft_bits_of(equalise(heard)))
    rows = rows_of(word.value)
    return rows if word.evidence >= LEAST_EVIDENCE and rows >= grid.least_rows else None


def _pilots(
    grid: ResourceGrid, spectrum: NDArray[np.complex64]
) -> tuple[NDArray[np.complex128], NDArray[np.int64]]:
    """Least-squares estimates [pilot rows, pilot carriers] and their rows; the preamble's known row is -1."""
    at = np.append(-1, grid.pilot_rows(len(spectrum) - PREAMBLE_ROWS))
    carriers = grid.carriers[grid.pilot_carriers]
    heard = spectrum[np.ix_(PREAMBLE_ROWS + at, carriers)]
    return heard / grid.pilot_symbols.astype(np.complex128), at


def _pilot_turn(grid: ResourceGrid, spectrum: NDArray[np.complex64]) -> float:
    """Cycles a sample by which pilots turn from one row of them to the next."""
    pilots, at = _pilots(grid, spectrum)
    steps = np.diff(at)
    usual = steps == grid.pilots[1]
    if not usual.any():
        return 0.0
    turn = (pilots[:-1].conj() * pilots[1:]).sum(axis=1)[usual].sum()
    return float(np.angle(turn)) / (2 * np.pi * grid.pilots[1] * grid.row_samples)
