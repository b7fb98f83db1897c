"""Peaks of OFDM: how often the power of a symbol exceeds a level, for analog payload and for QAM, and what an
amplifier that clips at a level leaves of the picture.

python experiments/ofdm_papr.py --images FOLDER --workers 2
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from study import Study, guarded, means

from jscc_sim.channels import AWGN
from jscc_sim.images import read_picture
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.systems.base import LinkSystem
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.waveforms import OFDM

CBR, SNR_DB = "1/16", 10.0
CLIPPING_DB = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
LEVELS_DB = np.arange(4.0, 16.01, 0.25)


def main() -> None:
    """The share of OFDM symbols whose peak exceeds a level, and PSNR over clipping level; one figure."""
    study = Study("ofdm_papr", __doc__ or "")
    study.parse()
    chains = ["jpeg2000+ldpc"] if study.quick else ["hevc+ldpc"]
    specs = [SystemSpec("block-jscc", study.zoo), SystemSpec("softcast"), *map(SystemSpec, chains)]
    exceeded = {spec.name: share_above(spec, study.images) for spec in specs}
    clipped = [f"awgn+clip:{level:g}" for level in CLIPPING_DB]
    grid = Grid(study.images, [specs[0], specs[2]], clipped, [SNR_DB], [CBR], waveforms=["ofdm"])
    rows = study.rows(grid)
    rows["clip_db"] = rows["channel"].str.rpartition(":")[2].astype(float)
    print("clipping down, system across\n" + means(rows, ["clip_db"], "system"))
    quality = rows.groupby(["system", "clip_db"])["psnr_db"].mean()
    panels = [
        Panel(
            "level above the mean (dB)",
            "log10 of the share of symbols",
            {name: (LEVELS_DB.tolist(), shares.tolist()) for name, shares in exceeded.items()},
            "peaks",
            marked=False,
        ),
        Panel(
            "clipping level (dB)",
            "PSNR (dB)",
            {name: (list(CLIPPING_DB), quality[name].tolist()) for name in quality.index.levels[0]},
            "what is left",
        ),
    ]
    note = f"ofdm, CBR {CBR}, {SNR_DB:g} dB; {rows['image'].nunique()} images. Peaks between samples too."
    study.publish(rows, {"": lines_figure(panels, [note], width="full")})
    table = pd.DataFrame({"level_db": LEVELS_DB, **exceeded})
    study.write(table, {}, "ccdf", {"zoo": study.zoo})


def share_above(spec: SystemSpec, images: list[str]) -> np.ndarray:
    """[levels] log10 of the share of OFDM symbols with a peak above each; NaN where there is none."""
    waveform, system, peaks = OFDM(), spec.load(), []
    assert isinstance(system, LinkSystem)
    for image in images:
        picture = read_picture(image)
        room = waveform.room(budget_uses(parse_cbr(CBR), *picture.shape[:2]))
        largest, mean = waveform.row_powers(system.make_frame(picture, room, AWGN(SNR_DB)).symbols)
        with np.errstate(divide="ignore"):  # a row that is all padding has no peak
            peaks.append(10 * np.log10(largest / mean))
    every = np.concatenate(peaks)
    shares = (every[:, None] > LEVELS_DB).mean(axis=0)
    return np.log10(np.where(shares > 0, shares, np.nan))


if __name__ == "__main__":
    guarded(main)
