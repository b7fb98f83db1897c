"""Symbols and ratio maps that the tests share."""

import numpy as np

from jscc_sim.units import noise_variance


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
