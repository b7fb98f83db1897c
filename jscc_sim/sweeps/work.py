"""What a worker does with a trial. Trials that differ in the channel alone share their frame."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.channels import Channel, channel_sha256
from jscc_sim.errors import BudgetError, InputError, JsccError, one_line
from jscc_sim.images import Picture, read_picture
from jscc_sim.inference import PRECISIONS, one_thread
from jscc_sim.metrics import DEFAULT, Metric, load_metrics, measure
from jscc_sim.plugins import plugin_sha256, short
from jscc_sim.sweeps.row import FAILED, INFEASIBLE, OK, ROW_METRICS, Row
from jscc_sim.sweeps.trial import Trial, pixels_sha256
from jscc_sim.systems.base import Frame, LinkSystem, air_uses, on_air, room_on_air
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec, load_system
from jscc_sim.units import cbr_of, parse_cbr
from jscc_sim.waveforms import SYMBOLS

FRAMES_KEPT = 6
"""Frames that a worker keeps for trials to come."""

_alone = threading.Lock()


def run_trial(trial: Trial) -> Row:
    """Simulate one point, one at a time in a process and with one torch thread, so that the row is the
    same wherever it runs. Never raises: a budget that no frame fits makes the row `infeasible`,
    any other error `failed`."""
    with _one_at_a_time():
        try:
            return trial.row(OK, **_measured(trial, trial.seed))
        except BudgetError as error:
            return trial.row(INFEASIBLE, one_line(error))
        except JsccError as error:
            return trial.row(FAILED, one_line(error))
        except Exception as error:
            return trial.row(FAILED, one_line(f"{type(error).__name__}: {error}"))


def replay(row: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A row of a table of results sent once more, on the CPU: what `run_trial` measures, by the names of Row.

    row: values, or their text, of the columns that the table's grid varied and of image, seed and
    cbr_fraction; path: of its picture. What the row says was measured is not looked at. Raises InputError
    or BudgetError.
    """
    snr_db = float(row["snr_db"])
    fields = ("zoo", "policy", "complexity", "equaliser", "side_info", "companion")
    zoo, policy, complexity, equaliser, side_info, companion = (str(row.get(name, "")) for name in fields)
    margin = row.get("header_margin_db", "")
    spec = SystemSpec(
        str(row["system"]),
        zoo,
        policy,
        complexity,
        equaliser,
        side_info,
        companion,
        float(row["sender_snr_db"]),
        None if margin in ("", None) or math.isnan(float(margin)) else float(margin),
        _text(row.get("precision")) or PRECISIONS[0],  # older rows name none
    )
    picture = read_picture(path)
    height, width = picture.shape[:2]
    cbr, pixels = parse_cbr(row["cbr_fraction"]), pixels_sha256(picture)
    trial = Trial(
        spec,
        Fingerprint.of(spec.load()),
        str(row["image"]),
        path,
        pixels,
        height,
        width,
        str(row["channel"]),
        str(row["csi"]),
        snr_db,
        cbr,
        int(row["repeat"]),
        root_seed=0,  # the row has the seed that came of it
        waveform=_text(row.get("waveform")) or SYMBOLS,  # older rows name none
    )
    with _one_at_a_time():
        return _measured(trial, int(row["seed"]))


def _text(value: object) -> str:
    """Of a cell of a table; empty where there is none."""
    return "" if value is None or value != value else str(value)  # noqa: PLR0124


def _measured(trial: Trial, seed: int) -> dict[str, Any]:
    """What `jscc-sim transmit` would measure with this seed of the channel."""
    picture = _picture(trial.path, trial.pixels_sha256).copy()  # nobody shall spoil the next trial's
    system = load_system(trial.system, trial.fingerprint)
    channel = trial.sent_over
    if trial.channel_sha256 not in ("", channel_sha256(channel)):
        raise InputError(f"channel {short(trial.channel)} changed since the sweep began")
    if trial.budget < 1:
        raise BudgetError(f"CBR {trial.cbr} of {trial.height}x{trial.width} pixels is 0 channel uses")
    rng = np.random.default_rng(seed)
    if isinstance(system, LinkSystem) and not system.needs_csit:
        sent = on_air(system.send(_frame(*trial.frame), channel, rng), channel)
    else:
        sent = system.transmit(picture, channel, trial.budget, rng, trial.belief)
    quality = measure(sent.picture, picture, _metrics(trial.metrics))
    further = {name: value for name, value in quality.values.items() if name not in ROW_METRICS}
    ratios, index = system.ratios, sent.index
    return {
        "uses": sent.uses,
        "header_uses": sent.header_uses,
        "cbr": cbr_of(sent.uses, trial.height, trial.width),
        "psnr_db": quality.psnr_db,
        "mse": quality.mse,
        "ssim": quality.ssim,
        "ms_ssim": quality.ms_ssim,
        "metrics": further or None,
        "outage": sent.outage,
        "coder": Path(sent.coder).name,
        "papr_db": sent.papr_db,
        **air_uses(sent.air),
        "ratio_blocks": None if ratios is None or index is None else ratios.blocks_of(index),
        "seconds": sum(sent.seconds.values()),
        "stage_seconds": dict(sent.seconds),
    }


@lru_cache(maxsize=8)
def _metrics(named: tuple[tuple[str, str], ...]) -> tuple[Metric, ...]:
    """Those of a trial. Raises InputError for one that is not what it was when the sweep began."""
    if not named:
        return DEFAULT
    metrics = load_metrics([name for name, _ in named])
    for metric, (name, made) in zip(metrics, named, strict=True):
        if plugin_sha256(metric) != made:
            raise InputError(f"metric {short(name)} changed since the sweep began")
    return metrics


@lru_cache(maxsize=2)
def _picture(path: str, sha256: str) -> Picture:
    """A worker meets the trials of one picture one after the other, and decodes it once."""
    picture = read_picture(path)
    if pixels_sha256(picture) != sha256:
        raise InputError(f"image {path} changed since the sweep began")
    return picture


@lru_cache(maxsize=FRAMES_KEPT)
def _frame(
    spec: SystemSpec, fingerprint: Fingerprint, path: str, sha256: str, budget: int, belief: Channel
) -> Frame:
    """All that a sender does depends on these alone: repeats, and channels of which the sender believes
    the same, share complexity, allocation and encoder. Each of their rows has the seconds of making it."""
    picture = _picture(path, sha256).copy()  # nobody shall spoil the next trial's
    system = load_system(spec, fingerprint)
    assert isinstance(system, LinkSystem)
    return system.make_frame(picture, room_on_air(belief, budget), belief)


def forget_frames() -> None:
    """The next trial makes its frame itself."""
    _frame.cache_clear()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """The lock is for executors of threads: coders and torch's thread count are shared in a process."""
    with _alone, one_thread():
        yield
