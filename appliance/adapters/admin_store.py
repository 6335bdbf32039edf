"""admin.db: accounts, API tokens, the audit log and the zones' last days; the admin process's own.

One thread owns the one connection; every method waits for it and raises Unavailable when the disk
does not do its part.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlite_utils import Database, Migrations

from appliance.accounts import Account, ApiToken, AuditEntry
from appliance.adapters.schema import open_database, snapshot_of
from appliance.errors import Unavailable

Result = TypeVar("Result")

KEPT_ENTRIES = 100_000
"""Audit entries; about 30 MB, and years of what people do."""
PRUNE_EVERY = 1000
"""Entries between two looks at how many there are."""
LONGEST_VALUE = 8192
"""Octets of `before` and `after` in one entry."""

migrations = Migrations("admin")


@migrations()
def create_all(db: Database) -> None:
    """Create the tables of version 0.1."""
    db.execute("CREATE TABLE account (name TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT")
    db.execute("CREATE TABLE token (id TEXT PRIMARY KEY, row BLOB NOT NULL) STRICT")
    db.execute(
        "CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL,"
        " who TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL,"
        " before TEXT, after TEXT) STRICT"
    )
    db.execute(
        "CREATE TABLE zone_slot (zone TEXT NOT NULL, slot INTEGER NOT NULL, row BLOB NOT NULL,"
        " PRIMARY KEY (zone, slot)) STRICT, WITHOUT ROWID"
    )


class AdminStore:
    """Fulfils `accounts.AccountStore`; opens the file when it is first needed."""

    def __init__(self, file: Path, notify: Callable[[str], None] = lambda text: None) -> None:
        """`notify` is told of a file that was corrupt; it is called in the store's thread."""
        self._file = file
        self._notify = notify
        self._thread = ThreadPoolExecutor(1, "admin.db")
        self._connection: sqlite3.Connection | None = None

    async def accounts(self) -> Sequence[Account]:
        """Return every account."""
        rows = await self._do(lambda db: db.execute("SELECT row FROM account").fetchall())
        return [msgspec.msgpack.decode(row, type=Account) for (row,) in rows]

    async def tokens(self) -> Sequence[ApiToken]:
        """Return every token, expired ones too."""
        rows = await self._do(lambda db: db.execute("SELECT row FROM token").fetchall())
        return [msgspec.msgpack.decode(row, type=ApiToken) for (row,) in rows]

    async def put_account(self, account: Account) -> None:
        """Add or replace an account."""
        row = msgspec.msgpack.encode(account)
        statement = "INSERT OR REPLACE INTO account (name, row) VALUES (?, ?)"
        await self._do(lambda db: db.execute(statement, (account.name, row)))

    async def drop_account(self, name: str) -> None:
        """Forget an account."""
        await self._do(lambda db: db.execute("DELETE FROM account WHERE name = ?", (name,)))

    async def put_token(self, token: ApiToken) -> None:
        """Add a token."""
        row = msgspec.msgpack.encode(token)
        statement = "INSERT OR REPLACE INTO token (id, row) VALUES (?, ?)"
        await self._do(lambda db: db.execute(statement, (token.id, row)))

    async def drop_token(self, name: str) -> None:
        """Forget the token with this id."""
        await self._do(lambda db: db.execute("DELETE FROM token WHERE id = ?", (name,)))

    async def note(self, entry: AuditEntry) -> None:
        """Append to the audit log; the oldest entries give way."""
        await self._do(lambda db: _append(db, entry))

    async def audit(self, limit: int, before: int | None = None) -> Sequence[AuditEntry]:
        """Return entries, the latest first; `before` is a number to go on from."""
        query = (
            "SELECT number, at, who, origin, action, target, before, after FROM audit"
            " WHERE number < ? ORDER BY number DESC LIMIT ?"
        )
        bound = (before if before is not None else 2**62, limit)
        return [_entry(row) for row in await self._do(lambda db: db.execute(query, bound))]

    async def slots(self, since: int) -> Sequence[bytes]:
        """Return the rows of the zones' diary from this slot on."""
        query = "SELECT row FROM zone_slot WHERE slot >= ? ORDER BY slot"
        return [row for (row,) in await self._do(lambda db: db.execute(query, (since,)).fetchall())]

    async def put_slots(self, rows: Sequence[tuple[str, int, bytes]], oldest: int) -> None:
        """Write slots of the diary (zone, slot, row) and forget those before `oldest`."""
        await self._do(lambda db: _write_slots(db, rows, oldest))

    async def snapshot(self) -> None:
        """Copy the database beside itself, as `admin.snapshot`."""
        new = self._file.with_suffix(".snapshot-new")

        def copy(db: sqlite3.Connection) -> None:
            new.unlink(missing_ok=True)
            db.execute("VACUUM INTO ?", (str(new),))
            new.chmod(0o600)
            new.replace(snapshot_of(self._file))

        await self._do(copy)

    async def close(self) -> None:
        """Finish what waits and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _do(self, act: Callable[[sqlite3.Connection], Result]) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._act, act)

    def _act(self, act: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            if self._connection is None:
                self._connection = self._open()
            return act(self._connection)
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            raise Unavailable(f"{self._file} does not do its part: {error}") from error

    def _open(self) -> sqlite3.Connection:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        opened = open_database(self._file, stamp, migrations)
        if opened.quarantined is not None:
            self._notify(f"{self._file} was corrupt and is kept as {opened.quarantined}")
        return opened.connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _append(db: sqlite3.Connection, entry: AuditEntry) -> None:
    statement = (
        "INSERT INTO audit (at, who, origin, action, target, before, after)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING number"
    )
    place = (entry.at, entry.who, entry.origin, entry.action, entry.target)
    written = db.execute(statement, (*place, _text(entry.before), _text(entry.after)))
    (number,) = written.fetchone()
    if number % PRUNE_EVERY == 0:
        db.execute("DELETE FROM audit WHERE number <= ?", (number - KEPT_ENTRIES,))


def _write_slots(
    db: sqlite3.Connection, rows: Sequence[tuple[str, int, bytes]], oldest: int
) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        statement = "INSERT OR REPLACE INTO zone_slot (zone, slot, row) VALUES (?, ?, ?)"
        db.executemany(statement, rows)
        db.execute("DELETE FROM zone_slot WHERE slot < ?", (oldest,))
        db.execute("COMMIT")
    except sqlite3.Error:
        db.execute("ROLLBACK")
        raise


def _text(value: object) -> str | None:
    """Write a value as JSON, as much of it as one entry may hold."""
    if value is None:
        return None
    text = msgspec.json.encode(value)
    if len(text) > LONGEST_VALUE:
        return msgspec.json.encode({"too_long": len(text)}).decode()
    return text.decode()


def _entry(row: tuple[int, float, str, str, str, str, str | None, str | None]) -> AuditEntry:
    number, at, who, origin, action, target, before, after = row
    return AuditEntry(
        number=number,
        at=at,
        who=who,
        origin=origin,
        action=action,
        target=target,
        before=None if before is None else msgspec.json.decode(before),
        after=None if after is None else msgspec.json.decode(after),
    )
