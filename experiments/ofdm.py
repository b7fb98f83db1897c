"""OFDM over the channels of 3GPP TR 38.901, everything counted: block JSCC beside digital chains, and what
pilots, prefixes, preamble and estimates cost it.

python experiments/ofdm.py --images FOLDER --workers 2
"""

from __future__ import annotations

from fractions import Fraction

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from study import Study, file_part, guarded

from jscc_sim.plots.curves import outage_figure, quality_figure
from jscc_sim.plots.style import COLOURS, HATCHES, PAPER, add_footer, paper_figure
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.waveforms import OFDM

CHANNELS = ("tdl-a:100:3", "tdl-a:100:30", "tdl-c:300:3", "tdl-c:300:30")
SNRS_DB = (4.0, 10.0, 16.0)
CHAINS = ("hevc+ldpc", "vvc+ldpc-abstraction")
CBR = Fraction(1, 16)
CSI = ("estimated", "perfect")

PRICED = ("tdl-a:100:3", "tdl-c:300:30")
PRICED_SNR_DB = 10.0
USES = 73_728
"""Of a frame, by which the share of the overhead is told: that of a Kodak picture at CBR 1/16."""


def main() -> None:
    """PSNR over SNR and outage for each channel; bars of what is lost to overhead and to estimates."""
    study = Study("ofdm", __doc__ or "")
    study.parser.add_argument("--channels", nargs="+", default=CHANNELS, help="(four of TR 38.901)")
    study.parser.add_argument("--snr-db", nargs="+", type=float, default=SNRS_DB, help="(4 10 16)")
    study.parser.add_argument("--chains", nargs="+", default=CHAINS, help="systems beside block JSCC")
    options = study.parse()
    chains = ["jpeg2000+ldpc"] if study.quick else options.chains
    systems = [SystemSpec("block-jscc", study.zoo), *map(SystemSpec, chains)]
    channels = options.channels[: 1 if study.quick else None]
    snrs_db = options.snr_db[::3] if study.quick else options.snr_db
    every = study.rows(Grid(study.images, systems, channels, snrs_db, [CBR], csi=CSI, waveforms=["ofdm"]))
    for channel, rows in every.groupby("channel", sort=False):
        figures = {"": quality_figure(rows, "snr_db"), "_outage": outage_figure(rows, "snr_db")}
        study.publish(rows, figures, part=file_part(str(channel)))
    price(study)


def price(study: Study) -> None:
    """What is lost against a frame whose whole budget is data of a channel that the receiver knows."""
    waveform = OFDM()
    air = waveform.air_time(waveform.room(USES))
    ample = (CBR * air.uses / air.data).limit_denominator(10_000)
    block_jscc = SystemSpec("block-jscc", study.zoo)
    cases = {
        ("perfect", ample): "all data, channel known",
        ("perfect", CBR): "overhead, channel known",
        ("estimated", CBR): "overhead, LMMSE",
        ("estimated:ls", CBR): "overhead, LS",
    }
    grids = [
        Grid(study.images, [block_jscc], PRICED, [PRICED_SNR_DB], [cbr], csi=[csi], waveforms=["ofdm"])
        for csi, cbr in cases
    ]
    rows = study.rows(*grids)
    told = [(csi, Fraction(cbr)) for csi, cbr in zip(rows["csi"], rows["cbr_fraction"], strict=True)]
    rows["case"] = pd.Categorical([cases[case] for case in told], list(cases.values()))
    study.publish(rows, {"": price_figure(rows)}, part="price")


def price_figure(rows: pd.DataFrame) -> Figure:
    """Bars of the mean PSNR, and above each what it changed against the case before it."""
    cases = list(rows["case"].cat.categories)
    entries: dict[str, Artist] = {}
    with mpl.rc_context(PAPER):
        figure = paper_figure("column")
        axes = figure.subplots()
        lowest = np.inf
        for number, (channel, group) in enumerate(rows.groupby("channel", sort=False)):
            means = group.groupby("case", observed=True)["psnr_db"].mean()[cases]
            places = np.arange(len(cases)) + 0.42 * number - 0.21
            entries[str(channel)] = axes.bar(
                places, means, 0.4, color=COLOURS[number + 1], hatch=HATCHES[number], edgecolor="white"
            )
            for place, mean, change in zip(places, means, means.diff(), strict=True):
                said = f"{mean:.2f}" if np.isnan(change) else f"{mean:.2f}\n{change:+.2f}"
                axes.annotate(
                    said, (place, mean), (0, 1), textcoords="offset points", ha="center", fontsize=5.5
                )
            lowest = min(lowest, float(means.min()))
        axes.set_ylim(np.floor(lowest - 0.5), axes.get_ylim()[1] + 0.02)
        axes.margins(y=0.12)
        axes.set_xticks(np.arange(len(cases)), [case.replace(", ", ",\n") for case in cases], fontsize=5.5)
        axes.set_ylabel("PSNR (dB)")
        axes.grid(visible=False, axis="x")
        note = (
            f"block JSCC, CBR {CBR} of the whole air time, {PRICED_SNR_DB:g} dB; mean over images, and the "
        )
        note += "change from the bar before."
        add_footer(figure, 2.2, entries, [note])
    return figure


if __name__ == "__main__":
    guarded(main)
