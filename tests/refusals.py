"""Commands with something wrong in them, a folder to run them in, and what must come of each."""

import numpy as np
from processes import photograph, save

from jscc_sim.recording import write_recording


def transmit(*options, image="good.png", cbr="1/6", snr_db="10", zoo="linear"):
    return ("transmit", image, "--cbr", cbr, "--snr-db", snr_db, "--zoo", zoo, *options)


def encode(*options, image="good.png", cbr="1/6", snr_db="10", out="tx"):
    air = ("--cbr", cbr, "--snr-db", snr_db, "--zoo", "linear")
    return ("encode", image, *air, *options, "--out", out)


def channel(recording="tx", *options, snr_db="10", out="rx"):
    return ("channel", recording, "--snr-db", snr_db, *options, "--out", out)


def decode(recording="rx", *options, out="old.png", zoo="linear"):
    return ("decode", recording, *options, "--zoo", zoo, "--out", out)


def train(*options, images="pictures", out="zoo"):
    return ("train", images, "--out", out, *options)


def some_symbols(count=400):
    rng = np.random.default_rng(0)
    return np.exp(2j * np.pi * rng.random(count)).astype(np.complex64)


def sound_place(folder):
    """Pictures and a recording with nothing wrong, and an earlier picture at the place of an output."""
    good = photograph()
    save(good, folder / "good.png")
    save(photograph(64, 64), folder / "old.png")
    save(np.full((64, 64, 3), 9, np.uint8), folder / "flat.png")
    (folder / "pictures").mkdir()
    for name in ("good", "other"):
        save(good, folder / "pictures" / f"{name}.png")
    write_recording(folder / "tx", some_symbols(), description="")
    return folder


def assert_refused(ran, words, code=2):
    assert ran.code == code, ran.err
    assert ran.err.endswith("\n")
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("jscc-sim")
    for word in words:
        assert word in ran.err
    assert ran.out == ""
    assert ran.changed == ()
