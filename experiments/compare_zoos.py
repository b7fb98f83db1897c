"""Zoos side by side: every block at the same ratio, validation pictures, AWGN, header not counted.

python experiments/compare_zoos.py FOLDER --zoo conv-small --beside my_zoo
"""

from __future__ import annotations

import numpy as np
from held_out import held_out_parser, held_out_pictures
from study import guarded

from jscc_sim.blocks import reassemble, split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.images import Picture
from jscc_sim.metrics import psnr_between
from jscc_sim.nn.bank import Bank, pool_gain
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 10.0, 20.0)
USES = (64, 192, 384)


def main() -> None:
    """Print a line for each zoo: mean PSNR by uses per block and SNR."""
    parser = held_out_parser(__doc__, pictures=24)
    parser.add_argument("--beside", nargs="*", default=[], metavar="ZOO", help="others")
    arguments = parser.parse_args()
    pictures = held_out_pictures(arguments)
    for name in (arguments.zoo, *arguments.beside):
        bank = load_zoo(name).bank
        for uses in USES:
            shown = []
            for snr_db in SNRS_DB:
                mean = np.mean([psnr_db(bank, picture, uses, snr_db) for picture in pictures])
                shown.append(f"{snr_db:g} dB {mean:.2f}")
            print(f"{name}, {uses} uses a block: {', '.join(shown)}", flush=True)


def psnr_db(bank: Bank, picture: Picture, uses: int, snr_db: float) -> float:
    """Of one picture as it arrives."""
    blocks, grid = split(picture)
    index = np.full(len(grid), bank.ratios.indices([uses])[0])
    latents = bank.encode(blocks, grid, index, snr_db)
    gain = pool_gain(latents)
    received = equalise(AWGN(snr_db)((gain * latents).astype(np.complex64), np.random.default_rng(0)))
    decoded = bank.decode(received, gain, grid, index, snr_db)
    return psnr_between(reassemble(decoded, grid), picture)


if __name__ == "__main__":
    guarded(main)
