"""The digit codec and the digit link on the held-out fifth of the digits: real bits beside PCA's, digits
made up, and a frame beside files over the channel."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from digit_baseline import STEPS, PCABaseline
from numpy.typing import NDArray
from study import Study, means

from jscc_sim.images import Picture, write_picture
from jscc_sim.learned.digits.codec import Digits
from jscc_sim.learned.digits.data import DigitSet, DigitSplit, load_digits
from jscc_sim.metrics import psnr_between
from jscc_sim.plots.curves import quality_figure
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.sweeps import Grid, SystemSpec

RATES = (15.0, 20.0, 25.0, 30.0, 35.0)
"""Bits per digit at which the two are compared."""

SHOWN_BITS = 60.0
"""Most bits per digit in the figure."""

GENERATED, SHOWN = 2000, (8, 25)
GENERATION_LEVEL = 36
CONFIDENT = 0.9

SYSTEMS = ("digits", "digits+ldpc", "digits+ideal", "softcast", "jpeg2000+ldpc")
SNRS_DB, CBRS = (1.0, 4.0, 7.0, 10.0, 15.0, 20.0), ("1/48", "1/24")


def make(study: Study) -> None:
    """Write learned_codecs_digits.csv (both curves), .json (comparison and scores), the figure and the
    digits that it makes up."""
    codec, digits = Digits(), load_digits()
    curves = rate_curves(codec, digits, every=7 if study.quick else 1)
    scores = generation_scores(codec, digits)
    summary = {
        "weights_sha256": codec.model.sha256,
        "digits": len(digits.held_out),
        "gain_db_at_bits": gains_db(curves),
        "classifier": scores,
    }
    print(f"gain over PCA in dB at bits per digit: {summary['gain_db_at_bits']}")
    print(pd.DataFrame(scores).round(3).to_string())
    lines = {}
    for coder, points in curves[curves["bits"] < SHOWN_BITS].groupby("coder", sort=False):
        lines[str(coder)] = (points["bits"].tolist(), points["psnr_db"].tolist())
    note = f"{len(digits.held_out)} digits held out, in one file; all of its bytes count."
    panel = Panel("bits per digit", "PSNR (dB)", lines)
    study.write(curves, {"": lines_figure([panel], [note])}, "digits", summary)
    generated = study.folder / f"{study.name}_digits_generated.png"
    write_picture(enlarged(generated_sheet(codec, np.random.default_rng(0)), 4), generated)
    print(generated)
    over_the_channel(study, digits.held_out)


def over_the_channel(study: Study, shown: DigitSet) -> None:
    """Write learned_codecs_digits_channel.csv, .json and the figure: one frame for all digits shown."""
    sheet = study.folder / "held_out_digits.png"
    write_picture(shown.sheet(), sheet)
    systems = [SystemSpec(name) for name in SYSTEMS]
    rows = study.rows(Grid([str(sheet)], systems, ["awgn"], SNRS_DB[3:4] if study.quick else SNRS_DB, CBRS))
    print(means(rows, ["cbr_fraction", "system"], "snr_db"))
    figures = {
        f"_{cbr.replace('/', '_')}": quality_figure(rows[rows["cbr_fraction"] == cbr], "snr_db")
        for cbr in ([] if study.quick else CBRS)
    }
    study.publish(rows, figures, "digits_channel")


def rate_curves(codec: Digits, digits: DigitSplit, every: int = 1) -> pd.DataFrame:
    """Rows of coder, level (or step), bits per digit, psnr_db: all bytes of one file of the digits held out.
    every: how far apart the levels and steps are."""
    shown = digits.held_out
    sheet, count = shown.sheet(), len(shown)
    rows = []
    for level in range(0, codec.levels, every):
        data = codec.encode(sheet, level)
        rows.append(("digits", level, 8 * len(data) / count, _psnr_db(codec.decompress(data), sheet)))
    baseline = PCABaseline(digits.training.pixels)
    for step in STEPS[::every]:
        data = baseline.encode(shown.pixels, step)
        found = DigitSet(baseline.decode(data, step, count), shown.labels).sheet()
        rows.append(("pca", step, 8 * len(data) / count, _psnr_db(found, sheet)))
    return pd.DataFrame(rows, columns=["coder", "level", "bits", "psnr_db"])


def gains_db(curves: pd.DataFrame) -> dict[float, float]:
    """PSNR above PCA's at each of RATES, both by linear interpolation."""
    at = {}
    for coder in ("digits", "pca"):
        points = curves[curves["coder"] == coder].sort_values("bits")
        at[coder] = np.interp(RATES, points["bits"], points["psnr_db"])
    return {rate: round(float(gain), 3) for rate, gain in zip(RATES, at["digits"] - at["pca"], strict=True)}


def generation_scores(codec: Digits, digits: DigitSplit) -> dict[str, dict[str, float]]:
    """What a classifier that was fitted to the training digits says of the held-out, of the codec's and of
    a normal distribution's."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.svm import SVC

    rng = np.random.default_rng(0)
    classifier = CalibratedClassifierCV(SVC(C=10.0, gamma=0.25), cv=5, ensemble=False)
    classifier.fit(_unit(digits.training), digits.training.labels)
    sets = {
        "held out": _unit(digits.held_out),
        "generated": codec.generate(GENERATED, GENERATION_LEVEL, rng),
        "PCA, normal": PCABaseline(digits.training.pixels).draw(GENERATED, rng),
    }
    scores = {name: _scores(classifier.predict_proba(tiles)) for name, tiles in sets.items()}
    for name, tiles in sets.items():
        scores[name]["nearest"] = _nearest(tiles, _unit(digits.training))
    scores["held out"]["right"] = float(classifier.score(sets["held out"], digits.held_out.labels))
    return scores


def generated_sheet(codec: Digits, rng: np.random.Generator) -> Picture:
    """Digits from the prior, none left out, a pixel of frame around each."""
    rows, columns = SHOWN
    tiles = codec.generate(rows * columns, GENERATION_LEVEL, rng).reshape(rows, columns, 8, 8)
    framed = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    grey = np.rint(255 * framed.swapaxes(1, 2).reshape(10 * rows, 10 * columns)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def enlarged(picture: Picture, factor: int) -> Picture:
    """Each pixel a square."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _scores(chances: NDArray[np.floating]) -> dict[str, float]:
    """chances: [N, 10]. certainty: mean of the largest; confident: share above CONFIDENT; balance: entropy of
    the classes found, 1 where all ten are as frequent."""
    largest = chances.max(axis=1)
    shares = np.bincount(chances.argmax(axis=1), minlength=10) / len(chances)
    entropy = -float(np.sum(shares * np.log(np.maximum(shares, 1e-12))))
    return {
        "certainty": float(largest.mean()),
        "confident": float((largest > CONFIDENT).mean()),
        "balance": entropy / math.log(10),
    }


def _nearest(tiles: NDArray[np.floating], training: NDArray[np.floating]) -> float:
    """Mean distance to the nearest training digit, root mean square over the pixels, 8-bit units: digits
    learnt by heart would have none."""
    squares = np.square(tiles).sum(1)[:, None] - 2 * tiles @ training.T + np.square(training).sum(1)
    return float(255 * np.sqrt(np.maximum(squares.min(axis=1), 0) / 64).mean())


def _unit(digits: DigitSet) -> NDArray[np.floating]:
    return digits.pixels.reshape(len(digits), -1) / 255


def _psnr_db(found: Picture, sheet: Picture) -> float:
    psnr_db = psnr_between(found, sheet)
    assert psnr_db is not None
    return psnr_db
