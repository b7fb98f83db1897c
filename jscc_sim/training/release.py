"""Make a zoo of what was trained: half-precision weights, manifest, calibration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.nn.conv import ConvCoder
from jscc_sim.nn.conv_bank import ConvBank
from jscc_sim.nn.linear import LinearBank
from jscc_sim.training.scenario import SNR_RANGE_DB
from jscc_sim.zoo import Zoo, save_zoo


def release_conv(coder: ConvCoder, folder: Path, training: Mapping[str, Any]) -> Zoo:
    """Write the zoo of a trained network."""
    bank = ConvBank(coder)
    weights = {
        key: value.detach().cpu().numpy().astype(np.float16) for key, value in coder.state_dict().items()
    }
    manifest = {
        "bank": "conv",
        "summary": "convolutional autoencoders, latent channels and modulation per ratio on a shared trunk",
        "architecture": dataclasses.asdict(coder.architecture),
        **_common(bank.ratios.uses, bank.parameters, bank.macs_per_pixel, training),
    }
    return save_zoo(folder, manifest, weights)


def release_linear(bank: LinearBank, folder: Path, training: Mapping[str, Any]) -> Zoo:
    """Write the zoo of a fitted linear bank."""
    weights = {key: getattr(bank, key).astype(np.float32) for key in ("mean", "colour", "variance")}
    manifest = {
        "bank": "linear",
        "summary": "colour KLT and 32x32 DCT, water-filled power, LLSE receiver; closed form",
        **_common(bank.ratios.uses, bank.parameters, bank.macs_per_pixel, training),
    }
    return save_zoo(folder, manifest, weights)


def _common(
    uses: tuple[int, ...], parameters: int, macs: float, training: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "ratios": list(uses),
        "snr_range_db": list(SNR_RANGE_DB),
        "parameters": parameters,
        "macs_per_pixel": round(macs),
        "training": dict(training),
    }
