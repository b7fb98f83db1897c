"""Where a frame begins in what was received, and how far its carrier is off.

The first row of the preamble is four times the same, so that a frame shows as samples that repeat, whatever
the channel; their turn from one part to the next is the carrier's offset, within two carriers. The second
row, which is known, tells a frame from what repeats by chance, and the first path's time. Source: Schmidl and
Cox 1997.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import turned
from jscc_sim.waveforms.base import Samples
from jscc_sim.waveforms.resource_grid import REPEATS, ResourceGrid

LEAST_LIKENESS = 0.08
"""Of neighbouring parts, from 0 to 1, for a place to be looked at: that of -10 dB."""

AROUND, STANDING_OUT, LIKE_A_TONE = 4, 0.9, 0.35
"""Rows on either side that a place must stand out from, by the likeness of most of them over its own, where
theirs is above that of noise."""

MOST_CANDIDATES = 200
"""Places that are looked at, the likeliest ones: 0.2 s."""

LEAST_SHARE = 0.073
"""Of the power that the known row must explain within a prefix's length, of what noise does not: that of
-11 dB."""

LEAST_PATH, NOISE_PATH = 0.06, 12.0
"""A path counts from so much of the strongest, and from so many times the noise's power."""

EARLY_SHARE = 6
"""The receiver's window begins this part of the prefix before the first path: a weaker may come earlier."""

FINENESS = 32
"""Steps of a carrier at which its offset is looked for; a parabola does the rest."""

CHUNK = 1 << 20
"""Samples that are searched at a time."""


@dataclass(frozen=True)
class Synchronisation:
    """start: sample at which the first row's prefix begins, as the receiver cuts its windows; cycles: carrier
    offset in cycles a sample."""

    start: int
    cycles: float


def early(grid: ResourceGrid) -> int:
    """Samples from the beginning of a receiver's window to the first path."""
    return max(2, grid.cp // EARLY_SHARE)


def find_frames(grid: ResourceGrid, samples: Samples) -> Iterator[Synchronisation]:
    """What looks like a frame, in the order of its coming."""
    for place in _candidates(grid, samples):
        found = _looked_at(grid, samples, place)
        if found is not None:
            yield found


def _candidates(grid: ResourceGrid, samples: Samples) -> list[int]:
    """Places where samples repeat, in their order: the likeliest, one in a row's length."""
    part, span = grid.fft // REPEATS, grid.row_samples
    likeness = [
        _likeness(samples[start : start + CHUNK + grid.fft], part, grid.fft - part)
        for start in range(0, max(len(samples) - grid.fft + 1, 0), CHUNK)
    ]
    alike = np.concatenate([*likeness, np.zeros(1, np.float32)])[: max(len(samples) - grid.fft + 1, 1)]
    spans = np.pad(alike, (0, -len(alike) % span)).reshape(-1, span)
    peaks = spans.max(axis=1)
    around = np.pad(peaks, AROUND, mode="reflect" if len(peaks) > AROUND else "edge")
    about = np.median(np.lib.stride_tricks.sliding_window_view(around, 2 * AROUND + 1), axis=1)
    tone = about > np.maximum(STANDING_OUT * peaks, LIKE_A_TONE)  # which repeats for longer than a row
    peaks = np.where(tone, 0.0, peaks)
    likeliest = np.argsort(-peaks, kind="stable")[:MOST_CANDIDATES]
    likeliest = np.sort(likeliest[peaks[likeliest] > LEAST_LIKENESS])
    return (likeliest * span + spans[likeliest].argmax(axis=1)).tolist()


def _likeness(samples: Samples, lag: int, length: int) -> NDArray[np.float32]:
    """[n - lag - length + 1] how alike so many samples are to those a lag behind them, 0 to 1."""
    if len(samples) < lag + length:
        return np.zeros(0, np.float32)
    wide = samples.astype(np.complex128)
    turn = _running(wide[:-lag].conj() * wide[lag:], length)
    power = _running(np.square(np.abs(wide)), length)
    return (2 * np.abs(turn) / np.maximum(power[:-lag] + power[lag:], 1e-30)).astype(np.float32)


def _running(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Sums of so many values in a row."""
    total = np.cumsum(np.concatenate([np.zeros(1, values.dtype), values]))
    return total[length:] - total[:-length]


def _looked_at(grid: ResourceGrid, samples: Samples, place: int) -> Synchronisation | None:
    """The frame whose first row repeats at a place, if there is one."""
    fft, part = grid.fft, grid.fft // REPEATS
    first = samples[place : place + fft].astype(np.complex128)
    turn = (first[:-part].conj() * first[part:]).sum()
    cycles = float(np.angle(turn)) / (2 * np.pi * part)
    row = grid.preamble_samples[-fft:]
    expected = place + grid.row_samples  # of the known row, without its prefix; up to a prefix later
    begin = max(expected - fft // 2, 0)
    window = samples[begin : expected + fft // 2 + fft]
    if len(window) < fft + 1:
        return None
    window = turned(window, -cycles)
    heard = np.correlate(window, row, "valid")
    power = np.square(np.abs(heard)) / max(float(np.square(np.abs(row)).sum()), 1e-30)
    energy = _running(np.square(np.abs(window.astype(np.complex128))), fft).real
    peak = int(np.argmax(power / np.maximum(energy[: len(power)], 1e-30)))
    floor = float(np.median(power)) / np.log(2)
    least = max(LEAST_PATH * power[peak], NOISE_PATH * floor)
    near = np.arange(max(peak - grid.cp, 0), peak + 1)
    strong = near[power[near] >= min(least, power[peak])]
    path = int(strong[0])
    explained = power[path : path + grid.cp].sum() / max(energy[peak], 1e-30)
    by_noise = grid.cp / fft
    if explained < by_noise + LEAST_SHARE * (1 - by_noise):
        return None
    strongest = begin + peak - grid.row_samples - grid.cp
    start = begin + path - early(grid) - grid.row_samples - grid.cp
    return Synchronisation(start, cycles + _finer(grid, samples, strongest, cycles))


def _finer(grid: ResourceGrid, samples: Samples, start: int, cycles: float) -> float:
    """What is left of a carrier offset, in cycles a sample: the peak of the spectrum of the preamble, as it
    comes over the strongest path, times the known one. start: of its first sample."""
    sent = grid.preamble_samples
    heard = turned(samples[max(start, 0) : start + len(sent)], -cycles)
    product = heard * sent[max(-start, 0) :][: len(heard)].conj()
    length = FINENESS * grid.fft
    power = np.square(np.abs(np.fft.fft(product, length)))
    near = np.arange(-FINENESS // 2, FINENESS // 2 + 1)
    peak = int(near[power[near].argmax()])
    before, at, behind = power[peak - 1], power[peak], power[peak + 1]
    bend = before - 2 * at + behind
    return (peak + (0.5 * (before - behind) / bend if bend < 0 else 0.0)) / length


def prefix_turn(grid: ResourceGrid, samples: Samples) -> float:
    """Cycles a sample by which a frame turns, from its prefixes; the half of each that echoes reach is left
    out. samples: of whole rows, with their prefixes."""
    rows = samples.astype(np.complex128).reshape(-1, grid.row_samples)
    late = slice(grid.cp // 2, grid.cp)
    total = (rows[:, late].conj() * rows[:, grid.fft :][:, late]).sum()
    return float(np.angle(total)) / (2 * np.pi * grid.fft)
