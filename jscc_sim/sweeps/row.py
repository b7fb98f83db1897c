"""One row of results: what a trial was, what came of it, and what made it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import jscc_sim
from jscc_sim.errors import InputError
from jscc_sim.metrics import DEFAULT, Metric
from jscc_sim.versions import version_of

OK, INFEASIBLE, FAILED = "ok", "infeasible", "failed"
MAKERS = ("jscc_sim", "models", "experiments", "setup.cfg", "constraints.txt")
"""Of a checkout: what makes results. What it made, and what is written of it, may be edited meanwhile."""

ROW_METRICS = ("psnr_db", "ssim", "ms_ssim")
"""Columns of metrics that every row has, measured or not."""

BESIDE = ("header_snr_db", "notes")
"""What `jscc-sim transmit --json` says besides."""

DISTRIBUTIONS = ("jscc_sim", "torch", "numpy", "sionna-no-rt")


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str]:
    """Versions of Python, of the packages that results depend on, and the kind of machine."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    return found | {name: version_of(name) for name in DISTRIBUTIONS}


@lru_cache(maxsize=1)
def git_commit() -> str | None:
    """Commit of the checkout that the package runs from, `-dirty` behind it if MAKERS are edited; None
    elsewhere."""
    package = Path(jscc_sim.__file__).parent
    quiet = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # look, do not touch

    def git(*words: str) -> str:
        command = ["git", "-C", str(package.parent), *words]
        return subprocess.run(
            command, env=quiet, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if git("rev-parse", "--show-prefix"):
            return None  # installed below somebody else's checkout
        edited = git("status", "--porcelain", "--", *MAKERS)
        return git("rev-parse", "HEAD") + ("-dirty" if edited else "")
    except (OSError, subprocess.SubprocessError):
        return None


@dataclass(frozen=True)
class Row:
    """A trial and its outcome, by the names that `jscc-sim transmit --json` uses.

    status: ok, infeasible (no frame fits the budget) or failed; error: why. seed: the channel's, for
    `transmit --seed`. cbr_fraction: the budget's CBR, for `--cbr`. realisable: False for a policy that
    knows what no sender can. companion: whether a zoo may use it; header_margin_db: None for the default;
    format: of the system. channel_sha256: of a plug-in, empty for others. coder: what coded the frame, where
    a system has several: a zoo's own coders or its companion, a digital chain's mode; empty elsewhere.
    papr_db: of what was sent. waveform, precision, device: None in rows of older programs, which knew symbols
    alone, and networks in fp32 on the CPU.
    data_uses, pilot_uses, prefix_uses, preamble_uses: what the uses carried. metrics: column -> value of
    metrics without a field here. ratio_blocks: channel uses of a ratio -> number of blocks. What was
    measured is None unless the status is ok; so is
    psnr_db for an mse of 0, an SSIM whose window does not fit, and papr_db where no symbols are made.
    seconds: of all stages; reading, loading and measuring are left out.
    """

    key: str
    status: str
    error: str | None
    image: str
    pixels_sha256: str
    height: int
    width: int
    system: str
    zoo: str
    zoo_sha256: str
    policy: str
    policy_sha256: str
    realisable: bool
    complexity: str
    complexity_sha256: str
    equaliser: str
    side_info: str
    channel: str
    csi: str
    snr_db: float
    sender_snr_db: float
    cbr_fraction: str
    cbr_budget: float
    budget_uses: int
    repeat: int
    root_seed: int
    seed: int
    uses: int | None = None
    header_uses: int | None = None
    cbr: float | None = None
    psnr_db: float | None = None
    mse: float | None = None
    ssim: float | None = None
    ms_ssim: float | None = None
    metrics: Mapping[str, float | None] | None = None
    outage: bool | None = None
    companion: str | None = None
    header_margin_db: float | None = None
    format: int | None = None
    coder: str | None = None
    papr_db: float | None = None
    channel_sha256: str | None = None
    waveform: str | None = None
    precision: str | None = None
    device: str | None = None
    data_uses: int | None = None
    pilot_uses: int | None = None
    prefix_uses: int | None = None
    preamble_uses: int | None = None
    ratio_blocks: Mapping[str, int] | None = None
    seconds: float | None = None
    stage_seconds: Mapping[str, float] | None = None
    versions: Mapping[str, str] = field(default_factory=versions)
    git_commit: str | None = field(default_factory=git_commit)


def check_columns(metrics: Sequence[Metric]) -> None:
    """Raises InputError for a metric whose column is a row's own."""
    taken = {*(field.name for field in fields(Row)), *BESIDE}
    for metric in metrics:
        if metric.column in taken and metric not in DEFAULT:
            raise InputError(f"metrics: column {metric.column} of {metric} is one that every row has")
