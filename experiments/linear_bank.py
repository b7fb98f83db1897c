"""The linear bank, uniform, genie side information: the check that power, noise and PSNR are right.

python experiments/linear_bank.py --images FOLDER
"""

from __future__ import annotations

import argparse

import numpy as np

from jscc_sim.allocation import Uniform
from jscc_sim.channels import AWGN
from jscc_sim.images import list_pictures, read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo

CBRS = ("1/96", "1/48", "1/24", "1/16", "1/12", "1/8", "1/6")


def main() -> None:
    """Print mean PSNR at 10 and 20 dB."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", required=True)
    pictures = [read_picture(path) for path in list_pictures(parser.parse_args().images)]
    system = BlockJSCC(load_zoo("linear"), Uniform(), genie=True)
    print("SNR dB  " + "  ".join(f"{cbr:>6}" for cbr in CBRS))
    for snr_db in (10.0, 20.0):
        means = []
        for cbr in CBRS:
            psnrs = []
            for picture in pictures:
                budget = budget_uses(parse_cbr(cbr), *picture.shape[:2])
                sent = system.transmit(picture, AWGN(snr_db), budget, np.random.default_rng(0))
                psnrs.append(psnr_between(sent.picture, picture))
            means.append(np.mean(psnrs))
        print(f"{snr_db:6g}  " + "  ".join(f"{mean:6.2f}" for mean in means))


if __name__ == "__main__":
    main()
