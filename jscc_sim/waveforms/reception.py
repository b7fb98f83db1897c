"""An OFDM receiver: from samples, and nothing else, to symbols, the channel's estimate, the noise of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Received, equalise, turned
from jscc_sim.coding import qam, small_block
from jscc_sim.errors import OutageError, counted
from jscc_sim.waveforms.base import LS, Samples
from jscc_sim.waveforms.estimation import Estimate, linear_mmse, straight_lines
from jscc_sim.waveforms.ofdm import OFDM, PREAMBLE_ROWS, rows_of
from jscc_sim.waveforms.synchronisation import Synchronisation, find_frames, prefix_turn

LEAST_EVIDENCE = 10.0
"""Nats for the word that tells the rows, against noise."""

CLEARLY_ALIKE, LEAST_ALIKE = 8.0, 2.0
"""Of neighbouring pilots: see `_alike`."""

LEAST_NOISE = 1e-12


def receive(waveform: OFDM, samples: Samples, estimator: str) -> Received:
    """See Waveform.receive."""
    _, spectrum = _first_frame(waveform, samples)
    noise = _noise(waveform, spectrum)
    pilots, at = _pilots(waveform, spectrum)
    make = straight_lines if estimator == LS else linear_mmse
    if estimator == LS:
        pilots, at = pilots[1:], at[1:]  # straight lines begin where the body does
    return placed(waveform, spectrum, make(waveform, pilots, at, noise), noise)


def _steadied(waveform: OFDM, samples: Samples, found: Synchronisation, rows: int) -> NDArray[np.complex64]:
    """The spectra of a frame, turned back by what its carrier is off."""
    count = PREAMBLE_ROWS + rows
    steady = turned(_cut(samples, found.start, count * waveform.row_samples), -found.cycles)
    steady = turned(steady, -prefix_turn(waveform, steady))
    return spectra(waveform, turned(steady, -_pilot_turn(waveform, spectra(waveform, steady))))


def _goes_on(waveform: OFDM, spectrum: NDArray[np.complex64]) -> bool:
    """Whether a frame is there to its end. Where it was cut off, and something else follows, neighbouring
    pilots are clearly alike at first, and not at all in the end."""
    pilots, _ = _pilots(waveform, spectrum)
    last = max(len(pilots) // 4, 2)
    return _alike(pilots[:-last]) < CLEARLY_ALIKE or _alike(pilots[-last:]) > LEAST_ALIKE


def _alike(pilots: NDArray[np.complex128]) -> float:
    """How much neighbouring pilots of each row agree, in standard deviations of what noise makes of it."""
    power = max(float(np.square(np.abs(pilots)).sum()), 1e-30)
    together = abs((pilots[:, :-1].conj() * pilots[:, 1:]).sum())
    return float(together / power * np.sqrt(pilots.size))


def placed(waveform: OFDM, spectrum: NDArray[np.complex64], estimate: Estimate, noise: float) -> Received:
    """What the data places of a frame's rows [PREAMBLE_ROWS + rows, fft] received."""
    places = waveform.data_places(len(spectrum) - PREAMBLE_ROWS)
    return _at(waveform, spectrum, estimate, noise, places)


def _at(
    waveform: OFDM,
    spectrum: NDArray[np.complex64],
    estimate: Estimate,
    noise: float,
    places: NDArray[np.int64],
) -> Received:
    """The same of some places of the body."""
    body = spectrum[PREAMBLE_ROWS:, waveform.carriers].reshape(-1)
    return Received(
        body[places].astype(np.complex64),
        noise + estimate.error.reshape(-1)[places],
        estimate.gain.reshape(-1)[places].astype(np.complex64),
    )


def _noise(waveform: OFDM, spectrum: NDArray[np.complex64]) -> float:
    """Its variance, as the empty carriers hear it."""
    return max(float(np.square(np.abs(spectrum[:, waveform.quiet])).mean()), LEAST_NOISE)


def spectra(waveform: OFDM, samples: Samples) -> NDArray[np.complex64]:
    """[rows, fft] of a frame that begins with the first sample."""
    from scipy import fft

    rows = samples.reshape(-1, waveform.row_samples)[:, waveform.cp :]
    return np.asarray(fft.fft(rows, axis=1, norm="ortho"))


def _cut(samples: Samples, start: int, length: int) -> Samples:
    """So many samples from a place on, zeros where there are none."""
    part = samples[max(start, 0) : max(start + length, 0)]
    before = max(-start, 0)
    return np.pad(part, (before, length - before - len(part)))


def _first_frame(waveform: OFDM, samples: Samples) -> tuple[Synchronisation, NDArray[np.complex64]]:
    """The first whole one, and its spectra [PREAMBLE_ROWS + rows, fft]. Raises OutageError without one."""
    seen, cut = 0, ""
    for found in find_frames(waveform, samples):
        seen += 1
        rows = _rows_told(waveform, samples, found)
        if rows is None:
            continue
        missing = found.start + (PREAMBLE_ROWS + rows) * waveform.row_samples - len(samples)
        if missing <= waveform.cp:
            spectrum = _steadied(waveform, samples, found, rows)
            if _goes_on(waveform, spectrum):
                return found, spectrum
            continue
        cut = cut or f": {missing} samples of one of {PREAMBLE_ROWS + rows} OFDM symbols are missing"
    like = ""
    if seen:
        like = (
            f": {counted(seen, 'place')} look like a preamble, and none goes on as a frame of {waveform.name}"
        )
    raise OutageError(f"no whole frame found in {len(samples)} samples{cut or like}")


def _rows_told(waveform: OFDM, samples: Samples, found: Synchronisation) -> int | None:
    """How many rows a frame says that its body has, if it says so."""
    least = PREAMBLE_ROWS + waveform.least_rows
    cut = turned(_cut(samples, found.start, least * waveform.row_samples), -found.cycles)
    spectrum = spectra(waveform, cut)
    noise = _noise(waveform, spectrum)
    estimate = linear_mmse(waveform, *_pilots(waveform, spectrum), noise)
    heard = _at(waveform, spectrum, estimate, noise, waveform.signal_places)
    word = small_block.decode(waveform.signs * qam.soft_bits_of(equalise(heard)))
    rows = rows_of(word.value)
    return rows if word.evidence >= LEAST_EVIDENCE and rows >= waveform.least_rows else None


def _pilots(
    waveform: OFDM, spectrum: NDArray[np.complex64]
) -> tuple[NDArray[np.complex128], NDArray[np.int64]]:
    """Least-squares estimates [pilot rows, pilot carriers] and their rows; the preamble's known row is -1."""
    at = np.append(-1, waveform.pilot_rows(len(spectrum) - PREAMBLE_ROWS))
    carriers = waveform.carriers[waveform.pilot_carriers]
    heard = spectrum[np.ix_(PREAMBLE_ROWS + at, carriers)]
    return heard / waveform.pilot_symbols.astype(np.complex128), at


def _pilot_turn(waveform: OFDM, spectrum: NDArray[np.complex64]) -> float:
    """Cycles a sample by which pilots turn from one row of them to the next."""
    pilots, at = _pilots(waveform, spectrum)
    steps = np.diff(at)
    usual = steps == waveform.pilots[1]
    if not usual.any():
        return 0.0
    turn = (pilots[:-1].conj() * pilots[1:]).sum(axis=1)[usual].sum()
    return float(np.angle(turn)) / (2 * np.pi * waveform.pilots[1] * waveform.row_samples)
