"""What adaptation could gain at each SNR, and what the coders' own curves let it gain: validation pictures.

Every block is coded at every ratio, in frames of one ratio, and its error measured over several draws of the
noise. Beside that stands a model: the block's DCT coefficients as Gaussians of its own variances, reverse
water-filling, and a code that reaches capacity. Allocations of equal slope on both tables say what adaptation
is worth. Those made on one half of the draws are judged on the other: a choice made on the noise that judges
it seems better than it is.

python experiments/allocation_headroom.py FOLDER --out results
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from held_out import held_out_parser, held_out_pictures
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.fft import dctn
from study import add_out, guarded, made_by, made_folder, save_both, write_json, write_table
from tqdm import tqdm

from jscc_sim.allocation.equal_slope import equal_slope
from jscc_sim.blocks import split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.coding.capacity import shannon_bits
from jscc_sim.images import Picture
from jscc_sim.inference import one_thread
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, pool_gain
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.statistics import gaussian_distortion, interval
from jscc_sim.units import BLOCK, BLOCK_SAMPLES, RatioSet, db_to_power
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 4.0, 10.0)
USES = 192
"""Per block in the mean: CBR 1/16."""

DRAWS = 4
"""Of the noise, half of them to choose by."""

BAND = 8
"""Side of the DCT whose coefficients' variances describe a block."""

Table = NDArray[np.float64]


def main() -> None:
    """A table of mean errors by quarter of the blocks, the gains, and a figure."""
    parser = held_out_parser(__doc__, pictures=8)
    add_out(parser)
    arguments = parser.parse_args()
    folder, pictures = made_folder(arguments.out), held_out_pictures(arguments)
    zoo = load_zoo(arguments.zoo).alone()
    curves, gains = [], []
    with one_thread():
        for snr_db in SNRS_DB:
            for number, picture in enumerate(tqdm(pictures, f"{snr_db:g} dB", disable=None)):
                rng = np.random.default_rng([number, int(snr_db)])
                measured = measure(zoo.bank, picture, snr_db, rng)
                model = modelled(picture, zoo.ratios, snr_db)
                curves.append(by_quarter(measured.mean(axis=0), model, zoo.ratios, snr_db))
                gains.append({"snr_db": snr_db, "picture": number, **gains_db(measured, model, zoo.ratios)})
    found = pd.DataFrame(gains)
    summary = {
        f"{snr_db:g} dB": {
            name: interval(rows[name]).text(2, "+") for name in ("model", "same_draws", "fresh_draws")
        }
        for snr_db, rows in found.groupby("snr_db")
    }
    for name, words in summary.items():
        print(name, ", ".join(f"{what} {text} dB" for what, text in words.items()), sep=": ")
    mean = pd.concat(curves).groupby(["snr_db", "quarter", "uses"], as_index=False).mean()
    made = [write_table(mean, folder / "allocation_headroom.csv")]
    setting = {"zoo_sha256": zoo.sha256, "pictures": len(pictures), "draws": DRAWS, "gain_db": summary}
    made.append(write_json({**made_by(), **setting}, folder / "allocation_headroom.json"))
    made += save_both(figure(mean, zoo.name), folder, "allocation_headroom")
    print("\n".join(map(str, made)))


def measure(bank: Bank, picture: Picture, snr_db: float, rng: np.random.Generator) -> Table:
    """[DRAWS, N, R] mean squared error of each block, all of a frame at one ratio."""
    blocks, grid = split(picture)
    tables = np.zeros((DRAWS, len(grid), len(bank.ratios)))
    for ratio in range(len(bank.ratios)):
        index = np.full(len(grid), ratio)
        latents = bank.encode(blocks, grid, index, snr_db)
        gain = pool_gain(latents)
        for draw in range(DRAWS):
            heard = equalise(AWGN(snr_db)((gain * latents).astype(np.complex64), rng))
            decoded = bank.decode(heard, gain, grid, index, snr_db)
            tables[draw, :, ratio] = block_errors(decoded, blocks)
    return np.minimum.accumulate(tables, axis=2)  # a sender may leave uses idle


def modelled(picture: Picture, ratios: RatioSet, snr_db: float) -> Table:
    """[N, R] the same by the model, at equal power per use."""
    blocks, grid = split(picture)
    tiles = blocks.reshape(len(grid), BLOCK // BAND, BAND, BLOCK // BAND, BAND, 3).astype(float)
    colours = tiles @ _OPPONENT.T
    energy = np.square(dctn(colours, axes=(2, 4), norm="ortho"))
    energy[:, :, 0, :, 0] = np.square(_less_mean(colours))
    variance = energy.mean(axis=(1, 3)).reshape(len(grid), -1)
    each = BLOCK_SAMPLES // variance.shape[1]
    bits = ratios.array * float(shannon_bits(db_to_power(snr_db)))
    distortion = [[gaussian_distortion(v, float(b) / each) for b in bits] for v in variance]
    return np.array(distortion) * each / BLOCK_SAMPLES


def gains_db(measured: Table, model: Table, ratios: RatioSet) -> dict[str, float]:
    """Over equal uses: of the model; of the coder, judged by the draws that chose, and by others."""
    first, second = measured[: DRAWS // 2].mean(axis=0), measured[DRAWS // 2 :].mean(axis=0)
    return {
        "model": gain_db(model, model, ratios),
        "same_draws": gain_db(first, first, ratios),
        "fresh_draws": gain_db(first, second, ratios),
    }


def gain_db(chosen_by: Table, judged_by: Table, ratios: RatioSet) -> float:
    """What an allocation of equal slope on one table gains on another over equal uses."""
    rows = np.arange(len(judged_by))
    index = equal_slope(chosen_by, ratios, USES * len(rows))
    even = int(np.flatnonzero(ratios.array == USES)[0])
    return float(10 * np.log10(judged_by[:, even].sum() / judged_by[rows, index].sum()))


def by_quarter(measured: Table, model: Table, ratios: RatioSet, snr_db: float) -> pd.DataFrame:
    """Mean errors of a picture's quietest to busiest quarter of blocks."""
    quarters = np.array_split(np.argsort(model[:, 0]), 4)
    return pd.concat(
        pd.DataFrame(
            {
                "snr_db": snr_db,
                "quarter": number,
                "uses": ratios.array,
                "mse": measured[rows].mean(axis=0),
                "model_mse": model[rows].mean(axis=0),
            }
        )
        for number, rows in enumerate(quarters, 1)
    )


def figure(mean: pd.DataFrame, zoo: str) -> Figure:
    """Error over uses of the quietest and the busiest blocks, beside their models, in dB of that at USES."""
    panels = []
    for snr_db, rows in mean[mean["uses"] > 0].groupby("snr_db"):
        drawn = {}
        for quarter, name in ((1, "quietest quarter"), (4, "busiest quarter")):
            mine = rows[rows["quarter"] == quarter]
            for column, what in (("mse", f"{name}, {zoo}"), ("model_mse", f"{name}, model")):
                even = float(mine.loc[mine["uses"] == USES, column].iloc[0])
                drawn[what] = (mine["uses"].tolist(), (10 * np.log10(mine[column] / even)).tolist())
        panels.append(
            Panel("uses per block", f"error, dB over that at {USES}", drawn, f"{snr_db:g} dB", log_x=True)
        )
    return lines_figure(
        panels, ["Blocks of validation pictures; model: Gaussian bands, at capacity."], width="full"
    )


def _less_mean(colours: Table) -> Table:
    """[N, 4, 4, 3] DC coefficients without the mean of their block: what is left to code of them."""
    dc = BAND * colours.mean(axis=(2, 4))
    return np.asarray(dc - dc.mean(axis=(1, 2), keepdims=True))


_OPPONENT = np.linalg.qr(np.array([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]]).T)[0].T
"""An orthonormal turn of RGB: grey, red against blue, green against both."""


if __name__ == "__main__":
    guarded(main)
