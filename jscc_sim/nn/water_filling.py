"""Power over coefficients that are sent as they are: the split at which linear receivers err least.

Source: Lee & Petersen 1976. (Bits over coefficients, the reverse, are in statistics and allocation.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BISECTIONS = 60
LOWEST, HIGHEST = 1e-12, 1e9
"""Of the water level: deviations are of 8-bit samples, and no noise is 10**9 times as strong as a symbol."""


def water_filled(
    deviation: NDArray[np.float64], noise: float, total: float, weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """[n] mean power of each coefficient, of which weight times power add up to `total`.

    deviation: [n] of the coefficients; noise: its variance in a real dimension; weight: [n] how many times
    each is sent. Minimises the sum of weight * deviation**2 * noise / (power + noise).
    """
    low, high = 0.0, HIGHEST
    for _ in range(BISECTIONS):
        level = np.sqrt(max(low, LOWEST) * high)
        spent = weight @ np.maximum(deviation * level - noise, 0)
        low, high = (level, high) if spent < total else (low, level)
    return np.asarray(np.maximum(deviation * np.sqrt(max(low, LOWEST) * high) - noise, 0.0))
