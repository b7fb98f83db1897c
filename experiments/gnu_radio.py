"""A frame through a radio that is not ours: GNU Radio's channel model (echoes, carrier and clock offset,
noise) between `encode` and `decode`. Needs GNU Radio 3.10 (Debian: apt install gnuradio), and says so where
there is none.

python experiments/gnu_radio.py --image kodim05.png --out out
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from study import add_out, guarded, made_by, made_folder, write_json

from jscc_sim.cli import main as jscc_sim
from jscc_sim.errors import InputError
from jscc_sim.images import read_picture
from jscc_sim.metrics import psnr_between
from jscc_sim.recording import read_recording, write_recording
from jscc_sim.units import noise_variance

SNR_DB, RATE_HZ, CBR = 15.0, 1e6, "1/16"
CARRIER_OFFSET = 1e-3
"""Of the sample rate: a quarter of a carrier."""

CLOCK = 1.00001
"""Of the receiver over the sender's: ten parts in a million."""

TAPS = "0.8, 0.5j, 0.2, 0.0, -0.15"
QUIET = 4000

FLOWGRAPH = """
import sys
from gnuradio import blocks, channels, gr

source, sink, volts, offset, clock, taps, seed = sys.argv[1:]
top = gr.top_block()
taps = [complex(tap) for tap in taps.replace(" ", "").split(",")]
model = channels.channel_model(float(volts), float(offset), float(clock), taps, int(seed), False)
top.connect(blocks.file_source(gr.sizeof_gr_complex, source, False), model,
            blocks.file_sink(gr.sizeof_gr_complex, sink))
top.run()
"""
"""For an interpreter that has GNU Radio; ours need not."""


def main() -> None:
    """Send a picture; print its PSNR, and write it with what was received."""
    parser = argparse.ArgumentParser(prog="gnu_radio.py", description=__doc__)
    parser.add_argument("--image", default="astronaut", help="(astronaut)")
    parser.add_argument("--snr-db", type=float, default=SNR_DB, help=f"({SNR_DB:g})")
    parser.add_argument("--zoo", default="conv", help="(conv)")
    parser.add_argument("--seed", type=int, default=1)
    add_out(parser)
    options = parser.parse_args()
    python = interpreter()
    if python is None:
        print("skipped: no Python here has GNU Radio (Debian: apt install gnuradio)")
        return
    folder = made_folder(options.out)
    sent, heard, picture = (str(folder / f"gnu_radio_{name}") for name in ("sent", "heard", "picture.png"))
    zoo = ["--zoo", options.zoo]
    waveform = ["--waveform", "ofdm"]
    run("encode", options.image, "--cbr", CBR, "--snr-db", f"{options.snr_db:g}", *zoo, *waveform,
        "--sample-rate", f"{RATE_HZ:g}", "--out", sent)  # fmt: skip
    through(python, sent, heard, options.snr_db, options.seed)
    run("decode", heard, *zoo, *waveform, "--out", picture)
    psnr_db = psnr_between(read_picture(picture), read_picture(options.image))
    print(f"{options.image} over GNU Radio's channel at {options.snr_db:g} dB: {psnr_db:.2f} dB")
    setting = {"image": Path(options.image).name, "snr_db": options.snr_db, "taps": TAPS, "clock": CLOCK}
    setting |= {"carrier_offset": CARRIER_OFFSET, "psnr_db": round(psnr_db, 3)}
    write_json({**made_by(), **setting}, folder / "gnu_radio.json")


def run(*words: str) -> None:
    """A command of jscc-sim. Ends the program where it fails."""
    if jscc_sim(list(words)) != 0:
        raise SystemExit(f"jscc-sim {words[0]} failed")


def through(python: str, sent: str, heard: str, snr_db: float, seed: int) -> None:
    """A recording through GNU Radio's channel model, with silence before and behind; the taps' power is 1."""
    samples = read_recording(sent).symbols
    taps = np.array([complex(tap) for tap in TAPS.replace(" ", "").split(",")])
    taps = taps / np.linalg.norm(taps)
    silence = np.zeros(QUIET, np.complex64)
    raw, back = Path(f"{heard}.in"), Path(f"{heard}.out")
    np.concatenate([silence, samples, silence]).tofile(raw)
    volts = np.sqrt(noise_variance(snr_db))  # of the whole complex noise: its power is volts squared
    words = [f"{volts:.9g}", str(CARRIER_OFFSET), str(CLOCK), ",".join(str(tap).strip("()") for tap in taps)]
    subprocess.run([python, "-c", FLOWGRAPH, str(raw), str(back), *words, str(seed)], check=True)
    arrived = np.fromfile(back, np.complex64)
    raw.unlink()
    back.unlink()
    if not len(arrived):
        raise InputError("GNU Radio's channel gave no samples")
    write_recording(heard, arrived, description="Through GNU Radio's channel model", sample_rate_hz=RATE_HZ)


def interpreter() -> str | None:
    """A Python that has GNU Radio."""
    for name in (sys.executable, "/usr/bin/python3", shutil.which("python3")):
        if name is None:
            continue
        tried = subprocess.run([name, "-c", "import gnuradio"], check=False, capture_output=True)
        if tried.returncode == 0:
            return name
    return None


if __name__ == "__main__":
    guarded(main)
