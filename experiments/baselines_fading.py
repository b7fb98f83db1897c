"""Slow Rayleigh fading: block JSCC beside the digital chain that plans for the worst 5 %, that keeps one
mode, and that knows each frame's fading beforehand.

python experiments/baselines_fading.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded

from jscc_sim.plots.curves import outage_figure, quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

CHANNEL, CBR = "rayleigh-slow", "1/16"
SNRS_DB = (4.0, 10.0, 16.0)
REPEATS = 2
FIXED = "16qam-378"


def main() -> None:
    """Run the grid; mean, 5th percentile and outage rate, and two figures."""
    study = Study("baselines_fading", "Block JSCC and digital chains under slow Rayleigh fading.")
    study.parse()
    chain = "jpeg2000+ldpc-abstraction" if study.quick else "hevc+ldpc-abstraction"
    systems = [SystemSpec("block-jscc", study.zoo), SystemSpec("softcast")]
    systems += map(SystemSpec, (chain, f"{chain}:{FIXED}", f"{chain}:csit"))
    rows = study.rows(Grid(study.images, systems, [CHANNEL], SNRS_DB, [CBR], repeats=REPEATS))
    print(f"{'system':<36} {'SNR dB':>6} {'outage':>7} {'mean dB':>8} {'5th percentile':>15}")
    for (system, snr_db), group in rows[rows["status"] == "ok"].groupby(["system", "snr_db"], sort=False):
        psnr = group["psnr_db"]
        lost = group["outage"].mean()
        print(f"{system:<36} {snr_db:>6g} {lost:>7.1%} {psnr.mean():>8.2f} {psnr.quantile(0.05):>15.2f}")
    study.publish(rows, {"": quality_figure(rows, "snr_db"), "_outage": outage_figure(rows, "snr_db")})


if __name__ == "__main__":
    guarded(main)
