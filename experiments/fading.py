"""Fading: quality and outages over the average SNR, MMSE equaliser, slow and block fading beside AWGN.

python experiments/fading.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded

from jscc_sim.plots.curves import outage_figure, quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

CHANNELS = ("awgn", "rayleigh-slow", "rician-slow:4", "rayleigh-block:256")
SNRS_DB = (4.0, 10.0, 16.0)
CBR = "1/16"
REPEATS = 2


def main() -> None:
    """Run the grid; mean and 5th percentile with and without outages, and three figures."""
    study = Study("fading", "Quality and outages under fading.")
    study.parse()
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[SystemSpec("block-jscc", study.zoo)],
            channels=CHANNELS,
            snr_db=SNRS_DB,
            cbr=[CBR],
            repeats=REPEATS,
        )
    )
    print(f"{'channel':<20} {'SNR dB':>6} {'outage':>7}   PSNR dB: mean, 5th percentile; without outages")
    for (channel, snr_db), group in rows.groupby(["channel", "snr_db"], sort=False):
        figures = [
            f"{psnr.mean():6.2f} {psnr.quantile(0.05):6.2f}"
            for psnr in (group["psnr_db"], group.loc[~group["outage"].astype(bool), "psnr_db"])
        ]
        print(f"{channel:<20} {snr_db:>6g} {group['outage'].mean():>7.1%}   {';  '.join(figures)}")
    study.publish(
        rows,
        {
            "": quality_figure(rows, "snr_db"),
            "_without_outages": quality_figure(rows, "snr_db", outages=False),
            "_outage": outage_figure(rows, "snr_db"),
        },
    )


if __name__ == "__main__":
    guarded(main)
