"""What a smoother ratio map is worth, on validation pictures.

Each block's table of predicted errors is blended with those of its four neighbours before allocation, so
that the map costs fewer bits and the networks see fewer jumps. Nothing falls back to the uniform policy here.

python experiments/map_smoothness.py FOLDER
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from study import guarded

from jscc_sim.allocation import AllocationPolicy, BlockStatistics, Lagrangian, Uniform
from jscc_sim.blocks import Grid
from jscc_sim.channels import AWGN
from jscc_sim.images import read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.training.data import split_folder
from jscc_sim.units import RatioSet, budget_uses, parse_cbr
from jscc_sim.zoo import DEFAULT_ZOO, load_zoo

SNRS_DB = (1.0, 4.0, 10.0)
CBRS = ("1/48", "1/24", "1/16", "1/8")
SHARES = (0.0, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Blended(AllocationPolicy):
    """Lagrangian on tables of which the neighbours have a share."""

    needs: ClassVar[tuple[str, ...]] = ("predicted_mse",)
    grid: Grid
    share: float

    def _allocate(self, blocks: BlockStatistics, ratios: RatioSet, budget: int) -> NDArray[np.int64]:
        assert blocks.mse is not None
        given = blocks.mse_given
        blended = replace(
            blocks,
            mse=self._blend(blocks.mse),
            mse_given=None if given is None else lambda energy: self._blend(given(energy)),
        )
        return Lagrangian().allocate(blended, ratios, budget)

    def _blend(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        logs = np.log(np.maximum(table, 1e-9)).reshape(self.grid.rows, self.grid.columns, -1)
        padded = np.pad(logs, ((1, 1), (1, 1), (0, 0)), mode="edge")
        around = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]) / 4
        return np.asarray(np.exp((1 - self.share) * logs + self.share * around)).reshape(table.shape)


def main() -> None:
    """Print a line for each SNR and CBR: gain over uniform in dB and share of the header, by share."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", metavar="FOLDER", help="training images; their held-out share is used")
    parser.add_argument("--zoo", default=DEFAULT_ZOO)
    parser.add_argument("--pictures", type=int, default=12)
    arguments = parser.parse_args()
    names = split_folder(arguments.folder).validation
    pictures = [read_picture(name) for name in names[:: max(1, len(names) // arguments.pictures)]]
    zoo = load_zoo(arguments.zoo)
    for snr_db in SNRS_DB:
        for cbr in CBRS:
            gains = {share: [] for share in SHARES}
            headers = {share: [] for share in SHARES}
            for number, picture in enumerate(pictures[: arguments.pictures]):
                height, width = picture.shape[:2]
                budget, psnrs = budget_uses(parse_cbr(cbr), height, width), []
                for policy in (Uniform(), *(Blended(Grid(height, width), share) for share in SHARES)):
                    system, rng = BlockJSCC(zoo, policy), np.random.default_rng(number)
                    found = system.transmit(picture, AWGN(snr_db), budget, rng)
                    psnrs.append(psnr_between(found.picture, picture))
                    if isinstance(policy, Blended):
                        gains[policy.share].append(psnrs[-1] - psnrs[0])
                        headers[policy.share].append(found.header_uses / budget)
            means = (f"{s:g}: {np.mean(gains[s]):+.3f} ({np.mean(headers[s]):.1%})" for s in SHARES)
            print(f"{snr_db:g} dB, {cbr}: ", *means, flush=True)


if __name__ == "__main__":
    guarded(main)
