"""Smoother maps: what is known of a block, blended with what is known of its neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jscc_sim.allocation.base import BlockStatistics, Floats

LEAST = 1e-9
"""Squared 8-bit steps below which errors are all the same."""


def smoothed(blocks: BlockStatistics, share: float) -> BlockStatistics:
    """The blocks with tables of error of which the four neighbours have a share, 0 to 1, in the logarithm;
    as they are where neighbours are nothing to each other.

    Allocation by such tables makes maps of fewer bits, and networks that see across blocks do better where
    neighbours have like ratios; a prediction's own errors are averaged, too.
    """
    columns, given = blocks.columns, blocks.mse_given
    if columns is None or blocks.mse is None or share == 0:
        return blocks
    return replace(
        blocks,
        mse=_blended(blocks.mse, columns, share),
        mse_given=given and (lambda mean_energy: _blended(given(mean_energy), columns, share)),
    )


def _blended(table: Floats, columns: int, share: float) -> Floats:
    """[N, R], each block moved towards the geometric mean of those above, below, left and right; at the
    picture's edge it stands in for what is missing."""
    logs = np.log(np.maximum(table, LEAST)).reshape(-1, columns, table.shape[1])
    padded = np.pad(logs, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
    return np.asarray(np.exp((1 - share) * logs + share * around)).reshape(table.shape)
