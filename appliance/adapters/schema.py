"""core.db: its tables; how a database is opened, and what is done with one that is corrupt."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlite_utils import Database, Migrations

PRAGMAS = (
    "busy_timeout=5000",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "mmap_size=0",
    "trusted_schema=OFF",
    "cell_size_check=ON",
    "journal_size_limit=16777216",
)
"""A commit lasts when it returns (FULL); a broken page is noticed, not mapped (reliability 1)."""
KEPT_CORRUPT = 3
"""Quarantined files kept for whoever wants to look; older ones would fill the disk."""

migrations = Migrations("core")


@migrations()
def create_all(db: Database) -> None:
    """Create the tables of version 0.1."""
    # Numbered by us in order: 3 µs an insert; keyed by the texts it would be 27, for the row is
    # then moved about in its page.
    db.execute(
        "CREATE TABLE binding (id INTEGER PRIMARY KEY, aor TEXT NOT NULL, contact TEXT NOT NULL,"
        " row BLOB NOT NULL) STRICT"
    )
    db.execute("CREATE TABLE call (id TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID")
    db.execute(
        "CREATE TABLE record (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
        " started REAL NOT NULL, sealed INTEGER NOT NULL, saved REAL NOT NULL, uploaded REAL,"
        " row BLOB NOT NULL) STRICT"
    )
    db.execute("CREATE INDEX record_to_upload ON record (number) WHERE uploaded IS NULL")
    db.execute("CREATE INDEX record_by_start ON record (started)")
    db.execute(
        "CREATE TABLE mode (id INTEGER PRIMARY KEY CHECK (id = 1), row BLOB NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE mode_change (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " before TEXT NOT NULL, after TEXT NOT NULL, reason TEXT NOT NULL) STRICT"
    )
    db.execute(
        "CREATE TABLE clock (id INTEGER PRIMARY KEY CHECK (id = 1), boot TEXT NOT NULL,"
        " monotonic REAL NOT NULL, wall REAL NOT NULL) STRICT"
    )


@migrations()
def number_calls(db: Database) -> None:
    """Number calls as bindings are: their rows grew to 4 KB, which a key of text moves about."""
    db.execute(
        "CREATE TABLE numbered (id INTEGER PRIMARY KEY, call TEXT NOT NULL, row BLOB NOT NULL)"
        " STRICT"
    )
    db.execute("INSERT INTO numbered (call, row) SELECT id, row FROM call")
    db.execute("DROP TABLE call")
    db.execute("ALTER TABLE numbered RENAME TO call")


@migrations()
def keep_forwardings(db: Database) -> None:
    """Keep what users set on their phones."""
    db.execute(
        "CREATE TABLE forwarding (user TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID"
    )


@migrations()
def keep_callbacks(db: Database) -> None:
    """Keep who is called back after a call for help, in the order of the calls."""
    db.execute(
        "CREATE TABLE callback (id INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE,"
        " row BLOB NOT NULL) STRICT"
    )


@migrations()
def keep_sightings(db: Database) -> None:
    """Keep when users' phones were last here."""
    db.execute(
        "CREATE TABLE sighting (user TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID"
    )


@migrations()
def keep_stops(db: Database) -> None:
    """Keep who is stopped from calling outside."""
    db.execute("CREATE TABLE stop (user TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID")


@migrations()
def keep_findings(db: Database) -> None:
    """Keep what was found when zones failed."""
    db.execute(
        "CREATE TABLE finding (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " row BLOB NOT NULL) STRICT"
    )


@migrations()
def keep_alerts(db: Database) -> None:
    """Keep who has to be told of calls for help yet, in the order of the news."""
    db.execute(
        "CREATE TABLE alert (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
        " row BLOB NOT NULL) STRICT"
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """A database ready for use, and what had to be done for that."""

    connection: sqlite3.Connection
    quarantined: Path | None = None
    """Where the corrupt file was put; None: there was none."""
    from_snapshot: bool = False
    """The last snapshot took its place."""


def open_database(file: Path, stamp: str, tables: Migrations = migrations) -> Opened:
    """Open `file`, replacing it when it is corrupt; raises sqlite3.Error or OSError otherwise.

    `stamp` makes the name of a quarantined file unique; `tables` makes the tables, core.db's unless
    others are named. The connection is in autocommit mode and may be used by one thread at a time.
    """
    with contextlib.suppress(sqlite3.DatabaseError):
        return Opened(_open_sound(file, tables))
    # A full or read-only disk says so here as well, and must not cost anybody the file.
    if not _is_corrupt(file):
        return Opened(_open_sound(file, tables))
    quarantined = _quarantine(file, stamp)
    from_snapshot = _restore_snapshot(file)
    return Opened(_open_sound(file, tables), quarantined, from_snapshot)


def _open_sound(file: Path, tables: Migrations) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        for pragma in PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        check(connection)
        tables.apply(Database(connection))
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError unless every page makes sense."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def _is_corrupt(file: Path) -> bool:
    """Ask a read-only connection, which neither a full nor a read-only disk disturbs."""
    try:
        with contextlib.closing(_reader(file)) as reader:
            check(reader)
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
    return False


def _reader(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def is_corruption(error: sqlite3.Error) -> bool:
    """Tell a broken file from a full, read-only or failing disk."""
    return not isinstance(error, sqlite3.OperationalError) and (
        getattr(error, "sqlite_errorcode", 0) & 0xFF
        in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    )


def _parts(file: Path) -> Iterator[Path]:
    for ending in ("", "-wal", "-shm"):
        yield file.with_name(file.name + ending)


def _quarantine(file: Path, stamp: str) -> Path:
    for old in sorted(file.parent.glob(f"{file.name}.corrupt-*"))[: -KEPT_CORRUPT + 1]:
        old.unlink(missing_ok=True)
    kept = file.with_name(f"{file.name}.corrupt-{stamp}")
    for part, ending in zip(_parts(file), ("", "-wal", "-shm"), strict=True):
        if part.exists():
            part.replace(kept.with_name(kept.name + ending))
    return kept


def snapshot_of(file: Path) -> Path:
    """Return where the nightly copy of `file` is."""
    return file.with_suffix(".snapshot")


def _restore_snapshot(file: Path) -> bool:
    snapshot = snapshot_of(file)
    if not snapshot.exists() or _is_corrupt(snapshot):
        return False
    shutil.copyfile(snapshot, file)
    return True


def take_snapshot(file: Path) -> None:
    """Copy the database beside itself, whole or not at all; raises sqlite3.Error or OSError.

    Reads over a connection of its own, so the writer goes on meanwhile (half a second per 70 MB).
    """
    new = file.with_suffix(".snapshot-new")
    new.unlink(missing_ok=True)
    with contextlib.closing(_reader(file)) as reader:
        reader.execute("VACUUM INTO ?", (str(new),))
    new.chmod(0o600)
    _forget_calls(new)
    with open(new, "rb") as written:
        os.fsync(written.fileno())
    new.replace(snapshot_of(file))


def _forget_calls(copy: Path) -> None:
    """Leave calls out of a copy: tomorrow they are over, and their SRTP keys are nobody's."""
    with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("DELETE FROM call")
