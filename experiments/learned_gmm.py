"""The Gaussian-mixture codec beside JPEG, JPEG 2000 and HEVC, in bits per pixel, headers in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.interpolate import PchipInterpolator
from study import Study, words_of
from study import means as means_of

from jscc_sim.codecs import Codec, find_codec
from jscc_sim.codecs.file import HEADER_BYTES
from jscc_sim.images import BUILTIN, Picture, read_picture
from jscc_sim.learned.gmm.codec import GMM
from jscc_sim.metrics import psnr_between
from jscc_sim.plots.curves import quality_figure
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.sweeps import Grid, SystemSpec

LADDERS = {"gmm": (8, 1.0), "jpeg": (16, 0.66), "jpeg2000": (16, 0.66), "hevc": (16, 0.66)}
"""Of each codec: how many files of a picture, evenly spread over its levels from the coarsest up to a share
of them at which files have 1.5 bits per pixel and more; `gmm` has no such files of every picture."""

BPPS = (0.15, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5)
SNR_DB, CBRS = 10.0, ("1/24", "1/16", "1/8")

Pictures = list[tuple[str, str, Picture]]
"""(set, name, pixels) each."""


def make(study: Study) -> None:
    """Write learned_codecs_gmm.csv (files of some levels of each codec), .json and the figure."""
    codecs = list(LADDERS)[: 2 if study.quick else None]
    pictures = named_pictures(study)
    files = ladders(pictures, codecs, 3 if study.quick else 1)
    each = at_equal_bits(files)
    means = each.groupby(["set", "bpp"], sort=False).agg(lambda values: values.mean(skipna=False))
    print(means.round(2).to_string())
    comes_to = summary(each, files)
    print(comes_to)
    provenance = {"weights_sha256": GMM().model.sha256, **comes_to}
    study.write(files, {"": figure(means, files)}, "gmm", provenance)
    over_the_channel(study)


def over_the_channel(study: Study) -> None:
    """Write learned_codecs_gmm_channel.csv, .json and the figure: with LDPC and QAM, beside JPEG."""
    systems = [SystemSpec(f"{codec}+ldpc") for codec in ("gmm", "jpeg")]
    rows = study.rows(Grid(study.images, systems, ["awgn"], [SNR_DB], CBRS[1:2] if study.quick else CBRS))
    print(means_of(rows, ["system"], "cbr_fraction"))
    study.publish(rows, {"": quality_figure(rows, "cbr")}, "gmm_channel")


def ladders(pictures: Pictures, codecs: list[str], step: int = 1) -> pd.DataFrame:
    """set, image, codec, level, bpp, psnr_db of each file; estimated_bpp, what the network takes the
    latents' bits to be. The name and the checksum of `jscc-sim compress` are counted."""
    rows = []
    for name, image, picture in pictures:
        for codec_name in codecs:
            codec = find_codec(codec_name)
            points, reach = LADDERS[codec_name]
            levels = np.linspace(0, reach * (codec.levels - 1), points).round().astype(int).tolist()
            for level in levels[::step]:
                rows.append((name, image, codec_name, level, *measured(codec, picture, level)))
    columns = ["set", "image", "codec", "level", "bpp", "psnr_db", "estimated_bpp"]
    return pd.DataFrame(rows, columns=columns)


def measured(codec: Codec, picture: Picture, level: int) -> tuple[float, float, float]:
    """bpp, psnr_db and estimated_bpp of one file; NaN for what has no estimate."""
    pixels = picture.shape[0] * picture.shape[1]
    data = codec.file(picture, level)
    learned = isinstance(codec, GMM)
    estimated = codec.estimated_bits(picture, level) / pixels if isinstance(codec, GMM) else np.nan
    bpp = 8 * (len(data) + (HEADER_BYTES if learned else 0)) / pixels
    return bpp, psnr_between(codec.decompress(data), picture), estimated


def at_equal_bits(files: pd.DataFrame) -> pd.DataFrame:
    """PSNR of each image (rows: set, image, bpp; columns: codec) from its own curve, interpolated over the
    logarithm of the bits; none where that does not reach."""
    found = []
    for (name, codec, image), curve in files.groupby(["set", "codec", "image"], sort=False):
        points = curve.sort_values("bpp").drop_duplicates("bpp")
        line = PchipInterpolator(np.log(points["bpp"]), points["psnr_db"], extrapolate=False)
        points = zip(BPPS, line(np.log(BPPS)), strict=True)
        found += [(name, image, codec, bpp, psnr_db) for bpp, psnr_db in points]
    table = pd.DataFrame(found, columns=["set", "image", "codec", "bpp", "psnr_db"])
    return table.set_index(["set", "image", "bpp", "codec"])["psnr_db"].unstack("codec", sort=False)


def summary(each: pd.DataFrame, files: pd.DataFrame) -> dict[str, Any]:
    """What the figures come to: paired differences to the other codecs, the files' excess over the estimate,
    steps of the ladder that do not rise in bits and in PSNR."""
    own = files[files["codec"] == GMM.name]
    over: dict[str, dict[str, str]] = {}
    for other in each.columns.drop(GMM.name):
        for (name, bpp), values in (each[GMM.name] - each[other]).groupby(["set", "bpp"], sort=False):
            if words := words_of(values):
                over.setdefault(f"over {other}, dB", {})[f"{name}, {bpp:g} bpp"] = words
    steps = own.groupby(["set", "image"])[["bpp", "psnr_db"]].diff().dropna()
    return {
        **over,
        "largest_excess_over_estimate": round(float((own["bpp"] / own["estimated_bpp"] - 1).max()), 4),
        "steps_that_do_not_rise": int((steps <= 0).any(axis=1).sum()),
    }


def figure(means: pd.DataFrame, files: pd.DataFrame) -> Figure:
    """PSNR over bits per pixel, a panel for each set of pictures."""
    panels = []
    for name, part in means.groupby(level="set", sort=False):
        bpps = part.index.get_level_values("bpp").tolist()
        curves = {codec: (bpps, part[codec].tolist()) for codec in means.columns}
        count = files.loc[files["set"] == name, "image"].nunique()
        panels.append(Panel("bits per pixel, headers in", "PSNR (dB)", curves, f"{name}, {count} images"))
    note = "Mean PSNR, each image's curve interpolated over the logarithm of its bits."
    return lines_figure(panels, [note], width="full")


def named_pictures(study: Study) -> Pictures:
    """The pictures asked for, and the built-in photographs besides."""
    given = [] if study.options.images is None else [("given", image) for image in study.images]
    named = given + ([] if given and study.quick else [("built-in", image) for image in BUILTIN])
    return [(kind, image.rpartition("/")[2], read_picture(image)) for kind, image in named]
