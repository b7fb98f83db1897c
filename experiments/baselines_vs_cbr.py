"""Block JSCC beside the baselines over CBR: digital chains, SoftCast, bounds, and published digital curves.

python experiments/baselines_vs_cbr.py --images FOLDER --workers 2
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Study, guarded, means, references

from jscc_sim.coding.capacity import shannon_bits
from jscc_sim.metrics import psnr_of_mse
from jscc_sim.plots.curves import quality_figure
from jscc_sim.statistics import gaussian_distortion
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.units import BLOCK_SAMPLES, db_to_power
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 10.0, 20.0)
PUBLISHED = ("bpg_ldpc", "vtm_ldpc", "learned_ldpc")
CBRS = ("1/48", "1/24", "1/16", "1/12", "1/8")
REAL = ("hevc+ldpc",)
BY_LOT = tuple(f"{codec}+ldpc-abstraction" for codec in ("vvc", "avif", "jpeg2000", "jpeg"))
BOUNDS = ("vvc+ideal", "hevc+ideal")
QUICK = ("jpeg+ldpc", "jpeg2000+ldpc-abstraction", "jpeg2000+ideal", "softcast")


def main() -> None:
    """Run the grid; a table of means, and two figures."""
    study = Study("baselines_vs_cbr", "Block JSCC and the baselines over CBR.")
    study.parse()
    baselines = QUICK if study.quick else (*REAL, *BY_LOT, *BOUNDS, "softcast")
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[SystemSpec("block-jscc", study.zoo), *map(SystemSpec, baselines)],
            channels=["awgn"],
            snr_db=SNRS_DB[:2] if study.quick else SNRS_DB,
            cbr=CBRS,
        )
    )
    print(means(rows, ["snr_db", "system"], "cbr_fraction"))
    curves = pd.concat([references(*PUBLISHED), opta()], ignore_index=True)
    study.publish(
        rows,
        {
            "": quality_figure(rows, "cbr", width="full", references=curves),
            "_relative": quality_figure(rows, "cbr", width="full", relative_to=["system=block-jscc"]),
        },
    )


def opta() -> pd.DataFrame:
    """The optimum performance theoretically attainable for Gaussian blocks of the linear coder's
    variances, which know nothing of one block's being busier than another."""
    variance = load_zoo("linear").bank.variance
    found = []
    for snr_db in SNRS_DB:
        for cbr in np.geomspace(1 / 60, 1 / 7, 20):
            bits = cbr * BLOCK_SAMPLES * float(shannon_bits(db_to_power(snr_db)))
            mse = gaussian_distortion(variance, bits) / BLOCK_SAMPLES
            found.append((snr_db, cbr, psnr_of_mse(mse)))
    table = pd.DataFrame(found, columns=["snr_db", "cbr", "psnr_db"])
    source = "bound of coders to which all blocks are draws of one Gaussian, at capacity"
    return table.assign(scheme="OPTA, blocks alike", channel="awgn", source=source)


if __name__ == "__main__":
    guarded(main)
