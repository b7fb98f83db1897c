"""A receiver that knows nothing but samples, beside one that knows all: `encode`, `channel` and `decode` many
times, with a delay, a carrier offset, echoes, and noise before and behind.

python experiments/ofdm_receiver.py --images FOLDER
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from study import Study, guarded

from jscc_sim.channels import complex_normal, parse_channel
from jscc_sim.errors import OutageError
from jscc_sim.images import read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.sweeps import SystemSpec
from jscc_sim.systems.base import LinkSystem
from jscc_sim.units import budget_uses, noise_variance, parse_cbr
from jscc_sim.waveforms import OFDM, parse_link

CBR, SNR_DB, DRAWS = "1/16", 10.0, 200
CARRIERS, DELAY, QUIET = 0.3, 137, 5000
CHANNEL = "tdl-a:100:3"
WITHIN_DB = 0.3


def main() -> None:
    """A row a draw: PSNR of the receiver and of one that knows all, and why a frame is lost."""
    study = Study("ofdm_receiver", __doc__ or "", zoo="conv-small")
    study.parser.add_argument("--draws", type=int, default=DRAWS, help=f"({DRAWS})")
    study.parser.add_argument("--channel", default=CHANNEL, help=f"({CHANNEL})")
    study.parser.add_argument("--snr-db", type=float, default=SNR_DB, help=f"({SNR_DB:g})")
    options = study.parse()
    picture, waveform = read_picture(study.images[0]), OFDM()
    impaired = f"{options.channel}+cfo:{CARRIERS * waveform.spacing:g}+delay:{DELAY}"
    belief = parse_link(impaired, options.snr_db, "estimated", "ofdm")
    known = parse_link(impaired, options.snr_db, "perfect", "ofdm")
    system = SystemSpec("block-jscc", study.zoo).load()
    assert isinstance(system, LinkSystem)
    frame = system.make_frame(picture, belief.room(budget_uses(parse_cbr(CBR), *picture.shape[:2])), belief)
    silence = np.zeros(QUIET, np.complex64)
    sent = waveform.modulate(frame.symbols)
    path, rows = parse_channel(impaired, options.snr_db), []
    for draw in range(10 if study.quick else options.draws):
        best = system.read_frame(known(frame.symbols, np.random.default_rng(draw)))
        fading, noise, _ = np.random.default_rng(draw).spawn(3)
        heard = np.concatenate([silence, path.pass_samples(sent, waveform.rate_hz, fading), silence])
        heard = heard + complex_normal(len(heard), noise_variance(options.snr_db), noise)
        row = {"draw": draw, "known_psnr_db": psnr_between(best.picture, picture), "reason": ""}
        try:
            reception = system.read_frame(waveform.receive(heard))
            row["psnr_db"] = psnr_between(reception.picture, picture)
        except OutageError as error:
            row["reason"] = str(error)
        rows.append(row)
    table = pd.DataFrame(rows)
    lost = table["known_psnr_db"] - table["psnr_db"]
    within = int((lost <= WITHIN_DB).sum())
    print(
        f"{impaired} at {options.snr_db:g} dB: {within} of {len(table)} within {WITHIN_DB} dB of a receiver "
        f"that knows all, mean {lost.mean():.3f} dB, worst {lost.max():.3f} dB; {int(lost.isna().sum())} lost"
    )
    summary = {
        "image": Path(study.images[0]).name,
        "zoo": study.zoo,
        "snr_db": options.snr_db,
        "channel": impaired,
        "draws": len(table),
        "within_db": WITHIN_DB,
        "within": within,
        "mean_loss_db": float(lost.mean()),
    }
    study.write(table, {}, "", summary)


if __name__ == "__main__":
    guarded(main)
