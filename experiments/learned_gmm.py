"""The Gaussian-mixture codec beside JPEG, JPEG 2000 and HEVC, in bits per pixel, headers in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jscc_sim.codecs import find_codec
from jscc_sim.codecs.file import HEADER_BYTES
from jscc_sim.errors import BudgetError
from jscc_sim.images import BUILTIN, Picture, read_picture
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.plots.lines import Panel, lines_figure

CODECS = ("gmm", "jpeg", "jpeg2000", "hevc")
BPPS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5)
LEVELS = (0, 9, 18, 27, 36, 45, 54, 63)


def rates(
    images: Sequence[str], codecs: Sequence[str] = CODECS, bpps: Sequence[float] = BPPS
) -> pd.DataFrame:
    """The best file of each codec within so many bits per pixel: set, image, codec, bpp, psnr_db; none
    where no file fits. The checksum and name of `jscc-sim compress` are counted for the learned codec."""
    rows = []
    for name, image, picture in _pictures(images):
        pixels = picture.shape[0] * picture.shape[1]
        for codec_name in codecs:
            codec = find_codec(codec_name)
            spent = 8 * HEADER_BYTES if codec_name == "gmm" else 0
            for bpp in bpps:
                try:
                    data = codec.compress(picture, int(bpp * pixels) - spent)
                except BudgetError:
                    rows.append((name, image, codec_name, bpp, np.nan))
                    continue
                rows.append((name, image, codec_name, bpp, _psnr_db(codec.decompress(data), picture)))
    return pd.DataFrame(rows, columns=["set", "image", "codec", "bpp", "psnr_db"])


def levels(images: Sequence[str], chosen: Sequence[int] = LEVELS) -> pd.DataFrame:
    """Bytes and PSNR of each level, and what the network estimates: image, level, bits, estimated_bits,
    psnr_db."""
    rows = []
    codec = find_codec("gmm")
    for _, image, picture in _pictures(images):
        for level in chosen:
            data = codec.encode(picture, level)
            estimated = codec.estimated_bits(picture, level)
            rows.append((image, level, 8 * len(data), estimated, _psnr_db(codec.decode(data), picture)))
    return pd.DataFrame(rows, columns=["image", "level", "bits", "estimated_bits", "psnr_db"])


def summary(found: pd.DataFrame, ladder: pd.DataFrame) -> dict[str, object]:
    """What the figures come to: gains over JPEG, the files' excess over the estimate, whether bits and
    PSNR rise with every level."""
    means = found.pivot_table("psnr_db", ["set", "bpp"], "codec", aggfunc=lambda x: x.mean(skipna=False))
    gains = {
        f"{name}, {bpp:g} bpp": round(float(row["gmm"] - row["jpeg"]), 2)
        for (name, bpp), row in means.iterrows()
    }
    excess = ladder["bits"] / ladder["estimated_bits"] - 1
    steps = [group[["bits", "psnr_db"]].diff().dropna() for _, group in ladder.groupby("image")]
    return {
        "gain_over_jpeg_db": gains,
        "largest_excess_over_estimate": round(float(excess.max()), 4),
        "levels_that_fall": int(sum((step <= 0).any(axis=1).sum() for step in steps)),
    }


def figure(found: pd.DataFrame) -> Figure:
    """PSNR over bits per pixel, a panel for each set of pictures."""
    panels = []
    for name, part in found.groupby("set", sort=False):
        means = part.pivot_table(
            "psnr_db", "bpp", "codec", aggfunc=lambda x: x.mean(skipna=False), sort=False
        )
        curves = {codec: (means.index.tolist(), means[codec].tolist()) for codec in means.columns}
        panels.append(
            Panel(
                "bits per pixel, headers in", "PSNR (dB)", curves, f"{name}, {part['image'].nunique()} images"
            )
        )
    return lines_figure(panels, ["Mean PSNR of the best files that fit."], width="full")


def _pictures(images: Sequence[str]) -> list[tuple[str, str, Picture]]:
    """(set, name, pixels) of the pictures asked for, and of the built-in photographs."""
    named = [] if set(images) <= set(BUILTIN) else [("given", image) for image in images]
    named += [("built-in", image) for image in BUILTIN if not named or len(images) > 3]
    return [(kind, image.rpartition("/")[2], read_picture(image)) for kind, image in named]


def _psnr_db(found: Picture, picture: Picture) -> float:
    return psnr_of_mse(mean_squared_error(found, picture))
