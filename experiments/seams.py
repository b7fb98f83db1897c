"""Seams: the squared error in the outer two pixels of the blocks, against that inside.

python experiments/seams.py --images FOLDER
"""

from __future__ import annotations

import argparse

import numpy as np
from study import guarded, sources

from jscc_sim.allocation import load_policy
from jscc_sim.channels import AWGN
from jscc_sim.images import read_picture
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import BLOCK, budget_uses, parse_cbr
from jscc_sim.zoo import DEFAULT_ZOO, load_zoo

RING = 2
SNR_DB, CBR = 10.0, parse_cbr("1/16")


def main() -> None:
    """Print the ratio for two policies, over all images together."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", help="pictures (the built-in photographs)")
    parser.add_argument("--zoo", default=DEFAULT_ZOO)
    arguments = parser.parse_args()
    for policy in ("uniform", "lagrangian"):
        system = BlockJSCC(load_zoo(arguments.zoo), load_policy(policy))
        sums = np.zeros((2, 2))
        for source in sources(arguments.images):
            picture = read_picture(source)
            height, width = picture.shape[:2]
            budget = budget_uses(CBR, height, width)
            sent = system.transmit(picture, AWGN(SNR_DB), budget, np.random.default_rng(0))
            error = np.square(sent.picture.astype(float) - picture).mean(axis=2)
            ring = in_ring(height)[:, None] | in_ring(width)[None, :]
            for place, where in enumerate((ring, ~ring)):
                sums[place] += error[where].sum(), where.sum()
        outer, inner = sums[:, 0] / sums[:, 1]
        print(f"{policy}: ring {outer:.2f}, inside {inner:.2f}, ratio {outer / inner:.3f}")


def in_ring(length: int) -> np.ndarray:
    """[length] whether a row or column is one of the outer ones of its block."""
    place = np.arange(length) % BLOCK
    return np.asarray((place < RING) | (place >= BLOCK - RING))


if __name__ == "__main__":
    guarded(main)
