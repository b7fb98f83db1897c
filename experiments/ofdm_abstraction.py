"""Does the mapping of a frame's SNRs to one (MIESM) tell over OFDM which code blocks are lost? Outages of a
digital chain that really decodes, beside those of its abstraction, where the sender believes 10 dB.

python experiments/ofdm_abstraction.py --images FOLDER --workers 2
"""

from __future__ import annotations

from study import Study, file_part, guarded

from jscc_sim.plots.curves import outage_figure
from jscc_sim.sweeps import Grid, SystemSpec

CHANNELS = ("tdl-a:100:3", "tdl-c:300:30")
SNRS_DB = (4.0, 6.0, 8.0, 10.0, 12.0)
BELIEF_DB, CBR = 10.0, "1/24"
IMAGES, REPEATS = 4, 50


def main() -> None:
    """Outages of both, over the true SNR, as a table and a figure for each channel."""
    study = Study("ofdm_abstraction", __doc__ or "")
    study.parser.add_argument("--repeats", type=int, default=REPEATS, help=f"draws of each ({REPEATS})")
    options = study.parse()
    systems = [SystemSpec(f"jpeg+ldpc{how}", sender_snr_db=BELIEF_DB) for how in ("", "-abstraction")]
    repeats = 2 if study.quick else options.repeats
    rows = study.rows(
        Grid(study.images[:IMAGES], systems, CHANNELS, SNRS_DB, [CBR], repeats=repeats, waveforms=["ofdm"])
    )
    lost = rows.pivot_table("outage", ["channel", "snr_db"], "system")
    paired = rows.pivot_table("outage", ["channel", "snr_db", "image", "repeat"], "system")
    lost["alike"] = (paired.iloc[:, 0] == paired.iloc[:, 1]).groupby(["channel", "snr_db"]).mean()
    print(lost.to_string(float_format="{:.3f}".format))
    figures = {
        f"_{file_part(str(channel))}": outage_figure(part, "snr_db")
        for channel, part in rows.groupby("channel", sort=False)
    }
    study.publish(rows, figures)


if __name__ == "__main__":
    guarded(main)
