"""Systems, programs and sweeps over OFDM: everything counted, and the same pictures as without it."""

from __future__ import annotations

import dataclasses
import json
import math
from fractions import Fraction

import numpy as np
import pytest
from processes import one_process, photograph, pixels, save
from refusals import assert_refused, sound_place
from signals import mean_is, noisy
from sweeps import trial

import jscc_sim
from jscc_sim.channels import Received, parse_channel
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.metrics import measure
from jscc_sim.recording import read_recording, write_recording
from jscc_sim.sweeps import Grid, SystemSpec, run_trial
from jscc_sim.sweeps.work import replay
from jscc_sim.units import noise_variance
from jscc_sim.waveforms import OFDM, parse_link

PICTURE = photograph()
BUDGET = 9216
"""Of a CBR of 1/4."""

SYSTEMS = {
    "block-jscc": "linear",
    **dict.fromkeys(("jpeg+ldpc", "softcast", "vae:2", "quantised+uep", "generative", "digits"), ""),
}
"""Of two ends, and their zoos."""

ONE_END = ("jpeg+ldpc-abstraction", "jpeg+ideal")
PARTS = ("data_uses", "pilot_uses", "prefix_uses", "preamble_uses")


def system_of(name):
    return SystemSpec(name, zoo=SYSTEMS.get(name, "")).load()


def psnr_db(picture):
    return measure(picture, PICTURE, ()).psnr_db


# --- systems --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SYSTEMS, *ONE_END])
def test_every_system_keeps_its_budget_on_the_air(name, one_thread):
    system, waveform = system_of(name), OFDM()
    link = parse_link("tdl-a:100:3", 14, "", "ofdm")
    sent = system.transmit(PICTURE, link, BUDGET, np.random.default_rng(3))
    assert not sent.outage
    assert sent.uses <= BUDGET
    air = sent.air
    assert air == waveform.air_time(air.data)
    assert air.data + air.pilots + air.prefix + air.preamble == air.uses == sent.uses
    assert sent.header_uses <= air.data
    if name in SYSTEMS:
        assert waveform.room(sent.uses) == air.data >= len(sent.sent)
        assert sent.papr_db == pytest.approx(waveform.papr_db(sent.sent))
        assert sent.received.noise_variance.shape == sent.received.estimate.shape == (len(sent.sent),)
        assert 4 < sent.papr_db < 25
    noiseless = system.transmit(PICTURE, parse_link("awgn", 60, "", "ofdm"), BUDGET, np.random.default_rng(3))
    assert psnr_db(sent.picture) > (8 if name == "digits" else 22)
    assert psnr_db(noiseless.picture) > psnr_db(sent.picture)


@pytest.mark.parametrize("name", [*SYSTEMS, *ONE_END])
def test_a_frame_that_is_not_found_is_an_outage(name, one_thread):
    """At an SNR far below what the sender believes."""
    system, belief = system_of(name), parse_link("awgn", 14, "", "ofdm")
    sent = system.transmit(PICTURE, belief.at(-25), BUDGET, np.random.default_rng(3), belief)
    assert sent.outage
    assert sent.received is None
    assert 0 < sent.uses <= BUDGET
    np.testing.assert_array_equal(sent.picture, 128)


@pytest.mark.parametrize("name", ["block-jscc", "softcast", "jpeg+ldpc"])
def test_pictures_are_those_of_symbols_at_equal_symbols(name, one_thread):
    """Over white noise, with perfect knowledge, within 0.02 dB under the same noise of each use; and within
    the interval under noise of their own. What OFDM costs more is what is counted."""
    system, over, alone = (
        system_of(name),
        parse_link("awgn", 10, "perfect", "ofdm"),
        parse_channel("awgn", 10),
    )
    frame = system.make_frame(PICTURE, OFDM().room(BUDGET), alone)
    same = system.make_frame(PICTURE, over.room(BUDGET), over)
    np.testing.assert_array_equal(frame.symbols, same.symbols)
    for seed in range(3):
        received = over(frame.symbols, np.random.default_rng(seed))
        known = Received(received.symbols, noise_variance(10))
        pair = [psnr_db(system.read_frame(either).picture) for either in (received, known)]
        assert pair[0] == pytest.approx(pair[1], abs=0.02)
    if name != "jpeg+ldpc":  # whose picture knows no noise
        assert mean_is(apart(system, frame, over, alone, 40), 0)


def apart(system, frame, over, alone, draws):
    """[draws] PSNR over one link less that over another, where the frame is read."""
    pairs = [
        [system.send(frame, link, np.random.default_rng(s)) for link in (over, alone)] for s in range(draws)
    ]
    assert [a.outage for a, _ in pairs] == [b.outage for _, b in pairs]
    return np.array([psnr_db(a.picture) - psnr_db(b.picture) for a, b in pairs if not a.outage])


def test_flat_fades_are_those_of_symbols(one_thread):
    """The same fade in each draw, so that pictures differ by noise alone."""
    system = system_of("softcast")
    over, alone = parse_link("rayleigh-slow", 15, "perfect", "ofdm"), parse_channel("rayleigh-slow", 15)
    frame = system.make_frame(PICTURE, OFDM().room(BUDGET), over)
    found = apart(system, frame, over, alone, 40)
    assert mean_is(found, 0)
    assert len(found) > 30
    assert found.std() < 0.3


def test_estimates_cost_a_little(one_thread):
    """Less than 1 dB at 10 dB, and more than nothing; with straight lines several, since what an estimate is
    wrong by grows with the symbol, and a few of SoftCast's hold most of the energy."""
    system = system_of("softcast")
    links = [parse_link("tdl-a:100", 10, csi, "ofdm") for csi in ("perfect", "estimated", "estimated:ls")]
    frame = system.make_frame(PICTURE, OFDM().room(BUDGET), links[1])
    found = np.array(
        [
            [psnr_db(system.send(frame, link, np.random.default_rng(seed)).picture) for link in links]
            for seed in range(15)
        ]
    )
    perfect, mmse, ls = found.mean(axis=0)
    assert perfect - 1 < mmse < perfect
    assert ls < mmse - 2


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save(PICTURE, "image.png")
    return tmp_path


def transmitted(capsys, *options):
    words = ("transmit", "image.png", "--no-ssim", "--json", *options)
    assert main([str(word) for word in words]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


AIR = ("--system", "softcast", "--cbr", "1/4", "--snr-db", "12", "--channel", "tdl-a:100:3")


def test_a_row_says_what_its_uses_carried(folder, capsys):
    row = transmitted(capsys, *AIR, "--waveform", "ofdm", "--seed", "4")
    assert (row["waveform"], row["csi"], row["channel"]) == ("ofdm", "estimated", "tdl-a:100:3")
    assert sum(row[part] for part in PARTS) == row["uses"] <= row["budget_uses"] == BUDGET
    assert row["cbr"] == pytest.approx(row["uses"] / PICTURE.size)
    assert all(row[part] > 0 for part in PARTS)
    alone = transmitted(capsys, "--system", "softcast", "--cbr", "1/4", "--snr-db", "12")
    assert (alone["waveform"], alone["csi"]) == ("symbols", "perfect")
    assert [alone[part] for part in PARTS] == [alone["uses"], 0, 0, 0]


@pytest.mark.parametrize("csi", ["estimated", "perfect"])
def test_in_python_it_is_the_same(folder, capsys, csi):
    row = transmitted(
        capsys, *AIR, "--waveform", "ofdm:pilots=4x5", "--csi", csi, "--seed", "4", "--out", "b.png"
    )
    link = {"system": "softcast", "cbr": "1/4", "snr_db": 12, "channel": "tdl-a:100:3", "seed": 4}
    sent = jscc_sim.transmit("image.png", waveform="ofdm:pilots=4x5", csi=csi, **link)
    np.testing.assert_array_equal(sent.picture, pixels("b.png"))
    assert (sent.uses, sent.psnr_db, sent.papr_db) == (row["uses"], row["psnr_db"], row["papr_db"])
    assert [sent.air.data, sent.air.pilots, sent.air.prefix, sent.air.preamble] == [
        row[part] for part in PARTS
    ]


@pytest.mark.parametrize("name", ["block-jscc", "jpeg+ldpc", "vae:2", "quantised+uep"])
def test_three_programs_over_echoes(folder, capsys, name, one_thread):
    """A picture at another rate, with an offset of 0.3 carriers, 137 samples late, in noise: the receiver is
    told nothing of it."""
    rate_hz, zoo = 1e6, SYSTEMS[name] and ("--zoo", SYSTEMS[name])
    kind = ("--system", name, *zoo, "--waveform", "ofdm")
    believed = ("--cbr", "1/4", "--snr-db", "10", "--channel", "tdl-a:100:3", "--sample-rate", rate_hz)
    path = (
        "--channel",
        f"tdl-a:100:3+cfo:{0.3 * rate_hz / 256:g}+delay:137",
        "--snr-db",
        "15",
        "--seed",
        "2",
    )
    commands = [
        ("encode", "image.png", *kind, *believed, "--out", "tx"),
        ("channel", "tx", *path, "--before", "5000", "--behind", "3000", "--out", "rx"),
        ("decode", "rx", *kind, "--out", "received.png"),
    ]
    for command in commands:
        assert main([str(word) for word in command]) == 0, capsys.readouterr().err
    said = capsys.readouterr().out.splitlines()
    sent, received = read_recording("tx"), read_recording("rx")
    assert sent.sample_rate_hz == received.sample_rate_hz == rate_hz
    assert received.extra == sent.extra == {}
    assert len(received.symbols) >= 5000 + len(sent.symbols) + 3000 + 137
    assert f"{len(sent.symbols)} samples at 1e+06 Hz" in said[0]
    assert int(said[0].split(": ")[1].split(" ")[0]) <= BUDGET
    assert psnr_db(pixels("received.png")) > (19 if name == "jpeg+ldpc" else 24)


def test_a_recording_of_estimates_is_never_of_symbols(folder, capsys):
    """What was sent as samples is not decoded as symbols, nor the other way round."""
    sender = ("encode", "image.png", "--system", "softcast", "--cbr", "1/4", "--snr-db", "10")
    assert main([*sender, "--waveform", "ofdm", "--out", "samples"]) == 0
    assert main([*sender, "--out", "symbols"]) == 0
    capsys.readouterr()
    cases = {
        (
            "decode",
            "samples",
            "--system",
            "softcast",
            "--out",
            "a.png",
        ): "name their waveform, --waveform ofdm",
        ("decode", "symbols", "--waveform", "ofdm", "--out", "a.png"): "names no sample rate",
        ("channel", "symbols", "--channel", "tdl-a:100", "--snr-db", "9", "--out", "rx"): "acts on samples",
        ("channel", "symbols", "--before", "3", "--snr-db", "9", "--out", "rx"): "--before is of samples",
        (
            "channel",
            "samples",
            "--csi",
            "perfect",
            "--snr-db",
            "9",
            "--out",
            "rx",
        ): "no matter of the channel's",
        (
            "channel",
            "samples",
            "--channel",
            "rayleigh-fast",
            "--snr-db",
            "9",
            "--out",
            "rx",
        ): "acts on symbols",
        (
            "channel",
            "samples",
            "--before",
            "-1",
            "--snr-db",
            "9",
            "--out",
            "rx",
        ): "--before -1 is outside 0 to",
        ("channel", "samples", "--behind", str(10**9), "--snr-db", "9", "--out", "rx"): "is outside 0 to",
    }
    for command, words in cases.items():
        assert main(list(command)) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def over(*options, cbr="1/4", system="softcast"):
    return ("transmit", "good.png", "--system", system, "--cbr", cbr, "--snr-db", "10", *options)


def decode(recording):
    return ("decode", recording, "--system", "softcast", "--waveform", "ofdm", "--out", "got.png")


REFUSED = {
    "no waveform": (over("--waveform", "fm"), ["waveform 'fm' is neither of symbols, ofdm"]),
    "waveform's field": (over("--waveform", "ofdm:size=3"), ["'size=3' is none of fft="]),
    "waveform's value": (over("--waveform", "ofdm:fft=100"), ["fft of 100 is no power of 2"]),
    "echoes without waveform": (over("--channel", "tdl-a:100"), ["tdl-a:100 acts on samples", "ofdm"]),
    "echoes too long": (
        over("--channel", "tdl-c:1000", "--waveform", "ofdm"),
        ["tdl-c:1000", "33.2 samples", "18 of the prefix"],
    ),
    "fades of symbols": (over("--channel", "rayleigh-fast", "--waveform", "ofdm"), ["tdl-a:0:SPEED_MPS"]),
    "impairment": (over("--channel", "awgn+hum:3", "--waveform", "ofdm"), ["+hum:3", "+cfo"]),
    "impairment's value": (over("--channel", "awgn+cfo:x", "--waveform", "ofdm"), ["'x' is not a number"]),
    "unknown drift": (
        over("--channel", "awgn+drift:3", "--csi", "perfect", "--waveform", "ofdm"),
        ["perfect CSI does not tell of +drift"],
    ),
    "noisy CSI": (over("--csi", "noisy:20", "--waveform", "ofdm"), ["'noisy:20'", "estimated:ls"]),
    "estimated symbols": (over("--csi", "estimated"), ["symbols have none"]),
    "no room": (
        over("--waveform", "ofdm", cbr="1/20"),
        ["good.png", "budget of 1843 uses", "below the 2409 of the waveform's shortest frame"],
    ),
    "hardly any room": (
        over("--waveform", "ofdm", cbr="2409/36864", system="jpeg+ldpc"),
        ["good.png", "bits are below", "smallest jpeg file"],
    ),
    "rate of symbols": (
        ("encode", *over("--sample-rate", "1e6", "--out", "tx2")[1:]),
        ["--sample-rate 1e+06 is of a waveform, and symbols have none"],
    ),
    "rate of nothing": (
        ("encode", *over("--waveform", "ofdm", "--sample-rate", "0", "--out", "tx2")[1:]),
        ["--sample-rate 0 is outside 256 to 2.56e+09 Hz"],
    ),
    "rate that is none": (
        ("encode", *over("--waveform", "ofdm", "--sample-rate", "nan", "--out", "tx2")[1:]),
        ["--sample-rate nan is outside"],
    ),
}
LOST = {
    "noise alone": decode("noise"),
    "a frame cut in its preamble": decode("in_preamble"),
    "a frame cut in its body": decode("in_body"),
    "less than a row": decode("short"),
    "symbols of another kind": decode("other"),
}
OTHERWISE = {
    "samples that are no numbers": (decode("nan"), ["nan"]),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = sound_place(tmp_path_factory.mktemp("air"))
    waveform, symbols = OFDM(), np.ones(3000, np.complex64)
    frame = noisy(waveform.modulate(symbols), 15, np.random.default_rng(0))
    row = waveform.row_samples
    recordings = {
        "noise": noisy(np.zeros(40_000), 0, np.random.default_rng(1)),
        "in_preamble": frame[: row + 100],
        "in_body": frame[: 9 * row],
        "short": frame[:100],
        "other": noisy(OFDM(128, 9).modulate(symbols), 15, np.random.default_rng(0)),
        "nan": frame,
    }
    for name, samples in recordings.items():
        write_recording(place / name, samples, description="", sample_rate_hz=3.84e6)
    broken = np.fromfile(place / "nan.sigmf-data", np.complex64)
    broken[500] = np.nan
    broken.tofile(place / "nan.sigmf-data")
    meta = json.loads((place / "nan.sigmf-meta").read_text())
    del meta["global"]["core:sha512"]
    (place / "nan.sigmf-meta").write_text(json.dumps(meta))
    return place


@pytest.fixture(scope="module")
def ran(place):
    commands = {name: words for name, (words, _) in {**REFUSED, **OTHERWISE}.items()} | LOST
    return dict(zip(commands, one_process(commands.values(), place), strict=True))


@pytest.mark.parametrize("case", [*REFUSED, *OTHERWISE])
def test_what_will_not_do_is_one_sentence(ran, case):
    assert_refused(ran[case], {**REFUSED, **OTHERWISE}[case][1])


@pytest.mark.parametrize("case", LOST)
def test_what_holds_no_frame_is_an_outage(ran, case):
    assert_refused(ran[case], ["no whole frame found in"], code=3)


# --- sweeps ---------------------------------------------------------------------------------------


def grid(folder, **more):
    axes = {
        "images": [str(folder / "image.png")],
        "systems": [SystemSpec("softcast")],
        "channels": ["awgn"],
        "snr_db": [10],
        "cbr": ["1/4"],
    }
    return Grid(**{**axes, **more})


def test_a_grid_of_waveforms(folder):
    both = grid(folder, waveforms=["symbols", "ofdm"], channels=["awgn", "rayleigh-slow"])
    trials = sorted(both.trials(), key=lambda one: (one.waveform != "symbols", one.channel))
    assert [(t.channel, t.csi, t.waveform) for t in trials] == [
        ("awgn", "perfect", "symbols"),
        ("rayleigh-slow", "perfect", "symbols"),
        ("awgn", "estimated", "ofdm"),
        ("rayleigh-slow", "estimated", "ofdm"),
    ]
    assert both.size == 4
    assert len({t.key for t in trials}) == 4
    assert [t.seed for t in trials[:2]] == [t.seed for t in trials[2:]]  # the same fades
    rows = [run_trial(t) for t in trials]
    assert [row.status for row in rows] == ["ok"] * 4
    assert [row.waveform for row in rows] == ["symbols", "symbols", "ofdm", "ofdm"]
    for row in rows:
        assert sum(getattr(row, part) for part in PARTS) == row.uses <= row.budget_uses
        assert (row.pilot_uses > 0) == (row.waveform == "ofdm")


@pytest.mark.parametrize(
    ("axes", "air"),
    [
        (
            {
                "csi": ["perfect", "estimated", "estimated:ls"],
                "waveforms": ["ofdm"],
                "channels": ["tdl-a:100"],
            },
            [("tdl-a:100", csi, "ofdm") for csi in ("perfect", "estimated", "estimated:ls")],
        ),
        (
            {"csi": ["perfect", "noisy:20", "estimated"], "channels": ["awgn", "rayleigh-slow"]}
            | {"waveforms": ["symbols", "ofdm"]},
            [
                ("awgn", "perfect", "symbols"),
                ("rayleigh-slow", "perfect", "symbols"),
                ("rayleigh-slow", "noisy:20", "symbols"),
                *((c, csi, "ofdm") for c in ("awgn", "rayleigh-slow") for csi in ("perfect", "estimated")),
            ],
        ),
        ({"csi": ["estimated:lmmse"], "waveforms": ["ofdm"]}, [("awgn", "estimated", "ofdm")]),
    ],
)
def test_what_receivers_can_know_in_a_grid(folder, axes, air):
    assert sorted(grid(folder, **axes).air) == sorted(air)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"channels": ["tdl-a:100"]}, "tdl-a:100 acts on samples, and symbols are none"),
        ({"channels": ["tdl-c:1000"], "waveforms": ["ofdm"]}, "33.2 samples, more than the 18"),
        ({"waveforms": ["ofdm", "ofdm"]}, "waveforms: ofdm is there twice"),
        ({"waveforms": ["fm"]}, "waveform 'fm' is neither"),
        ({"waveforms": []}, "waveforms is empty"),
        ({"waveforms": "ofdm"}, "waveforms = 'ofdm' is not a list"),
        ({"waveforms": [3]}, "waveform 3 is neither a name nor an OFDM"),
        ({"csi": ["estimated"]}, "symbols have none"),
        ({"csi": ["noisy:20"], "waveforms": ["ofdm"]}, "CSI 'noisy:20' is n"),
    ],
)
def test_what_is_no_grid(folder, axes, words):
    with pytest.raises(InputError) as error:
        grid(folder, **axes)
    assert words in str(error.value)


def test_keys_of_symbols_stay_and_those_of_waveforms_differ(folder):
    """The pinned key is that of stores of before there were waveforms."""
    first = trial()
    assert first.key == "3addd0ef1ece75608d5a31ba1c0a438900f6513d483df708742395b265ee9d32"
    others = [dataclasses.replace(first, waveform=name) for name in ("ofdm", "ofdm:cp=20")]
    assert len({first.key, *(other.key for other in others)}) == 3
    assert {other.seed for other in others} == {first.seed}
    (alone,) = grid(folder).trials()
    (named,) = grid(folder, waveforms=["symbols"], csi=["perfect"]).trials()
    assert alone.key == named.key


@pytest.mark.parametrize("waveform", ["symbols", "ofdm"])
def test_a_row_is_sent_again(folder, waveform):
    """From what its table says, as numbers or as text; tables of before have no waveform."""
    channel = "rayleigh-slow" if waveform == "symbols" else "tdl-a:100:3+cfo:500"
    (only,) = grid(folder, waveforms=[waveform], channels=[channel]).trials()
    row = dataclasses.asdict(run_trial(only))
    assert row["status"] == "ok"
    tables = [row, {name: "" if value is None else str(value) for name, value in row.items()}]
    if waveform == "symbols":
        tables += [{**row, "waveform": older} for older in (None, math.nan, "")]
    for table in tables:
        again = replay(table, "image.png")
        for name in ("psnr_db", "uses", "papr_db", "outage", *PARTS):
            assert again[name] == row[name]


def test_a_budget_below_the_waveform_is_infeasible(folder):
    (only,) = grid(folder, waveforms=["ofdm"], cbr=[Fraction(1, 20)]).trials()
    row = run_trial(only)
    assert row.status == "infeasible"
    assert "\n" not in row.error


def test_an_outage_is_a_row(folder):
    (only,) = grid(
        folder, waveforms=["ofdm"], systems=[SystemSpec("softcast", sender_snr_db=10)], snr_db=[-25]
    ).trials()
    row = run_trial(only)
    assert (row.status, row.outage) == ("ok", True)
    assert row.uses == sum(getattr(row, part) for part in PARTS) > 0
