"""A sender that believes another SNR than there is: what its mistake costs.

python experiments/snr_mismatch.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, guarded, means

from jscc_sim.plots.curves import quality_figure
from jscc_sim.sweeps import Grid, SystemSpec

SNRS_DB = (0.0, 2.0, 4.0, 7.0, 10.0, 13.0, 16.0, 20.0)
BELIEFS_DB = (4.0, 10.0, 16.0)
CBR = "1/16"


def main() -> None:
    """Run the grid; a table, and two figures."""
    study = Study("snr_mismatch", "Quality where the sender believes another SNR.")
    study.parse()
    rows = study.rows(
        Grid(
            images=study.images,
            systems=[
                SystemSpec("block-jscc", study.zoo, sender_snr_db=belief) for belief in (None, *BELIEFS_DB)
            ],
            channels=["awgn"],
            snr_db=SNRS_DB,
            cbr=[CBR],
        )
    )
    print("sender's SNR down, true SNR across\n" + means(rows, ["sender_snr_db"], "snr_db"))
    study.publish(
        rows,
        {
            "": quality_figure(rows, "snr_db"),
            "_relative": quality_figure(rows, "snr_db", relative_to=["belief="], outages=False),
        },
    )


if __name__ == "__main__":
    guarded(main)
