"""Whatever a user gets wrong: exit code 2, one line that names it, and no file touched."""

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from processes import one_process, photograph, program, save

from jscc_sim.channels import Received
from jscc_sim.frame import FrameHeader, encode_header
from jscc_sim.recording import write_received, write_recording
from jscc_sim.units import STANDARD_RATIOS
from jscc_sim.zoo import load_zoo

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


def transmit(*options, image="good.png", cbr="1/6", snr_db="10", zoo="linear"):
    return ("transmit", image, "--cbr", cbr, "--snr-db", snr_db, "--zoo", zoo, *options)


def encode(*options, image="good.png", cbr="1/6", snr_db="10", out="tx"):
    air = ("--cbr", cbr, "--snr-db", snr_db, "--zoo", "linear")
    return ("encode", image, *air, *options, "--out", out)


def channel(recording="tx", *options, snr_db="10", out="rx"):
    return ("channel", recording, "--snr-db", snr_db, *options, "--out", out)


def decode(recording="rx", *options, out="old.png", zoo="linear"):
    return ("decode", recording, *options, "--zoo", zoo, "--out", out)


def train(*options, images="pictures", out="zoo"):
    return ("train", images, "--out", out, *options)


QUICK = {
    "no command": ((), ["COMMAND"]),
    "unknown command": (("transmute",), ["transmute", "transmit"]),
    "no SNR": (("transmit", "good.png", "--cbr", "1/6"), ["--snr-db"]),
    "image missing": (transmit(image="absent.png"), ["absent.png", "does not exist"]),
    "not an image": (transmit(image="text.png"), ["text.png", "not an image"]),
    "image is a folder": (transmit(image="pictures"), ["pictures"]),
    "truncated image": (transmit(image="cut.png"), ["cut.png", "cannot be read"]),
    "truncated JPEG": (transmit(image="cut.jpg"), ["cut.jpg", "cannot be read"]),
    "decompression bomb": (transmit(image="bomb.png"), ["bomb.png", "pixels, the limit"]),
    "zero-size file": (transmit(image="empty.png"), ["empty.png"]),
    "second image bad": (
        ("transmit", "good.png", *transmit(image="cut.png")[1:], "--out", "new"),
        ["cut.png"],
    ),
    "budget of nothing": (transmit(cbr="1/100000"), ["good.png", "96x128", "0 channel uses"]),
    "budget below the header": (
        transmit(cbr="1/1000"),
        ["good.png", "budget of 36 uses", "header", "96x128"],
    ),
    "encode below the header": (encode(cbr="1/1000"), ["budget of 36 uses", "header", "96x128"]),
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
    "encode's policy foresees": (encode("--policy", "oracle"), ["oracle", "transmit alone"]),
    "complexity unknown": (transmit("--complexity", "beauty"), ["'beauty'", "variance", "dct"]),
    "zoo unknown": (transmit(zoo="bronx"), ["'bronx'", "linear", "manifest.json"]),
    "zoo with other weights": (transmit(zoo="edited"), ["edited", "weights.safetensors", "sha256"]),
    "zoo with other calibration": (transmit(zoo="recalibrated"), ["calibration.safetensors", "sha256"]),
    "zoo without weights": (transmit(zoo="hollow"), ["hollow", "weights.safetensors", "No such file"]),
    "zoo with a broken manifest": (transmit(zoo="scribble"), ["scribble", "manifest"]),
    "zoo of another kind": (transmit(zoo="strange"), ["strange", "'magic'", "linear"]),
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
    "seed negative": (transmit("--seed", "-1"), ["seed -1", "below 0"]),
    "seed a fraction": (transmit("--seed", "1.5"), ["--seed", "'1.5'"]),
    "channel's seed": (channel("tx", "--seed", "-2"), ["seed -2", "below 0"]),
    "output below a file": (
        transmit("--out", "good.png/x.png"),
        ["good.png/x.png", "does not exist"],
    ),
    "output folder below a file": (
        ("transmit", "good.png", *transmit("--out", "good.png/new", image="flat.png")[1:]),
        ["good.png/new", "is a file"],
    ),
    "output folder absent": (transmit("--out", "absent/x.png"), ["absent/x.png", "folder absent"]),
    "output no picture": (transmit("--out", "x.txt"), ["x.txt", "suffix"]),
    "figure below a file": (transmit("--figure", "good.png/f.pdf"), ["good.png/f.pdf"]),
    "figure no figure": (transmit("--figure", "f.docx"), ["f.docx", ".pdf"]),
    "figure of two": (("transmit", "good.png", *transmit("--figure", "f.png")[1:]), ["--figure", "2"]),
    "two of one name": (
        ("transmit", "good.png", *transmit("--out", "pictures", image="pictures/good.png")[1:]),
        ["'good'"],
    ),
    "encode below a file": (encode(out="good.png/tx"), ["good.png/tx"]),
    "channel below a file": (channel(out="good.png/rx"), ["good.png/rx"]),
    "decode below a file": (decode(out="good.png/x.png"), ["good.png/x.png"]),
    "decode to no picture": (decode(out="x.sigmf"), ["x.sigmf", "suffix"]),
    "recording missing": (channel("absent"), ["absent.sigmf-meta", "No such file"]),
    "recording no recording": (channel("good.png"), ["good.png"]),
    "recording cut": (decode("cut"), ["cut.sigmf-data", "cut short"]),
    "recording cut between samples": (decode("shorter"), ["shorter.sigmf-data", "SHA-512"]),
    "recording without data": (decode("dataless"), ["dataless.sigmf-data"]),
    "recording's data edited": (decode("flipped"), ["flipped.sigmf-data", "SHA-512"]),
    "metadata cut": (decode("halved"), ["halved.sigmf-meta", "not JSON"]),
    "metadata with other type": (decode("typed"), ["typed", "ci16_le"]),
    "noise not measured": (decode("tx"), ["tx", "noise variance"]),
    "noise NaN": (decode("nannoise"), ["nannoise"]),
    "noise a word": (decode("wordnoise"), ["noise variance", "wordnoise"]),
    "channel estimate missing": (decode("lonely"), ["lonely-channel"]),
    "train on nothing": (train(images="absent"), ["absent"]),
    "train on no images": (train(images="edited"), ["edited", "no image"]),
    "train on one image": (train(images="single"), ["single", "at least 2"]),
    "train no steps": (train("--steps", "0"), ["--steps 0"]),
    "train no minutes": (train("--minutes", "0"), ["--minutes 0"]),
    "train NaN minutes": (train("--minutes", "nan"), ["--minutes nan"]),
    "train odd crops": (train("--side", "40"), ["--side 40", "32"]),
    "train no crops": (train("--crops", "0"), ["--crops 0"]),
    "train on what": (train("--device", "abacus"), ["'abacus'"]),
    "train from a negative seed": (train("--seed", "-1"), ["--seed -1"]),
    "train into a file": (train(out="good.png/zoo"), ["good.png/zoo"]),
    "train steps and minutes": (train("--steps", "3", "--minutes", "1"), ["--minutes", "--steps"]),
    "calibrate no zoo": (("calibrate", "pictures", "--zoo", "bronx"), ["'bronx'"]),
    "calibrate no images": (("calibrate", "pictures", "--zoo", "linear", "--images", "0"), ["--images 0"]),
    "bench of no size": (("bench", "--size", "big", "--zoo", "linear"), ["'big'"]),
    "bench of no runs": (("bench", "--runs", "0", "--zoo", "linear"), ["--runs 0"]),
}
"""Found without networks and without Sionna: the words that the one line holds."""

DECODED = {
    "forged huge image": (decode("huge"), ["30000 x 3000 pixels", "limit"], 2),
    "payload cut off": (decode("cropped"), ["payload of"], 2),
    "frame of another zoo": (decode("foreign"), ["zoo id 7", "linear"], 2),
    "outage": (decode("noise"), ["header"], 3),
    "one sample": (decode("tiny"), ["header"], 3),
}
"""Found by decoding."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with everything that is wrong, and an earlier picture at the place of an output."""
    folder = tmp_path_factory.mktemp("bad")
    good = photograph()
    save(good, folder / "good.png")
    save(photograph(64, 64), folder / "old.png")
    save(np.full((64, 64, 3), 9, np.uint8), folder / "flat.png")
    for name in ("pictures", "single"):
        (folder / name).mkdir()
        save(good, folder / name / "good.png")
    save(good, folder / "pictures" / "other.png")
    save(good, folder / "whole.jpg")
    for name in ("good.png", "whole.jpg"):
        raw = (folder / name).read_bytes()
        (folder / f"cut{Path(name).suffix}").write_bytes(raw[: len(raw) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(empty_png(50_000, 50_000))
    (folder / "policies.py").write_text(POLICIES)
    (folder / "broken.py").write_text("1 / 0")
    bad_zoos(folder)
    bad_recordings(folder)
    return folder


def empty_png(width, height):
    """A few hundred bytes that claim a huge picture."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0")),
    ]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def bad_zoos(folder):
    linear = load_zoo("linear").folder
    names = ("edited", "recalibrated", "hollow", "scribble", "strange")
    for name in names:
        shutil.copytree(linear, folder / name)
    for name, file in (("edited", "weights"), ("recalibrated", "calibration")):
        path = folder / name / f"{file}.safetensors"
        raw = bytearray(path.read_bytes())
        raw[-1] ^= 1
        path.write_bytes(bytes(raw))
    (folder / "hollow" / "weights.safetensors").unlink()
    (folder / "scribble" / "manifest.json").write_text("[1, 2")
    edit(folder / "strange" / "manifest.json", lambda manifest: manifest.update(bank="magic"))


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def some_symbols(count=400):
    rng = np.random.default_rng(0)
    return np.exp(2j * np.pi * rng.random(count)).astype(np.complex64)


def forged(height, width, zoo_id=None, uses=10_000):
    """A frame whose header is flawless."""
    blocks = -(-height // 32) * -(-width // 32)
    zoo_id = load_zoo("linear").id if zoo_id is None else zoo_id
    header = FrameHeader(height, width, zoo_id, 1.0, 10.0, np.ones(blocks, np.int64))
    symbols = encode_header(header, STANDARD_RATIOS, 10.0)
    return Received(np.concatenate([symbols, some_symbols(uses)]), 0.01)


def bad_recordings(folder):
    write_recording(folder / "tx", some_symbols(), description="")
    fading = Received(some_symbols(), 0.1, some_symbols())
    names = (
        "rx",
        "cut",
        "shorter",
        "dataless",
        "flipped",
        "halved",
        "typed",
        "nannoise",
        "wordnoise",
        "lonely",
    )
    for name in names:
        write_received(
            folder / name, fading if name == "lonely" else Received(some_symbols(), 0.1), description=""
        )
    for name, keep in (("cut", 101), ("shorter", 160)):
        os.truncate(folder / f"{name}.sigmf-data", keep)
    (folder / "dataless.sigmf-data").unlink()
    raw = bytearray((folder / "flipped.sigmf-data").read_bytes())
    raw[9] ^= 1
    (folder / "flipped.sigmf-data").write_bytes(bytes(raw))
    os.truncate(folder / "halved.sigmf-meta", 100)
    edit(folder / "typed.sigmf-meta", lambda meta: meta["global"].update({"core:datatype": "ci16_le"}))
    for name, value in (("nannoise", float("nan")), ("wordnoise", "loud")):
        change = {"jscc_sim:noise_variance": value}
        edit(folder / f"{name}.sigmf-meta", lambda meta, change=change: meta["global"].update(change))
    (folder / "lonely-channel.sigmf-meta").unlink()
    write_received(folder / "huge", forged(30_000, 3_000), description="")
    write_received(folder / "cropped", forged(512, 512, uses=100), description="")
    write_received(folder / "foreign", forged(64, 64, zoo_id=7), description="")
    write_received(folder / "noise", Received(some_symbols(3000), 3.0), description="")
    write_received(folder / "tiny", Received(some_symbols(1), 0.1), description="")


@pytest.fixture(scope="module")
def quick(place):
    commands = [argv for argv, _ in QUICK.values()]
    return dict(zip(QUICK, one_process(commands, place), strict=True))


@pytest.fixture(scope="module")
def decoded(place):
    commands = [argv for argv, *_ in DECODED.values()]
    return dict(zip(DECODED, one_process(commands, place), strict=True))


def assert_refused(ran, words, code=2):
    assert ran.code == code, ran.err
    assert ran.err.endswith("\n")
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("jscc-sim")
    for word in words:
        assert word in ran.err
    assert ran.out == ""
    assert ran.changed == ()


@pytest.mark.parametrize("case", QUICK)
def test_refused_at_once(quick, case):
    assert_refused(quick[case], QUICK[case][1])
    assert quick[case].heavy == ()


@pytest.mark.parametrize("case", DECODED)
def test_refused_after_decoding(decoded, case):
    _, words, code = DECODED[case]
    assert_refused(decoded[case], words, code)


QUICKLY = ("--no-ssim", "--policy", "quintiles", "--side-info", "genie")
"""Without torch and Sionna."""


def small_files_only():
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.parametrize(
    ("argv", "output"),
    [
        (transmit(*QUICKLY, "--out", "old.png"), "old.png"),
        (transmit(*QUICKLY, "--figure", "old.png"), "old.png"),
        (channel("big", "--channel", "rayleigh-fast"), "rx"),
    ],
    ids=["picture", "figure", "recording"],
)
def test_a_disk_that_fills_up_leaves_the_earlier_file(place, argv, output):
    write_recording(place / "big", some_symbols(300), description="")
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    ran = program(*argv, cwd=place, preexec_fn=small_files_only, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert ran.code == 2, ran.err
    assert ran.err.count("\n") == 1, ran.err
    assert f"output {output}" in ran.err
    assert "cannot be written: File too large" in ran.err
    assert before == {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}


def test_a_disk_that_is_full(place, tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small disk here")
    try:
        (tmp_path / "filler").write_bytes(b"x" * 8192)
        out = tmp_path / "rx.sigmf-meta"
        write_recording(place / "big", some_symbols(3000), description="")
        ran = program(*channel("big", out=out), cwd=place)
        assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
        assert "No space left on device" in ran.err
        assert [p.name for p in tmp_path.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_standard_output_that_is_full():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "jscc_sim", "policies"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "jscc-sim: [Errno 28] No space left on device\n"


def test_a_cache_folder_that_cannot_be_written(place):
    """The kernels are compiled in memory, or cached elsewhere; the result is the same."""
    nowhere = {"NUMBA_CACHE_DIR": str(place / "good.png" / "cache")}
    argv = transmit(*QUICKLY, "--json")
    blocked, free = (one_process([argv], place, env)[0] for env in (nowhere, {}))
    assert (blocked.code, blocked.err, blocked.changed) == (0, "", ())
    assert json.loads(blocked.out)["mse"] == json.loads(free.out)["mse"]


def test_an_interrupted_pipe_is_no_error(place):
    command = f"{sys.executable} -m jscc_sim policies | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in {0, 141}
    assert done.stderr == ""
