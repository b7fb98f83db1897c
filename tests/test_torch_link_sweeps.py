"""Somebody's own networks in a sweep: from a file, and as an instance of the main program's own classes."""

import subprocess
import sys

import pandas as pd
import pytest
from processes import photograph, save

from jscc_sim.sweeps import Grid, LocalProcesses, SystemSpec, run, table

NETWORKS = """
import torch
from torch import nn


class Network(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.down, self.up = nn.Conv2d(3, 4, 4, 4), nn.ConvTranspose2d(4, 3, 4, 4)

    def encode(self, images):
        return self.down(images)

    def decode(self, latents, snr_db):
        return self.up(latents) + snr_db[:, None, None, None] / 100
"""
FILE = f"""{NETWORKS}
from dataclasses import dataclass

from jscc_sim.systems.torch_link import TorchLink


@dataclass(frozen=True)
class MyLink(TorchLink):
    def networks(self):
        network = Network()
        return network.encode, network.decode
"""
SCRIPT = f"""{NETWORKS}
if __name__ == "__main__":
    import sys

    from jscc_sim.sweeps import Grid, LocalProcesses, run
    from jscc_sim.systems.torch_link import TorchLink

    network, other = Network(), Network(1)
    systems = [
        TorchLink(network.encode, network.decode),
        TorchLink(other.encode, lambda latents, snr_db: other.decode(latents, snr_db)),
    ]
    trials = Grid(["a.png"], systems, ["awgn"], [5, 15], ["1/6"]).trials()
    print(*(trial.key for trial in trials))
    if len(sys.argv) > 1:
        run(trials, sys.argv[1], LocalProcesses(2))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With a picture, the file and the script."""
    folder = tmp_path_factory.mktemp("networks")
    save(photograph(), folder / "a.png")
    (folder / "my_link.py").write_text(FILE)
    (folder / "script.py").write_text(SCRIPT)
    return folder


def test_the_same_rows(folder):
    """Of a file's class in one process and of the script's in two, beside others that are another system."""
    grid = Grid([folder / "a.png"], [SystemSpec(f"{folder}/my_link.py:MyLink")], ["awgn"], [5, 15], ["1/6"])
    run(grid.trials(), folder / "file.sqlite", LocalProcesses(1))
    first, again = script(folder, "both.sqlite"), script(folder)
    assert first == again
    file, both = (table(folder / f"{name}.sqlite").sort_values("snr_db") for name in ("file", "both"))
    assert set(file["status"]) == set(both["status"]) == {"ok"}
    assert both["system"].nunique() == 2
    assert both["mse"].nunique() == len(both) == 4
    own = both[both["mse"].isin(file["mse"])]
    measured = ["snr_db", "uses", "header_uses", "mse", "seed"]
    pd.testing.assert_frame_equal(*(rows[measured].reset_index(drop=True) for rows in (file, own)))


def script(folder, *words):
    """The keys of its trials."""
    command = [sys.executable, "script.py", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=120).stdout
