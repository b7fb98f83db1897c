"""Measure from which SNR each code rate carries blocks: python experiments/measure_modes.py

Prints jscc_sim/coding/mode_table.py. Blocks of random bits meet AWGN of SNRs drawn over a window; a probit
regression of what failed gives the SNR at which one block in a thousand does. Takes about three minutes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from jscc_sim.coding import ldpc, qam, small_block
from jscc_sim.units import noise_variance

RATES = (8 / 9, 2 / 3, 1 / 2, 1 / 3, 1 / 5)
BLOCK_BITS = (64, 128, 256, 512, 1024, 2048, 3824)
TARGET = 1e-3
PREAMBLE_TARGET = 1e-4
SEED = 20260

Trial = Callable[[float, Generator], bool]


def received_llrs(coded: NDArray[np.uint8], snr_db: float, rng: Generator) -> NDArray[np.float64]:
    """What the demapper says of [n] coded bits sent as QPSK over AWGN."""
    symbols, variance = qam.map_bits(coded), noise_variance(snr_db)
    noise = rng.normal(size=(2, len(symbols))) * np.sqrt(variance / 2)
    return qam.soft_bits((symbols + noise[0] + 1j * noise[1]).astype(np.complex64), 1.0, variance)


def ldpc_fails(k: int, rate: float) -> Trial:
    """A trial of one block of k bits (CRC included)."""
    n = coded_bits(k, rate)

    def trial(snr_db: float, rng: Generator) -> bool:
        sent = rng.integers(0, 2, (1, k), dtype=np.uint8)
        llrs = received_llrs(ldpc.encode(sent, n)[0], snr_db, rng)
        return not np.array_equal(ldpc.decode(llrs[None], k), sent)

    return trial


def small_block_fails(snr_db: float, rng: Generator) -> bool:
    """A trial of one unrepeated word of the small block code."""
    sent = int(rng.integers(1 << small_block.BITS))
    llrs = received_llrs(small_block.encode(sent, small_block.WORD), snr_db, rng)
    return small_block.decode(llrs).value != sent


def coded_bits(k: int, rate: float) -> int:
    """Coded bits of a block: an even number, as QPSK wants."""
    return 2 * int(np.ceil(k / rate / 2 - 1e-9))


def threshold_db(fails: Trial, window: tuple[float, float], target: float, blocks: int) -> float:
    """SNR in dB at which a block fails with probability `target`, by probit regression."""
    from scipy.optimize import minimize
    from scipy.stats import norm

    rng = np.random.default_rng(SEED)
    snr = rng.uniform(*window, size=blocks)
    failed = np.array([fails(snr_db, rng) for snr_db in snr])

    def unlikelihood(fit: NDArray[np.float64]) -> float:
        score = (snr - fit[0]) / np.exp(fit[1])
        return float(-norm.logcdf(np.where(failed, -score, score)).sum())

    middle, log_width = minimize(unlikelihood, (np.mean(window), -1.0), method="Nelder-Mead").x
    print(f"{blocks} blocks, half fail at {middle:.2f} dB, sigma {np.exp(log_width):.2f} dB", file=sys.stderr)
    return float(middle + np.exp(log_width) * norm.isf(target))


def waterfall(k: int, rate: float) -> tuple[float, float]:
    """SNRs in dB between which the share of failing blocks falls from nearly all to nearly none."""
    shannon = 10 * np.log10(4**rate - 1)  # complex Gaussian symbols at 2 * rate bits per use
    width = 4.5 if k < 200 else 3.0 if k < 1000 else 2.2
    return float(shannon), float(shannon + width + (2.0 if rate > 0.8 else 0.0))


def main() -> None:
    """Print the table as Python."""
    import torch

    torch.set_num_threads(1)
    preamble = threshold_db(small_block_fails, (-0.5, 3.5), PREAMBLE_TARGET, 40_000)
    print('"""SNR in dB that each code needs on AWGN: of experiments/measure_modes.py, do not edit."""\n')
    print(f"SMALL_BLOCK_DB = {preamble:.2f}")
    print(f'"""One word of the small block code, wrong once in {1 / PREAMBLE_TARGET:.0f}."""\n')
    print(f"BLOCK_BITS = {BLOCK_BITS}\n")
    print("THRESHOLD_DB = {")
    for rate in RATES:
        row = []
        for k in BLOCK_BITS:
            blocks = int(np.clip(600_000 * rate / k, 80, 1200))
            row.append(f"{threshold_db(ldpc_fails(k, rate), waterfall(k, rate), TARGET, blocks):.2f}")
        print(f"    {rate!r}: ({', '.join(row)}),", flush=True)
    print("}")
    print(f'"""By rate, for each of BLOCK_BITS: one block in {1 / TARGET:.0f} fails."""')


if __name__ == "__main__":
    main()
