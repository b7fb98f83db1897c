"""Fewer hidden units in the conditioning of a trained network, the others refitted by least squares.

    python experiments/prune.py ZOO NEW_ZOO --hidden 28

The conditioning is a small function of a ratio and one or two SNRs, so what a unit is worth can be said
exactly: backward elimination over a grid of all of them, weighted towards the SNRs that are in use. No
pictures are needed. Calibrate the new zoo afterwards.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from jscc_sim.errors import InputError, guarded
from jscc_sim.nn.conv import ConvCoder, RatioConditioning
from jscc_sim.training.block_jscc import conv_coder
from jscc_sim.training.release import release_conv
from jscc_sim.training.training_range import SNR_RANGE_DB
from jscc_sim.zoo import load_zoo

Array = NDArray[np.float64]

ALL_DB, STEP_DB, BEYOND_DB = (-15.0, 45.0), 1.5, 10.0
RARE = 0.1
"""Weight of SNRs that training has not seen."""

RIDGE = 1e-8


def prune(coder: ConvCoder, hidden: int) -> tuple[ConvCoder, dict[str, float]]:
    """A coder whose conditionings have `hidden` units, and by how much the output of each differs: its
    root mean square error over its root mean square."""
    if not 1 <= hidden <= coder.architecture.hidden:
        raise InputError(f"{hidden} hidden units are outside 1 to the {coder.architecture.hidden} there are")
    small = ConvCoder(replace(coder.architecture, hidden=hidden))
    state = copy.deepcopy(coder.state_dict())
    errors = {}
    for name, scalars in (("sender", 1), ("receiver", 2)):
        units, weight, bias, errors[name] = _fit(getattr(coder, name), scalars, hidden)
        state[f"{name}.hidden.weight"] = state[f"{name}.hidden.weight"][units]
        state[f"{name}.hidden.bias"] = state[f"{name}.hidden.bias"][units]
        state[f"{name}.out.weight"] = torch.from_numpy(weight).float()
        state[f"{name}.out.bias"] = torch.from_numpy(bias).float()
    small.load_state_dict(state)
    return small, errors


def _fit(
    conditioning: RatioConditioning, scalars: int, hidden: int
) -> tuple[NDArray[np.int64], Array, Array, float]:
    """(units that stay, [outputs, hidden] weights, [outputs] biases, relative error)."""
    inputs, target, importance = _examples(conditioning, scalars)
    scale = np.sqrt(importance)[:, None]
    gram, product = (inputs * scale).T @ (inputs * scale), (inputs * scale).T @ (target * scale)
    energy = float(((target * scale) ** 2).sum())
    last = inputs.shape[1] - 1
    units = list(range(last))

    def solved(kept: list[int]) -> tuple[Array, float]:
        rows = [*kept, last]
        damped = gram[np.ix_(rows, rows)] + RIDGE * np.trace(gram) / len(rows) * np.eye(len(rows))
        found = np.linalg.solve(damped, product[rows])
        return found, energy - float((found * product[rows]).sum())

    while len(units) > hidden:
        units.remove(min(units, key=lambda unit: solved([u for u in units if u != unit])[1]))
    found, error = solved(units)
    return np.array(units), found[:-1].T.copy(), found[-1].copy(), float(np.sqrt(max(error, 0.0) / energy))


def _examples(conditioning: RatioConditioning, scalars: int) -> tuple[Array, Array, Array]:
    """([N, units + 1] what the units say, and 1; [N, outputs]; [N] weight) over all ratios and SNRs."""
    axis = torch.arange(ALL_DB[0], ALL_DB[1] + 1e-6, STEP_DB)
    snrs_db = torch.cartesian_prod(*[axis] * scalars).reshape(-1, scalars)
    ratios = conditioning.ratio.num_embeddings
    index = torch.arange(ratios)[:, None].expand(ratios, len(snrs_db))
    low, high = SNR_RANGE_DB
    usual = (snrs_db[:, 0] >= low) & (snrs_db[:, 0] <= high)
    if scalars == 2:  # what is left after the gain is not far from what the sender believed
        usual &= (snrs_db[:, 1] - snrs_db[:, 0]).abs() <= BEYOND_DB
    importance = torch.where(usual, 1.0, RARE).expand(ratios, -1).reshape(-1)
    with torch.inference_mode():
        units = conditioning.said(conditioning.embedded(index, snrs_db)).flatten(0, 1)
        target = conditioning.out(units)
    inputs = torch.cat([units, torch.ones(len(units), 1)], dim=1)
    return inputs.double().numpy(), target.double().numpy(), importance.double().numpy()


def main() -> None:
    """Prune a zoo's network and write another zoo."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("zoo")
    parser.add_argument("out")
    parser.add_argument("--hidden", type=int, default=28)
    options = parser.parse_args()
    zoo = load_zoo(options.zoo)
    small, errors = prune(conv_coder(zoo), options.hidden)
    print(", ".join(f"{name}: relative error {error:.4f}" for name, error in errors.items()))
    pruned = f"python experiments/prune.py --hidden {options.hidden}"
    low_db, high_db = zoo.manifest["snr_range_db"]
    notes = {**zoo.manifest["training"], "pruned": pruned}
    release_conv(small, Path(options.out), notes, (low_db, high_db))


if __name__ == "__main__":
    guarded(main)
