"""The quantised autoencoder: bits a latent, what arithmetic coding saves, and the cliff beside the slope."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from study import Study, means

from jscc_sim.images import read_picture
from jscc_sim.learned.quantised.codec import Quantised, Rate, grid
from jscc_sim.metrics import psnr_between
from jscc_sim.plots.curves import quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

BITS = (2, 4, 6, 8)
CHANNELS = 16
BELIEVED_DB = 10.0
SNRS_DB = (10.0, 9.5, 9.0, 8.0, 7.0)
CBR = "1/12"


def make(study: Study) -> None:
    """Write learned_quantised.csv (trials of the cliff), .json (the codec's figures) and the figure."""
    coded = rates(study.images, BITS[1:3] if study.quick else BITS)
    summary = {
        "by_bits": by_bits(coded),
        "at_most_1_bpp": within_a_bit(study.images),
    }
    print(pd.DataFrame(summary["by_bits"]).T.to_string())
    print(f"at most 1 bpp: {summary['at_most_1_bpp']}")
    names = ("quantised+ldpc", "quantised+uep")
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[SystemSpec(name, sender_snr_db=BELIEVED_DB) for name in names],
            channels=["awgn"],
            snr_db=SNRS_DB[:3] if study.quick else SNRS_DB,
            cbr=[CBR],
        )
    )
    print(means(rows, ["system"], "snr_db"))
    study.publish(rows, {"": quality_figure(rows, "snr_db")}, "quantised", summary)


def rates(images: Sequence[str], bits: Sequence[int]) -> pd.DataFrame:
    """Each picture with CHANNELS latents per 8x8 pixels of so many bits, coded and at fixed length."""
    codec, rows = Quantised(), []
    for image in images:
        picture = read_picture(image)
        height, width = picture.shape[:2]
        for count in bits:
            rate = Rate(CHANNELS, count)
            data = codec.stream(picture, rate)
            found = codec.picture(data, rate, height, width)
            fixed = count * math.prod(grid(rate, height, width))
            psnr_db = psnr_between(found, picture)
            rows.append((count, 8 * len(data) / (height * width), fixed / (height * width), psnr_db))
    return pd.DataFrame(rows, columns=["bits", "adaptive_bpp", "fixed_bpp", "psnr_db"])


def by_bits(coded: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Means over the pictures, and the share of the bits that arithmetic coding saves."""
    table = coded.groupby("bits").mean()
    table["saved"] = 1 - table["adaptive_bpp"] / table["fixed_bpp"]
    return {str(bits): row.round(4).to_dict() for bits, row in table.iterrows()}


def within_a_bit(images: Sequence[str]) -> dict[str, float]:
    """The best files of at most 1 bit per pixel: their mean size and PSNR."""
    codec, found = Quantised(), []
    for image in images:
        picture = read_picture(image)
        pixels = picture.shape[0] * picture.shape[1]
        data = codec.compress(picture, pixels)
        psnr_db = psnr_between(codec.decompress(data), picture)
        found.append((8 * len(data) / pixels, psnr_db))
    bpp, psnr_db = np.mean(found, axis=0)
    return {"bpp": round(float(bpp), 3), "psnr_db": round(float(psnr_db), 2)}
