"""The store: one row per trial whatever happens, clear errors, earlier rows readable."""

import dataclasses
import json
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from sweeps import beside_progress, command, pretend, trial, whole_table, write_grid

from jscc_sim.errors import InputError
from jscc_sim.plots.table import read_csv
from jscc_sim.sweeps import Row, export_csv, table
from jscc_sim.sweeps import store as storing
from jscc_sim.sweeps.row import FAILED, INFEASIBLE
from jscc_sim.sweeps.store import Claim, Result, Store, settled


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.sqlite"


@pytest.fixture
def filled(path):
    """Three rows: ok, infeasible, failed."""
    with Store(path) as store:
        store.add(pretend(trial(0)))
        store.add(trial(1).row(INFEASIBLE, "too small"))
        store.add(trial(2).row(FAILED, "no luck"))
    return path


def test_rows_come_back_as_they_were(path):
    measured = {"psnr_db": 0.1 + 0.2, "ssim": None, "metrics": {"sharpness": 0.5}}
    row = dataclasses.replace(pretend(trial()), **measured, stage_seconds={"encode": 1e-17})
    with Store(path) as store:
        store.add(row)
    (found,) = table(path).to_dict("records")
    assert found.pop("sharpness") == 0.5
    assert list(found) == [f.name for f in dataclasses.fields(Row) if f.name != "metrics"]
    for name, value in dataclasses.asdict(row).items():
        if name == "metrics":
            continue
        if value is None:
            assert pd.isna(found[name])
        elif isinstance(value, dict):
            assert json.loads(found[name]) == value
        else:
            assert found[name] == value
            assert isinstance(found[name], type(value))


def test_the_table_has_the_same_types_and_order_for_any_rows(tmp_path, filled):
    mixed = table(filled)
    assert mixed["status"].tolist() == ["ok", INFEASIBLE, FAILED]
    with Store(tmp_path / "reverse.sqlite") as store:
        for repeat in (2, 1, 0):
            store.add(pretend(trial(repeat)))
    whole = table(tmp_path / "reverse.sqlite")
    assert whole["repeat"].tolist() == [0, 1, 2]
    with Store(tmp_path / "empty.sqlite"):
        pass
    empty = table(tmp_path / "empty.sqlite")
    assert len(empty) == 0
    assert mixed.dtypes.equals(whole.dtypes)
    assert mixed.dtypes.equals(empty.dtypes)


def test_what_is_settled_and_what_is_replaced(filled):
    with Store(filled) as store:
        assert store.settled() == settled(filled) == {trial(0).key, trial(1).key}
        store.add(trial(0).row(FAILED, "a second runner"))
        store.add(pretend(trial(2)))
        keys = [trial(repeat).key for repeat in range(4)]
        assert store.results(keys) == {
            keys[0]: Result("ok", None), keys[1]: Result(INFEASIBLE, "too small"), keys[2]: Result("ok", None)
        }  # fmt: skip
    assert len(table(filled)) == 3
    assert settled(filled.parent / "none.sqlite") == set()


def test_claims(filled):
    with Store(filled) as one, Store(filled) as other:
        assert one.claim(trial(0).key) is one.claim(trial(1).key) is Claim.OVER
        assert one.claim(trial(2).key) is Claim.OURS  # it failed before this runner began
        assert one.claim(trial(5).key) is Claim.OURS
        assert one.claim(trial(5).key) is Claim.OURS
        assert other.claim(trial(5).key) is Claim.THEIRS
        one.add(trial(2).row(FAILED, "again"))
        assert one.claim(trial(2).key) is other.claim(trial(2).key) is Claim.OVER
        assert other.claim(trial(6).key) is Claim.OURS
    with Store(filled) as third:
        assert (
            third.claim(trial(5).key) is third.claim(trial(6).key) is third.claim(trial(2).key) is Claim.OURS
        )


HOLDER = """
import sys, time
from jscc_sim.sweeps.store import Store
from sweeps import beside_progress, trial
store = Store(sys.argv[1])
store.claim(trial(5).key)
print("claimed", flush=True)
time.sleep(60)
"""


def test_the_claims_of_the_dead_are_free(path):
    with Store(path):
        pass
    tests = Path(__file__).parent
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, cwd=tests, text=True
    )
    with holder:
        assert holder.stdout.readline() == "claimed\n"
        with Store(path) as store:
            assert store.claim(trial(5).key) is Claim.THEIRS
            holder.kill()
            holder.wait()
            assert store.claim(trial(5).key) is Claim.OURS


@pytest.mark.parametrize("ahead_s", [30 * 86_400, 50.0])
def test_a_clock_that_is_ahead_keeps_no_claim(path, monkeypatch, ahead_s):
    """A runner of another machine, long dead, whose last word lies in the future; one that still speaks."""
    with Store(path) as theirs, Store(path) as ours:
        theirs.claim(trial().key)
        theirs._db.execute("UPDATE runners SET host = 'elsewhere', heard = heard + ?", (ahead_s,))
        assert ours.claim(trial().key) is Claim.THEIRS
        assert list(ours.others.values()) == ["elsewhere"]
        now = time.monotonic()
        monkeypatch.setattr(storing.time, "monotonic", lambda: now + storing.LEASE_S - 1)
        assert ours.claim(trial().key) is Claim.THEIRS
        theirs._db.execute("UPDATE runners SET heard = heard + 1")
        monkeypatch.setattr(storing.time, "monotonic", lambda: now + storing.LEASE_S + 2)
        assert ours.claim(trial().key) is Claim.THEIRS
        monkeypatch.setattr(storing.time, "monotonic", lambda: now + 2 * storing.LEASE_S + 3)
        assert ours.claim(trial().key) is Claim.OURS


@pytest.mark.parametrize(
    "what", ["heard = NULL", "heard = 'noon'", "process = NULL", "process = 'x y'", "host = NULL"]
)
def test_runners_that_say_nonsense(path, what):
    with Store(path) as theirs, Store(path) as ours:
        theirs.claim(trial().key)
        theirs._db.execute(f"UPDATE runners SET {what} WHERE id = {theirs._runner}")
        assert ours.claim(trial().key) in (Claim.OURS, Claim.THEIRS)


def test_a_silent_runner_loses_its_claims(path, monkeypatch):
    with Store(path) as silent, Store(path) as other:
        silent.claim(trial().key)
        now = time.time()
        monkeypatch.setattr(storing.time, "time", lambda: now + storing.LEASE_S - 5)
        assert other.claim(trial().key) is Claim.THEIRS
        silent.beat()
        monkeypatch.setattr(storing.time, "time", lambda: now + storing.LEASE_S + 5)
        assert other.claim(trial().key) is Claim.THEIRS
        monkeypatch.setattr(storing.time, "time", lambda: now + 2 * storing.LEASE_S)
        assert other.claim(trial().key) is Claim.OURS
        silent.add(pretend(trial()))  # it wakes up: the row is the same, and there once
        other.add(pretend(trial()))
    assert len(table(path)) == 1


def test_a_locked_database(filled):
    before = whole_table(filled)
    with Store(filled, patience_s=0.1) as store, closing(sqlite3.connect(filled)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            InputError, match=r"rows.sqlite cannot be used: another program has kept it locked"
        ):
            store.add(pretend(trial(7)))
        with pytest.raises(InputError, match=r"locked for 0\.1 s"):
            Store(filled, patience_s=0.1)
        pd.testing.assert_frame_equal(whole_table(filled), before)
        other.rollback()
        store.add(pretend(trial(7)))
    assert len(table(filled)) == 4


def add_many(store, count):
    for repeat in range(10, count):
        store.add(pretend(trial(repeat)))


def test_a_full_disk_as_sqlite_tells_it(filled):
    before = whole_table(filled)
    with Store(filled) as store:
        pages = store._db.execute("PRAGMA page_count").fetchone()[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(InputError, match="the disk is full; the rows so far are kept"):
            add_many(store, 200)
        found = table(filled)
    assert len(found) >= 3
    pd.testing.assert_frame_equal(whole_table(filled).query("repeat < 3").reset_index(drop=True), before)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 512 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system is not permitted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tmp_path, small_disk):
    grid = write_grid(tmp_path, repeats=100)
    running = command("pretend", "sweep", grid, "--store", small_disk / "o.sqlite", cwd=tmp_path)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2, errors
    assert beside_progress(errors).count("\n") == 1
    assert (
        "o.sqlite cannot be used: the disk is full; the rows so far are kept, and the same command" in errors
    )
    rows = table(small_disk / "o.sqlite")
    assert 5 < len(rows) < 800
    assert set(rows["status"]) == {"ok"}
    with pytest.raises(InputError, match="No space left on device"):
        export_csv(small_disk / "o.sqlite", small_disk / "o.csv")
    assert not list(small_disk.glob("*csv*"))


def test_what_is_no_store(tmp_path):
    text, other, newer, empty = (tmp_path / name for name in ("a.txt", "b.sqlite", "c.sqlite", "d.sqlite"))
    text.write_text("no database at all, and long enough to be none" * 50)
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE letters (a)")
    with Store(newer):
        pass
    with closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 9")
    empty.touch()
    for use in (Store, table, settled):
        with pytest.raises(InputError, match=r"a\.txt cannot be used: it is no store"):
            use(text)
        with pytest.raises(InputError, match=r"b\.sqlite is a database, but no store"):
            use(other)
        with pytest.raises(InputError, match=r"c\.sqlite has version 9, this program knows 1"):
            use(newer)
    with pytest.raises(InputError, match=r"d\.sqlite is no store of a sweep: it is empty"):
        table(empty)
    with Store(empty):
        pass
    assert len(table(empty)) == 0
    with pytest.raises(InputError, match=r"none\.sqlite does not exist"):
        table(tmp_path / "none.sqlite")
    with pytest.raises(InputError, match=r"folder .*nowhere does not exist"):
        Store(tmp_path / "nowhere" / "o.sqlite")
    with pytest.raises(InputError, match="is no regular file"):
        Store(tmp_path)
    assert text.read_text().startswith("no database at all")


def test_export(filled, tmp_path):
    target = tmp_path / "rows.csv"
    assert export_csv(filled, target) == 3
    found = pd.read_csv(target)
    assert found["repeat"].tolist() == [0, 1, 2]
    assert found["mse"].tolist()[0] == pretend(trial(0)).mse
    assert found["uses"].isna().tolist() == [False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.csv", "rows.sqlite"]
    target.write_text("earlier")
    with pytest.raises(InputError):
        export_csv(tmp_path / "none.sqlite", target)
    with pytest.raises(InputError, match="cannot be written"):
        export_csv(filled, tmp_path / "nowhere" / "rows.csv")
    assert target.read_text() == "earlier"


def test_a_store_of_before_a_column_was_there(filled):
    """It is read as it is, its rows empty there; a runner that goes on with it adds the column."""
    before = whole_table(filled).drop(columns=["coder", "papr_db"])
    with closing(sqlite3.connect(filled)) as db:
        for name in ("coder", "papr_db"):
            db.execute(f"ALTER TABLE rows DROP COLUMN {name}")
    old = whole_table(filled)
    assert old["coder"].isna().all()
    assert old["papr_db"].isna().all()
    pd.testing.assert_frame_equal(old.drop(columns=["coder", "papr_db"]), before)
    with Store(filled) as store:
        store.add(dataclasses.replace(pretend(trial(7)), coder="linear", papr_db=9.5))
    new = table(filled)
    assert new["coder"].fillna("").tolist() == ["", "", "", "linear"]
    assert new["papr_db"].tolist()[-1] == 9.5
    assert old.dtypes.equals(whole_table(filled).dtypes)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ("height = 'tall'", "height is 'tall'"),
        ("height = 40.5", "height is '40.5'"),
        ("outage = 7", "outage is '7'"),
        ("metrics = '{'", "metrics are '{'"),
        ("metrics = '[1]'", "metrics are '[1]'"),
        ("""metrics = '{"sharpness": "good"}'""", """metrics are '{"sharpness": "good"}'"""),
        ("image = x'ff00'", "image is"),
        ("zoo_sha256 = x'ff00'", "zoo_sha256 is"),
        ("snr_db = NULL", "snr_db is missing"),
        ("cbr_fraction = NULL", "cbr_fraction is missing"),
        ("mse = mse + 1", "its checksum differs"),
        ("mse = NULL", "its checksum differs"),
        ("image = 'b.png'", "its checksum differs"),
        ("outage = 1 - outage", "its checksum differs"),
        ("stage_seconds = '{}'", "its checksum differs"),
    ],
)
def test_a_damaged_row_is_named(filled, change, wrong):
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute(f"UPDATE rows SET {change} WHERE status = 'ok'")
    with pytest.raises(InputError, match=rf"row 1 is damaged: {re.escape(wrong)}"):
        table(filled)
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("DELETE FROM rows WHERE number = 1")
    assert len(table(filled)) == 2


def test_rows_of_before_there_were_checksums(filled):
    with closing(sqlite3.connect(filled)) as db, db:
        db.execute("ALTER TABLE rows DROP COLUMN checksum")
    whole = table(filled)
    with Store(filled) as store:
        store.add(pretend(trial(9)))
    assert len(whole) == 3
    assert len(table(filled)) == 4


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1"])
def test_cells_are_no_formulas(path, name):
    """Quoted for spreadsheets, and read back as they were; numbers below zero are numbers."""
    with Store(path) as store:
        store.add(dataclasses.replace(pretend(trial(snr_db=-5.0)), image=name))
    export_csv(path, path.with_suffix(".csv"))
    raw = pd.read_csv(path.with_suffix(".csv"), dtype=str)
    assert raw["image"][0] == f"'{name}"
    assert raw["snr_db"][0] == "-5.0"
    assert read_csv(path.with_suffix(".csv"))["image"][0].strip() == name.strip()
