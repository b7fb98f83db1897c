"""encode, channel, decode as three processes that share nothing but files, against transmit."""

import json

import numpy as np
import pytest
from processes import one_process, photograph, pixels, program, save

from jscc_sim.cli import main

LINK = ("--zoo", "linear", "--cbr", "1/6")
MEASURED = {"core:datatype", "core:version", "jscc_sim:noise_variance", "jscc_sim:channel"}
CASES = {
    "slow": ("--snr-db", 18, "--channel", "rayleigh-slow"),
    "block": ("--snr-db", 15, "--channel", "rician-block:4:64", "--csi", "noisy:20"),
    "fast": ("--snr-db", 12, "--channel", "rician-fast:2"),
    "tried": ("--snr-db", 10),
}
SENDER = {"tried": ("--policy", "encoder-in-the-loop")}
RECEIVER = {"slow": ("--equaliser", "mmse"), "fast": ("--equaliser", "zf")}


MY_LINK = """
from dataclasses import dataclass

from torch.nn import functional as F

from jscc_sim.systems.torch_link import TorchLink


@dataclass(frozen=True)
class MyLink(TorchLink):
    def networks(self):
        return lambda x: F.avg_pool2d(x, 2) - 0.5, lambda y: F.interpolate(y + 0.5, scale_factor=2)
"""


def strip(meta):
    """Leave what a receiver measures, and the fields without which it is no SigMF file."""
    content = json.loads(meta.read_text())
    content["global"] = {key: value for key, value in content["global"].items() if key in MEASURED}
    meta.write_text(json.dumps(content))


def transmitted(folder, *options):
    """The same as one command, in this process."""
    whole = save(photograph(), folder / "again.png")
    out = folder / "transmitted.png"
    assert main([str(word) for word in ("transmit", whole, *LINK, *options, "--no-ssim", "--out", out)]) == 0
    return pixels(out)


def test_three_programs_as_a_user_runs_them(tmp_path):
    image = save(photograph(), tmp_path / "image.png")
    air = ("--snr-db", 10)
    assert program("encode", image, *LINK, *air, "--out", "tx", cwd=tmp_path).out.startswith(
        "tx.sigmf-meta: "
    )
    image.unlink()
    sent = program("channel", "tx.sigmf-meta", *air, "--seed", 7, "--out", "rx", cwd=tmp_path)
    assert (sent.code, sent.out.partition(": ")[0]) == (0, "rx.sigmf-meta")
    (tmp_path / "tx.sigmf-meta").unlink()
    (tmp_path / "tx.sigmf-data").unlink()
    strip(tmp_path / "rx.sigmf-meta")
    decoded = program("decode", "rx.sigmf-meta", "--zoo", "linear", "--out", "received.png", cwd=tmp_path)
    assert (decoded.code, decoded.err) == (0, "")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["received.png", "rx.sigmf-data", "rx.sigmf-meta"]
    received = pixels(tmp_path / "received.png")
    np.testing.assert_array_equal(received, transmitted(tmp_path, *air, "--seed", 7))
    assert np.square(received - photograph().astype(float)).mean() < 60


LINKS = {
    "softcast": ("--snr-db", 12, "--channel", "rician-fast:2", "--csi", "noisy:20"),
    "jpeg+ldpc": ("--snr-db", 14),
    "my_link.py:MyLink": ("--snr-db", 9, "--channel", "rayleigh-block:64"),
}


@pytest.mark.parametrize("system", LINKS)
def test_any_system_of_two_ends(system, tmp_path, monkeypatch, capsys):
    """One of anybody's as well: the same picture as transmit's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_link.py").write_text(MY_LINK)
    save(photograph(), tmp_path / "image.png")
    sender = ("--system", system, "--cbr", "1/4", *LINKS[system])
    commands = [
        ("transmit", "image.png", *sender, "--seed", 5, "--no-ssim", "--out", "whole.png"),
        ("encode", "image.png", *sender, "--out", "tx"),
        ("channel", "tx", *LINKS[system], "--seed", 5, "--out", "rx"),
        ("decode", "rx", "--system", system, "--out", "parts.png"),
    ]
    for command in commands:
        assert main([str(word) for word in command]) == 0, capsys.readouterr().err
    np.testing.assert_array_equal(pixels(tmp_path / "parts.png"), pixels(tmp_path / "whole.png"))


@pytest.mark.parametrize(
    ("system", "words"),
    [
        ("jpeg+ideal", "system jpeg+ideal has no two ends: it works in transmit alone"),
        ("jpeg+ldpc:csit", "system jpeg+ldpc:csit knows the true channel: it works in transmit alone"),
    ],
)
def test_what_no_programs_can_be(system, words, tmp_path, capsys):
    image = save(photograph(), tmp_path / "image.png")
    command = ("encode", image, "--system", system, "--cbr", "1/4", "--snr-db", 10, "--out", tmp_path / "tx")
    assert words in refused(capsys, *command)


def test_pixels_per_use_are_block_jsccs(tmp_path, capsys):
    image = save(photograph(), tmp_path / "image.png")
    sender = ("--system", "softcast", "--cbr", "1/4", "--snr-db", 10)
    assert main([str(word) for word in ("encode", image, *sender, "--out", tmp_path / "tx")]) == 0
    assert main([str(w) for w in ("channel", tmp_path / "tx", "--snr-db", 10, "--out", tmp_path / "rx")]) == 0
    decode = ("decode", tmp_path / "rx", "--system", "softcast", "--out", tmp_path / "a.png")
    assert "softcast has no --most-pixels-per-use 7" in refused(capsys, *decode, "--most-pixels-per-use", 7)


@pytest.fixture(scope="module")
def links(tmp_path_factory):
    """All other cases through one sender's, one channel's and one receiver's process."""
    sender, receiver = tmp_path_factory.mktemp("sender"), tmp_path_factory.mktemp("receiver")
    save(photograph(), sender / "image.png")
    encoded = one_process(
        [
            ("encode", "image.png", *LINK, *air, *SENDER.get(name, ()), "--out", f"{name}.sigmf-meta")
            for name, air in CASES.items()
        ],
        sender,
    )
    assert [ran.code for ran in encoded] == [0] * len(CASES), encoded
    (sender / "image.png").unlink()
    disturbed = one_process(
        [
            ("channel", f"{name}.sigmf-meta", *air, "--seed", 3, "--out", receiver / name)
            for name, air in CASES.items()
        ],
        sender,
    )
    assert [ran.code for ran in disturbed] == [0] * len(CASES), disturbed
    assert all("torch" not in ran.heavy for ran in disturbed)
    for meta in receiver.glob("*.sigmf-meta"):
        strip(meta)
    decoded = one_process(
        [
            ("decode", name, "--zoo", "linear", *RECEIVER.get(name, ()), "--out", f"{name}.png")
            for name in CASES
        ],
        receiver,
    )
    assert [ran.code for ran in decoded] == [0] * len(CASES), decoded
    return sender, receiver


@pytest.mark.parametrize("name", CASES)
def test_three_processes_equal_transmit(links, tmp_path, name):
    options = (*CASES[name], *SENDER.get(name, ()), *RECEIVER.get(name, ()), "--seed", 3)
    np.testing.assert_array_equal(pixels(links[1] / f"{name}.png"), transmitted(tmp_path, *options))


@pytest.mark.parametrize("name", CASES)
def test_the_sent_recording_tells_nothing_but_symbols(links, name):
    meta = json.loads((links[0] / f"{name}.sigmf-meta").read_text())
    assert meta["captures"] == [{"core:sample_start": 0}]
    assert meta["annotations"] == []
    told = meta["global"]
    allowed = {"datatype", "version", "sha512", "description", "extensions", "num_channels", "offset"}
    assert told.keys() <= {f"core:{field}" for field in allowed}
    assert told["core:description"] == "Frame of a picture, one sample per channel use"
    assert told.get("core:extensions", []) == []
    data = np.fromfile(links[0] / f"{name}.sigmf-data", np.complex64)
    assert 0 < len(data) <= 3 * 96 * 128 // 6


@pytest.mark.parametrize("name", CASES)
def test_the_received_recording_tells_measurements_alone(links, name):
    files = {path.name for path in links[1].glob(f"{name}*sigmf*")}
    fading = {f"{name}-channel.sigmf-meta", f"{name}-channel.sigmf-data"} if name != "tried" else set()
    assert files == {f"{name}.sigmf-meta", f"{name}.sigmf-data"} | fading


@pytest.mark.parametrize(
    ("height", "width", "cbr"),
    [(8, 8, "1"), (1, 64, "1"), (33, 1, "1"), (8, 8, "60/192"), (31, 65, "1/12")],
    ids=["8x8", "1x64", "33x1", "8x8 without payload", "31x65"],
)
def test_small_pictures(tmp_path, monkeypatch, capsys, height, width, cbr):
    monkeypatch.chdir(tmp_path)
    save(photograph(height, width), "image.png")
    air = ["--snr-db", "20"]
    options = ["image.png", "--zoo", "linear", "--cbr", cbr, *air]
    assert main(["transmit", *options, "--seed", "5", "--out", "whole.png", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["header_uses"] <= row["uses"] <= row["budget_uses"]
    assert (cbr == "60/192") == (row["uses"] == row["header_uses"])
    assert main(["encode", *options, "--out", "tx"]) == 0
    assert main(["channel", "tx", *air, "--seed", "5", "--out", "rx"]) == 0
    assert main(["decode", "rx", "--zoo", "linear", "--out", "parts.png"]) == 0
    np.testing.assert_array_equal(pixels("parts.png"), pixels("whole.png"))
    assert pixels("parts.png").shape == (height, width, 3)


def test_one_pixel_is_too_small_for_a_header_but_not_for_a_genie(tmp_path, capsys):
    image = save(photograph(1, 1), tmp_path / "dot.png")
    command = ["transmit", str(image), "--zoo", "linear", "--snr-db", "20", "--cbr", "1", "--json"]
    assert main(command) == 2
    assert "budget of 3 uses is below the" in capsys.readouterr().err
    assert main([*command, "--side-info", "genie", "--out", str(tmp_path / "got.png")]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["uses"], row["header_uses"], row["cbr"]) == (0, 0, 0)
    assert pixels(tmp_path / "got.png").shape == (1, 1, 3)


def test_the_sender_may_be_mistaken_about_the_channel(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(photograph(), "image.png")
    assert main(["encode", "image.png", *LINK, "--snr-db", "6", "--out", "tx"]) == 0
    assert main(["channel", "tx", "--snr-db", "13", "--seed", "2", "--out", "rx"]) == 0
    assert main(["decode", "rx", "--zoo", "linear", "--out", "parts.png"]) == 0
    whole = transmitted(tmp_path, "--snr-db", "13", "--sender-snr-db", "6", "--seed", "2")
    np.testing.assert_array_equal(pixels("parts.png"), whole)
    assert not np.array_equal(whole, transmitted(tmp_path, "--snr-db", "13", "--seed", "2"))


def refused(capsys, *words):
    """What a command that must refuse its input says."""
    assert main([str(word) for word in words]) == 2
    return capsys.readouterr().err


def test_programs_in_the_wrong_order_say_so(tmp_path, capsys):
    image, tx, rx = save(photograph(), tmp_path / "image.png"), tmp_path / "tx", tmp_path / "rx"
    assert main([str(word) for word in ("encode", image, *LINK, "--snr-db", 10, "--out", tx)]) == 0
    assert "jscc-sim channel makes one" in refused(capsys, "decode", tx, "--out", tmp_path / "a.png")
    assert main([str(word) for word in ("channel", tx, "--snr-db", 10, "--out", rx)]) == 0
    assert "was received already" in refused(
        capsys, "channel", rx, "--snr-db", 10, "--out", tmp_path / "again"
    )
    assert not list(tmp_path.glob("again*"))


def test_a_recording_is_no_picture(tmp_path, capsys):
    image, named = save(photograph(), tmp_path / "image.png"), tmp_path / "tx.png"
    assert "named as a picture" in refused(capsys, "encode", image, *LINK, "--snr-db", 10, "--out", named)
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


OWN = """
from dataclasses import dataclass
import numpy as np
from jscc_sim.systems.base import Frame, LinkSystem, Reception

@dataclass(frozen=True)
class Grey(LinkSystem):
    uses: int = 8

    def encode(self, picture, budget, belief, csit=None):
        phase = np.exp(1j * np.pi * picture.mean() / 255)
        return Frame(np.full(self.uses, phase, np.complex64), 0, *picture.shape[:2])

    def decode(self, received, genie=None):
        level = np.clip(255 * np.angle(received.symbols.mean()) / np.pi, 0, 255)
        return Reception(np.full((96, 128, 3), level, np.uint8))
"""


def test_a_plugin_of_two_ends(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "grey.py").write_text(OWN)
    save(photograph(), "a.png")
    system = "grey.py:Grey:uses=20"
    air = ["--snr-db", "12", "--channel", "rician-block:4:64"]
    sender = ["a.png", "--cbr", "1/6", "--system", system]
    commands = (
        ["encode", *sender, *air, "--out", "tx"],
        ["channel", "tx.sigmf-meta", *air, "--seed", "5", "--out", "rx"],
        ["decode", "rx.sigmf-meta", "--system", system, "--out", "b.png"],
        ["transmit", *sender, *air, "--seed", "5", "--no-ssim", "--out", "c.png"],
    )
    assert [main(words) for words in commands] == [0] * 4
    np.testing.assert_array_equal(pixels(tmp_path / "b.png"), pixels(tmp_path / "c.png"))
