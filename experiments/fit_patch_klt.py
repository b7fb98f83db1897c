"""Fit the linear baseline of `vae:N` and put it beside the link's weights.

python experiments/fit_patch_klt.py FOLDER MODEL_FOLDER
"""

from __future__ import annotations

import argparse

from jscc_sim.checkpoint import Checkpoint
from jscc_sim.errors import guarded
from jscc_sim.learned.vae.patch_klt import PatchKLT, fit_patch_klt
from jscc_sim.learned.vae.task import VAELinkTask
from jscc_sim.training.data import load, split_folder


def fit_beside(folder: str, model: str) -> PatchKLT:
    """The KLT of a folder's training pictures, stored in the folder of a model. Raises InputError."""
    found = Checkpoint.find(VAELinkTask.system, model)
    fitted = fit_patch_klt(load(split_folder(folder).training))
    fitted.save_beside(found)
    return fitted


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", help="training images")
    parser.add_argument("model", help="folder of the weights")
    arguments = parser.parse_args()
    fit_beside(arguments.folder, arguments.model)


if __name__ == "__main__":
    guarded(main)
