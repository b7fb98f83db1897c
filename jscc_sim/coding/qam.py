"""Square QAM of unit mean power with the Gray labels of 5G, and its soft demapper."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised
from jscc_sim.coding.bits import Bits
from jscc_sim.errors import InputError

QPSK = 2
"""Bits per symbol of QPSK."""

LLR_LIMIT = 1e3
"""Largest magnitude of a log-likelihood ratio: certainty, and still finite."""


def map_bits(bits: Bits, bits_per_symbol: int = QPSK) -> NDArray[np.complex64]:
    """bits: [n * bits_per_symbol]. Returns [n] symbols (3GPP TS 38.211, section 5.1).

    bits_per_symbol: 2, 4, 6 or 8. Even bits choose the real part, odd ones the imaginary part.
    """
    levels = _levels(bits_per_symbol)
    half = bits_per_symbol // 2
    if len(bits) % bits_per_symbol:
        raise InputError(f"{len(bits)} bits do not fill symbols of {bits_per_symbol} bits")
    label = bits.reshape(-1, half, 2).transpose(2, 0, 1) @ (1 << np.arange(half)[::-1])
    return np.asarray(levels[label[0]] + 1j * levels[label[1]], dtype=np.complex64)


def soft_bits_of(heard: Equalised, bits_per_symbol: int = QPSK) -> NDArray[np.float64]:
    """See `soft_bits`."""
    return soft_bits(heard.symbols, heard.gain, heard.noise_variance, bits_per_symbol)


def soft_bits(
    symbols: NDArray[np.complex64],
    gain: NDArray[np.float64] | float,
    noise_variance: NDArray[np.float64] | float,
    bits_per_symbol: int = QPSK,
) -> NDArray[np.float64]:
    """Exact log-likelihood ratios of symbols received as gain * s + noise.

    symbols: [n]. gain, noise_variance: [n] or one number; the variance is complex. Returns
    [n * bits_per_symbol] logarithms of P(bit = 1) over P(bit = 0), Sionna's sign, within
    LLR_LIMIT; a use that says nothing (gain 0, variance infinite or unknown) gives 0.
    """
    levels, half = _levels(bits_per_symbol), bits_per_symbol // 2
    count = len(symbols)
    parts = np.stack([symbols.real, symbols.imag], axis=1).astype(np.float64)
    scale = np.broadcast_to(np.asarray(gain, dtype=np.float64), count)[:, None, None]
    variance = np.broadcast_to(np.asarray(noise_variance, dtype=np.float64), count)[:, None, None]
    with np.errstate(over="ignore", invalid="ignore"):
        metric = -((parts[:, :, None] - scale * levels) ** 2) / np.maximum(variance, 1e-30)
        ones = (np.arange(len(levels)) >> np.arange(half)[::-1, None] & 1).astype(bool)
        llrs = [
            np.logaddexp.reduce(metric[:, :, one], axis=2) - np.logaddexp.reduce(metric[:, :, ~one], axis=2)
            for one in ones
        ]
    finite = np.nan_to_num(np.stack(llrs, axis=1), nan=0.0)
    return np.asarray(np.clip(finite, -LLR_LIMIT, LLR_LIMIT).reshape(-1))


@lru_cache(maxsize=4)
def _levels(bits_per_symbol: int) -> NDArray[np.float64]:
    """The amplitudes of one dimension by label, for a unit mean power of both."""
    if bits_per_symbol not in {2, 4, 6, 8}:
        raise InputError(f"QAM of {bits_per_symbol} bits per symbol: 2, 4, 6 or 8 are possible")
    levels = np.array([1.0, -1.0])
    for rank in range(1, bits_per_symbol // 2):
        levels = np.concatenate([2.0**rank - levels, levels - 2.0**rank])
    return np.asarray(levels / np.sqrt(2 * (levels**2).mean()))
