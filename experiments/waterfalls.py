"""The digital chain's error rates: every mode's curve, a second opinion, and decoding against lots.

python experiments/waterfalls.py --out results

Draws the measured table of the package (made by `experiments/measure_waterfalls.py`), compares
two modes with Sionna's own coded-AWGN simulation at an error rate of 1e-1, and sends frames near a mode's
cliff by decoding and by lot.
"""

from __future__ import annotations

import argparse
from importlib.resources import files

import numpy as np
import pandas as pd
from study import add_out, guarded, made_by, made_folder, save_both, write_json

from jscc_sim.channels import AWGN
from jscc_sim.coding.mcs import find_scheme
from jscc_sim.coding.waterfalls import Mode
from jscc_sim.images import BUILTIN, read_picture
from jscc_sim.plots.waterfalls import agreement_figure, waterfall_figure
from jscc_sim.systems.abstraction import DigitalAbstraction
from jscc_sim.systems.catalogue import load_baseline

CHECKED = ("qpsk-602", "64qam-517")
BLOCKS, BATCH = 1000, 50
CLIFF_MODE, BUDGET, STEPS_DB = "16qam-490", 6000, (-0.2, 0.0, 0.2)


def main() -> None:
    """Print the comparisons, write figures and a JSON of what was found."""
    parser = argparse.ArgumentParser(prog="waterfalls.py", description="Error rates of the digital chain.")
    parser.add_argument("--frames", type=int, default=200, help="frames a point near the cliff (200)")
    add_out(parser)
    options = parser.parse_args()
    folder = made_folder(options.out)
    table = pd.read_csv(files("jscc_sim.coding") / "waterfalls.csv")
    save_both(waterfall_figure(table), folder, "waterfalls")
    opinions = {name: second_opinion(name) for name in CHECKED}
    for name, (here, there) in opinions.items():
        print(f"{name}, 2048 bits: one in ten lost at {here:.2f} dB; in Sionna's simulation {there:.2f} dB")
    snrs_db, lost = agreement(options.frames)
    print(f"images of {options.frames} lost at", np.round(snrs_db, 2).tolist(), lost)
    save_both(agreement_figure(snrs_db, lost, options.frames), folder, "waterfalls_agreement")
    found = {
        **made_by(),
        "snr_db_at_0.1": {name: np.round(pair, 3).tolist() for name, pair in opinions.items()},
        "agreement": {"snr_db": np.round(snrs_db, 3).tolist(), "frames": options.frames, **lost},
    }
    write_json(found, folder / "waterfalls.json")


def second_opinion(name: str) -> tuple[float, float]:
    """The SNRs in dB at which one block in ten is lost: by our table, and by Sionna's chain end to end."""
    import torch
    from sionna.phy.nr.utils import CodedAWGNChannelNR

    mode = Mode(find_scheme(name), 2048)
    grid = np.arange(-5.0, 25.0, 0.01)
    here = float(grid[np.argmax(mode.error_rate(grid) < 0.1)])
    rate = mode.scheme.rate_1024 / 1024
    chain = CodedAWGNChannelNR(
        num_bits_per_symbol=mode.scheme.bits_per_symbol,
        num_info_bits=mode.block_bits,
        target_coderate=rate,
        num_iter_decoder=40,
        device="cpu",
    )
    torch.manual_seed(1)
    points = []
    for snr_db in (here - 0.15, here, here + 0.15):
        ebno_db = snr_db - 10 * np.log10(mode.scheme.bits_per_use)
        wrong = 0
        for _ in range(BLOCKS // BATCH):
            sent, found = chain(BATCH, ebno_db)
            wrong += int((sent != found).any(dim=-1).sum())
        points.append(wrong / BLOCKS)
    rates = np.log10(np.maximum(points, 0.5 / BLOCKS))
    there = np.interp(1.0, -rates, [here - 0.15, here, here + 0.15])
    return here, float(there)


def agreement(frames: int) -> tuple[np.ndarray, dict[str, list[int]]]:
    """SNRs in dB around the cliff of a mode, and how many frames are lost in either way: each of another
    crop, since the symbols of one file are never quite of unit mean power, and 0.1 dB is a lot here."""
    pictures = [crop(number) for number in range(frames)]
    link = load_baseline(f"webp+ldpc:{CLIFF_MODE}")
    assert hasattr(link, "coded_file")
    coded = link.coded_file(pictures[0], BUDGET, AWGN(10.0))
    grid = np.arange(0.0, 20.0, 0.01)
    whole = np.prod([(1 - mode.error_rate(grid)) ** blocks for mode, blocks in coded.parts], axis=0)
    snrs_db = grid[np.argmax(whole > 0.5)] + np.array(STEPS_DB)
    ways = {"decoded": link, "by lot": DigitalAbstraction(link)}
    lost = {
        name: [
            sum(
                way.transmit(picture, AWGN(snr_db), BUDGET, np.random.default_rng(seed), AWGN(10.0)).outage
                for seed, picture in enumerate(pictures)
            )
            for snr_db in snrs_db
        ]
        for name, way in ways.items()
    }
    return snrs_db, lost


def crop(number: int) -> np.ndarray:
    """128x128 pixels of a built-in photograph."""
    picture = read_picture(BUILTIN[number % len(BUILTIN)])
    rng = np.random.default_rng(number)
    top, left = (int(rng.integers(side - 127)) for side in picture.shape[:2])
    return picture[top : top + 128, left : left + 128].copy()


if __name__ == "__main__":
    guarded(main)
