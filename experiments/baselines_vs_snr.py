"""The slope beside the cliff: block JSCC and HEVC with LDPC over SNR at one CBR, the mode adapted or fixed.

python experiments/baselines_vs_snr.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded, means, references

from jscc_sim.plots.curves import outage_figure, quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

CBR, DESIGN_DB = "1/16", 10.0
SNRS_DB = (0.0, 2.0, 4.0, 7.0, 9.0, 9.5, 10.0, 13.0, 16.0)
PUBLISHED = ("swinjscc", "witt", "bpg_ldpc", "vtm_ldpc")
FIXED = "16qam-658"
"""The mode that the chain takes at 10 dB."""

KNOWING = ("system=block-jscc", "belief=")
"""Of which the others' differences are drawn."""


def main() -> None:
    """Run the grids; a table of means, and three figures."""
    study = Study("baselines_vs_snr", "Block JSCC and a digital chain over SNR.")
    study.parse()
    codec = "jpeg2000" if study.quick else "hevc"
    systems = [
        SystemSpec("block-jscc", study.zoo),
        SystemSpec("block-jscc", study.zoo, sender_snr_db=DESIGN_DB),
        SystemSpec(f"{codec}+ldpc-abstraction"),
        SystemSpec(f"{codec}+ldpc-abstraction:{FIXED}", sender_snr_db=DESIGN_DB),
        SystemSpec("softcast"),
    ]
    rows = study.rows(Grid(study.images, systems, ["awgn"], SNRS_DB, [CBR]))
    print(means(rows, ["system", "sender_snr_db"], "snr_db"))
    study.publish(
        rows,
        {
            "": quality_figure(rows, "snr_db", width="full", references=references(*PUBLISHED)),
            "_relative": quality_figure(rows, "snr_db", width="full", relative_to=KNOWING, outages=False),
            "_outage": outage_figure(rows, "snr_db"),
        },
    )


if __name__ == "__main__":
    guarded(main)
