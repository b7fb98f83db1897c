"""Which rates of the quantised autoencoder are worth having: `python experiments/quantised_ladder.py
FOLDER [MODEL]`.

Prints, for channels and bits, the mean PSNR of pictures held out and the bits per pixel in the adaptive code
and in fixed length, and marks the rates that no other beats at fewer bits. The
codec's LADDER and the link's RATES, both in learned/quantised, were chosen from the two marks.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

import numpy as np

from jscc_sim.errors import guarded
from jscc_sim.images import Picture
from jscc_sim.learned.quantised.codec import Quantised, Rate, grid
from jscc_sim.learned.quantised.network import BITS
from jscc_sim.metrics import psnr_between
from jscc_sim.training.data import load, split_folder

CHANNELS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48)


def look(codec: Quantised, rate: Rate, pictures: Sequence[Picture]) -> tuple[float, float, float]:
    """(PSNR in dB, bits per pixel adaptive, in fixed length), means over the pictures."""
    figures = []
    for picture in pictures:
        height, width = picture.shape[:2]
        data = codec.stream(picture, rate)
        psnr_db = psnr_between(codec.picture(data, rate, height, width), picture)
        assert psnr_db is not None
        fixed = rate.bits * math.prod(grid(rate, height, width))
        figures.append((psnr_db, 8 * len(data) / (height * width), fixed / (height * width)))
    psnr_db, adaptive, fixed = np.mean(figures, axis=0)
    return float(psnr_db), float(adaptive), float(fixed)


def front(quality: Sequence[float], cost: Sequence[float]) -> list[bool]:
    """Whether no other has at least the quality at no more cost."""
    both = list(zip(quality, cost, strict=True))
    return [not any(q >= own[0] and c <= own[1] and (q, c) != own for q, c in both) for own in both]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("model", nargs="?", default="")
    parser.add_argument("--images", type=int, default=12)
    arguments = parser.parse_args()
    codec = Quantised(arguments.model)
    pictures = load(split_folder(arguments.folder).validation[: arguments.images])
    rates = [Rate(channels, bits) for bits in BITS for channels in CHANNELS]
    psnr_db, adaptive, fixed = zip(*(look(codec, rate, pictures) for rate in rates), strict=True)
    marks = zip(front(psnr_db, adaptive), front(psnr_db, fixed), strict=True)
    print("channels x bits   PSNR  adaptive   fixed (bits per pixel; * where nothing beats it)")
    for rate, *figures, (a, f) in zip(rates, psnr_db, adaptive, fixed, marks, strict=True):
        name = f"{rate.channels} x {rate.bits}"
        print(
            f"{name:>15} {figures[0]:6.2f} {figures[1]:8.3f}{' *'[a]} {figures[2]:7.3f}{' *'[f]}", flush=True
        )


if __name__ == "__main__":
    guarded(main)
