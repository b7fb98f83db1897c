"""The order in which a payload is sent: symbols that belong together are spread over the whole frame.

A fade then takes a little of every block instead of all of a few. The places of symbols in a row are as the
multiples of the golden section, modulo 1: whatever their number, they lie evenly. Source: the golden
interleaver of Crozier, Lodge, Guinand & Hunt 1999.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jscc_sim.channels import Equalised

GOLDEN = (math.sqrt(5) - 1) / 2


def interleave(payload: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """A payload [uses] in the order of sending."""
    return payload[_order(len(payload))]


def deinterleave(heard: Equalised) -> Equalised:
    """What arrived of a whole payload, in its own order again."""
    return heard.at(places(len(heard.symbols)))


def places(uses: int) -> NDArray[np.int64]:
    """[uses] in which use of the payload each symbol is sent, 0 the first."""
    found = np.empty(uses, np.int64)
    found[_order(uses)] = np.arange(uses)
    return found


def _order(uses: int) -> NDArray[np.int64]:
    """[uses] which symbol each use carries."""
    return np.argsort(np.arange(uses) * GOLDEN % 1, kind="stable")
