"""What adaptation could gain at each SNR, and what the coders' own curves let it gain: validation pictures.

Every block is coded at every ratio, in frames of one ratio, and its error measured over several draws of the
noise. Beside that stands a model: the block's DCT coefficients as Gaussians of its own variances, reverse
water-filling, and a code that reaches capacity. Gains are in dB over equal uses at CBR 1/16:

    model          an allocation of equal slope by the model, at equal power per use
    model, power   by the model, equal uses, and power shared among blocks as is best
    model, shares  the same with the shares of power that the network gives them of itself
    same draws     equal slope on the measured tables, as they promise
    fresh draws    made on one half of the draws, judged on the other
    sent           that frame as it is sent, whose blocks share one power: who gets uses takes energy, too
    energy         by how much its energy per use is above that of equal uses, which all blocks lose

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
from jscc_sim.blocks import BlockGrid, split
from jscc_sim.channels import AWGN, equalise
from jscc_sim.coding.capacity import shannon_bits
from jscc_sim.images import Picture
from jscc_sim.inference import one_thread
from jscc_sim.metrics import block_errors
from jscc_sim.nn.bank import Bank, block_energies, pool_gain
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

POWERS = 2.0 ** np.arange(-6, 5, 0.125)
"""Of a block, as multiples of the mean."""

Table = NDArray[np.float64]


def main() -> None:
    """A table of mean errors by quarter of the blocks, the gains, and a figure."""
    parser = held_out_parser(__doc__, pictures=8)
    add_out(parser)
    arguments = parser.parse_args()
    folder, pictures = made_folder(arguments.out), held_out_pictures(arguments)
    zoo = load_zoo(arguments.zoo).alone()
    curves, gains, bank = [], [], zoo.bank
    with one_thread():
        for snr_db in SNRS_DB:
            for number, picture in enumerate(tqdm(pictures, f"{snr_db:g} dB", disable=None)):
                rng = np.random.default_rng([number, int(snr_db)])
                measured = measure(bank, picture, snr_db, rng)
                model = modelled(picture, zoo.ratios, snr_db)
                curves.append(by_quarter(measured.mean(axis=0), model, zoo.ratios, snr_db))
                found = {
                    "model": gain_db(model, model, zoo.ratios),
                    **power_gains_db(bank, picture, snr_db),
                    **table_gains_db(measured, zoo.ratios),
                    **sent_gains_db(bank, picture, measured.mean(axis=0), snr_db, rng),
                }
                gains.append(found | {"snr_db": snr_db})
    summary = {
        f"{snr_db:g} dB": {name: interval(rows[name]).text(2, "+") for name in rows if name != "snr_db"}
        for snr_db, rows in pd.DataFrame(gains).groupby("snr_db")
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
        tables[:, :, ratio], _ = sent(bank, blocks, grid, index, snr_db, rng)
    return np.minimum.accumulate(tables, axis=2)  # a sender may leave uses idle


def sent(
    bank: Bank,
    blocks: NDArray[np.uint8],
    grid: BlockGrid,
    index: NDArray[np.int64],
    snr_db: float,
    rng: np.random.Generator,
) -> tuple[Table, float]:
    """[DRAWS, N] errors of a frame's blocks, and its gain."""
    latents = bank.encode(blocks, grid, index, snr_db)
    gain = pool_gain(latents)
    errors = []
    for _ in range(DRAWS):
        heard = equalise(AWGN(snr_db)((gain * latents).astype(np.complex64), rng))
        errors.append(block_errors(bank.decode(heard, gain, grid, index, snr_db), blocks))
    return np.array(errors), gain


def modelled(picture: Picture, ratios: RatioSet, snr_db: float) -> Table:
    """[N, R] the same by the model, at equal power per use."""
    bits = ratios.array * float(shannon_bits(db_to_power(snr_db)))
    return np.array([[distortion(v, float(b)) for b in bits] for v in variances(picture)])


def variances(picture: Picture) -> Table:
    """[N, 192] of each block's coefficients, a component a band and colour."""
    blocks, grid = split(picture)
    tiles = blocks.reshape(len(grid), BLOCK // BAND, BAND, BLOCK // BAND, BAND, 3).astype(float)
    colours = tiles @ _OPPONENT.T
    energy = np.square(dctn(colours, axes=(2, 4), norm="ortho"))
    energy[:, :, 0, :, 0] = np.square(_less_mean(colours))
    return np.asarray(energy.mean(axis=(1, 3)).reshape(len(grid), -1))


def distortion(variance: Table, bits: float) -> float:
    """Mean squared error per sample of a block with these variances [192], in so many bits."""
    each = BLOCK_SAMPLES // len(variance)
    return gaussian_distortion(variance, bits / each) / len(variance)


def power_gains_db(bank: Bank, picture: Picture, snr_db: float) -> dict[str, float]:
    """Of the model, by sharing power at equal uses, over equal power: best, the least total error for a price
    of power at which all of it is used; and as the network does."""
    blocks, grid = split(picture)
    index = np.full(len(grid), bank.ratios.uses.index(USES))
    energy = block_energies(bank.encode(blocks, grid, index, snr_db), index, bank.ratios)
    described, snr = variances(picture), db_to_power(snr_db)

    def errors(powers: Table) -> Table:
        """[N, P], of powers [N, P]."""
        bits = USES * shannon_bits(snr * powers)
        return np.array([[distortion(v, b) for b in row] for v, row in zip(described, bits, strict=True)])

    table = errors(np.broadcast_to(POWERS, (len(grid), len(POWERS))))

    def chosen(price: float) -> NDArray[np.int64]:
        return np.asarray((table + price * POWERS).argmin(axis=1))

    low, high = 0.0, float(table.max())
    for _ in range(60):
        price = (low + high) / 2
        low, high = (price, high) if POWERS[chosen(price)].mean() > 1 else (low, price)
    even, shares = errors(np.ones((len(grid), 1))), errors((energy / energy.mean())[:, None])
    best = table[np.arange(len(table)), chosen(high)]
    return {
        "model, power": float(10 * np.log10(even.sum() / best.sum())),
        "model, shares": float(10 * np.log10(even.sum() / shares.sum())),
    }


def table_gains_db(measured: Table, ratios: RatioSet) -> dict[str, float]:
    """By the tables: judged by the draws that chose, and by others."""
    first, second = measured[: DRAWS // 2].mean(axis=0), measured[DRAWS // 2 :].mean(axis=0)
    return {"same draws": gain_db(first, first, ratios), "fresh draws": gain_db(first, second, ratios)}


def sent_gains_db(
    bank: Bank, picture: Picture, table: Table, snr_db: float, rng: np.random.Generator
) -> dict[str, float]:
    """Of the frame that a table asks for, as it is sent: in error, and what it has more of energy per use."""
    blocks, grid = split(picture)
    even = np.full(len(grid), bank.ratios.uses.index(USES))
    index = equal_slope(table, bank.ratios, USES * len(grid))
    (before, gain), (after, less) = (sent(bank, blocks, grid, i, snr_db, rng) for i in (even, index))
    return {
        "sent": float(10 * np.log10(before.sum() / after.sum())),
        "energy": float(20 * np.log10(gain / less)),
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
