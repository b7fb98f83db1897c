"""The Gaussian-mixture codec beside JPEG, JPEG 2000 and HEVC, in bits per pixel, headers in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from study import Study, command, save_both, write_json, write_table

from jscc_sim.codecs import find_codec
from jscc_sim.codecs.file import HEADER_BYTES
from jscc_sim.codecs.gmm import GMM
from jscc_sim.errors import BudgetError
from jscc_sim.images import BUILTIN, Picture, read_picture
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.plots.lines import Panel, lines_figure

CODECS = ("gmm", "jpeg", "jpeg2000", "hevc")
BPPS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5)
LEVELS = (0, 9, 18, 27, 36, 45, 54, 63)

Pictures = list[tuple[str, str, Picture]]
"""(set, name, pixels) each."""


def make(study: Study) -> None:
    """Write learned_codecs_gmm.csv (best files of each codec), _levels.csv, .json and the figure."""
    codecs, bpps, chosen = (CODECS[:2], BPPS[1:3], LEVELS[::4]) if study.quick else (CODECS, BPPS, LEVELS)
    pictures = named_pictures(study)
    found, ladder = rates(pictures, codecs, bpps), levels(pictures, chosen)
    means = found.pivot_table("psnr_db", ["set", "bpp"], "codec", aggfunc=_mean_of_all, sort=False)
    print(means.round(2).to_string())
    comes_to = summary(means, ladder)
    print(comes_to)
    name = study.folder / f"{study.name}_gmm.csv"
    made = [write_table(found, name), write_table(ladder, name.with_name(f"{name.stem}_levels.csv"))]
    provenance = {"command": command(), "weights_sha256": GMM().model.sha256, **comes_to}
    made.append(write_json(provenance, name.with_suffix(".json")))
    made += save_both(figure(means, found), study.folder, name.stem)
    print("\n".join(map(str, made)))


def rates(pictures: Pictures, codecs: Sequence[str], bpps: Sequence[float]) -> pd.DataFrame:
    """The best file of each codec within so many bits per pixel: set, image, codec, bpp, psnr_db; none
    where no file fits. The checksum and name of `jscc-sim compress` are counted for the learned codec."""
    rows = []
    for name, image, picture in pictures:
        pixels = picture.shape[0] * picture.shape[1]
        for codec_name in codecs:
            codec = find_codec(codec_name)
            spent = 8 * HEADER_BYTES if codec_name == GMM.name else 0
            for bpp in bpps:
                try:
                    data = codec.compress(picture, int(bpp * pixels) - spent)
                    psnr_db = _psnr_db(codec.decompress(data), picture)
                except BudgetError:
                    psnr_db = np.nan
                rows.append((name, image, codec_name, bpp, psnr_db))
    return pd.DataFrame(rows, columns=["set", "image", "codec", "bpp", "psnr_db"])


def levels(pictures: Pictures, chosen: Sequence[int]) -> pd.DataFrame:
    """Bits and PSNR of each level, and what the network estimates: image, level, bits, estimated_bits,
    psnr_db."""
    codec, rows = GMM(), []
    for _, image, picture in pictures:
        for level in chosen:
            data = codec.file(picture, level)
            estimated = codec.estimated_bits(picture, level)
            rows.append((image, level, 8 * len(data), estimated, _psnr_db(codec.decompress(data), picture)))
    return pd.DataFrame(rows, columns=["image", "level", "bits", "estimated_bits", "psnr_db"])


def summary(means: pd.DataFrame, ladder: pd.DataFrame) -> dict[str, Any]:
    """What the figures come to: gains over JPEG, the files' excess over the estimate, steps of the ladder
    that do not rise in bits and in PSNR."""
    gains = (means["gmm"] - means["jpeg"]).round(2)
    excess = ladder["bits"] / ladder["estimated_bits"] - 1
    steps = ladder.groupby("image")[["bits", "psnr_db"]].diff().dropna()
    return {
        "gain_over_jpeg_db": {f"{name}, {bpp:g} bpp": gain for (name, bpp), gain in gains.items()},
        "largest_excess_over_estimate": round(float(excess.max()), 4),
        "steps_that_do_not_rise": int((steps <= 0).any(axis=1).sum()),
    }


def figure(means: pd.DataFrame, found: pd.DataFrame) -> Figure:
    """PSNR over bits per pixel, a panel for each set of pictures."""
    panels = []
    for name, part in means.groupby(level="set", sort=False):
        bpps = part.index.get_level_values("bpp").tolist()
        curves = {codec: (bpps, part[codec].tolist()) for codec in means.columns}
        count = found.loc[found["set"] == name, "image"].nunique()
        panels.append(Panel("bits per pixel, headers in", "PSNR (dB)", curves, f"{name}, {count} images"))
    return lines_figure(panels, ["Mean PSNR of the best files that fit."], width="full")


def named_pictures(study: Study) -> Pictures:
    """The pictures asked for, and the built-in photographs besides."""
    given = [] if study.options.images is None else [("given", image) for image in study.images]
    named = given + ([] if given and study.quick else [("built-in", image) for image in BUILTIN])
    return [(kind, image.rpartition("/")[2], read_picture(image)) for kind, image in named]


def _mean_of_all(values: pd.Series) -> float:
    return float(values.mean(skipna=False))


def _psnr_db(found: Picture, picture: Picture) -> float:
    psnr_db = psnr_of_mse(mean_squared_error(found, picture))
    assert psnr_db is not None
    return psnr_db
