"""Plug-ins that break their promises are named; what they do to their arguments stays with them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from plugin_files import grid, only, plugin_folder
from processes import photograph

import jscc_sim
from jscc_sim.allocation import AllocationPolicy, Lagrangian
from jscc_sim.channels import AWGN, Channel, Received
from jscc_sim.cli import main
from jscc_sim.codecs import Codec
from jscc_sim.complexity import ComplexityEstimator
from jscc_sim.errors import BudgetError, InputError, OutageError
from jscc_sim.metrics import Metric
from jscc_sim.plugins import plugin_sha256
from jscc_sim.sweeps import Given, run, run_trial, table
from jscc_sim.systems.base import Frame, LinkSystem, Reception, System, Transmission
from jscc_sim.units import RatioSet


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return plugin_folder(tmp_path, monkeypatch)


@dataclass(frozen=True)
class Broken(Channel):
    """A channel that does what it is told."""

    how: str = ""

    def _disturb(self, symbols, fading, noise, estimation):
        right = Received(symbols.copy(), 0.1)
        match self.how:
            case "raises":
                raise ValueError("no such luck\nat all")
            case "ends":
                raise SystemExit(3)
            case "nan":
                right.symbols[3] = np.nan
            case "long":
                return replace(right, symbols=np.zeros(len(symbols) + 1, np.complex64))
            case "wide":
                return replace(right, symbols=symbols.astype(np.complex128))
            case "real":
                return replace(right, symbols=list(symbols))
            case "estimate":
                return replace(right, estimate=np.ones(5, np.complex64))
            case "variance":
                return replace(right, noise_variance=float("nan"))
            case "negative":
                return replace(right, noise_variance=-1.0)
            case "tuple":
                return symbols, 0.1
            case "prints":
                print("hello", len(symbols))
        return right

    def outage_snr_db(self):
        return float("nan") if self.how == "plans" else self.snr_db


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "Broken raised ValueError: no such luck at all"),
        ("ends", "Broken raised SystemExit: 3"),
        ("nan", "Broken returned symbols that are not finite"),
        ("long", r"Broken returned symbols of shape \[2401\] for 2400 uses"),
        ("wide", "Broken returned symbols of complex128, not an array of complex64"),
        ("real", "Broken returned symbols of list, not an array of complex64"),
        ("estimate", r"Broken returned an estimate of shape \[5\] for 2400 uses"),
        ("variance", "Broken returned a noise variance of nan, not a number from 0 on"),
        ("negative", "Broken returned a noise variance of -1.0, not"),
        ("tuple", "Broken returned a tuple, not what is Received"),
    ],
)
def test_a_channel_that_breaks_its_promise(folder, how, message):
    """The row says so in one sentence, and the sweep goes on."""
    from jscc_sim.errors import one_line

    trials = grid(systems=["grey.py:Grey:uses=2400"], channels=[Broken(0.0, how), "awgn"]).trials()
    with ThreadPoolExecutor(1) as pool:
        outcome = run(trials, "rows.sqlite", Given(pool))
    assert outcome.ok == 1
    ((_, error),) = outcome.failures
    assert one_line(error) == error
    with pytest.raises(InputError, match=message):
        raise InputError(error)


def test_what_a_plugin_prints_is_no_output(folder, capsys, monkeypatch):
    monkeypatch.setattr("jscc_sim.plugins.guard._said", set())
    channel = Broken(10.0, "prints")
    for _ in range(2):
        channel(np.ones(5, np.complex64), np.random.default_rng(0))
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Broken printed: hello 5\n")


BAD = """
from dataclasses import dataclass, field
from jscc_sim.channels import Channel
from jscc_sim.codecs import Codec
from jscc_sim.systems.base import System

class Lazy(Channel):
    pass

@dataclass(frozen=True)
class Listing(Channel):
    taps: list = field(default_factory=list)
    def _disturb(self, symbols, fading, noise, estimation): pass

class Idle(System):
    pass

class Nameless(Codec):
    levels = 3
    def encode(self, picture, level): pass
    def size(self, data): pass
    def decode(self, data): pass
    def version(self): return "1"

class Slashed(Nameless):
    name = "../x"

class Levelless(Nameless):
    name, levels = "x", 0

class Looking(Nameless):
    name, look_ahead = "looking", "far"

class Versionless(Nameless):
    name = "x"
    def version(self): return 3

class Failing(Nameless):
    name = "x"
    def version(self): raise OSError("no library")

class Jpeg(Nameless):
    name = "jpeg"

class Other:
    pass
"""


@pytest.mark.parametrize(
    ("option", "spec", "message"),
    [
        ("--channel", "bad.py:Lazy", "bad.py:Lazy: Lazy is abstract, it does not define _disturb"),
        ("--channel", "bad.py:Listing", "field taps is a list, which changes or holds what does"),
        ("--channel", "bad.py:Other", "bad.py:Other: Other is no subclass of Channel"),
        ("--channel", "bad.py:Nothing", "there is no class Nothing in"),
        ("--channel", "bad.py", "no class is named; write bad.py:CLASS: there is Lazy, Listing"),
        ("--channel", "gone.py:A", "file gone.py cannot be read"),
        ("--channel", "jscc_sim.channels:AWGN:x=3", "AWGN has no field 'x'; its fields: none"),
        ("--channel", "raleigh", "channel 'raleigh' is none of awgn, rayleigh-slow, rayleigh-block:L"),
        ("--system", "bad.py:Idle", "Idle is abstract, it does not define _transmit"),
        ("--system", "bad.py:Lazy", "Lazy is no subclass of System"),
        ("--system", "bad.py:Nameless+ldpc", "its name is None, not letters, digits, - and _"),
        ("--system", "bad.py:Slashed+ldpc", "its name is '../x', not letters"),
        ("--system", "bad.py:Levelless+ideal", "levels = 0 is no number from 1 to"),
        ("--system", "bad.py:Versionless+ideal", "its version is a int, not text"),
        ("--system", "bad.py:Looking+ideal", "look_ahead = 'far' is no number from 0 to 1048576"),
        ("--system", "bad.py:Failing+ideal", "codec bad.py:Failing raised OSError: no library"),
        ("--system", "bad.py:Jpeg+ideal", "its name is jpeg, which is the package's own"),
        ("--system", "bad.py:Lazy+ideal", "Lazy is no subclass of Codec"),
        ("--system", "gif+ideal", "codec 'gif' is not one of jpeg, jpeg2000"),
    ],
)
def test_plugins_that_cannot_be_used(folder, capsys, option, spec, message):
    Path("bad.py").write_text(BAD)
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", "1/2", option, spec]
    assert main([*words, *([] if option == "--system" else ["--system", "softcast"])]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


def test_a_tuple_that_holds_a_list(folder):
    with pytest.raises(InputError, match="field by is a tuple, which changes or holds what does"):
        grid(channels=[Held(10.0, ([1],))])


@dataclass(frozen=True)
class Held(Channel):
    by: tuple = ()

    def _disturb(self, symbols, fading, noise, estimation):
        return Received(symbols, 0.1)


def test_a_channel_that_plans_with_no_snr():
    with pytest.raises(InputError, match=r"plans with \[0.0, nan\] dB, not with finite SNRs"):
        grid(channels=[Broken(0.0, "plans")])


class Ending(BaseException):
    """No Exception, and without words."""

    def __str__(self):
        raise RuntimeError


@dataclass(frozen=True)
class BrokenLink(LinkSystem):
    """A link that does what it is told."""

    how: str = ""

    def encode(self, picture, budget, belief, csit=None):
        symbols = np.ones(40, np.complex64)
        match self.how:
            case "long":
                symbols = np.ones(budget + 1, np.complex64)
            case "loud":
                symbols *= 2
            case "nan":
                symbols[1] = np.inf
            case "wide":
                symbols = symbols.astype(np.complex128)
            case "matrix":
                symbols = symbols.reshape(4, 10)
            case "raises":
                raise RuntimeError("encoder")
            case "tuple":
                return symbols
            case "ends":
                raise Ending
            case "notes":
                return Frame(symbols, 0, *picture.shape[:2], seconds={"encode": "long"})
            case "half":
                return Frame(symbols, 1.5, *picture.shape[:2])
        return Frame(symbols, 50 if self.how == "header" else 0, *picture.shape[:2])

    def decode(self, received, genie=None):
        if self.how == "decoder":
            raise KeyError("decoder")
        if self.how == "nothing":
            return None
        kind = np.float32 if self.how == "float" else np.uint8
        shape = {"grey": (40, 64), "empty": (0, 64, 3)}.get(self.how, (40, 64, 3))
        return Reception(np.zeros(shape, kind), None if self.how == "timeless" else {})


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("long", "BrokenLink made a frame of 3841 uses for a budget of 3840"),
        ("loud", "BrokenLink made symbols of mean power 4.000, above 1"),
        ("nan", "BrokenLink made symbols that are not finite"),
        ("wide", "BrokenLink made symbols that are complex128 [40], not complex64 [uses]"),
        ("matrix", "BrokenLink made symbols that are complex64 [4, 10], not complex64 [uses]"),
        ("raises", "BrokenLink raised RuntimeError: encoder"),
        ("tuple", "BrokenLink encoded to a ndarray, not to a Frame"),
        ("header", "BrokenLink says that 50 of 40 uses are the header"),
        ("decoder", "BrokenLink raised KeyError: 'decoder'"),
        ("nothing", "BrokenLink made NoneType of a picture, not an array of uint8"),
        ("float", "BrokenLink made an array of float32 of a picture, not an array of uint8"),
        ("grey", "BrokenLink made a picture of shape [40, 64], not [H, W, 3]"),
        ("empty", "BrokenLink made a picture of shape [0, 64, 3], not [H, W, 3]"),
        ("ends", "BrokenLink raised Ending: Ending without words"),
        ("notes", "BrokenLink took 'long' seconds to encode, which is no time"),
        ("half", "BrokenLink says that 1.5 of 40 uses are the header"),
        ("timeless", "BrokenLink says None of its seconds, not how many by stage"),
    ],
)
def test_a_link_that_breaks_its_promise(folder, how, message):
    row = run_trial(only(systems=[BrokenLink(how)]))
    assert (row.status, row.error) == ("failed", message)
    with pytest.raises(InputError) as caught:
        BrokenLink(how).transmit(photograph(40, 64), AWGN(10.0), 3840, np.random.default_rng(0))
    assert str(caught.value) == message


NOTES = {
    "timeless": {"seconds": None},
    "coder": {"coder": 5},
    "papr": {"papr_db": "low"},
    "made": {"header_snr_db": "high"},
    "index": {"index": "ABC"},
    "outside": {"index": np.array([0, 2, 0, 1])},
}


@dataclass(frozen=True)
class BrokenSystem(System):
    """A system that does what it is told."""

    ratios = RatioSet((16, 32))

    how: str = ""

    def _transmit(self, picture, channel, budget, rng, belief):
        right = Transmission(picture.copy(), 10, 5, False)
        match self.how:
            case "uses":
                return replace(right, uses=budget + 1)
            case "header":
                return replace(right, header_uses=11)
            case "size":
                return replace(right, picture=picture[:-1])
            case "outage":
                return replace(right, outage=None)
            case "seconds":
                return replace(right, seconds={"encode": float("nan")})
            case "none":
                return None
            case "spoils":
                picture[:] = 0
                return right
            case "numpy":
                levels = {"papr_db": np.float32(3), "header_snr_db": np.float64(4)}
                whole = {"uses": np.int64(10), "header_uses": np.int16(5)}
                return replace(right, seconds={"encode": np.float32(1)}, **whole, **levels)
        if self.how in NOTES:
            return replace(right, **NOTES[self.how])
        raise ValueError("sorry")

    def prepare(self):
        if self.how == "prepare":
            raise OSError("no weights")

    def check(self, channel):
        if self.how == "check":
            raise KeyError("channel")

    def version(self):
        return 5 if self.how == "version" else "1"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("uses", "BrokenSystem spent 3841 uses, which is no whole number from 0 to 3840"),
        ("header", "BrokenSystem spent 11 header uses, which is no whole number from 0 to 10"),
        ("size", "BrokenSystem made a picture of shape [39, 64, 3] of one of [40, 64, 3]"),
        ("outage", "BrokenSystem says that an outage is None, not True or False"),
        ("seconds", "BrokenSystem took nan seconds to encode, which is no time"),
        ("none", "BrokenSystem returned a NoneType, not a Transmission"),
        ("raises", "BrokenSystem raised ValueError: sorry"),
        ("timeless", "BrokenSystem says None of its seconds, not how many by stage"),
        ("coder", "BrokenSystem says that 5 coded the picture, which is no name"),
        ("papr", "BrokenSystem says that its PAPR is 'low', which is no number of dB"),
        ("made", "BrokenSystem made its header for 'high', which is no number of dB"),
        ("index", "BrokenSystem made an index that is str, not whole numbers [4]"),
        ("outside", "BrokenSystem made an index outside 0 to 1, its ratios"),
        ("prepare", "BrokenSystem raised OSError: no weights"),
    ],
)
def test_a_system_that_breaks_its_promise(folder, how, message):
    row = run_trial(only(systems=[BrokenSystem(how)]))
    assert (row.status, row.error) == ("failed", message)


def test_a_system_that_spoils_its_picture_is_measured_against_what_was_sent(folder):
    picture = photograph(40, 64)
    sent = jscc_sim.transmit(picture, snr_db=10, cbr="1/2", system=BrokenSystem("spoils"))
    assert np.array_equal(picture, photograph(40, 64))
    assert sent.psnr_db is None  # it took its copy before
    assert run_trial(only(systems=[Black()])).psnr_db < 20


@dataclass(frozen=True)
class Black(System):
    """Gives what it was given, which it has painted black."""

    def _transmit(self, picture, channel, budget, rng, belief):
        picture[:] = 0
        return Transmission(picture, 10, 5, False)


def test_numbers_of_numpy_go_into_tables(folder):
    sent = jscc_sim.transmit("a.png", snr_db=10, cbr="1/2", system=BrokenSystem("numpy"))
    json.dumps([sent.uses, sent.header_uses, sent.papr_db, sent.header_snr_db, dict(sent.seconds)])
    rows = jscc_sim.sweep("a.png", snr_db=10, cbr="1/2", systems=BrokenSystem("numpy"))
    assert list(rows["status"]) == ["ok"]
    assert list(rows["papr_db"]) == [3.0]


def test_a_check_that_fails_is_named(folder):
    with pytest.raises(InputError, match="BrokenSystem raised KeyError: 'channel'"):
        jscc_sim.transmit("a.png", snr_db=10, cbr="1/2", system=BrokenSystem("check"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "two", "Odd has format = 'two', which is no whole number"),
        ("realisable", "no", "Odd has realisable = 'no', not True or False"),
    ],
)
def test_what_a_class_says_of_itself(folder, field, value, message):
    odd = type("Odd", (Black,), {field: value})()
    with pytest.raises(InputError, match=message):
        grid(systems=[odd]).trials()


@dataclass(frozen=True)
class Masked(Metric):
    """A field that has no hash."""

    column, label = "masked", "masked"
    mask: object = None

    def _measure(self, picture, reference):
        return float(np.sum(self.mask))


METRICS = """
from dataclasses import dataclass
from jscc_sim.metrics import Metric

class Loud(Metric):
    column, label = "snr_db", "loud"
    def _measure(self, picture, reference): return 1.0

class Psnr(Loud):
    column = "psnr_db"

class Lines(Loud):
    column, label = "lines", "two\\nlines"
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Loud", "metrics: column snr_db of Loud() is one that every row has"),
        ("Psnr", "metrics: column psnr_db of Psnr() is one that every row has"),
        ("Lines", "metric Lines: label 'two\\nlines' is no line that can be printed"),
    ],
)
def test_columns_that_are_there_already(folder, capsys, name, message):
    (folder / "loud.py").write_text(METRICS)
    words = ["transmit", "a.png", "--snr-db", "10", "--cbr", "1/2", "--system", "softcast", "--json"]
    assert main([*words, "--metrics", f"loud.py:{name}"]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert message in err


def test_a_metric_of_arrays(folder):
    (trial,) = grid(metrics=[Masked(np.ones(3))]).trials()
    assert run_trial(trial).metrics == {"masked": 3.0}
    assert trial.key != grid(metrics=[Masked(np.zeros(3))]).trials()[0].key


@dataclass(frozen=True)
class BrokenMetric(Metric):
    """A metric that does what it is told."""

    column, label = "broken", "broken"
    how: str = ""

    def _measure(self, picture, reference):
        match self.how:
            case "huge":
                return 10**400
            case "budget":
                raise BudgetError("mine")
            case "outage":
                raise OutageError("mine")
        raise Ending


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("huge", "metric BrokenMetric raised OverflowError: int too large to convert to float"),
        ("budget", "metric BrokenMetric raised BudgetError: mine"),
        ("outage", "metric BrokenMetric raised OutageError: mine"),
        ("ends", "metric BrokenMetric raised Ending: Ending without words"),
    ],
)
def test_a_metric_that_breaks_its_promise(folder, how, message):
    """No outage, and no budget that is too small."""
    row = run_trial(only(metrics=[BrokenMetric(how)]))
    assert (row.status, row.error) == ("failed", message)


def test_a_version_that_is_no_text(folder):
    with pytest.raises(InputError, match="BrokenSystem has a version that is a int, not text"):
        grid(systems=[BrokenSystem("version")]).trials()


class BrokenCodec(Codec):
    """A codec that does what it is told."""

    name, levels, how = "broken", 3, ""

    def encode(self, picture, level):
        if self.how == "raises":
            raise ValueError("encoder")
        if self.how == "ending":
            raise Ending
        if self.how == "nothing":
            return b""
        if self.how == "spoils":
            picture[:] = 0
        return "text" if self.how == "text" else bytes([40, 64, level])

    def size(self, data):
        return (40.5, 64) if self.how == "half" else (data[0], data[1])

    def decode(self, data):
        if self.how == "ends":
            raise SystemExit(1)
        if self.how == "float":
            return np.full((40, 64, 3), np.nan)
        return np.zeros((40, 63 if self.how == "size" else 64, 3), np.uint8)

    def version(self):
        return "1"


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raises", "broken cannot code 40x64 pixels: encoder"),
        ("text", "broken encodes to a str, not to bytes"),
        ("ending", "broken cannot code 40x64 pixels: Ending without words"),
        ("nothing", "broken encodes to no bytes at all"),
        ("half", "not a broken file: 'float' object cannot be interpreted as an integer"),
        ("ends", "broken file cannot be decoded: 1"),
        ("float", "broken file decodes to float64, not to an array of uint8"),
        ("size", "broken file of 40x64 pixels decodes to (40, 63, 3)"),
    ],
)
def test_a_codec_that_breaks_its_promise(folder, how, message):
    codec = type("BrokenCodec", (BrokenCodec,), {"how": how})()
    with pytest.raises(InputError) as caught:
        codec.decompress(codec.compress(photograph(40, 64), 800))
    assert str(caught.value) == message


def test_a_codec_that_spoils_its_picture(folder):
    picture = photograph(40, 64)
    type("BrokenCodec", (BrokenCodec,), {"how": "spoils"})().compress(picture, 800)
    assert np.array_equal(picture, photograph(40, 64))


class Painting(ComplexityEstimator):
    def _score(self, blocks):
        blocks[:] = 0
        return np.ones(len(blocks))


@dataclass(frozen=True)
class Constant(ComplexityEstimator):
    def _score(self, blocks):
        return np.ones(len(blocks))


class Levelling(AllocationPolicy):
    """Forgets all errors and then allocates as the default does."""

    needs = Lagrangian.needs

    def _allocate(self, blocks, ratios, budget):
        index = Lagrangian().allocate(blocks, ratios, budget)
        for known in (blocks.score, blocks.mse, blocks.energy):
            if known is not None:
                known[:] = 0
        return index


def test_what_plugins_do_to_their_arguments_stays_with_them(folder):
    """The sender still has its picture, and the zoo its table."""

    def psnr_db(**more):
        return jscc_sim.transmit("a.png", snr_db=10, cbr="1/4", zoo="linear", **more).psnr_db

    assert psnr_db(complexity=Painting()) == psnr_db(complexity=Constant())
    before = psnr_db()
    assert [psnr_db(policy=Levelling()), psnr_db()] == [before, before]


def test_an_instance_that_cannot_be_sent(folder):
    @dataclass(frozen=True)
    class Open(System):
        handle: object = field(compare=False)

        def _transmit(self, picture, channel, budget, rng, belief):
            return None

    with (
        open("a.png", "rb") as handle,
        pytest.raises(InputError, match=r"Open\(.*cannot be sent to workers: TypeError"),
    ):
        grid(systems=[Open(handle)])


class OwnInit(Channel):
    """Not a dataclass of its own."""

    def __init__(self, snr_db, rate=0.1):
        super().__init__(snr_db)
        self.rate = rate

    def _disturb(self, symbols, fading, noise, estimation):
        return Received(symbols, 0.1)


@dataclass(frozen=True)
class Derived(OwnInit):
    """What it sets follows from its fields."""

    share: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "table", (self.snr_db, self.share))


class Weighted(Metric):
    """Not a dataclass of its own either."""

    column, label = "weighted", "weighted"

    def __init__(self, weight):
        self.weight = weight

    def _measure(self, picture, reference):
        return self.weight


def test_what_an_init_of_ones_own_sets_is_known(folder):
    """Two instances that differ are two, and no row of one is taken for the other's."""
    found = []
    for weight in (1.0, 2.0):
        trials = grid(metrics=[Weighted(weight)]).trials()
        run(trials, folder / "rows.sqlite", Given(ThreadPoolExecutor(1)))
        rows = table(folder / "rows.sqlite")
        found += list(rows[rows["key"] == trials[0].key]["weighted"])
    assert found == [1.0, 2.0]


def test_a_channel_whose_state_is_no_field(folder):
    """At another SNR it would be another channel."""
    assert grid(channels=[OwnInit(10.0)]).trials()
    with pytest.raises(InputError, match=r"channel OwnInit\(rate=0.5\): rate is no field: write @dataclass"):
        grid(channels=[OwnInit(10.0, 0.5)])
    (row,) = (run_trial(trial) for trial in grid(channels=[Derived(10.0)]).trials())
    assert row.status == "ok"


@dataclass(frozen=True)
class Drawing(Metric):
    """A field that Python writes with its address in memory."""

    column, label = "drawing", "drawing"
    rng: object = None

    def _measure(self, picture, reference):
        return 1.0


class Addressed:
    def __repr__(self):
        return object.__repr__(self)


@pytest.mark.parametrize("make", [lambda: np.random.default_rng(1), Addressed])
def test_no_address_is_in_a_key(make):
    assert plugin_sha256(Drawing(make())) == plugin_sha256(Drawing(make()))
    assert plugin_sha256(Drawing(np.random.default_rng(1))) != plugin_sha256(
        Drawing(np.random.default_rng(2))
    )
