"""What a smoother ratio map is worth, on validation pictures.

Each block's table of predicted errors is blended with those of its four neighbours before allocation, so
that the map costs fewer bits and the networks see fewer jumps.

python experiments/map_smoothness.py FOLDER
"""

from __future__ import annotations

import numpy as np
from held_out import held_out_parser, held_out_pictures
from study import guarded

from jscc_sim.allocation import Lagrangian, Uniform
from jscc_sim.channels import AWGN
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 4.0, 10.0)
CBRS = ("1/48", "1/24", "1/16", "1/8")
POLICIES = {f"{share:g}": Lagrangian(smoothing=share) for share in (0.0, 0.3, 0.6)}


def main() -> None:
    """Print a line for each SNR and CBR: gain over uniform in dB, mean and of the picture that gains least,
    and the header's share of the budget, by share of the neighbours."""
    parser = held_out_parser(__doc__, pictures=12)
    arguments = parser.parse_args()
    pictures = held_out_pictures(arguments)
    zoo = load_zoo(arguments.zoo)
    for snr_db in SNRS_DB:
        for cbr in CBRS:
            gains = {name: [] for name in POLICIES}
            headers = {name: [] for name in POLICIES}
            for number, picture in enumerate(pictures):
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
