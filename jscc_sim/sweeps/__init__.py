"""Grids of experiments: points as data, a row a point in one SQLite file, any executor."""

from jscc_sim.sweeps.executors import DaskCluster, Given, LocalProcesses, Workers
from jscc_sim.sweeps.grid import Grid
from jscc_sim.sweeps.row import Row
from jscc_sim.sweeps.runner import Outcome, run
from jscc_sim.sweeps.store import export_csv, table
from jscc_sim.sweeps.trial import Trial
from jscc_sim.sweeps.work import replay, run_trial
from jscc_sim.systems.spec import SystemSpec

__all__ = [
    "DaskCluster",
    "Given",
    "Grid",
    "LocalProcesses",
    "Outcome",
    "Row",
    "SystemSpec",
    "Trial",
    "Workers",
    "export_csv",
    "replay",
    "run",
    "run_trial",
    "table",
]
