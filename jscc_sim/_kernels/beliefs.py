"""LDPC codes are decoded by belief propagation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jscc_sim._kernels.compiled import Ints, njit

_SURE = np.float32(1 - 2.0**-23)
"""The largest tanh(LLR / 2) that a check may claim: an LLR of 16.6."""

_MOST_CHECKED = 32
"""Bits that one check holds: at most 19 in 5G's codes."""


@njit()
def belief_propagation(
    soft: NDArray[np.float32],
    messages: NDArray[np.float32],
    starts: Ints,
    places: NDArray[np.int32],
    iterations: int,
) -> NDArray[np.float32]:
    """[V] beliefs after so many rounds in which all checks speak at once (sum-product, flooding).

    soft: [V] what the channel says of each bit, log of P(0) over P(1), as the beliefs. messages: [E, Z] what
    each check says to each of its bits, changed in place. starts, places: see LiftedGraph.
    """
    one = np.float32(1)
    limit = np.float32(16)
    beliefs = soft.copy()
    for e in range(len(places)):
        for i in range(places.shape[1]):
            beliefs[places[e, i]] += messages[e, i]
    heard = np.empty(_MOST_CHECKED, np.float32)
    later = np.empty(_MOST_CHECKED, np.float32)
    for _ in range(iterations):
        after = soft.copy()
        for row in range(len(starts) - 1):
            first, degree = starts[row], starts[row + 1] - starts[row]
            for i in range(places.shape[1]):
                for j in range(degree):
                    odds = math.exp(
                        min(max(beliefs[places[first + j, i]] - messages[first + j, i], -limit), limit)
                    )
                    heard[j] = (odds - one) / (odds + one)
                product = one
                for j in range(degree - 1, -1, -1):
                    later[j] = product
                    product *= heard[j]
                product = one
                for j in range(degree):
                    said = min(max(product * later[j], -_SURE), _SURE)
                    product *= heard[j]
                    messages[first + j, i] = math.log((one + said) / (one - said))
                    after[places[first + j, i]] += messages[first + j, i]
        beliefs = after
    return beliefs
