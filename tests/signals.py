"""Symbols, ratio maps and statistical bounds that the tests share."""

import math

import numpy as np

from jscc_sim.units import noise_variance

STANDARD_ERRORS = 4.5
"""That a mean may be off: what is right misses that once in 100 000 seeds, and the seeds are fixed."""


def mean_is(values, expected):
    """Whether the mean of independent values agrees with what is expected of it."""
    error = abs(values.mean() - expected)
    return error <= STANDARD_ERRORS * values.std(ddof=1) / math.sqrt(len(values))


def uncorrelated(a, b):
    """Whether two zero-mean complex samples are."""
    product = a * np.conj(b)
    return mean_is(product.real, 0) and mean_is(product.imag, 0)


def qpsk(count, seed=9):
    """[count] random symbols of unit power."""
    quarters = np.random.default_rng(seed).integers(0, 4, count)
    return np.exp(1j * np.pi / 4 * (2 * quarters + 1)).astype(np.complex64)


def noisy(symbols, snr_db, rng):
    noise = rng.normal(size=(2, len(symbols))) * np.sqrt(noise_variance(snr_db) / 2)
    return (symbols + noise[0] + 1j * noise[1]).astype(np.complex64)


def natural_map(rows=16, cols=24, ratios=12, seed=1):
    """A smooth random field with detail: correlated like the Lagrangian maps of photographs."""
    rng = np.random.default_rng(seed)
    spectrum = 1 / (0.5 + np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.fftfreq(cols) * cols)) ** 2
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(rows, cols))) * spectrum).real
    field += 0.2 * field.std() * rng.normal(size=field.shape)
    scaled = (field - field.mean()) / max(field.std(), 1e-9) * 1.7 + 6.3
    return np.clip(np.rint(scaled), 0, ratios - 1).astype(np.int64)
