"""Quality against SNR: the released zoos under the same policy, and the published curves.

python experiments/psnr_vs_snr.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded, means, references

from jscc_sim.plots.curves import quality_figure
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.zoo import released_zoos

SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0)
PUBLISHED = ("swinjscc", "witt", "dtu_course_project")
CBRS = ("1/48", "1/16", "1/8")


def main() -> None:
    """Run the grid; a table, and a figure."""
    study = Study("psnr_vs_snr", "Quality against SNR, zoo by zoo.")
    study.parse()
    zoos = dict.fromkeys([study.zoo, *(["linear"] if study.quick else released_zoos())])
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[SystemSpec("block-jscc", zoo) for zoo in zoos],
            channels=["awgn"],
            snr_db=SNRS_DB,
            cbr=CBRS,
        )
    )
    print(means(rows, ["zoo", "cbr_fraction"], "snr_db"))
    study.publish(rows, {"": quality_figure(rows, "snr_db", width="full", references=references(*PUBLISHED))})


if __name__ == "__main__":
    guarded(main)
