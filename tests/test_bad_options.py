"""Options and policies that will not do: exit code 2, one line that names them, and no file touched."""

import pytest
from processes import one_process
from refusals import assert_refused, channel, encode, sound_place, train, transmit

POLICIES = """
import numpy as np
from jscc_sim.allocation import AllocationPolicy

class Raises(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        raise ValueError("two\\nlines")

class Short(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        return np.zeros(len(blocks) - 1, np.int64)

class Square(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        return np.zeros((len(blocks), 2), np.int64)

class Fractions(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        return np.full(len(blocks), 0.5)

class Beyond(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        return np.full(len(blocks), len(ratios))

class Spender(AllocationPolicy):
    def _allocate(self, blocks, ratios, budget):
        return np.full(len(blocks), len(ratios) - 1)

class Unrelated:
    pass
"""

QUICK = {
    "no command": ((), ["COMMAND"]),
    "unknown command": (("transmute",), ["transmute", "transmit"]),
    "no SNR": (("transmit", "good.png", "--cbr", "1/6"), ["--snr-db"]),
    "budget of nothing": (transmit(cbr="1/100000"), ["good.png", "96x128", "0 channel uses"]),
    "budget below the header": (
        transmit(cbr="1/1000"),
        ["good.png", "budget of 36 uses", "header", "96x128"],
    ),
    "encode below the header": (encode(cbr="1/1000"), ["budget of 36 uses", "header", "96x128"]),
    "several SNRs": ((*transmit(), "20"), ["unrecognized arguments: 20", "jscc-sim sweep"]),
    "several SNRs before the image": (
        ("transmit", "--cbr", "1/6", "--snr-db", "10", "20", "good.png"),
        ["image 20 does not exist", "jscc-sim sweep"],
    ),
    "a folder": (transmit(image="pictures"), ["image pictures is a folder", "images = 'pictures'"]),
    "encode a folder": (encode(image="pictures"), ["image pictures is a folder"]),
    "policy without class": (transmit("--policy", "policies.py"), ["policies.py:CLASS", "Raises, Short"]),
    "CBR zero": (transmit(cbr="0"), ["CBR 0", "0 to 1"]),
    "CBR negative": (transmit("--cbr=-1/16"), ["CBR -1/16", "0 to 1"]),
    "CBR above one": (transmit(cbr="3/2"), ["CBR 3/2", "0 to 1"]),
    "CBR by zero": (transmit(cbr="1/0"), ["CBR '1/0'"]),
    "CBR a word": (transmit(cbr="much"), ["CBR 'much'"]),
    "CBR not a number": (transmit(cbr="nan"), ["CBR 'nan'"]),
    "SNR NaN": (transmit(snr_db="nan"), ["SNR of nan dB", "-30 to 60"]),
    "SNR infinite": (transmit(snr_db="inf"), ["SNR of inf dB", "-30 to 60"]),
    "SNR absurd": (transmit(snr_db="1e9"), ["SNR of 1000000000.0 dB", "-30 to 60"]),
    "SNR a word": (transmit(snr_db="loud"), ["--snr-db", "'loud'"]),
    "sender's SNR NaN": (transmit("--sender-snr-db", "nan"), ["sender's SNR of nan dB"]),
    "channel's SNR": (channel(snr_db="-99"), ["SNR of -99.0 dB", "-30 to 60"]),
    "policy unknown": (transmit("--policy", "best"), ["'best'", "uniform", "lagrangian", "oracle"]),
    "policy field": (transmit("--policy", "random:sede=1"), ["sede", "seed"]),
    "policy file missing": (transmit("--policy", "absent.py:A"), ["absent.py", "No such file"]),
    "policy file raises": (transmit("--policy", "broken.py:A"), ["broken.py", "ZeroDivisionError"]),
    "policy class missing": (transmit("--policy", "policies.py:Absent"), ["Absent", "policies.py", "Short"]),
    "policy no policy": (transmit("--policy", "policies.py:Unrelated"), ["Unrelated", "AllocationPolicy"]),
    "policy raises": (transmit("--policy", "policies.py:Raises"), ["Raises", "ValueError: two lines"]),
    "policy too short": (transmit("--policy", "policies.py:Short"), ["Short", "[11]", "12 blocks"]),
    "policy two-dimensional": (transmit("--policy", "policies.py:Square"), ["Square", "[12, 2]"]),
    "policy of fractions": (transmit("--policy", "policies.py:Fractions"), ["Fractions", "float64"]),
    "policy beyond the ratios": (transmit("--policy", "policies.py:Beyond"), ["Beyond", "12"]),
    "policy spends too much": (transmit("--policy", "policies.py:Spender"), ["Spender", "9216"]),
    "encode's policy raises": (encode("--policy", "policies.py:Raises"), ["Raises", "two lines"]),
    "encode's policy needs_csit": (encode("--policy", "oracle"), ["oracle", "transmit alone"]),
    "complexity unknown": (transmit("--complexity", "beauty"), ["'beauty'", "variance", "dct"]),
    "zoo unknown": (transmit(zoo="bronx"), ["'bronx'", "linear", "manifest.json"]),
    "system unknown": (transmit("--system", "pigeon"), ["'pigeon'", "block-jscc"]),
    "channel unknown": (transmit("--channel", "wire"), ["'wire'", "awgn", "rician-block:K:L"]),
    "channel without K": (transmit("--channel", "rician-slow"), ["'rician-slow'"]),
    "channel K a word": (transmit("--channel", "rician-slow:k"), ["'rician-slow:k'", "number"]),
    "channel K NaN": (transmit("--channel", "rician-slow:nan"), ["K of nan"]),
    "channel block of 0": (transmit("--channel", "rayleigh-block:0"), ["0", "below 1"]),
    "csi unknown": (transmit("--csi", "vague"), ["'vague'", "noisy:DB"]),
    "csi NaN": (transmit("--csi", "noisy:nan"), ["nan"]),
    "equaliser unknown": (transmit("--equaliser", "magic"), ["'magic'", "mmse"]),
    "side information unknown": (transmit("--side-info", "rumour"), ["'rumour'", "genie"]),
    "seed negative": (transmit("--seed", "-1"), ["seed -1", "outside 0 to"]),
    "seed a fraction": (transmit("--seed", "1.5"), ["--seed", "'1.5'"]),
    "channel's seed": (channel("tx", "--seed", "-2"), ["seed -2", "outside 0 to"]),
    "figure of two": (("transmit", "good.png", *transmit("--figure", "f.png")[1:]), ["--figure", "2"]),
    "train no steps": (train("--steps", "0"), ["--steps 0"]),
    "a picture's name for several": (
        ("transmit", "flat.png", *transmit("--out", "two.PNG")[1:]),
        ["two.PNG", "2 pictures need a folder"],
    ),
    "train into a released name": (
        train("--minutes", "1", out="./conv-small"),
        ["zoo folder conv-small", "released"],
    ),
    "train among its pictures": (train("--minutes", "1", out="./pictures"), ["pictures", "good.png"]),
    "train no minutes": (train("--minutes", "0"), ["--minutes 0"]),
    "train NaN minutes": (train("--minutes", "nan"), ["--minutes nan"]),
    "train odd crops": (train("--side", "40"), ["--side 40", "32"]),
    "train on crops too small for MS-SSIM": (
        train("--loss", "ms-ssim", "--side", "160"),
        ["ms-ssim", "192", "160"],
    ),
    "train on usual crops for MS-SSIM": (train("--loss", "ms-ssim"), ["ms-ssim", "192"]),
    "train gmm for MS-SSIM": (train("--system", "gmm", "--loss", "ms-ssim"), ["--loss", "gmm"]),
    "train digits on pictures": (train("--system", "digits"), ["digits", "pictures"]),
    "train gmm with a bank": (train("--system", "gmm", "--bank", "linear"), ["--bank", "gmm"]),
    "train from nothing": (train("--start", "bronx"), ["'bronx'"]),
    "train from no network": (train("--start", "linear"), ["linear", "no network"]),
    "train from another shape": (train("--start", "conv-small", "--fine", "64"), ["--fine", "--start"]),
    "train gmm from a zoo": (train("--system", "gmm", "--start", "conv"), ["--start", "gmm"]),
    "train linear for SNRs": (train("--bank", "linear", "--snr-db", "0", "9"), ["--snr-db", "linear"]),
    "train for no range": (train("--snr-db", "9", "3"), ["9 to 3 dB"]),
    "train for an SNR beyond": (train("--snr-db", "0", "90"), ["90"]),
    "train for no uses": (train("--uses", "0", "3"), ["0 to 3"]),
    "train at no rate": (train("--rate", "0"), ["--rate 0"]),
    "train what": (train("--system", "telegraph"), ["'telegraph'"]),
    "train no crops": (train("--crops", "0"), ["--crops 0"]),
    "train on what": (train("--device", "abacus"), ["'abacus'"]),
    "seed too large": (transmit("--seed", str(2**63)), [f"seed {2**63}", f"0 to {2**63 - 1}"]),
    "train from a negative seed": (train("--seed", "-1"), ["--seed -1"]),
    "train from a seed too large": (train("--seed", "9" * 23), ["--seed", f"0 to {2**63 - 1}"]),
    "train too wide": (train("--fine", "100000000"), ["--fine 100000000", "1 to 4096"]),
    "train too deep": (train("--depths", "1", "1", "1", "100000000"), ["--depths 100000000", "0 to 100"]),
    "train on too large a crop": (train("--side", "32000000"), ["--side 32000000", "1 to 8192"]),
    "train on too many crops": (train("--crops", "100000"), ["--crops 100000", "1 to 65536"]),
    "an endless number": (train("--seed", "9" * 100_000), ["--seed", "999 ... 999"]),
    "train on few blocks": (train("--steps", "1"), ["whole blocks to calibrate on"]),
    "fit to few blocks": (train("--bank", "linear"), ["whole blocks to calibrate on"]),
    "calibrate from a seed too large": (
        ("calibrate", "pictures", "--zoo", "linear", "--seed", "9" * 23),
        ["--seed", f"0 to {2**63 - 1}"],
    ),
    "bench of a large picture": (("bench", "--size", "9000000x9000000"), ["9000000x9000000", "pixels"]),
    "train steps and minutes": (train("--steps", "3", "--minutes", "1"), ["--minutes", "--steps"]),
    "calibrate no zoo": (("calibrate", "pictures", "--zoo", "bronx"), ["'bronx'"]),
    "calibrate withheld": (
        ("calibrate", "pictures", "--zoo", "linear", "--withhold", "8", "9"),
        ["9 uses are no ratio of the set 0, 8"],
    ),
    "calibrate no images": (("calibrate", "pictures", "--zoo", "linear", "--images", "0"), ["--images 0"]),
    "a zoo's name too long": (
        transmit(zoo=300 * "z"),
        ["zzz/manifest.json cannot be used: File name too long"],
    ),
    "an image's name too long": (transmit(image=300 * "z"), ["zzz cannot be used: File name too long"]),
    "bench of a long picture": (("bench", "--size", "1x9000000", "--zoo", "linear"), ["9000000", "65535"]),
    "bench of no size": (("bench", "--size", "big", "--zoo", "linear"), ["'big'"]),
    "bench of no runs": (("bench", "--runs", "0", "--zoo", "linear"), ["--runs 0"]),
}
"""Found without networks and without Sionna: the words that the one line holds."""


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    place = sound_place(tmp_path_factory.mktemp("bad"))
    (place / "policies.py").write_text(POLICIES)
    (place / "broken.py").write_text("1 / 0")
    commands = [argv for argv, _ in QUICK.values()]
    return dict(zip(QUICK, one_process(commands, place), strict=True))


@pytest.mark.parametrize("case", QUICK)
def test_refused_at_once(quick, case):
    assert_refused(quick[case], QUICK[case][1])
    assert quick[case].heavy == ()
