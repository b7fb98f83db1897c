"""What the uses of a frame are worth together: the SNR of an AWGN channel that carries as much.

Mutual information adds up over the uses that a code block is spread over, so the AWGN at which a use
carries their mean predicts its fate. Source: Brueninghaus et al. 2005, eq. (4), the MIESM.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Channel, Equalised, equalise
from jscc_sim.coding.capacity import qam_bits, shannon_bits, snr_db_for_bits
from jscc_sim.systems.base import Trial

Array = NDArray[np.float64]

SHANNON = 0
"""In place of bits per symbol: Gaussian symbols, whose mutual information is Shannon's capacity."""

DRAWS = 100
"""Of the fading, by a sender that wants to know what it may meet."""

DEPENDABLE_SHARE = 0.05
"""Share of frames whose fading may be worse than planned for."""


def effective_snr_db(snrs_db: Array, bits_per_symbol: int = SHANNON) -> Array:
    """snrs_db: [..., uses]. Returns [...] the SNR of an AWGN channel of equal mean mutual information."""
    if bits_per_symbol == SHANNON:
        mean = shannon_bits(10 ** (snrs_db / 10)).mean(axis=-1)
        return np.asarray(10 * np.log10(np.maximum(np.exp2(mean) - 1, 1e-12)))
    return snr_db_for_bits(qam_bits(snrs_db, bits_per_symbol).mean(axis=-1), bits_per_symbol)


def snrs_db(equalised: Equalised) -> Array:
    """[uses] SNR of each received use."""
    return np.asarray(-10 * np.log10(equalised.unbiased_variance))


@lru_cache(maxsize=256)
def foreseen_snr_db(belief: Channel, uses: int, bits_per_symbol: int = SHANNON) -> float:
    """The effective SNR that all but DEPENDABLE_SHARE of frames of so many uses exceed; on AWGN the SNR."""
    draws = [_drawn(belief, uses, draw) for draw in range(2)]
    if all(np.ptp(draw) < 1e-9 for draw in draws):  # nothing changes within a frame
        return belief.dependable_snr_db()
    found = [effective_snr_db(_drawn(belief, uses, draw), bits_per_symbol) for draw in range(DRAWS)]
    return float(np.quantile(found, DEPENDABLE_SHARE))


def informed_snr_db(foresight: Trial, uses: int, bits_per_symbol: int = SHANNON) -> float:
    """The effective SNR that a frame will meet, to a sender that knows its fading."""
    received = equalise(foresight(np.ones(uses, np.complex64), 0))
    return float(effective_snr_db(snrs_db(received), bits_per_symbol))


def _drawn(belief: Channel, uses: int, draw: int) -> Array:
    return snrs_db(equalise(belief(np.ones(uses, np.complex64), np.random.default_rng([7, draw]))))
