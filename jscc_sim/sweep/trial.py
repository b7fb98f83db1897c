"""One point of a grid: what is simulated, its key, its channel seed, and the row that it becomes."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from jscc_sim.channels import Channel, parse_channel
from jscc_sim.errors import BudgetError, InputError, JsccError, one_line
from jscc_sim.images import Picture, read_picture
from jscc_sim.inference import one_thread
from jscc_sim.metrics import measure
from jscc_sim.sweep.row import FAILED, INFEASIBLE, OK, Row
from jscc_sim.sweep.spec import Fingerprint, SystemSpec, digest, load_system
from jscc_sim.systems.base import Frame, LinkSystem
from jscc_sim.units import budget_uses, cbr_of, parse_cbr

FORMAT = 2
"""Of trials: a number that changes with how they are run and measured, whatever their system."""

SEED_DIGITS = 12
"""Hexadecimal digits of a channel seed: 48 bits, which every table program shows in full."""

FRAMES_KEPT = 6
"""Frames that a worker keeps for trials to come."""

_alone = threading.Lock()


@dataclass(frozen=True)
class Trial:
    """One transmission of one picture. image: its name in tables; path: where a worker finds it;
    cbr: the budget; repeat: 0, 1, ... for further draws of the channel."""

    system: SystemSpec
    fingerprint: Fingerprint
    image: str
    path: str
    pixels_sha256: str
    height: int
    width: int
    channel: str
    csi: str
    snr_db: float
    cbr: Fraction
    repeat: int
    root_seed: int

    @cached_property
    def key(self) -> str:
        """sha256 over all that is simulated. A name does not count where a hash says more: a moved
        picture, zoo or policy file is the same trial, and an edited one another."""
        spec = self.system.label
        words = [spec.name, spec.policy, spec.complexity, spec.equaliser, spec.side_info, spec.companion]
        how = [*words, spec.sender_snr_db, spec.header_margin_db]
        where = [self.pixels_sha256, self.channel, self.csi, self.snr_db, str(self.cbr)]
        return digest("trial", FORMAT, how, self.fingerprint.parts, where, self.repeat, self.root_seed)

    @property
    def seed(self) -> int:
        """Seed of fading and noise: system, budget, worker and order never enter."""
        parts = (self.root_seed, self.pixels_sha256, self.snr_db, self.channel, self.repeat)
        return int(digest("seed", *parts)[:SEED_DIGITS], 16)

    @property
    def budget(self) -> int:
        """Most channel uses of the whole frame."""
        return budget_uses(self.cbr, self.height, self.width)

    @property
    def sent_over(self) -> Channel:
        """The channel as it is."""
        return parse_channel(self.channel, self.snr_db, self.csi)

    @property
    def belief(self) -> Channel:
        """The channel as the sender believes it to be."""
        believed = self.system.sender_snr_db
        return self.sent_over if believed is None else self.sent_over.at(believed)

    @property
    def frame(self) -> tuple[SystemSpec, Fingerprint, str, str, int, Channel]:
        """All that a sender's work depends on: trials of which it is the same share one frame."""
        return (self.system, self.fingerprint, self.path, self.pixels_sha256, self.budget, self.belief)

    @property
    def coordinates(self) -> str:
        """The point in words."""
        spec, csi = self.system.label, "" if self.csi == "perfect" else f" csi {self.csi}"
        believed = "" if spec.sender_snr_db is None else f" (sender: {spec.sender_snr_db:g} dB)"
        genie = ", genie" if spec.side_info == "genie" else ""
        own = f" {spec.policy}, zoo {spec.zoo}" if spec.zoo else ""
        own += " alone" if spec.companion == "none" else ""
        margin = spec.header_margin_db
        own += "" if margin is None else f", header margin {margin:g} dB"
        return (
            f"{self.image}, {spec.name}{own}{genie}, {self.channel}{csi} at "
            f"{self.snr_db:g} dB{believed}, CBR {self.cbr}, repeat {self.repeat}"
        )

    def row(self, status: str, error: str | None = None, **measured: Any) -> Row:
        """The trial as a row with its outcome."""
        spec, made = self.system.label, self.fingerprint
        believed = spec.sender_snr_db
        return Row(
            key=self.key,
            status=status,
            error=error,
            image=self.image,
            pixels_sha256=self.pixels_sha256,
            height=self.height,
            width=self.width,
            system=spec.name,
            zoo=spec.zoo,
            zoo_sha256=made.zoo_sha256,
            policy=spec.policy,
            policy_sha256=made.policy_sha256,
            realisable=made.realisable,
            complexity=spec.complexity,
            complexity_sha256=made.complexity_sha256,
            equaliser=spec.equaliser,
            side_info=spec.side_info,
            companion=spec.companion,
            header_margin_db=spec.header_margin_db,
            format=made.format,
            channel=self.channel,
            csi=self.csi,
            snr_db=self.snr_db,
            sender_snr_db=self.snr_db if believed is None else believed,
            cbr_fraction=str(self.cbr),
            cbr_budget=float(self.cbr),
            budget_uses=self.budget,
            repeat=self.repeat,
            root_seed=self.root_seed,
            seed=self.seed,
            **measured,
        )


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
    """A row of a table of results sent once more: what `run_trial` measures, by the names of Row.

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
    )
    with _one_at_a_time():
        return _measured(trial, int(row["seed"]))


def pixels_sha256(picture: Picture) -> str:
    """Of a decoded picture: its shape and its samples."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()


def _measured(trial: Trial, seed: int) -> dict[str, Any]:
    """What `jscc-sim transmit` would measure with this seed of the channel."""
    picture = _picture(trial.path, trial.pixels_sha256).copy()  # nobody shall spoil the next trial's
    system = load_system(trial.system, trial.fingerprint)
    channel = trial.sent_over
    if trial.budget < 1:
        raise BudgetError(f"CBR {trial.cbr} of {trial.height}x{trial.width} pixels is 0 channel uses")
    rng = np.random.default_rng(seed)
    if isinstance(system, LinkSystem) and not system.needs_csit:
        sent = system.send(_frame(*trial.frame), channel, rng)
    else:
        sent = system.transmit(picture, channel, trial.budget, rng, trial.belief)
    quality = measure(sent.picture, picture)
    ratios, index = system.ratios, sent.index
    return {
        "uses": sent.uses,
        "header_uses": sent.header_uses,
        "cbr": cbr_of(sent.uses, trial.height, trial.width),
        "psnr_db": quality.psnr_db,
        "mse": quality.mse,
        "ssim": quality.ssim,
        "ms_ssim": quality.ms_ssim,
        "outage": sent.outage,
        "coder": Path(sent.coder).name,
        "papr_db": sent.papr_db,
        "ratio_blocks": None if ratios is None or index is None else ratios.blocks_of(index),
        "seconds": sum(sent.seconds.values()),
        "stage_seconds": dict(sent.seconds),
    }


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
    return system.encode(picture, budget, belief)


def forget_frames() -> None:
    """The next trial makes its frame itself."""
    _frame.cache_clear()


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """The lock is for executors of threads: coders and torch's thread count are shared in a process."""
    with _alone, one_thread():
        yield
