"""How the networks share the common power: a block's power against its complexity and its ratio.

Validation pictures under two policies, and the uses that go with the power. A frame's mean is 0 dB.

python experiments/power.py FOLDER --out results
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from held_out import held_out_parser, held_out_pictures
from study import add_out, guarded, made_by, made_folder, save_both, write_json, write_table

from jscc_sim.allocation import Lagrangian, Uniform
from jscc_sim.channels import AWGN
from jscc_sim.nn.bank import block_energies
from jscc_sim.plots.lines import Panel, lines_figure
from jscc_sim.systems.block_jscc import BlockJSCC
from jscc_sim.units import budget_uses, parse_cbr
from jscc_sim.zoo import load_zoo

SNRS_DB = (1.0, 10.0, 20.0)
CBR = parse_cbr("1/16")
POLICIES = {"uniform": Uniform(), "lagrangian": Lagrangian()}
BINS = 8


def main() -> None:
    """Write power.csv (mean power of the blocks of each eighth by complexity, by policy and SNR) and its
    figure, and print how steeply power and uses grow with complexity."""
    parser = held_out_parser(__doc__, pictures=24)
    add_out(parser)
    arguments = parser.parse_args()
    folder, zoo = made_folder(arguments.out), load_zoo(arguments.zoo)
    pictures = held_out_pictures(arguments)
    tables = []
    for snr_db in SNRS_DB:
        for name, policy in POLICIES.items():
            system = BlockJSCC(zoo, policy)
            blocks = pd.concat([shares(system, picture, snr_db) for picture in pictures])
            eighth = pd.qcut(blocks["log2_variance"], BINS, labels=False)
            table = blocks.groupby(eighth)[["log2_variance", "uses", "energy"]].mean()
            table["power_db"] = 10 * np.log10(table["energy"] / table["uses"])
            tables.append(table.assign(policy=name, snr_db=snr_db))
            power, uses = (
                np.polyfit(table["log2_variance"], np.log2(table[c]), 1)[0] for c in ("energy", "uses")
            )
            print(f"{snr_db:g} dB, {name}: energy grows by {power:.2f}, uses by {uses:.2f} octaves an octave")
    found = pd.concat(tables)
    panels = [
        Panel("log2 variance", quantity, curves(found, column), title)
        for column, quantity, title in (
            ("power_db", "power (dB)", "power"),
            ("uses", "channel uses", "uses"),
        )
    ]
    note = f"{len(pictures)} validation pictures, CBR 1/16, {arguments.zoo}; a frame's mean power is 0 dB."
    made = [
        write_table(found, folder / "power.csv"),
        *save_both(lines_figure(panels, [note]), folder, "power"),
    ]
    made.append(write_json({**made_by(), "zoo_sha256": zoo.sha256}, folder / "power.json"))
    print("\n".join(map(str, made)))


def shares(system: BlockJSCC, picture: np.ndarray, snr_db: float) -> pd.DataFrame:
    """A row a block: its complexity, its uses, and the energy of its symbols after the frame's gain."""
    budget = budget_uses(CBR, *picture.shape[:2])
    plan = system.plan(picture, budget, AWGN(snr_db))
    latents = plan.zoo.bank.encode(plan.blocks, plan.grid, plan.index, plan.sender_snr_db)
    energy = block_energies(latents, plan.index, system.ratios)
    variance = system.estimator.score(plan.blocks)
    return pd.DataFrame(
        {
            "log2_variance": np.log2(1 + variance),
            "uses": system.ratios.array[plan.index],
            "energy": energy * len(latents) / energy.sum(),
        }
    )


def curves(found: pd.DataFrame, column: str) -> dict[str, tuple[list[float], list[float]]]:
    """A curve for each SNR and policy."""
    return {
        f"{policy}, {snr_db:g} dB": (part["log2_variance"].tolist(), part[column].tolist())
        for (snr_db, policy), part in found.groupby(["snr_db", "policy"])
    }


if __name__ == "__main__":
    guarded(main)
