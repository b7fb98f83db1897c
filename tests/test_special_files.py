"""Inputs that are pipes, devices or without end: one sentence at once, wherever a file is read."""

import gzip
import os
import shutil
import time

import pytest
from processes import one_process, photograph, save
from refusals import assert_refused, channel, decode, some_symbols, transmit
from sweeps import pretend, trial

from jscc_sim.codecs.cache import cached
from jscc_sim.errors import InputError
from jscc_sim.files import check_regular, read_regular
from jscc_sim.plots import table as tables
from jscc_sim.plots.table import read_csv
from jscc_sim.recording import write_recording
from jscc_sim.sweeps import export_csv
from jscc_sim.sweeps.store import Store
from jscc_sim.training.log import read_log
from jscc_sim.zoo import load_zoo

REFUSED = {
    "picture": transmit(image="{}.png"),
    "recording's metadata": channel("meta-{}"),
    "recording's samples": channel("data-{}"),
    "received": decode("meta-{}"),
    "table": ("plot", "{}", "--out", "x.png"),
    "report": ("report", "{}", "-o", "x.html"),
    "reference": ("report", "s.sqlite", "-o", "x.html", "--reference", "{}"),
    "store": ("export", "{}", "--csv", "x.csv"),
    "store of a sweep": ("sweep", "grid.toml", "--store", "{}"),
    "grid": ("sweep", "{}", "--store", "x.sqlite"),
    "manifest": transmit(zoo="manifest-{}"),
    "weights": transmit("--side-info", "genie", zoo="weights-{}"),
    "policy": transmit("--policy", "{}.py:Mine"),
    "model": ("compress", "good.png", "--codec", "gmm", "--zoo", "manifest-{}", "-o", "x.jsc"),
    "compressed": ("decompress", "{}", "-o", "x.png"),
    "calibrated": ("calibrate", "pictures", "--zoo", "manifest-{}"),
}
KINDS = ("pipe", "zero")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    place = tmp_path_factory.mktemp("special")
    save(photograph(), place / "good.png")
    (place / "pictures").mkdir()
    (place / "grid.toml").write_text("")
    with Store(place / "s.sqlite") as store:
        store.add(pretend(trial()))
    names = ["{}", "{}.png", "{}.py", "meta-{}.sigmf-meta", "data-{}.sigmf-data"]
    names += ["manifest-{}/manifest.json", "weights-{}/weights.safetensors"]
    for kind in KINDS:
        write_recording(place / f"meta-{kind}", some_symbols(), description="")
        write_recording(place / f"data-{kind}", some_symbols(), description="")
        for name in ("manifest", "weights"):
            shutil.copytree(load_zoo("linear").folder, place / f"{name}-{kind}")
        for name in (place / name.format(kind) for name in names):
            name.unlink(missing_ok=True)
            os.mkfifo(name) if kind == "pipe" else name.symlink_to("/dev/zero")
    commands = {
        (case, kind): tuple(word.format(kind) for word in argv)
        for case, argv in REFUSED.items()
        for kind in KINDS
    }
    return dict(zip(commands, one_process(commands.values(), place, seconds=100), strict=True))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_regular_file_is_refused(ran, case, kind):
    assert_refused(ran[case, kind], [kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_entry_that_is_none_is_made_again(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("JSCC_SIM_CACHE", str(tmp_path))
    picture, made = photograph(8, 8), []

    def make(level):
        made.append(level)
        return b"file"

    assert cached("c", "1", picture, make)(0) == b"file"
    (entry,) = tmp_path.rglob("0.bin")
    entry.unlink()
    os.mkfifo(entry) if kind == "pipe" else entry.symlink_to("/dev/zero")
    assert cached("c", "1", picture, make)(0) == b"file"
    assert cached("c", "1", picture, make)(0) == b"file"
    assert made == [0, 0]
    assert entry.is_file()
    assert not entry.is_symlink()


def test_files_have_a_limit(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12345")
    assert read_regular(path, 5) == b"12345"
    with pytest.raises(OSError, match="its 5 bytes are more than 4, the limit"):
        check_regular(path, 4)
    huge = tmp_path / "huge.png"
    shutil.copy(save(photograph(), tmp_path / "good.png"), huge)
    os.truncate(huge, 1 << 40)  # of nothing
    ran = one_process([transmit(image="huge.png"), ("plot", "huge.png", "--out", "x.png")], tmp_path)
    for one in ran:
        assert_refused(one, ["huge.png", "bytes are more than"])


def test_a_log_of_training_is_a_file(tmp_path):
    """A resumed run waited for a pipe for ever, and read zeros until memory was full."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(InputError, match=f"{name} is not a log of training: .*not a regular file"):
            read_log(tmp_path / name)


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def exported(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.add(pretend(trial()))
    export_csv(tmp_path / "s.sqlite", tmp_path / "t.csv")
    return tmp_path / "t.csv"


def test_a_packed_table_is_read_up_to_a_limit(exported, monkeypatch):
    packed = exported.with_suffix(".csv.gz")
    packed.write_bytes(gzip.compress(exported.read_bytes()))
    assert read_csv(packed).equals(read_csv(exported))
    for damaged in (packed.read_bytes()[:-9], packed.read_bytes() * 2, packed.read_bytes()[:20] + b"x" * 99):
        (exported.parent / "bad.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"bad\.gz cannot be read as a CSV table"):
            read_csv(exported.parent / "bad.gz")
    monkeypatch.setattr(tables, "LARGEST_UNPACKED_BYTES", 100)
    with pytest.raises(InputError, match="it has more than 100 bytes unpacked, the limit"):
        read_csv(packed)


def test_a_packed_table_of_nothing_takes_no_time(tmp_path):
    """Five gigabytes of zeros once they are unpacked."""
    member = gzip.compress(bytes(1 << 24), compresslevel=1)
    (tmp_path / "zeros.csv.gz").write_bytes(member * 320)
    started = time.monotonic()
    with pytest.raises(InputError, match="cannot be read as a CSV table"):
        read_csv(tmp_path / "zeros.csv.gz")
    assert time.monotonic() - started < 5


def test_a_table_of_one_endless_line(tmp_path):
    (tmp_path / "t.csv").write_bytes(bytes(1 << 21))
    with pytest.raises(InputError, match="its first line has more than 1048576 bytes"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("name", ["http://localhost:9/t.csv", "file:///etc/passwd", "s3://bucket/t.csv"])
def test_nothing_is_fetched(name):
    with pytest.raises(InputError, match="No such file or directory"):
        read_csv(name)
