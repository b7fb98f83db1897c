"""What a smoother ratio map is worth, on validation pictures.

Each block's table of predicted errors is blended with those of its four neighbours before allocation, so
that the map costs fewer bits and the networks see fewer jumps.

python experiments/map_smoothness.py FOLDER
"""

from __future__ import annotations

import argparse

import numpy as np
from study import guarded

from jscc_sim.allocation import Lagrangian, Uniform
from jscc_sim.channels import AWGN
from jscc_sim.images import read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.training.data import split_folder
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import DEFAULT_ZOO, load_zoo

SNRS_DB = (1.0, 4.0, 10.0)
CBRS = ("1/48", "1/24", "1/16", "1/8")
POLICIES = {f"{share:g}": Lagrangian(smoothing=share) for share in (0.0, 0.3, 0.6)}


def main() -> None:
    """Print a line for each SNR and CBR: gain over uniform in dB, mean and of the picture that gains least,
    and the header's share of the budget, by share of the neighbours."""
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
            gains = {name: [] for name in POLICIES}
            headers = {name: [] for name in POLICIES}
            for number, picture in enumerate(pictures[: arguments.pictures]):
                height, width = picture.shape[:2]
                budget, psnrs = budget_uses(parse_cbr(cbr), height, width), {}
                for name, policy in {"uniform": Uniform(), **POLICIES}.items():
                    system, rng = BlockJSCC(zoo, policy), np.random.default_rng(number)
                    found = system.transmit(picture, AWGN(snr_db), budget, rng)
                    psnrs[name] = psnr_between(found.picture, picture)
                    if name in POLICIES:
                        gains[name].append(psnrs[name] - psnrs["uniform"])
                        headers[name].append(found.header_uses / budget)
            shown = (
                f"{n}: {np.mean(gains[n]):+.3f} (least {min(gains[n]):+.2f}, {np.mean(headers[n]):.1%})"
                for n in POLICIES
            )
            print(f"{snr_db:g} dB, {cbr}: ", *shown, flush=True)


if __name__ == "__main__":
    guarded(main)
