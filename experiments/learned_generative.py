"""The generative receiver beside linear least squares, on the same frames and the same noise."""

from __future__ import annotations

import pandas as pd
from study import Study, words_of

from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.plots.table import as_fraction
from jscc_sim.statistics import interval
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.units import parse_cbr

SNRS_DB = (1.0, 10.0, 20.0)
CBRS = ("1/96", "1/48", "1/8")


def make(study: Study) -> None:
    """Write learned_generative.csv, .json and the figure of the gains."""
    linear = SystemSpec("block-jscc", "linear", policy="uniform")
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[linear, SystemSpec("generative")],
            channels=["awgn"],
            snr_db=SNRS_DB[1:] if study.quick else SNRS_DB,
            cbr=CBRS[1:2] if study.quick else CBRS,
        )
    )
    found = gains(rows)
    groups = found.groupby(["snr_db", "cbr"])["gain_db"]
    means, halves = (groups.agg(part).unstack("cbr") for part in (_mean, _half_width))
    print(means.round(2).to_string())
    curves = {
        f"{snr_db:g} dB": (means.columns.tolist(), line.tolist(), halves.loc[snr_db].tolist())
        for snr_db, line in means.iterrows()
    }
    note = f"Gain on the same frame and noise, mean over {len(study.images)} images; bands: 95 % intervals."
    panel = Panel("CBR", "PSNR over the linear receiver's (dB)", curves, log_x=True, x_name=as_fraction)
    summary = {
        "gain_db": {f"{snr:g} dB, CBR {as_fraction(cbr)}": words_of(gain) for (snr, cbr), gain in groups},
        "least_gain_of_an_image_db": round(float(found["gain_db"].min()), 3),
    }
    study.publish(rows, {"": lines_figure([panel], [note])}, "generative", summary)


def _mean(gain_db: pd.Series) -> float:
    return interval(gain_db).mean


def _half_width(gain_db: pd.Series) -> float:
    return interval(gain_db).shown


def gains(rows: pd.DataFrame) -> pd.DataFrame:
    """image, snr_db, cbr, gain_db: PSNR of the generative receiver over the linear one's."""
    where = ["image", "snr_db", "cbr_fraction"]
    table = rows.pivot_table("psnr_db", where, "system", sort=False)
    gain = (table["generative"] - table["block-jscc"]).rename("gain_db").reset_index()
    return gain.assign(cbr=gain["cbr_fraction"].map(lambda text: float(parse_cbr(text))))
