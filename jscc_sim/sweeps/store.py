"""The store of a sweep: one SQLite file, a row committed per finished trial, claims on those at work.

WAL, so that anyone can read while a sweep writes. Keep it on a disk of the machine that runs
`jscc-sim sweep`: WAL does not work over a network file system. Workers never touch it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import platform
import shutil
import sqlite3
import time
import typing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from os import PathLike
from pathlib import Path
from types import NoneType, TracebackType, UnionType
from typing import TYPE_CHECKING, Any

from jscc_sim.errors import InputError, printable
from jscc_sim.files import check_apart, write_whole
from jscc_sim.spreadsheets import quoted
from jscc_sim.sweeps.row import FAILED, Row

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
APPLICATION = 0x6A736363
"""'jscc': marks the file as a store."""

PATIENCE_S = 20.0
"""How long to wait for another program that holds the database."""

LEASE_S = 60.0
"""A runner that was not heard of for so long has lost its claims."""

LITTLE_BYTES = 1 << 16
"""With less than this left on the disk, an error of the disk is put down to that."""

Database = str | PathLike[str]


def _kinds() -> dict[str, type]:
    """Column -> int, float, str, bool, or dict for what is kept as JSON."""
    kinds = {}
    for name, hint in typing.get_type_hints(Row).items():
        either = typing.get_args(hint) if isinstance(hint, UnionType) else (hint,)
        plain = next(kind for kind in either if kind is not NoneType)
        kinds[name] = plain if plain in _SQL else dict
    return kinds


_SQL: dict[type, str] = {int: "INTEGER", float: "REAL", str: "TEXT", bool: "INTEGER", dict: "TEXT"}
_KEPT: dict[type, type] = {int: int, float: float, str: str, bool: int, dict: str}
"""Kind -> type of what SQLite gives back."""

_PANDAS: dict[type, str] = {int: "Int64", float: "float64", str: "str", bool: "boolean", dict: "str"}
COLUMNS = _kinds()
OPTIONAL = {name for name, hint in typing.get_type_hints(Row).items() if NoneType in typing.get_args(hint)}
CHECKSUM = "checksum"
"""Column beside a row's own: see _checksum. Rows of an older program have none."""

_ORDER = "image, system, zoo, policy, complexity, equaliser, side_info, sender_snr_db, channel, csi, snr_db, "
_ORDER += "cbr_budget, repeat, root_seed, key"


class Claim(Enum):
    """What came of asking for a trial: it is ours to run, another runner's, or no longer to be run."""

    OURS, THEIRS, OVER = range(3)


@dataclasses.dataclass(frozen=True)
class Result:
    """The short of a row."""

    status: str
    error: str | None


class Store:
    """A store open for one runner. A file that is not there is made.

    Raises InputError, now or later, for a file that is no store or of a newer version, for one that
    another program keeps locked for longer than `patience_s` seconds, and for a full disk. Rows that
    were committed before stay readable. others: machines of the runners whose claims were met.
    """

    def __init__(self, path: Database, patience_s: float = PATIENCE_S) -> None:
        check_store_path(path)
        self.path, self.patience_s = Path(path), patience_s
        self._runner, self._newest, self._heard = 0, 0, time.time()
        self._seen: dict[int, tuple[float, float]] = {}
        self.others: dict[int, str] = {}
        if not self.path.absolute().parent.is_dir():
            raise InputError(f"store {path} cannot be made: folder {self.path.parent} does not exist")
        with self._named():
            self._db = sqlite3.connect(self.path.absolute(), timeout=patience_s, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the claims up and close. On the way out of an error this one's own errors do not count."""
        try:
            with self._writing():
                self._db.execute("DELETE FROM claims WHERE runner = ?", (self._runner,))
                self._db.execute("DELETE FROM runners WHERE id = ?", (self._runner,))
        except InputError:
            if error is None:
                raise
        finally:
            self._db.close()

    def settled(self) -> set[str]:
        """Keys of the trials that need no further run: ok or infeasible."""
        with self._named():
            return {key for (key,) in self._db.execute(f"SELECT key FROM rows WHERE status != '{FAILED}'")}

    def claim(self, key: str) -> Claim:
        """Ask for a trial. Those of runners that died are given away; what failed before this runner
        began may be tried again."""
        with self._writing():
            row = self._db.execute("SELECT number, status FROM rows WHERE key = ?", (key,)).fetchone()
            if row is not None and (row[1] != FAILED or row[0] > self._newest):
                return Claim.OVER
            holder = self._db.execute(
                "SELECT id, host, process, heard FROM claims JOIN runners ON id = runner WHERE key = ?",
                (key,),
            ).fetchone()
            if holder is not None and holder[0] != self._runner and self._lives(*holder):
                self.others[holder[0]] = str(holder[1]).partition(" ")[0]
                return Claim.THEIRS
            self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?)", (key, self._runner))
            return Claim.OURS

    def _lives(self, runner: int, host: object, process: object, heard: object) -> bool:
        """Whether a runner is at work: known to be dead on this machine, elsewhere by its silence. Its clock
        may be wrong: what it last said lies a lease back by this machine's clock, or has not changed for a
        lease while this runner looked."""
        if not isinstance(heard, float) or not isinstance(process, str):
            return False
        pid = process.partition(" ")[0]
        if host == _host() and pid.isdecimal() and _process(int(pid)) != process:
            return False
        now = time.monotonic()
        last, since = self._seen.get(runner, (heard, now))
        self._seen[runner] = (heard, since if last == heard else now)
        return time.time() - heard < LEASE_S and now - self._seen[runner][1] < LEASE_S

    def add(self, row: Row) -> None:
        """Commit a row and give its claim up. It replaces an earlier row only if that one failed."""
        values = [_to_sql(getattr(row, name), kind) for name, kind in COLUMNS.items()]
        names = ", ".join([*COLUMNS, CHECKSUM])
        values.append(_checksum(values))
        places = ", ".join("?" * len(values))
        with self._writing():
            self._db.execute("DELETE FROM rows WHERE key = ? AND status = ?", (row.key, FAILED))
            self._db.execute(f"INSERT OR IGNORE INTO rows ({names}) VALUES ({places})", values)
            self._db.execute("DELETE FROM claims WHERE key = ?", (row.key,))

    def beat(self) -> None:
        """Say that this runner is alive; at most every tenth of the lease does it touch the file."""
        if time.time() - self._heard > LEASE_S / 10:
            self._heard = time.time()
            with self._writing():
                self._db.execute("UPDATE runners SET heard = ? WHERE id = ?", (self._heard, self._runner))

    def results(self, keys: Iterable[str]) -> dict[str, Result]:
        """Status and error of those trials that have a row."""
        wanted = set(keys)
        with self._named():
            rows = self._db.execute("SELECT key, status, error FROM rows")
            return {key: Result(status, error) for key, status, error in rows if key in wanted}

    def _open(self) -> None:
        _check_is_store(self._db, self.path)
        self._wal()
        self._db.execute("PRAGMA synchronous = NORMAL")  # killed processes lose nothing, power cuts little
        with self._writing():
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                columns = ", ".join(f"{name} {_SQL[kind]}" for name, kind in COLUMNS.items())
                self._db.execute(
                    f"CREATE TABLE rows (number INTEGER PRIMARY KEY AUTOINCREMENT, {columns}, UNIQUE (key))"
                )
                self._db.execute("CREATE TABLE claims (key TEXT PRIMARY KEY, runner INTEGER)")
                self._db.execute(
                    "CREATE TABLE runners (id INTEGER PRIMARY KEY AUTOINCREMENT, host TEXT, process TEXT, "
                    "heard REAL)"
                )
                self._db.execute(f"PRAGMA application_id = {APPLICATION}")
                self._db.execute(f"PRAGMA user_version = {SCHEMA}")
            have = _columns(self._db)
            for name, kind in {**COLUMNS, CHECKSUM: str}.items():
                if name not in have:  # a store of before it was there
                    self._db.execute(f"ALTER TABLE rows ADD COLUMN {name} {_SQL[kind]}")
            self._newest = self._db.execute("SELECT coalesce(max(number), 0) FROM rows").fetchone()[0]
            me = (_host(), _process(os.getpid()), self._heard)
            added = self._db.execute("INSERT INTO runners (host, process, heard) VALUES (?, ?, ?)", me)
            self._runner = added.lastrowid or 0

    def _wal(self) -> None:
        """SQLite does not wait for others here by itself."""
        until = time.monotonic() + self.patience_s
        while True:
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it or nothing."""
        with self._named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _named(self) -> Iterator[None]:
        with _errors_named(self.path, self.patience_s):
            yield


def settled(path: Database) -> set[str]:
    """See Store.settled. A store that is not there has settled nothing, and is not made."""
    check_store_path(path)
    if not os.path.exists(path):  # Path.exists raises for a name too long
        return set()
    with _reading(path) as db:
        return {key for (key,) in db.execute(f"SELECT key FROM rows WHERE status != '{FAILED}'")}


def table(path: Database) -> pd.DataFrame:
    """All rows of a store, a column for each field of Row, sorted by what they are: the same rows in the
    same order whoever ran them. Mappings are JSON text, but `metrics`, which are columns of their own; a
    column that the store is too old for is empty. Raises InputError for what is no store, and for a row that
    is not as it was committed."""
    import pandas as pd

    with _reading(path) as db:
        have = _columns(db)
        shown = [name if name in have else f"NULL AS {name}" for name in ("number", CHECKSUM, *COLUMNS)]
        found = db.execute(f"SELECT {', '.join(shown)} FROM rows ORDER BY {_ORDER}").fetchall()
    rows = []
    for number, checksum, *values in found:
        if wrong := _wrong(values, checksum):
            raise InputError(
                f"store {path}: row {number} is damaged: {wrong}; without it (DELETE FROM rows WHERE number "
                f"= {number}) the others can be read, and its sweep makes it again"
            )
        rows.append(values)
    frame = pd.DataFrame.from_records(rows, columns=list(COLUMNS))
    frame = frame.astype({name: _PANDAS[kind] for name, kind in COLUMNS.items()})
    measured = [json.loads(text) if isinstance(text, str) else {} for text in frame.pop("metrics")]
    for column in dict.fromkeys(column for values in measured for column in values):
        frame[column] = pd.array([values.get(column) for values in measured], "float64")
    return frame


def export_csv(path: Database, target: Database) -> int:
    """Write the table as CSV, all of the file or nothing, "-" for standard output; texts that a spreadsheet
    would compute are quoted. Returns the number of rows. Raises InputError, for a target that is the store
    itself too."""
    check_apart([target], store_files(path))
    frame = table(path)
    for name, kind in COLUMNS.items():
        if kind is str:
            frame[name] = frame[name].map(quoted, na_action="ignore")
    write_whole(target, lambda handle: handle.write(frame.to_csv(index=False).encode()))
    return len(frame)


def store_files(path: Database) -> list[Path]:
    """The store, and what SQLite keeps beside it."""
    return [Path(f"{os.fspath(path)}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]


def check_store_path(path: Database) -> None:
    """Raises InputError for what is no file on disk: rows in it would not be kept."""
    if str(path) == ":memory:" or str(path).startswith("file:"):
        raise InputError(f"store {path} is no file on a disk: its rows would not be kept")
    if "\0" in str(path):
        raise InputError(f"store {str(path)!r} cannot be used: no file has such a name")
    if os.path.exists(path) and not os.path.isfile(path):
        raise InputError(f"store {path} is no regular file: its rows would not be kept")


@contextmanager
def _reading(path: Database) -> Iterator[sqlite3.Connection]:
    if not Path(path).is_file():
        raise InputError(f"store {path} does not exist")
    folder_writable = os.access(Path(path).absolute().parent, os.W_OK)
    mode = "rw" if folder_writable and os.access(path, os.W_OK) else "ro"  # only rw tidies up behind it
    if not folder_writable and not Path(f"{path}-wal").exists():
        mode += "&immutable=1"  # SQLite would need a file of its own beside it
    uri = f"{Path(path).resolve().as_uri()}?mode={mode}"
    with (
        _errors_named(path, PATIENCE_S),
        closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE_S)) as db,
    ):
        _check_is_store(db, path)
        if db.execute("PRAGMA user_version").fetchone()[0] == 0:
            raise InputError(f"{path} is no store of a sweep: it is empty")
        yield db


def _columns(db: sqlite3.Connection) -> set[str]:
    """Of the rows in a store: one of an older program has fewer."""
    return {name for _, name, *_ in db.execute("PRAGMA table_info(rows)")}


def _check_is_store(db: sqlite3.Connection, path: Database) -> None:
    """An empty file may become one."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION and (tables or version or application):
        raise InputError(f"{path} is a database, but no store of a sweep")
    if version > SCHEMA:
        raise InputError(f"store {path} has version {version}, this program knows {SCHEMA}: it is too old")


@contextmanager
def _errors_named(path: Database, patience_s: float) -> Iterator[None]:
    """SQLite's errors as sentences."""
    try:
        yield
    except sqlite3.Error as error:
        code = _code(error)
        little = code == sqlite3.SQLITE_IOERR and _free_bytes(path) < LITTLE_BYTES
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            what = f"another program has kept it locked for {patience_s:g} s"
        elif code == sqlite3.SQLITE_FULL or little:
            what = "the disk is full; the rows so far are kept, and the same command goes on from them"
        elif code == sqlite3.SQLITE_NOTADB:
            what = "it is no store of a sweep"
        else:
            what = str(error)
        raise InputError(f"store {path} cannot be used: {what}") from None


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _free_bytes(path: Database) -> int:
    try:
        return shutil.disk_usage(Path(path).absolute().parent).free
    except OSError:
        return LITTLE_BYTES


def _host() -> str:
    """This machine, and on Linux the space of process numbers (a container has its own)."""
    try:
        return f"{platform.node()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return platform.node()


def _process(pid: int) -> str:
    """A process and the moment it began, since numbers are used again; '' where it is gone or the
    system does not tell."""
    try:
        began = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if began[0] in "ZX" else f"{pid} {began[19]}"


def _to_sql(value: Any, kind: type) -> Any:
    """As SQLite gives it back."""
    if value is None or (kind is float and math.isnan(value)):  # SQLite has no NaN
        return None
    if kind is str:
        return printable(str(value))
    return json.dumps(dict(value)) if kind is dict else _KEPT[kind](value)


def _checksum(values: Sequence[Any]) -> str:
    """Of a row's values in the order of COLUMNS. Those that are NULL do not count: what a later program
    adds leaves it as it is."""
    kept = {name: value for name, value in zip(COLUMNS, values, strict=True) if value is not None}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()


def _wrong(values: Sequence[Any], checksum: Any) -> str | None:
    """What is wrong with a row's values, if anything is."""
    for (name, kind), value in zip(COLUMNS.items(), values, strict=True):
        if value is None:
            if name not in OPTIONAL:
                return f"{name} is missing"
        elif type(value) is not _KEPT[kind] or (kind is bool and value not in (0, 1)):
            return f"{name} is {str(value)[:40]!r}"
        elif name == "metrics" and not _are_metrics(value):
            return f"{name} are {str(value)[:40]!r}"
    return None if checksum is None or checksum == _checksum(values) else "its checksum differs"


def _are_metrics(text: Any) -> bool:
    """Whether it is JSON of numbers by their names."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and all(
        value is None or type(value) is float or type(value) is int for value in values.values()
    )
