"""Outputs: never over what is read, through links, into pipes; what a killed program left is tidied away."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from processes import one_process, photograph, program, save
from refusals import assert_refused, channel, encode, some_symbols, transmit
from sweeps import pretend, trial, write_grid

from jscc_sim import zoo as zoos
from jscc_sim.cli import main
from jscc_sim.errors import InputError
from jscc_sim.files import check_apart, check_writable, write_whole
from jscc_sim.images import write_picture
from jscc_sim.recording import write_recording
from jscc_sim.sweeps import export_csv, run, table
from jscc_sim.sweeps.store import Store, settled
from jscc_sim.zoo import load_zoo, save_calibration, update_manifest

LINEAR = load_zoo("linear")
TABLE = ("report", "s.sqlite", "-o")


def files(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- never over what is read ----------------------------------------------------------------------

OVER = {
    "export": (("export", "s.sqlite", "--csv", "s.sqlite"), "s.sqlite"),
    "export by a link": (("export", "s.sqlite", "--csv", "soft.csv"), "soft.csv"),
    "export by a hard link": (("export", "s.sqlite", "--csv", "hard.csv"), "hard.csv"),
    "export over the log": (("export", "s.sqlite", "--csv", "s.sqlite-wal"), "s.sqlite-wal"),
    "report": ((*TABLE, "./s.sqlite"), "./s.sqlite"),
    "report over a reference": ((*TABLE, "r.csv", "--reference", "r.csv"), "r.csv"),
    "report over a folder's": ((*TABLE, "refs/a.csv", "--reference", "refs"), "refs/a.csv"),
    "plot": (("plot", "table.png", "--out", "table.png"), "table.png"),
    "transmit": (transmit("--out", "good.png"), "good.png"),
    "transmit to its folder": (transmit("--out", "."), "good.png"),
    "transmit several to theirs": (("transmit", "flat.png", *transmit("--out", ".")[1:]), "flat.png"),
    "figure": (transmit("--figure", "good.png"), "good.png"),
    "figure over the output": (transmit("--figure", "new.png", "--out", "./new.png"), "new.png"),
    "encode": (encode(image="x.sigmf-data", out="x"), "x.sigmf-data"),
    "channel": (channel("tx", out="tx.sigmf-meta"), "tx.sigmf-meta"),
    "channel's estimate": (channel("tx-channel", "--channel", "rayleigh-fast", out="tx"), "tx-channel"),
    "decode": (("decode", "tx", "--out", "rx.png", "--zoo", "linear"), "rx.png"),
    "compress": (("compress", "good.png", "--codec", "jpeg", "-o", "good.png"), "good.png"),
    "compress over weights": (
        ("compress", "good.png", "--zoo", "zoo", "-o", "zoo/weights.safetensors"),
        "weights.safetensors",
    ),
    "decompress": (("decompress", "flat.png", "-o", "flat.png"), "flat.png"),
    "sweep over its grid": (("sweep", "grid.toml", "--store", "grid.toml"), "grid.toml"),
    "sweep beside its grid": (("sweep", "g-wal", "--store", "g"), "g-wal"),
    "training over a picture": (("train", "album", "--out", "album", "--steps", "1"), "training.png"),
    "training over a link's": (("train", "album", "--out", "drawn", "--steps", "1"), "training.png"),
    "training over its start": (("train", "pictures", "--out", "./conv", "--start", "conv-link"), "conv"),
}  # fmt: skip


@pytest.fixture(scope="module")
def over(tmp_path_factory):
    place = tmp_path_factory.mktemp("over")
    with Store(place / "s.sqlite") as store:
        store.add(pretend(trial()))
    (place / "soft.csv").symlink_to("s.sqlite")
    (place / "hard.csv").hardlink_to(place / "s.sqlite")
    (place / "refs").mkdir()
    for name in ("r.csv", "refs/a.csv", "table.png"):
        (place / name).write_text("a,b\n1,2\n")
    for name in ("good.png", "flat.png", "x.png"):
        save(photograph(), place / name)
    (place / "x.png").rename(place / "x.sigmf-data")
    for name in ("tx", "tx-channel"):
        write_recording(place / name, some_symbols(), description="")
    (place / "rx.png").symlink_to("tx.sigmf-data")
    for name in ("linear", "conv"):
        shutil.copytree(load_zoo(name).folder, place / name)
    (place / "linear").rename(place / "zoo")
    (place / "conv-link").symlink_to("conv")
    (place / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        save(photograph(), place / "pictures" / name)
    (place / "album").mkdir()
    for name in ("a.png", "training.png"):
        save(photograph(), place / "album" / name)
    (place / "drawn").mkdir()
    (place / "drawn" / "training.png").symlink_to("../album/training.png")
    write_grid(place)
    shutil.copy(place / "grid.toml", place / "g-wal")
    before = files(place)
    ran = dict(zip(OVER, one_process([argv for argv, _ in OVER.values()], place), strict=True))
    return ran, before, files(place)


@pytest.mark.parametrize("case", OVER)
def test_an_output_never_replaces_an_input(over, case):
    assert_refused(over[0][case], ["would replace", OVER[case][1]])


def test_the_inputs_are_whole(over):
    assert over[1] == over[2]


def test_an_export_never_replaces_its_store(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.add(pretend(trial()))
    (tmp_path / "link").symlink_to("s.sqlite")
    for target in ("s.sqlite", "link"):
        with pytest.raises(InputError, match=r"would replace .*s\.sqlite, which is read"):
            export_csv(tmp_path / "s.sqlite", tmp_path / target)
    assert len(table(tmp_path / "s.sqlite")) == 1


def test_a_store_never_replaces_a_picture(tmp_path):
    picture = save(photograph(), tmp_path / "a.png")
    before = picture.read_bytes()
    log = picture.rename(tmp_path / "a-wal")
    with pytest.raises(InputError, match=r"would replace .*a-wal, which is read"):
        run([trial(path=str(log))], tmp_path / "a")
    assert log.read_bytes() == before


def test_thousands_of_outputs_are_told_apart_at_once(tmp_path):
    """Each against each would take minutes."""
    names = [tmp_path / f"{n}.png" for n in range(5000)]
    check_apart([tmp_path / "out" / name.name for name in names], names)


# --- stores and weights that are not the user's ---------------------------------------------------


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory", "file::memory:", "/dev/null"])
def test_a_store_is_a_file_on_a_disk(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for attempt in (Store, settled, lambda store: run([], store)):
        with pytest.raises(InputError, match="its rows would not be kept"):
            attempt(name)
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_into_memory_is_refused_at_once(tmp_path):
    write_grid(tmp_path)
    for more in ((), ("--dry-run",)):
        ran = program("sweep", "grid.toml", "--store", ":memory:", *more, cwd=tmp_path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == "jscc-sim: store :memory: is no file on a disk: its rows would not be kept\n"


def test_released_zoos_stay_as_they_are(tmp_path, monkeypatch):
    for change in (
        lambda: save_calibration(LINEAR, LINEAR.predictor, {}),
        lambda: update_manifest(LINEAR, note="mine"),
    ):
        with pytest.raises(InputError, match="zoo linear is a released one: copy its folder"):
            change()
    shutil.copytree(LINEAR.folder, tmp_path / "installed" / "linear")
    (tmp_path / "link").symlink_to("installed/linear")
    monkeypatch.setattr(zoos, "models_folder", lambda: tmp_path / "installed")
    with pytest.raises(InputError, match="is a released one"):
        save_calibration(load_zoo(str(tmp_path / "link")), LINEAR.predictor, {})


def test_training_leaves_installed_weights_alone(tmp_path, monkeypatch, capsys):
    for name in ("linear", "vae"):
        (tmp_path / "installed" / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to("installed/linear")
    monkeypatch.setattr(zoos, "models_folder", lambda: tmp_path / "installed")
    for out in ("link", "installed/vae", "installed"):
        assert main(["train", "pictures", "--out", str(tmp_path / out), "--bank", "linear"]) == 2
        assert "is of released weights, which stay as they are" in capsys.readouterr().err
    assert files(tmp_path) == {}


def test_training_never_draws_among_its_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        save(photograph(), tmp_path / name)
    before = files(tmp_path)
    assert main(["train", str(tmp_path), "--out", ".", "--steps", "1"]) == 2
    assert "output folder . holds pictures that are read, a.png: name another" in capsys.readouterr().err
    assert files(tmp_path) == before


def test_a_copy_that_is_links_does_not_change_what_they_point_to(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(LINEAR.folder, source)
    (tmp_path / "mine").mkdir()
    for path in source.iterdir():
        (tmp_path / "mine" / path.name).symlink_to(path)
    before = files(source)
    save_calibration(load_zoo(str(tmp_path / "mine")), LINEAR.predictor, {"by": "me"})
    assert files(source) == before
    assert load_zoo(str(tmp_path / "mine")).manifest["calibration"] == {"by": "me"}


# --- links, pipes, devices, what a killed program left --------------------------------------------


def test_a_link_stays_and_its_target_is_written(tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.csv"
    (tmp_path / "link.csv").symlink_to(target)
    for content in (b"first", b"second"):  # it dangles; it does not
        write_whole(tmp_path / "link.csv", lambda handle, content=content: handle.write(content))
        assert (tmp_path / "link.csv").is_symlink()
        assert target.read_bytes() == content
    target.chmod(0o600)
    write_whole(tmp_path / "link.csv", lambda handle: handle.write(b"third"))
    assert target.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in target.parent.iterdir()] == ["real.csv"]


def test_a_pipe_gets_the_content_and_stays_a_pipe(tmp_path):
    pipe, got = tmp_path / "pipe.png", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_picture(photograph(), pipe)
    reader.join(timeout=10)
    assert pipe.is_fifo()
    write_picture(photograph(), tmp_path / "file.png")
    assert got == [(tmp_path / "file.png").read_bytes()]


def test_a_device_stays_a_device(tmp_path):
    """As root: elsewhere nobody could replace /dev/null."""
    device = tmp_path / "null"
    try:
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except OSError:
        pytest.skip("no right to make a device here")
    write_whole(device, lambda handle: handle.write(b"content"))
    assert device.is_char_device()
    os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o666, os.makedev(1, 0))
    for attempt in (write_whole, lambda path, _: check_writable(path)):
        with pytest.raises(InputError, match="disk cannot be written: it is neither a file, a pipe nor"):
            attempt(tmp_path / "disk", lambda handle: handle.write(b"content"))


@pytest.mark.parametrize("out", ["-", "/dev/stdout", "link"])
def test_standard_output(tmp_path, out):
    """What is said about it goes to standard error."""
    with Store(tmp_path / "s.sqlite") as store:
        store.add(pretend(trial()))
    export_csv(tmp_path / "s.sqlite", tmp_path / "s.csv")
    (tmp_path / "link").symlink_to("/dev/stdout")
    ran = program("export", "s.sqlite", "--csv", out, cwd=tmp_path)
    assert (ran.code, ran.err) == (0, f"{out}: 1 rows\n")
    assert ran.out == (tmp_path / "s.csv").read_text()
    assert (tmp_path / "link").readlink() == Path("/dev/stdout")
    with (tmp_path / "redirected").open("w") as handle:
        command = [sys.executable, "-m", "jscc_sim", "export", "s.sqlite", "--csv", out]
        subprocess.run(command, cwd=tmp_path, stdout=handle, stderr=subprocess.DEVNULL, check=True)
    assert (tmp_path / "redirected").read_text() == ran.out


KILLED = """
import os, signal, sys
from jscc_sim.files import write_whole
def write(handle):
    handle.write(b"half")
    handle.flush()
    os.kill(os.getpid(), signal.SIGKILL)
write_whole(sys.argv[1], write)
"""


def test_what_a_killed_program_left_is_gone_after_the_next(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.csv")], check=False)
    (left,) = tmp_path.iterdir()
    assert left.read_bytes() == b"half"
    (tmp_path / ".mine.partial.txt").touch()
    write_whole(tmp_path / "b.csv", lambda handle: handle.write(b"whole"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mine.partial.txt", "b.csv"]


def test_what_another_program_is_at_stays(tmp_path):
    def write(handle):
        code = "import sys; from jscc_sim.files import write_whole; write_whole(sys.argv[1], lambda h: None)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path / "b.csv")], check=True)
        handle.write(b"whole")

    write_whole(tmp_path / "a.csv", write)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.csv", "b.csv"]
    assert (tmp_path / "a.csv").read_bytes() == b"whole"


def test_a_name_as_long_as_they_get(tmp_path):
    path = tmp_path / ("n" * 251 + ".csv")
    write_whole(path, lambda handle: handle.write(b"whole"))
    assert path.read_bytes() == b"whole"


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "loop"])
def test_names_that_no_file_can_have(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with Store("s.sqlite") as store:
        store.add(pretend(trial()))
    Path("loop").symlink_to("loop")
    for attempt in (export_csv, lambda _, path: check_writable(path)):
        with pytest.raises(InputError, match="cannot be written"):
            attempt("s.sqlite", name)
    with pytest.raises(InputError, match=r"store .* cannot be used"):
        run([trial()], name)
