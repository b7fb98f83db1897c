"""Which of a family's coders a sender takes: by prediction, or tried where the predictions are close.

Validation pictures, policy and budget of either coder its own, header counted, AWGN. For each rule the
mean PSNR that is lost against the better of the two in hindsight, and how many of the frames were tried.

python experiments/companion_choice.py FOLDER --zoo conv-small
"""

from __future__ import annotations

import math

import numpy as np
from held_out import held_out_parser, held_out_pictures
from study import guarded

from jscc_sim.channels import AWGN
from jscc_sim.images import Picture
from jscc_sim.metrics import psnr_between
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import Zoo, load_zoo

SNRS_DB = (4.0, 10.0, 14.0, 17.0, 20.0)
CBRS = ("1/48", "1/24", "1/16", "1/8", "1/5")
WITHIN_DB = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


def main() -> None:
    """Print a line for each SNR and CBR, and one for all."""
    arguments = held_out_parser(__doc__, pictures=12).parse_args()
    zoo = load_zoo(arguments.zoo)
    pictures = held_out_pictures(arguments)
    print("           " + "".join(f"   tried within {within:g} dB" for within in WITHIN_DB))
    found = []
    for snr_db in SNRS_DB:
        for cbr in CBRS:
            here = [measured(picture, (zoo.alone(), zoo.family[1]), snr_db, cbr) for picture in pictures]
            print(f"{snr_db:4g} dB {cbr:>5} {line(np.array(here))}", flush=True)
            found += here
    print(f"{'all':>13} {line(np.array(found))}")


def measured(picture: Picture, coders: tuple[Zoo, Zoo], snr_db: float, cbr: str) -> tuple[float, float]:
    """(predicted, measured) decibels by which the first coder is ahead of the second."""
    channel, budget = AWGN(snr_db), budget_uses(parse_cbr(cbr), *picture.shape[:2])
    ahead = []
    for coder in coders:
        system = BlockJSCC(coder)
        predicted = 10 * math.log10(system.plan(picture, budget, channel).expected)
        sent = system.transmit(picture, channel, budget, np.random.default_rng(0))
        ahead.append((-predicted, psnr_between(sent.picture, picture)))
    (first, psnr_db), (second, other_db) = ahead
    return first - second, (psnr_db or math.nan) - (other_db or math.nan)


def line(ahead: np.ndarray) -> str:
    """What each rule loses, and how often it tries. ahead: [pictures, 2]."""
    predicted, true = ahead.T
    words = []
    for within in WITHIN_DB:
        tried = np.abs(predicted) < within
        wrong = ~tried & (np.sign(predicted) != np.sign(true))
        words.append(f"   {np.where(wrong, np.abs(true), 0).mean():5.3f} dB lost {tried.mean():4.0%}")
    return f"{true.mean():+6.2f}" + "".join(words)


if __name__ == "__main__":
    guarded(main)
