"""Send one photograph with two policies: a table, and a figure of what adaptation does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jscc_sim.allocation import load_policy
from jscc_sim.channels import AWGN
from jscc_sim.coding import ldpc
from jscc_sim.images import read_picture
from jscc_sim.metrics import measure
from jscc_sim.plots import Reconstruction, reception_figure, save_figure
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, cbr_of, parse_cbr
from jscc_sim.zoo import load_zoo

IMAGE, SNR_DB, CBR, SEED = "astronaut", 10.0, parse_cbr("1/16"), 0
FIGURE = Path("out/first_run.png")
ROW = "{:<11} {:>7} {:>8} {:>13} {:>8} {:>7} {:>8} {:>8}"


def main() -> None:
    """Print the table and write the figure."""
    picture = read_picture(IMAGE)
    height, width = picture.shape[:2]
    zoo, channel = load_zoo(), AWGN(SNR_DB)
    budget = budget_uses(CBR, height, width)
    print(f"{IMAGE}, {height}x{width}, AWGN at {SNR_DB:g} dB, CBR {CBR}: at most {budget} channel uses\n")
    print(ROW.format("policy", "uses", "CBR", "header share", "PSNR dB", "SSIM", "MS-SSIM", "seconds"))
    ldpc.prepare()
    reconstructions = []
    for name in ("uniform", "lagrangian"):
        system = BlockJSCC(zoo, load_policy(name))
        system.transmit(picture, channel, budget, np.random.default_rng(SEED))  # warm: nothing left to load
        sent = system.transmit(picture, channel, budget, np.random.default_rng(SEED))
        quality = measure(sent.picture, picture)
        cbr, share = cbr_of(sent.uses, height, width), sent.header_uses / sent.uses
        figures = (f"{quality.psnr_db:.2f}", f"{quality.ssim:.4f}", f"{quality.ms_ssim:.4f}")
        seconds = f"{sum(sent.seconds.values()):.2f}"
        print(ROW.format(name, sent.uses, f"{cbr:.5f}", f"{share:.2%}", *figures, seconds))
        reconstructions.append(
            Reconstruction(name, sent.picture, quality.psnr_db, sent.index, zoo.ratios.uses)
        )
    FIGURE.parent.mkdir(exist_ok=True)
    save_figure(reception_figure(picture, reconstructions), FIGURE)
    print(f"\nfigure: {FIGURE}")


if __name__ == "__main__":
    main()
