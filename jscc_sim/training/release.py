"""Make a folder of what was trained: half-precision weights and a manifest."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from torch import nn

from jscc_sim.checkpoint import Checkpoint, save_checkpoint
from jscc_sim.nn.bank import Bank
from jscc_sim.nn.conv import ConvCoder
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.nn.linear import LinearBank
from jscc_sim.nn.loading import halved
from jscc_sim.training.block_jscc import BlockJSCCTask
from jscc_sim.training.task import Task
from jscc_sim.training.training_range import SNR_RANGE_DB
from jscc_sim.zoo import Zoo, save_zoo

N = TypeVar("N", bound=nn.Module)


def release_conv(
    coder: ConvCoder,
    folder: Path,
    training: Mapping[str, Any],
    snr_range_db: tuple[float, float] = SNR_RANGE_DB,
    further: Mapping[str, Any] | None = None,
) -> Zoo:
    """Write the zoo of a network that was trained for a range of SNRs. further: more of its manifest."""
    bank = ConvBank(coder)
    weights = halved(coder)
    manifest = {
        "bank": "conv",
        "summary": BlockJSCCTask.summary,
        "architecture": dataclasses.asdict(coder.architecture),
        **_common(bank, training, snr_range_db),
        **(further or {}),
    }
    return save_zoo(folder, manifest, weights)


def release_model(task: Task[N], network: N, folder: Path, training: Mapping[str, Any]) -> Checkpoint:
    """Write the model of a trained network other than block JSCC's."""
    manifest = {
        "system": task.system,
        "summary": task.summary,
        "architecture": dataclasses.asdict(task.architecture),
        "parameters": sum(p.numel() for p in network.parameters()),
        "macs_per_pixel": round(task.macs_per_pixel()),
        "training": dict(training),
    }
    return save_checkpoint(folder, manifest, halved(network))


def release_linear(bank: LinearBank, folder: Path, training: Mapping[str, Any]) -> Zoo:
    """Write the zoo of a fitted linear bank."""
    weights = {key: getattr(bank, key).astype(np.float32) for key in ("mean", "colour", "variance")}
    manifest = {
        "bank": "linear",
        "summary": "colour KLT and 32x32 DCT, water-filled power, LLSE receiver; closed form",
        **_common(bank, training, SNR_RANGE_DB),
    }
    return save_zoo(folder, manifest, weights)


def _common(bank: Bank, training: Mapping[str, Any], snr_range_db: tuple[float, float]) -> dict[str, Any]:
    return {
        "ratios": list(bank.ratios.uses),
        "snr_range_db": list(snr_range_db),
        "parameters": bank.parameters,
        "macs_per_pixel": round(bank.macs_per_pixel),
        "training": dict(training),
    }
