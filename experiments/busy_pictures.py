"""What adaptation is worth on pictures that are busy everywhere, and what a policy that predicts loses there.

Validation pictures by thirds of their mean complexity; gains over uniform of `lagrangian`, which predicts,
and of `encoder-in-the-loop`, which measures each block around that plan.

python experiments/busy_pictures.py FOLDER --zoo conv-small --pictures 24
"""

from __future__ import annotations

import numpy as np
from held_out import held_out_parser, held_out_pictures
from study import guarded
from tqdm import tqdm

from jscc_sim.allocation import EncoderInTheLoop, Lagrangian, Uniform
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN
from jscc_sim.complexity import FEATURES, features
from jscc_sim.images import Picture
from jscc_sim.inference import one_thread
from jscc_sim.metrics import psnr_between
from jscc_sim.statistics import interval
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import Zoo, load_zoo

SNRS_DB = (1.0, 4.0, 10.0)
CBR = "1/16"
THIRDS = ("quiet", "middling", "busy")


def main() -> None:
    """Print a line for each SNR and third: gains of the two in dB, and of the oracle over the other."""
    parser = held_out_parser(__doc__, pictures=24)
    arguments = parser.parse_args()
    pictures = sorted(held_out_pictures(arguments), key=busyness)
    zoo = load_zoo(arguments.zoo)
    thirds = np.array_split(np.arange(len(pictures)), len(THIRDS))
    parts = [(name, rows) for name, rows in zip(THIRDS, thirds, strict=True) if len(rows)]
    with one_thread():
        for snr_db in SNRS_DB:
            found = np.array([gains(zoo, picture, snr_db) for picture in tqdm(pictures, disable=None)])
            for name, rows in parts:
                predicted, measured = found[rows].T
                told = [interval(gain).text(2, "+") for gain in (predicted, measured, measured - predicted)]
                words = "lagrangian {}, encoder-in-the-loop {}, that over lagrangian {} dB".format(*told)
                print(f"{snr_db:g} dB, {name} third: {words}", flush=True)


def busyness(picture: Picture) -> float:
    """Mean over blocks of the logarithm of the luma's squared gradient."""
    return float(features(split(picture)[0])[:, FEATURES.index("luma_gradient")].mean())


def gains(zoo: Zoo, picture: Picture, snr_db: float) -> tuple[float, float]:
    """Of both policies over uniform, in dB."""
    budget = budget_uses(parse_cbr(CBR), *picture.shape[:2])
    psnrs = []
    for policy in (Uniform(), Lagrangian(), EncoderInTheLoop()):
        sent = BlockJSCC(zoo, policy).transmit(picture, AWGN(snr_db), budget, np.random.default_rng(0))
        psnrs.append(psnr_between(sent.picture, picture))
    return psnrs[1] - psnrs[0], psnrs[2] - psnrs[0]


if __name__ == "__main__":
    guarded(main)
