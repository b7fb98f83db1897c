"""Mixtures: K components of N integers each, see coding/mixture.py."""

from __future__ import annotations

import numpy as np

from jscc_sim._kernels.compiled import Floats, Ints, njit


@njit()
def mixture_frequencies(
    shares: Ints, means: Ints, inverses: Ints, centres: Ints, half: int, table: Ints
) -> Floats:
    """[N, 2 * half + 3] frequencies, in units of 2**-30: below the window around the centre, each of
    its values, above it. shares [K, N] of 2**24; means [K, N] in 2**-10; inverses [K, N] of the scales in
    2**-20; table: the normal distribution at -8, -8 + 2**-8, ... 8, in 2**-30."""
    count, width = means.shape[1], 2 * half + 3
    frequencies = np.empty((count, width))
    for n in range(count):
        before = 0
        for j in range(width):
            below = 1 << 30
            if j < width - 1:
                edge = (centres[n] - half + j) * 1024 - 512
                total = 0
                for k in range(len(means)):
                    place = ((edge - means[k, n]) * inverses[k, n] >> 14) + (8 << 16)
                    place = min(max(place, 0), (16 << 16) - 1)
                    low = table[place >> 8]
                    total += shares[k, n] * (low + ((table[(place >> 8) + 1] - low) * (place & 255) >> 8))
                below = total >> 24
            frequencies[n, j] = max(below - before, 0)
            before = max(before, below)
    return frequencies
