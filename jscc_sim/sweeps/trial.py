"""One point of a grid: what is simulated, its key, its channel seed, and the row that it becomes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from jscc_sim.channels import Channel
from jscc_sim.images import Picture
from jscc_sim.inference import PRECISIONS
from jscc_sim.plugins import digest, short
from jscc_sim.sweeps.row import Row
from jscc_sim.systems.catalogue import BLOCK_JSCC
from jscc_sim.systems.fingerprint import Fingerprint
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.units import budget_uses
from jscc_sim.waveforms import FORMAT as WAVEFORM_FORMAT
from jscc_sim.waveforms import SYMBOLS, csi_with, parse_link

FORMAT = 2
"""Of trials: a number that changes with how they are run and measured, whatever their system."""

SEED_DIGITS = 12
"""Hexadecimal digits of a channel seed: 48 bits, which every table program shows in full."""


@dataclass(frozen=True)
class Trial:
    """One transmission of one picture. image: its name in tables; path: where a worker finds it;
    cbr: the budget; repeat: 0, 1, ... for further draws of the channel; channel_sha256, channel_label: of one
    that is a plug-in, what it is known by and its class with fields; metrics: what is measured, each with the
    hash of what it is; none for the usual ones; waveform: what carries the symbols."""

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
    channel_sha256: str = ""
    metrics: tuple[tuple[str, str], ...] = ()
    channel_label: str = ""
    waveform: str = SYMBOLS

    @cached_property
    def key(self) -> str:
        """sha256 over all that is simulated. A name does not count where a hash says more: a moved
        picture, zoo or policy file is the same trial, and an edited one another."""
        spec = self.system.label
        words = [spec.name, spec.policy, spec.complexity, spec.equaliser, spec.side_info, spec.companion]
        how = [*words, spec.sender_snr_db, spec.header_margin_db]
        where = [self.pixels_sha256, short(self.channel), self.csi, self.snr_db, str(self.cbr)]
        where += [self.channel_sha256] if self.channel_sha256 else []
        where += [["metrics", *((short(name), made) for name, made in self.metrics)]] if self.metrics else []
        where += [["waveform", self.waveform, WAVEFORM_FORMAT]] if self.waveform != SYMBOLS else []
        return digest("trial", FORMAT, how, self.fingerprint.parts, where, self.repeat, self.root_seed)

    @property
    def seed(self) -> int:
        """Seed of fading and noise: system, budget, worker and order never enter, nor where a plug-in comes
        from."""
        channel = self.channel_label or self.channel
        parts = (self.root_seed, self.pixels_sha256, self.snr_db, channel, self.repeat)
        return int(digest("seed", *parts)[:SEED_DIGITS], 16)

    @property
    def budget(self) -> int:
        """Most channel uses of the whole frame."""
        return budget_uses(self.cbr, self.height, self.width)

    @property
    def sent_over(self) -> Channel:
        """The channel as it is."""
        return parse_link(self.channel, self.snr_db, self.csi, self.waveform)

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
        spec, csi = self.system.label, "" if self.csi == csi_with(self.waveform) else f" csi {self.csi}"
        over = "" if self.waveform == SYMBOLS else f"{self.waveform} over "
        believed = "" if spec.sender_snr_db is None else f" (sender: {spec.sender_snr_db:g} dB)"
        genie = ", genie" if spec.side_info == "genie" else ""
        own = f" {spec.policy}, zoo {spec.zoo}" if spec.zoo else ""
        own += " alone" if spec.companion == "none" else ""
        own += f" in {spec.precision}" if spec.precision != PRECISIONS[0] else ""
        margin = spec.header_margin_db
        own += "" if margin is None else f", header margin {margin:g} dB"
        return (
            f"{self.image}, {spec.name}{own}{genie}, {over}{short(self.channel)}{csi} at "
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
            policy=str(spec.policy),
            policy_sha256=made.policy_sha256,
            realisable=made.realisable,
            complexity=str(spec.complexity),
            complexity_sha256=made.complexity_sha256,
            equaliser=spec.equaliser,
            side_info=spec.side_info,
            companion=spec.companion,
            header_margin_db=spec.header_margin_db,
            format=made.format,
            channel=short(self.channel),
            channel_sha256=self.channel_sha256,
            csi=self.csi,
            waveform=self.waveform,
            precision=spec.precision if spec.name == BLOCK_JSCC else "",
            device=spec.device,
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


def pixels_sha256(picture: Picture) -> str:
    """Of a decoded picture: its shape and its samples."""
    return hashlib.sha256(repr(picture.shape).encode() + picture.tobytes()).hexdigest()
