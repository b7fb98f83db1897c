"""Files and disks that will not do: exit code 2 or 3, one line that names them, and no file touched."""

import hashlib
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
from refusals import assert_refused, channel, decode, encode, some_symbols, sound_place, train, transmit

from jscc_sim.blocks import BlockGrid
from jscc_sim.channels import Received
from jscc_sim.coding.protection import Protection
from jscc_sim.header import FrameHeader, encode_header
from jscc_sim.recording import write_received, write_recording
from jscc_sim.systems.block_jscc import RatioMap
from jscc_sim.units import STANDARD_RATIOS
from jscc_sim.zoo import load_zoo

QUICK = {
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
    "zoo with other weights": (transmit(zoo="edited"), ["edited", "weights.safetensors", "sha256"]),
    "zoo with other calibration": (transmit(zoo="recalibrated"), ["calibration.safetensors", "sha256"]),
    "zoo without weights": (transmit(zoo="hollow"), ["hollow", "weights.safetensors", "No such file"]),
    "zoo with a broken manifest": (transmit(zoo="scribble"), ["scribble", "manifest"]),
    "zoo of another kind": (transmit(zoo="strange"), ["strange", "'magic'", "linear"]),
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
    "no pixels per use": (decode("tx", "--most-pixels-per-use", "nan"), ["--most-pixels-per-use", "nan"]),
    "samples beyond belief": (decode("loud"), ["loud.sigmf-data", "3e+38"]),
    "noise not measured": (decode("tx"), ["tx", "noise variance"]),
    "noise NaN": (decode("nannoise"), ["nannoise"]),
    "noise a word": (decode("wordnoise"), ["noise variance", "wordnoise"]),
    "channel estimate missing": (decode("lonely"), ["lonely-channel"]),
    "train on nothing": (train(images="absent"), ["absent"]),
    "train on no images": (train(images="edited"), ["edited", "no image"]),
    "train on one image": (train(images="single"), ["single", "at least 2"]),
    "train into a file": (train(out="good.png/zoo"), ["good.png/zoo"]),
}
"""Found without networks and without Sionna: the words that the one line holds."""

DECODED = {
    "forged huge image": (decode("huge"), ["30000 x 3000 pixels", "limit"], 2),
    "forged with few uses": (decode("thin"), ["8000 x 8000 pixels", "--most-pixels-per-use"], 2),
    "forged with few uses and few allowed": (
        decode("cropped", "--most-pixels-per-use", "9"),
        ["512 x 512 pixels", "--most-pixels-per-use"],
        2,
    ),
    "payload cut off": (decode("cropped"), ["payload of"], 2),
    "frame of another zoo": (decode("foreign"), ["unknown weights (0007)", "not of zoo linear"], 2),
    "outage": (decode("noise"), ["header"], 3),
    "one sample": (decode("tiny"), ["header"], 3),
}
"""Found by decoding."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A sound place, and in it everything that is wrong."""
    folder = sound_place(tmp_path_factory.mktemp("bad"))
    (folder / "single").mkdir()
    shutil.copy(folder / "good.png", folder / "single")
    save(photograph(), folder / "whole.jpg")
    for name in ("good.png", "whole.jpg"):
        raw = (folder / name).read_bytes()
        (folder / f"cut{Path(name).suffix}").write_bytes(raw[: len(raw) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "empty.png").write_bytes(b"")
    (folder / "bomb.png").write_bytes(empty_png(50_000, 50_000))
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


def forged(height, width, zoo_id=None, uses=10_000, ratio=1):
    """A frame whose header is flawless."""
    grid = BlockGrid(height, width)
    zoo_id = load_zoo("linear").id if zoo_id is None else zoo_id
    own = RatioMap(grid, STANDARD_RATIOS, np.full(len(grid), ratio)).bits()
    symbols = encode_header(FrameHeader(height, width, zoo_id, 1.0, 10.0, own), Protection(10.0, 0))
    return Received(np.concatenate([symbols, some_symbols(uses)]), 0.01)


def write_raw(path, received, samples):
    """A recording with other samples than the program would write, and with a hash that fits."""
    write_received(path, received, description="")
    raw = samples.astype("<c8").tobytes()
    path.with_suffix(".sigmf-data").write_bytes(raw)
    change = {"core:sha512": hashlib.sha512(raw).hexdigest()}
    edit(path.with_suffix(".sigmf-meta"), lambda meta: meta["global"].update(change))


def bad_recordings(folder):
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
    write_received(folder / "thin", forged(8_000, 8_000, uses=1, ratio=0), description="")
    loud = some_symbols() * np.float32(3e38)
    write_raw(folder / "loud", Received(some_symbols(), 0.1), loud)
    write_received(folder / "cropped", forged(512, 512, uses=100), description="")
    small = forged(64, 64, zoo_id=load_zoo("conv-small").id)
    write_received(folder / "small", small, description="")
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
