"""A picture to try plug-ins on."""

from __future__ import annotations

import numpy as np

from jscc_sim.images import Picture


def sample_picture(height: int, width: int) -> Picture:
    """Slopes, an edge and a busy corner: the same each time."""
    y, x = np.mgrid[:height, :width]
    picture = np.stack([2 * x, 255 - 2 * y, 60 + x + y], axis=-1).astype(np.float64) % 256
    picture[: height // 2, : width // 2] += np.random.default_rng(5).normal(
        0, 40, (height // 2, width // 2, 3)
    )
    picture[height // 3 :, width // 2 :] *= 0.5
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
