"""Quality against bandwidth: four policies at five SNRs, their gains, and the published curves.

python experiments/psnr_vs_cbr.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded, means, references

from jscc_sim.plots.curves import gain_figure, quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0)
CBRS = ("1/48", "1/24", "1/16", "1/12", "1/8")
PUBLISHED = ("swinjscc", "witt", "deepjscc", "ntscc")
POLICIES = ("uniform", "quintiles", "water-filling", "lagrangian")


def main() -> None:
    """Run the grid; a table, and three figures."""
    study = Study("psnr_vs_cbr", "Quality against bandwidth, policy by policy.")
    study.parse()
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[SystemSpec("block-jscc", study.zoo, policy) for policy in POLICIES],
            channels=["awgn"],
            snr_db=(1.0, 10.0) if study.quick else SNRS_DB,
            cbr=CBRS,
        )
    )
    print(means(rows, ["policy", "snr_db"], "cbr_fraction"))
    figures = {
        "": quality_figure(rows, "cbr", width="full", references=references(*PUBLISHED)),
        "_gain": gain_figure(rows, "cbr", width="full"),
    }
    if rows["ms_ssim"].notna().any():  # not of small pictures
        similar = references("swinjscc")
        figures["_ms_ssim"] = quality_figure(rows, "cbr", "ms_ssim", width="full", references=similar)
    study.publish(rows, figures)


if __name__ == "__main__":
    guarded(main)
