"""Zoos side by side: every block at the same ratio, validation pictures, AWGN, header not counted.

python experiments/compare_zoos.py FOLDER --zoo conv-small --beside my_zoo
"""

from __future__ import annotations

import math

from held_out import held_out_parser, held_out_pictures
from study import guarded

from jscc_sim.errors import InputError
from jscc_sim.training.block_jscc import bank_quality_db
from jscc_sim.training.objective import FIGURES, PSNR
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 10.0, 20.0)
USES = (64, 192, 384)


def main() -> None:
    """Print a line for each zoo: mean figure by uses per block and SNR."""
    parser = held_out_parser(__doc__, pictures=24)
    parser.add_argument("--beside", nargs="*", default=[], metavar="ZOO", help="others")
    parser.add_argument("--metric", choices=FIGURES, default=PSNR, help=f"what is measured ({PSNR})")
    arguments = parser.parse_args()
    pictures = held_out_pictures(arguments)
    for name in (arguments.zoo, *arguments.beside):
        bank = load_zoo(name).bank
        for uses in USES:
            found = {snr: bank_quality_db(bank, pictures, arguments.metric, uses, snr) for snr in SNRS_DB}
            if math.isnan(found[SNRS_DB[0]]):
                raise InputError(
                    f"none of the {len(pictures)} pictures is large enough for {arguments.metric}"
                )
            shown = ", ".join(f"{snr_db:g} dB {figure_db:.2f}" for snr_db, figure_db in found.items())
            print(f"{name}, {FIGURES[arguments.metric]}, {uses} uses a block: {shown}", flush=True)


if __name__ == "__main__":
    guarded(main)
