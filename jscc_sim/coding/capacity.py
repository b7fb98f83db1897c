"""What a channel use can carry: Shannon's limit, and that of Gray-labelled QAM decoded bit by bit."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.coding import qam
from jscc_sim.coding.mcs import Scheme

Array = NDArray[np.float64]

QAMS = (2, 4, 6, 8)
"""Bits per symbol of the square QAMs."""

_GRID_DB = np.arange(-20.0, 45.01, 0.1)
_NODES = 40


def shannon_bits(snr: Array | float) -> Array:
    """Bits of a channel use at an SNR (a power ratio, not dB): log2(1 + snr)."""
    return np.asarray(np.log2(1.0 + np.asarray(snr, dtype=np.float64)))


def shannon_snr_db(snrs_db: Array) -> Array:
    """snrs_db: [..., uses]. Returns [...] the SNR in dB at which `shannon_bits` is the mean of theirs."""
    mean = shannon_bits(10 ** (snrs_db / 10)).mean(axis=-1)
    return np.asarray(10 * np.log10(np.maximum(np.exp2(mean) - 1, 1e-12)))


def qam_bits(snr_db: Array | float, bits_per_symbol: int) -> Array:
    """Mutual information in bits per use of Gray-labelled QAM whose bits are decoded one by one (BICM)
    on AWGN, a little above 0 to bits_per_symbol. Source: Caire, Taricco & Biglieri 1998, eq. (15)."""
    return np.asarray(np.interp(snr_db, _GRID_DB, _curve(bits_per_symbol)))


def snr_db_for_bits(bits: Array | float, bits_per_symbol: int) -> Array:
    """The SNR in dB at which `qam_bits` has that value."""
    return np.asarray(np.interp(bits, _curve(bits_per_symbol), _GRID_DB))


def snr_db_for(scheme: Scheme) -> float:
    """The SNR in dB below which no code of the scheme's rate can work on its QAM."""
    return float(snr_db_for_bits(scheme.bits_per_use, scheme.bits_per_symbol))


@lru_cache(maxsize=4)
def _curve(bits_per_symbol: int) -> Array:
    """qam_bits on the grid: Gauss-Hermite quadrature over the noise of one real dimension."""
    nodes, weights = np.polynomial.hermite.hermgauss(_NODES)
    half = bits_per_symbol // 2
    labels = np.arange(1 << half)
    bits = labels[:, None] >> np.arange(half)[::-1] & 1
    spread = np.zeros((len(labels), half, 2), dtype=np.uint8)
    spread[:, :, 0] = bits
    levels = qam.map_bits(spread.reshape(-1), bits_per_symbol).real.astype(np.float64)
    found = []
    for snr_db in _GRID_DB:
        sigma = np.sqrt(10 ** (-snr_db / 10) / 2)
        heard = levels[:, None] + np.sqrt(2) * sigma * nodes
        llrs = qam.soft_bits(heard.reshape(-1).astype(np.complex64), 1.0, 2 * sigma**2, bits_per_symbol)
        own = llrs.reshape(len(levels), _NODES, half, 2)[..., 0]
        agreement = np.where(bits[:, None] == 1, own, -own)
        lost = (weights[:, None] * np.logaddexp(0.0, -agreement)).sum(axis=1) / np.sqrt(np.pi) / np.log(2)
        found.append(2 * (half - lost.mean(axis=0).sum()))
    return np.maximum.accumulate(np.maximum(found, 0.0)) + 1e-9 * np.arange(len(found))
