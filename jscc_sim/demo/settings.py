"""What is set on the page: the air that both systems meet, and the systems; and the command of the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from jscc_sim.allocation import POLICIES
from jscc_sim.channels import is_built_in
from jscc_sim.errors import InputError
from jscc_sim.systems.catalogue import ANALOG, BLOCK_JSCC
from jscc_sim.systems.spec import SystemSpec
from jscc_sim.waveforms import SYMBOLS

SYSTEM_CHOICES = (
    BLOCK_JSCC,
    *(f"{codec}+ldpc" for codec in ("jpeg", "jpeg2000", "webp", "avif", "hevc", "vvc", "gmm", "quantised")),
    *(f"{codec}+ldpc-abstraction" for codec in ("jpeg", "avif", "hevc", "vvc")),
    *("hevc+ideal", "softcast", *ANALOG),
)
CHANNEL_CHOICES = (
    *("awgn", "rayleigh-slow", "rayleigh-block:256", "rayleigh-fast", "rician-slow:4", "rician-block:4:256"),
    *("tdl-a:100:3", "tdl-c:300:30", "awgn+cfo:700"),
)
WAVEFORM_CHOICES = (SYMBOLS, "ofdm", "ofdm:fft=512,cp=36")
CSI_CHOICES = (
    ("as usual", ""),
    ("perfect", "perfect"),
    ("noisy, 20 dB", "noisy:20"),
    ("estimated", "estimated"),
)
POLICY_CHOICES = tuple(POLICIES)
ZOO_CHOICES = ("conv-small", "conv", "linear")


@dataclass(frozen=True)
class Air:
    """What frames meet, and what their sender believes. snr_db: Es/N0 in dB; cbr: budget, as text; csi: empty
    for what is usual; sender_snr_db: None for the truth; seed: of fading and noise. Raises InputError for a
    channel that is a plug-in: whoever sends a page's request must not have code of theirs run."""

    snr_db: float = 10.0
    cbr: str = "1/16"
    channel: str = "awgn"
    csi: str = ""
    waveform: str = SYMBOLS
    sender_snr_db: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not is_built_in(self.channel):
            raise InputError(
                f"channel {self.channel!r} is none of the package's own, which `jscc-sim channels` lists; "
                "plug-ins are for the command line"
            )


@dataclass(frozen=True)
class Scheme:
    """One of the two systems that are compared. policy, zoo: of block-jscc alone."""

    system: str = BLOCK_JSCC
    policy: str = "lagrangian"
    zoo: str = ZOO_CHOICES[0]

    @property
    def label(self) -> str:
        """`lagrangian, conv-small`, or the system's name."""
        return f"{self.policy}, {self.zoo}" if self.system == BLOCK_JSCC else self.system

    @property
    def own(self) -> tuple[str, str]:
        """Policy and zoo, each empty where the system has none."""
        return (self.policy, self.zoo) if self.system == BLOCK_JSCC else ("", "")

    def spec(self, sender_snr_db: float | None = None) -> SystemSpec:
        """For sweeps. Raises InputError."""
        policy, zoo = self.own
        return SystemSpec(self.system, zoo, policy, sender_snr_db=sender_snr_db)


def command(name: str, air: Air, scheme: Scheme) -> str:
    """The line for a shell that sends the picture of that name in the same way."""
    words = ["jscc-sim", "transmit", f"./{name}" if name.startswith("-") else name]
    words += ["--snr-db", f"{air.snr_db:g}", "--cbr", air.cbr]
    policy, zoo = scheme.own
    for option, value, usual in (
        ("system", scheme.system, BLOCK_JSCC),
        ("zoo", zoo, ""),
        ("policy", policy, ""),
        ("channel", air.channel, "awgn"),
        ("csi", air.csi, ""),
        ("waveform", air.waveform, SYMBOLS),
        ("sender-snr-db", "" if air.sender_snr_db is None else f"{air.sender_snr_db:g}", ""),
        ("seed", str(air.seed), "0"),
    ):
        if value != usual:
            words += [f"--{option}", value]
    return shlex.join(words)
