"""The digit codec on the held-out fifth of the digits: real bits against PCA's; digits that it makes up.

python experiments/digits.py
"""

from __future__ import annotations

import argparse
import math

import numpy as np
import pandas as pd
from digit_baseline import STEPS, PCABaseline
from matplotlib.figure import Figure
from numpy.typing import NDArray
from study import add_out, guarded, made_folder, save_both, write_json

from jscc_sim.codecs.digits import Digits
from jscc_sim.images import Picture, write_picture, write_whole
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.nn.digits import join
from jscc_sim.training.digit_set import DigitSet, DigitSplit, load_digits

RATES = (15.0, 20.0, 25.0, 30.0, 35.0)
"""Bits per digit at which the two are compared."""

GENERATED, SHOWN = 2000, (8, 25)
GENERATION_LEVEL = 36
CONFIDENT = 0.9


def main() -> None:
    """Write digits.csv (both curves), digits.json (comparison and scores), the plot and the digits."""
    parser = argparse.ArgumentParser(prog="digits.py", description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="", help="folder of the weights (the released ones)")
    add_out(parser)
    options = parser.parse_args()
    folder, codec, digits = made_folder(options.out), Digits(options.model), load_digits()
    curves = rate_curves(codec, digits, digits.held_out)
    gains = gains_db(curves)
    scores = generation_scores(codec, digits)
    path = folder / "digits.csv"
    write_whole(path, lambda handle: curves.to_csv(handle, index=False, float_format="%.6g"))
    summary = {
        "command": "python experiments/digits.py",
        "model_sha256": codec.model.sha256,
        "digits": len(digits.held_out),
        "gain_db_at_bits": gains,
        "generated": scores,
    }
    made = [path, write_json(summary, folder / "digits.json")]
    made += save_both(plot(curves), folder, "digits")
    made.append(folder / "digits_generated.png")
    write_picture(enlarged(generated_sheet(codec, np.random.default_rng(0)), 4), made[-1])
    print(curves.round(2).to_string(index=False))
    print(f"gain over PCA in dB at bits per digit: {gains}")
    print(pd.DataFrame(scores).round(3).to_string())
    print("\n".join(map(str, made)))


def rate_curves(codec: Digits, digits: DigitSplit, shown: DigitSet) -> pd.DataFrame:
    """Rows of coder, level (or step), bits per digit, psnr_db: all bytes of one file of all digits shown."""
    sheet, count = shown.sheet(), len(shown)
    rows = []
    for level in range(codec.levels):
        data = codec.encode(sheet, level)
        rows.append(("digits", level, 8 * len(data) / count, _psnr_db(codec.decompress(data), sheet)))
    baseline = PCABaseline(digits.training.pixels)
    for step in STEPS:
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
    """Digits from the prior, none left out."""
    rows, columns = SHOWN
    return join(codec.generate(rows * columns, GENERATION_LEVEL, rng), 8 * rows, 8 * columns)


def enlarged(picture: Picture, factor: int) -> Picture:
    """Each pixel a square."""
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def plot(curves: pd.DataFrame) -> Figure:
    """PSNR over bits per digit."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    for coder, label in (("digits", "digits, dithered"), ("pca", "PCA, scalar quantiser, arithmetic code")):
        points = curves[(curves["coder"] == coder) & (curves["bits"] < 65)].sort_values("bits")
        axes.plot(points["bits"], points["psnr_db"], marker=".", label=label)
    axes.set(xlabel="bits per digit, all bytes of the file", ylabel="PSNR in dB")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


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
    psnr_db = psnr_of_mse(mean_squared_error(found, sheet))
    assert psnr_db is not None
    return psnr_db


if __name__ == "__main__":
    guarded(main)
