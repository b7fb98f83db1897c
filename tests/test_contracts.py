"""The contracts of channels and codecs: what the package ships keeps them, and what breaks them is found."""

from __future__ import annotations

import importlib.util
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from jscc_sim.channels import AWGN, Channel, Fading, Received, complex_normal
from jscc_sim.codecs import CODECS, Codec
from jscc_sim.plugins import load_plugin
from jscc_sim.testing import ChannelContract, CodecContract
from jscc_sim.units import noise_variance

IMPULSIVE = Path(__file__).parents[1] / "examples" / "impulsive.py"


class TestAWGN(ChannelContract):
    channel = AWGN(7.0)


class TestSlowRayleigh(ChannelContract):
    channel = Fading(7.0)
    frames, uses = 3000, 16


class TestBlockRicianWithNoisyCSI(ChannelContract):
    channel = Fading(7.0, 4.0, 64, 12.0)


class TestFastRayleighWithNoisyCSI(ChannelContract):
    channel = Fading(3.0, 0.0, 1, 5.0)


class TestRealRayleigh(ChannelContract):
    channel = Fading(7.0, 0.0, 1, real=True)


class TestTheExampleOfImpulses(ChannelContract):
    channel = load_plugin(f"{IMPULSIVE}:Impulsive:rate=0.05", {}, Channel, given={"snr_db": 7.0})


def contract_of(name):
    """The contract of one of our codecs, which may need an extra."""
    needs = {"hevc": "pillow_heif", "vvc": "imageio_ffmpeg"}.get(name)
    missing = needs is not None and importlib.util.find_spec(needs) is None
    few = {"damaged": 8} if name in ("vvc", "gmm") else {}
    made = type(f"Test{name}", (CodecContract,), {"codec": CODECS[name], **few})
    return pytest.mark.skipif(missing, reason=f"{needs} is not installed")(made)


TestJPEG, TestJPEG2000, TestWebP, TestAVIF, TestHEVC, TestVVC, TestGMM, TestQuantised, TestDigits = map(
    contract_of, CODECS
)


def test_every_codec_has_a_contract():
    assert len(CODECS) == 9


@dataclass(frozen=True)
class Bent(Channel):
    """A channel that keeps its promises but for one."""

    how: str = ""

    def _disturb(self, symbols, fading, noise, estimation):
        variance, uses = noise_variance(self.snr_db), len(symbols)
        gain = 1.1 if self.how == "power" else 1.0
        if self.how == "order":
            noise = np.random.default_rng([uses, int(noise.integers(1 << 30))])
        if self.how == "seed":
            noise = np.random.default_rng(0)
        told = variance / 2 if self.how == "announced" else variance
        drawn = variance * (1.2 if self.how == "noise" else 1.0)
        if self.how == "scale":
            drawn = told = 0.2
        symbols *= gain  # its own copy: frames are shared by trials
        return Received(symbols + complex_normal(uses, drawn, noise), told)


@pytest.mark.parametrize(
    ("how", "test"),
    [
        ("power", "test_fading_has_unit_mean_power"),
        ("order", "test_a_longer_frame_meets_the_same_first"),
        ("seed", "test_every_frame_meets_noise_of_its_own"),
        ("announced", "test_announces_the_variance_of_what_it_leaves_unknown"),
        ("noise", "test_noise_power_is_that_of_the_snr"),
        ("scale", "test_another_snr_is_the_same_channel_with_other_noise"),
    ],
)
def test_the_channel_contract_finds_it(how, test):
    contract = ChannelContract()
    contract.channel = Bent(7.0)
    getattr(contract, test)()
    contract.channel = Bent(7.0, how)
    with pytest.raises(AssertionError):
        getattr(contract, test)()


class Toy(Codec):
    """Samples as they are, or every other one."""

    name, levels, how = "toy", 2, ""

    def encode(self, picture, level):
        if self.how == "input":
            picture[0, 0] ^= 1
        side = 2 - level
        salt = np.random.default_rng().bytes(1) if self.how == "random" else b"0"
        kept = picture[::side, ::side].tobytes()
        if self.how == "large":
            kept += bytes(10_000 * (1 - level))
        return bytes([*picture.shape[:2], side]) + salt + kept

    def size(self, data):
        return data[0], data[1]

    def decode(self, data):
        (height, width), side = self.size(data), data[2]
        if self.how == "hangs" and len(data) < 100:
            time.sleep(30)
        if self.how == "worse" and side == 1:
            return np.zeros((height, width, 3), np.uint8)
        rows, columns = -(-height // side), -(-width // side)
        small = np.frombuffer(data[4 : 4 + 3 * rows * columns], np.uint8).reshape(rows, columns, 3)
        return np.repeat(np.repeat(small, side, 0), side, 1)[:height, :width]

    def version(self):
        return "1"


@pytest.mark.parametrize(
    ("how", "test"),
    [
        ("random", "test_is_deterministic"),
        ("input", "test_leaves_its_picture_as_it_is"),
        ("large", "test_more_bits_are_a_better_picture"),
        ("worse", "test_more_bits_are_a_better_picture"),
        ("hangs", "test_damaged_files_are_refused_or_pictures"),
    ],
)
def test_the_codec_contract_finds_it(how, test, monkeypatch, tmp_path):
    monkeypatch.setenv("JSCC_SIM_CACHE", str(tmp_path))
    contract = CodecContract()
    contract.codec = Toy()
    for name in dir(contract):
        if name.startswith("test_"):
            getattr(contract, name)()
    shutil.rmtree(tmp_path)
    contract.codec = type("Toy", (Toy,), {"how": how})()
    contract.seconds = 0.2
    with pytest.raises(AssertionError):
        getattr(contract, test)()
