"""Seconds per picture of each digital chain, sending and receiving at one thread, beside its abstraction.

python experiments/baselines_speed.py --images FOLDER
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
from study import guarded, sources

from jscc_sim.channels import AWGN
from jscc_sim.codecs import CODECS
from jscc_sim.images import read_picture
from jscc_sim.systems.abstraction import DigitalAbstraction
from jscc_sim.systems.catalogue import load_baseline
from jscc_sim.systems.digital import Digital
from jscc_sim.units import budget_uses, parse_cbr

SNR_DB, CBR = 10.0, "1/16"


def main() -> None:
    """Print a table; files come from the cache where they are there, and encoding says so by its time."""
    import torch

    parser = argparse.ArgumentParser(prog="baselines_speed.py", description="Seconds of each digital chain.")
    parser.add_argument("--images", help="pictures (the built-in photographs)")
    parser.add_argument("--count", type=int, default=3, help="pictures to send (3)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pictures = [read_picture(path) for path in sources(options.images)[: options.count]]
    print("medians over pictures, seconds; abstraction: lots in place of LDPC decoding")
    print(f"{'chain':<14} {'compress':>9} {'LDPC, QAM':>10} {'decompress':>11} {'lots':>8} {'ratio':>6}")
    for codec in CODECS:
        link = load_baseline(f"{codec}+ldpc")
        assert isinstance(link, Digital)
        rows = [timed(link, picture) for picture in pictures[:1] + pictures]
        compress, decode, decompress, lots = (
            statistics.median(column) for column in zip(*rows[1:], strict=True)
        )
        print(
            f"{codec + '+ldpc':<14} {compress:>9.2f} {decode:>10.3f} {decompress:>11.3f} {lots:>8.4f} "
            f"{decode / lots:>6.0f}"
        )


def timed(link: Digital, picture: np.ndarray) -> tuple[float, ...]:
    """Seconds of compressing, of receiving all code blocks, of decompressing, and of drawing lots instead."""
    budget, channel = budget_uses(parse_cbr(CBR), *picture.shape[:2]), AWGN(SNR_DB)
    link.prepare()
    frame = link.encode(picture, budget, channel)
    reception = link.decode(channel(frame.symbols, np.random.default_rng(0)))
    by_lot = DigitalAbstraction(link).transmit(picture, channel, budget, np.random.default_rng(0))
    seconds = frame.seconds["encode"], reception.seconds["frame"], reception.seconds["decode"]
    return *seconds, by_lot.seconds["frame"]


if __name__ == "__main__":
    guarded(main)
