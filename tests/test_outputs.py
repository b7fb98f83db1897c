"""Outputs: never over what is read, through links, into pipes; what a killed program left is tidied away."""

import shutil

import pytest
from processes import one_process, photograph, program, save
from refusals import assert_refused, channel, encode, some_symbols, transmit
from sweeps import pretend, trial, write_grid

from jscc_sim.errors import InputError
from jscc_sim.files import check_apart
from jscc_sim.recording import write_recording
from jscc_sim.sweep import export_csv, run, table
from jscc_sim.sweep.store import Store, settled
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


def test_released_zoos_stay_as_they_are():
    for change in (
        lambda: save_calibration(LINEAR, LINEAR.predictor, {}),
        lambda: update_manifest(LINEAR, note="mine"),
    ):
        with pytest.raises(InputError, match="zoo linear is a released one: copy its folder"):
            change()


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
