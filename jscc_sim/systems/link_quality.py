"""What the uses of a frame are worth together: the SNR of an AWGN channel that carries as much.

Mutual information adds up over the uses that a code block is spread over, so the AWGN at which a use
carries their mean predicts its fate. Source: Brueninghaus et al. 2005, eq. (4), the MIESM.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import OUTAGE_SHARE, Channel, Received, Symbols, equalise
from jscc_sim.coding.capacity import QAMS, qam_bits, shannon_snr_db, snr_db_for_bits
from jscc_sim.errors import InputError
from jscc_sim.systems.base import ChannelProbe, own_stream

Array = NDArray[np.float64]

SHANNON = 0
"""In place of bits per symbol: Gaussian symbols, whose mutual information is Shannon's capacity."""

DRAWS = 100
"""Of the fading, by a sender that wants to know what it may meet."""


def check_noise_known(channel: Channel, equaliser: str, what: str) -> None:
    """Raises InputError where the noise variance at the receiver does not hold the fading: the SNR of a use
    is then not known to it, and what `what` says of the SNR does not hold."""
    if not channel.noise_known(equaliser):
        where = f"with equaliser {equaliser}" if channel.estimated else "of a channel without estimate"
        raise InputError(
            f"the receiver {where} is not told of the fading, and {what} hold for a known SNR alone: "
            "CODEC+ldpc really decodes"
        )


def effective_snr_db(snrs_db: Array, bits_per_symbol: int = SHANNON) -> Array:
    """snrs_db: [..., uses]. Returns [...] the SNR of an AWGN channel of equal mean mutual information."""
    if bits_per_symbol == SHANNON:
        return shannon_snr_db(snrs_db)
    return snr_db_for_bits(qam_bits(snrs_db, bits_per_symbol).mean(axis=-1), bits_per_symbol)


def probe_db(received: Callable[[Symbols], Received], uses: int, equaliser: str = "mmse") -> Array:
    """[uses] SNR of each use of a frame. received: what becomes of symbols on the channel."""
    equalised = equalise(received(np.ones(uses, np.complex64)), equaliser)
    return np.asarray(-10 * np.log10(equalised.unbiased_variance))


def planning_snr_db(belief: Channel, uses: int, bits_per_symbol: int = SHANNON) -> float:
    """The effective SNR that all but OUTAGE_SHARE of frames of so many uses exceed; on AWGN the SNR."""
    return _planning(belief, uses)[bits_per_symbol]


def csit_snr_db(csit: ChannelProbe, start: int, uses: int, bits_per_symbol: int = SHANNON) -> float:
    """The effective SNR that so many uses behind the first `start` of a frame will meet, to a sender that
    knows its fading."""
    probe = partial(csit, draw=0, start=start)
    return float(effective_snr_db(probe_db(probe, uses), bits_per_symbol))


def _frame_db(belief: Channel, uses: int, rng: np.random.Generator) -> Array:
    """[uses, or fewer that stand for them] SNR of each use of a frame that a sender makes up."""
    found = belief.frame_snrs_db(uses, rng)
    return probe_db(partial(belief.imagined, rng=rng), uses) if found is None else found


@lru_cache(maxsize=256)
def _planning(belief: Channel, uses: int) -> dict[int, float]:
    """planning_snr_db of all kinds of symbols, from the same frames."""
    frames = (_frame_db(belief, uses, own_stream(draw)) for draw in range(DRAWS))
    first = [next(frames), next(frames)]
    kinds = (SHANNON, *QAMS)
    if all(np.ptp(frame) < 1e-9 for frame in first):  # nothing changes within a frame
        return dict.fromkeys(kinds, belief.outage_snr_db())
    found = [[effective_snr_db(frame, kind) for kind in kinds] for frame in chain(first, frames)]
    return dict(zip(kinds, np.quantile(found, OUTAGE_SHARE, axis=0).tolist(), strict=True))
