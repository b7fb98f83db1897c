"""The analog VAE link beside the linear transform of 4x4 pixels with as many coefficients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from study import Study, words_of

from jscc_sim.channels import AWGN, Channel
from jscc_sim.checkpoint import Checkpoint
from jscc_sim.images import Picture, read_picture
from jscc_sim.learned.vae.link import VAE
from jscc_sim.learned.vae.network import CHOICES
from jscc_sim.learned.vae.patch_klt import PatchKLT
from jscc_sim.metrics import psnr_between
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.sweeps import Grid, SystemSpec

SNRS_DB = (-2.0, 0.0, 2.0, 5.0, 8.0, 10.0, 15.0, 20.0)
NOISELESS_DB = 60.0
BUDGET = "1/8"
"""More than any of them needs: what they leave is not sent."""

RAYLEIGH = ("rayleigh-fast", "rayleigh-block:64")


def make(study: Study) -> None:
    """Write learned_vae.csv (trials of the link), .json (its figures and the baseline's) and the figure."""
    snrs_db = SNRS_DB[::3] if study.quick else (*SNRS_DB, NOISELESS_DB)
    places = (("awgn", snrs_db), *((name, SNRS_DB[5:6]) for name in RAYLEIGH))
    grids = [
        Grid(
            images=study.images,
            systems=[SystemSpec(f"{VAE}:{n}") for n in CHOICES],
            channels=[channel],
            snr_db=at_db,
            cbr=[BUDGET],
        )
        for channel, at_db in places
    ]
    rows = study.rows(*grids)
    by = rows.groupby(["channel", "system", "snr_db"])["psnr_db"].mean()
    klt = linear(study.images, snrs_db)
    found = pd.concat([by["awgn"].unstack("snr_db"), klt.groupby("system").mean()])
    print(found.round(2).to_string())
    shown = [snr_db for snr_db in snrs_db if snr_db != NOISELESS_DB]
    curves = {name: (shown, line[shown].tolist()) for name, line in found.iterrows()}
    note = f"Mean over {len(study.images)} images. The link's headers are sent; the KLT needs none."
    summary = {
        "psnr_db": {name: dict(line.round(3)) for name, line in found.iterrows()},
        "over_klt_db": over_klt(rows, klt),
        "psnr_db_fading": {name: dict(by[name].unstack("system").iloc[0].round(3)) for name in RAYLEIGH},
        "cbr": rows.groupby("system")["cbr"].mean().round(5).to_dict(),
    }
    study.publish(rows, {"": lines_figure([Panel("SNR (dB)", "PSNR (dB)", curves)], [note])}, "vae", summary)


def linear(images: list[str], snrs_db: tuple[float, ...]) -> pd.DataFrame:
    """PSNR of the baseline: rows by its name and image, a column each SNR."""
    klt = PatchKLT.beside(Checkpoint.find(VAE))
    found = {}
    for image in images:
        picture = read_picture(image)
        for n in CHOICES:
            line = {snr_db: _psnr_db(klt, n, AWGN(snr_db), picture) for snr_db in snrs_db}
            found[f"KLT {n}", Path(image).name] = line
    return pd.DataFrame(found).T.rename_axis(["system", "image"])


def over_klt(rows: pd.DataFrame, klt: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Paired differences of each link to the KLT with as many coefficients, AWGN, by SNR."""
    own = rows[rows["channel"] == "awgn"].pivot_table("psnr_db", ["system", "image"], "snr_db")
    return {
        f"{VAE}:{n}": {f"{snr_db:g}": words_of(own.loc[f"{VAE}:{n}", snr_db] - klt.loc[f"KLT {n}", snr_db])
                       for snr_db in klt}
        for n in CHOICES
    }  # fmt: skip


def _psnr_db(klt: PatchKLT, n: int, channel: Channel, picture: Picture) -> float:
    got = klt.transmit(picture, n, channel, np.random.default_rng(0))
    return psnr_between(got, picture)
