"""What `--dry-run` says of the time: sums that are known, on a clock that the work itself moves."""

import os

import pytest
from processes import photograph, save

from jscc_sim.codecs.pillow import JPEG
from jscc_sim.sweeps import Grid, SystemSpec
from jscc_sim.sweeps import estimate as estimating
from jscc_sim.sweeps.estimate import estimate_seconds
from jscc_sim.sweeps.work import forget_frames
from jscc_sim.systems.block_jscc import BlockJSCC

MAKING, LOADING, SENDING = 3.0, 100.0, 0.5


@pytest.fixture
def clock(monkeypatch):
    """Seconds so far. `add(cls, name, seconds)`: each call of a method takes so long."""

    class Clock:
        now = 0.0

        def add(self, cls, name, *seconds):
            """The last of the seconds holds for all further calls."""
            method, left = getattr(cls, name), list(seconds)

            def timed(*words, **more):
                self.now += left.pop(0) if len(left) > 1 else left[0]
                return method(*words, **more)

            monkeypatch.setattr(cls, name, timed)

    clock = Clock()
    monkeypatch.setattr(estimating.time, "perf_counter", lambda: clock.now)
    forget_frames()
    return clock


@pytest.fixture
def picture(tmp_path):
    save(photograph(64, 96), tmp_path / "a.png")
    return str(tmp_path / "a.png")


def trials(picture, *systems, **more):
    points = {"channels": ["awgn"], "snr_db": [10], "cbr": ["1/2"], **more}
    return Grid([picture], list(systems), **points).trials()


def test_a_frame_is_made_afresh_and_nothing_is_loaded(picture, clock):
    clock.add(BlockJSCC, "encode", LOADING, MAKING)
    clock.add(BlockJSCC, "decode", LOADING, SENDING)
    own = SystemSpec("block-jscc", "linear", "uniform")
    assert estimate_seconds(trials(picture, own), 1) == MAKING + SENDING


def test_each_frame_is_made_once_and_sent_often(picture, clock):
    """Repeats, and SNRs that the sender does not know of, share a frame; workers share the work."""
    clock.add(BlockJSCC, "encode", MAKING)
    clock.add(BlockJSCC, "decode", SENDING)
    own = SystemSpec("block-jscc", "linear", "uniform", sender_snr_db=9)
    points = trials(picture, own, snr_db=[9, 10], cbr=["1/3", "1/2"], repeats=3)
    assert estimate_seconds(points, 1) == pytest.approx(2 * MAKING + 12 * SENDING)
    assert estimate_seconds(points, 4) == pytest.approx((2 * MAKING + 12 * SENDING) / 4)
    foreseeing = trials(picture, SystemSpec("block-jscc", "linear", "oracle"), repeats=3)
    assert estimate_seconds(foreseeing, 1) == pytest.approx(3 * (MAKING + SENDING)), "it knows each draw"


@pytest.mark.parametrize("name", ["jpeg+ideal", "jpeg+ldpc-abstraction"])
def test_files_from_before_do_not_count(picture, clock, name, tmp_path, monkeypatch):
    """Nor do files that the first run left behind: a sweep has to make its own."""
    monkeypatch.setenv("JSCC_SIM_CACHE", str(tmp_path / "cache"))
    clock.add(JPEG, "encode", 1.0)
    points = trials(picture, SystemSpec(name))
    first = estimate_seconds(points, 1)
    assert first > 4, "a search takes several files"
    assert estimate_seconds(points, 1) == first
    assert os.environ["JSCC_SIM_CACHE"] == str(tmp_path / "cache")
    assert estimate_seconds(trials(picture, SystemSpec(name), repeats=5), 1) == first


def test_unknown_where_nothing_ends_well(picture):
    assert estimate_seconds(trials(picture, SystemSpec("jpeg+ideal"), cbr=["1/5000"]), 1) is None
