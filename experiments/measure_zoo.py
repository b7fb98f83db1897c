"""Measure zoos on a folder of images: PSNR against CBR and SNR, and what adaptation gains.

    python experiments/measure_zoo.py --images FOLDER --name kodak

writes results/NAME.csv (one row per image and setting), results/NAME.json (what ran) and prints the
means; with --update it also writes them into the manifests of the zoos.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from jscc_sim.allocation import load_policy
from jscc_sim.channels import AWGN
from jscc_sim.images import Picture, list_pictures, read_picture
from jscc_sim.metrics import mean_squared_error, psnr_of_mse
from jscc_sim.statistics import gain_db, interval
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo, update_manifest

SNRS_DB = (1.0, 4.0, 7.0, 10.0, 13.0, 20.0)
CBRS = ("1/48", "1/24", "1/16", "1/12", "1/8", "1/6")
GRIDS = {
    ("conv", "lagrangian"): (SNRS_DB, CBRS),
    ("conv", "uniform"): (SNRS_DB, ("1/24", "1/16", "1/12")),
    ("linear", "lagrangian"): ((1.0, 10.0, 20.0), ("1/48", "1/16", "1/8")),
}
SEED = 0


def main() -> None:
    """Run the grid and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--limit", type=int, help="only the first so many images")
    parser.add_argument("--update", action="store_true", help="write the means into the zoos' manifests")
    arguments = parser.parse_args()
    paths = list_pictures(arguments.images)[: arguments.limit]
    table = run_grid([(path.stem, read_picture(path)) for path in paths])
    folder = Path(__file__).resolve().parent.parent / "results"
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / f"{arguments.name}.csv", index=False, float_format="%.6g")
    provenance = {
        "command": "python experiments/measure_zoo.py --images FOLDER",
        "folder": Path(arguments.images).resolve().name,
        "images": len(paths),
        "seed": SEED,
        "zoos": {name: load_zoo(name).sha256 for name in sorted({zoo for zoo, _ in GRIDS})},
        "versions": {name: version(name) for name in ("jscc_sim", "torch", "numpy", "sionna-no-rt")},
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    (folder / f"{arguments.name}.json").write_text(json.dumps(provenance, indent=2) + "\n")
    report(table)
    if arguments.update:
        update(table, arguments.name)


def run_grid(pictures: list[tuple[str, Picture]]) -> pd.DataFrame:
    """One row for each image, zoo, policy, SNR and CBR."""
    rows = []
    points = [
        (zoo, policy, snr_db, cbr)
        for (zoo, policy), (snrs, cbrs) in GRIDS.items()
        for snr_db in snrs
        for cbr in cbrs
    ]
    systems = {(zoo, policy): BlockJSCC(load_zoo(zoo), load_policy(policy)) for zoo, policy in GRIDS}
    for zoo, policy, snr_db, cbr in tqdm(points, file=sys.stderr, disable=None):
        for name, picture in pictures:
            height, width = picture.shape[:2]
            budget = budget_uses(parse_cbr(cbr), height, width)
            sent = systems[zoo, policy].transmit(picture, AWGN(snr_db), budget, np.random.default_rng(SEED))
            mse = mean_squared_error(sent.picture, picture)
            rows.append(
                {
                    "image": name,
                    "zoo": zoo,
                    "policy": policy,
                    "snr_db": snr_db,
                    "cbr": cbr,
                    "budget_uses": budget,
                    "uses": sent.uses,
                    "header_uses": sent.header_uses,
                    "psnr_db": psnr_of_mse(mse),
                    "mse": mse,
                    "outage": sent.outage,
                    "coder": sent.coder,
                }
            )
    return pd.DataFrame(rows)


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """[zoo, SNR, CBR] mean gain of `lagrangian` over uniform's lower envelope, with its interval."""
    rows = []
    adapted = table[(table.policy == "lagrangian") & table.zoo.isin(table[table.policy == "uniform"].zoo)]
    for (zoo, snr_db, cbr), group in adapted.groupby(["zoo", "snr_db", "cbr"], sort=False):
        values = []
        for row in group.itertuples():
            even = table[
                (table.zoo == zoo)
                & (table.policy == "uniform")
                & (table.snr_db == snr_db)
                & (table.image == row.image)
            ]
            values.append(gain_db(row.mse, row.uses, even.uses, even.mse))
        found = interval(values)
        rows.append((zoo, snr_db, cbr, found.mean, found.half_width))
    return pd.DataFrame(rows, columns=["zoo", "snr_db", "cbr", "gain_db", "half_width"])


def report(table: pd.DataFrame) -> None:
    """Print mean PSNR by zoo, policy, SNR and CBR, the gains, and the header's share."""
    for (zoo, policy), group in table.groupby(["zoo", "policy"], sort=False):
        print(f"\n{zoo}, {policy}: mean PSNR in dB")
        print(group.pivot_table("psnr_db", "snr_db", "cbr", sort=False).round(2).to_string())
    print("\ngain of lagrangian over uniform's envelope, dB, with 95 % interval")
    found = gains(table)
    found["gain"] = [f"{g:+.2f} ±{h:.2f}" for g, h in zip(found.gain_db, found.half_width, strict=True)]
    print(found[found.cbr == "1/16"].pivot(index="snr_db", columns="cbr", values="gain").to_string())
    usual = table[(table.snr_db == 10) & (table.cbr == "1/16")]
    print(
        f"\nlargest header at 10 dB, 1/16: {(usual.header_uses / usual.budget_uses).max():.2%} of the budget"
    )
    print(f"outages: {table.outage.sum()} of {len(table)}")
    print(f"over budget: {(table.uses > table.budget_uses).sum()}")


def update(table: pd.DataFrame, name: str) -> None:
    """Write the means at 10 dB of the Lagrangian policy into the zoos' manifests."""
    for zoo, group in table[(table.policy == "lagrangian") & (table.snr_db == 10)].groupby("zoo"):
        means = group.groupby("cbr", sort=False).psnr_db.mean()
        figures = ", ".join(f"{mean:.2f} at CBR {cbr}" for cbr, mean in means.items())
        update_manifest(
            load_zoo(zoo), measured=[f"{name}, AWGN 10 dB, lagrangian, header counted: {figures} (dB)"]
        )


if __name__ == "__main__":
    main()
