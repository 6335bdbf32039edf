"""What core.db holds; used by the store's one thread only."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import msgspec

from appliance.adapters.pending import Moment, Pending
from appliance.call.record import CallRecord
from appliance.evidence import Finding
from appliance.ports import Restored

KEPT_UPLOADED = 50_000
"""Uploaded records kept for the admin; quick_check of 100,000 takes 0.12 s of every start."""
KEPT_IN_ALL = 500_000
"""Records kept when no cloud ever takes them."""
KEPT_CHANGES = 10_000
KEPT_FINDINGS = 1000
"""Of failing zones, about 1 KB each."""
PRUNE_EVERY = 1000
"""Records written between two looks at how many there are."""
SEAL_AFTER = 60.0
"""Seconds after which a record is uploaded without the counters that should have sealed it."""
CLOCK_EVERY = 1.0
"""Seconds between two notes of the time; a power cut makes bindings this much younger at most."""
LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 100)
"""Rows per statement. Many, for the GIL is given up once per statement, and each time costs a wait
for it; and of few lengths, for a statement is prepared for its length, 1.4 µs a row, and then kept
with the values that it had last: 83 KB for 25 calls."""


class Tables:
    """Write and read one open database; raises sqlite3.Error and then nothing has changed."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[tuple[str, str], int] = {}
        """Row numbers of the bindings in the database."""
        self._last_number = 0
        self._calls: dict[str, int] = {}
        """Row numbers of the calls in the database."""
        self._last_call = 0
        self._noted = float("-inf")
        self._until_prune = 0
        for number, aor, contact in self._rows("SELECT id, aor, contact FROM binding"):
            self._numbers[aor, contact] = number
            self._last_number = max(self._last_number, number)
        for number, call in self._rows("SELECT id, call FROM call"):
            self._calls[call] = number
            self._last_call = max(self._last_call, number)

    def close(self) -> None:
        """Close the database; the write-ahead log is folded in."""
        self._connection.close()

    def write(self, pending: Pending, now: Moment) -> int:
        """Write all of `pending` in one transaction; return how many records had to be pruned.

        Only records that no cloud has taken count as pruned.
        """
        with self._transaction():
            self._write_bindings(pending.bindings)
            self._write_named("forwarding", "user", pending.forwardings)
            self._write_named("sighting", "user", pending.sightings)
            self._write_named("stop", "user", pending.stops)
            self._write_named("callback", "call", pending.callbacks)
            self._write_named("alert", "name", pending.alerts)
            self._write_calls(pending.calls)
            self._write_records(pending.records, now.wall)
            self._write_mode(pending)
            if now.monotonic - self._noted >= CLOCK_EVERY:
                self._note(now)
            pruned = self._prune(len(pending.records))
        for key in [key for key, row in pending.bindings.items() if row is None]:
            self._numbers.pop(key, None)
        for call in pending.records:
            self._calls.pop(call, None)
        return pruned

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._noted = float("-inf")
            if self._connection.in_transaction:  # A full disk may have rolled back by itself.
                self._connection.execute("ROLLBACK")
            raise

    def _write_bindings(self, bindings: dict[tuple[str, str], bytes | None]) -> None:
        numbers = self._numbers
        saved: list[tuple[Any, ...]] = []
        dropped: list[tuple[Any, ...]] = []
        for key, row in bindings.items():
            number = numbers.get(key)
            if row is None:
                if number is not None:
                    dropped.append((number,))
                continue
            if number is None:
                self._last_number += 1
                number = numbers[key] = self._last_number
            saved.append((number, *key, row))
        self._upsert("binding (id, aor, contact, row)", "id", ("row",), saved)
        self._delete("binding", "id", dropped)

    def _write_named(self, table: str, key: str, rows: dict[str, bytes | None]) -> None:
        saved = [(name, row) for name, row in rows.items() if row is not None]
        self._upsert(f"{table} ({key}, row)", key, ("row",), saved)
        self._delete(table, key, [(name,) for name, row in rows.items() if row is None])

    def _write_calls(self, calls: dict[str, bytes]) -> None:
        numbers = self._calls
        saved: list[tuple[Any, ...]] = []
        for call, row in calls.items():
            number = numbers.get(call)
            if number is None:
                self._last_call += 1
                number = numbers[call] = self._last_call
            saved.append((number, call, row))
        self._upsert("call (id, call, row)", "id", ("row",), saved)

    def _write_records(self, records: dict[str, CallRecord], wall: float) -> None:
        pack = msgspec.msgpack.encode
        rows = [(r.id, r.started, r.sealed, wall, pack(r)) for r in records.values()]
        columns = ("started", "sealed", "saved", "row")
        self._upsert("record (id, started, sealed, saved, row)", "id", columns, rows)
        known = self._calls
        self._delete("call", "id", [(known[call],) for call in records if call in known])

    def _write_mode(self, pending: Pending) -> None:
        if pending.mode is not None:
            self._upsert("mode (id, row)", "id", ("row",), [(1, pending.mode)])
        for at, change in pending.changes:
            self._connection.execute(
                "INSERT INTO mode_change (at, before, after, reason) VALUES (?, ?, ?, ?)",
                (at, change.before, change.after, change.reason),
            )
            self._connection.execute(
                "DELETE FROM mode_change WHERE number <= last_insert_rowid() - ?", (KEPT_CHANGES,)
            )

    def _note(self, now: Moment) -> None:
        row = (1, now.boot, now.monotonic, now.wall)
        columns = ("boot", "monotonic", "wall")
        self._upsert("clock (id, boot, monotonic, wall)", "id", columns, [row])
        self._noted = now.monotonic

    def _prune(self, written: int) -> int:
        self._until_prune -= written
        if self._until_prune > 0 or not written:
            return 0
        self._until_prune = PRUNE_EVERY
        # Numbers have gaps, one for each record that was written twice; so rows are counted.
        [(in_all,)] = self._rows("SELECT count(*) FROM record")
        uploaded = in_all - self.count_pending()
        gone = self._drop_oldest("WHERE uploaded IS NOT NULL", uploaded - KEPT_UPLOADED)
        return self._drop_oldest("", in_all - gone - KEPT_IN_ALL)

    def _drop_oldest(self, among: str, count: int) -> int:
        """Delete so many of the oldest records and return how many those were."""
        if count <= 0:
            return 0
        oldest = f"SELECT number FROM record {among} ORDER BY number LIMIT ?"
        delete = f"DELETE FROM record WHERE number IN ({oldest})"
        return self._connection.execute(delete, (count,)).rowcount

    def _upsert(
        self, into: str, key: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        for part in _parts(rows):
            statement = _upsert_statement(into, key, columns, len(part))
            self._connection.execute(statement, [value for row in part for value in row])

    def _delete(self, table: str, key: str, rows: list[tuple[Any, ...]]) -> None:
        for part in _parts(rows):
            marks = ", ".join("?" * len(part))
            self._connection.execute(
                f"DELETE FROM {table} WHERE {key} IN ({marks})", [value for (value,) in part]
            )

    # What is read.

    def restored(self, now: Moment) -> Restored:
        """Return what the last process left."""
        mode = self._connection.execute("SELECT row FROM mode").fetchone()
        return Restored(
            bindings=tuple(row for (row,) in self._rows("SELECT row FROM binding")),
            calls=tuple(row for (row,) in self._rows("SELECT row FROM call")),
            forwardings=tuple(row for (row,) in self._rows("SELECT row FROM forwarding")),
            sightings=tuple(row for (row,) in self._rows("SELECT row FROM sighting")),
            stops=tuple(row for (row,) in self._rows("SELECT row FROM stop")),
            callbacks=tuple(row for (row,) in self._rows("SELECT row FROM callback ORDER BY id")),
            alerts=tuple(row for (row,) in self._rows("SELECT row FROM alert ORDER BY id")),
            mode=mode[0] if mode else None,
            offset=self._offset(now),
        )

    def _offset(self, now: Moment) -> float:
        """Return what carries monotonic times of the last note onto today's clock."""
        row = self._connection.execute("SELECT boot, monotonic, wall FROM clock").fetchone()
        if row is None or row[0] == now.boot:
            return 0.0
        then = Moment(*row)
        # A box without a battery wakes up in 1970 (reliability 5): then no time has passed at all,
        # which keeps a phone reachable for one expiry too long at worst.
        away = max(0.0, now.wall - then.wall)
        return now.monotonic - away - then.monotonic

    def records(
        self,
        limit: int = 100,
        since: float | None = None,
        call_id: str | None = None,
        until: float | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return records, latest start first, as maps with `uploaded` (Unix time or None)."""
        begin = since if since is not None else float("-inf")
        end = until if until is not None else float("inf")
        found = self._rows(
            "SELECT row, uploaded FROM record WHERE started >= ? AND (?2 IS NULL OR id = ?2)"
            " AND started <= ?3 ORDER BY started DESC, number DESC LIMIT ?4 OFFSET ?5",
            (begin, call_id, end, limit, offset),
        )
        return [{**msgspec.msgpack.decode(row), "uploaded": uploaded} for row, uploaded in found]

    def pending_records(self, wall: float, limit: int = 100) -> list[dict[str, Any]]:
        """Return the oldest records that the cloud has not got, as maps."""
        found = self._rows(
            "SELECT row FROM record WHERE uploaded IS NULL AND (sealed OR abs(? - saved) > ?)"
            " ORDER BY number LIMIT ?",
            (wall, SEAL_AFTER, limit),
        )
        return [{**msgspec.msgpack.decode(row), "sealed": True} for (row,) in found]

    def count_pending(self) -> int:
        """Return how many records the cloud has not got."""
        [(number,)] = self._rows("SELECT count(*) FROM record WHERE uploaded IS NULL")
        return int(number)

    def mark_uploaded(self, ids: Iterable[str], wall: float) -> int:
        """Remember that the cloud has got these; return how many were news."""
        update = "UPDATE record SET uploaded = ? WHERE id = ? AND uploaded IS NULL"
        with self._transaction():
            return sum(self._connection.execute(update, (wall, key)).rowcount for key in ids)

    def mode_history(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return changes of mode, latest first."""
        found = self._rows(
            "SELECT at, before, after, reason FROM mode_change ORDER BY number DESC LIMIT ?",
            (limit,),
        )
        return [dict(zip(("at", "before", "after", "reason"), row, strict=True)) for row in found]

    def add_finding(self, found: Finding) -> None:
        """Keep what was found of a failing zone, and forget the oldest."""
        oldest = "SELECT max(number) - ? FROM finding"
        with self._transaction():
            self._connection.execute(
                "INSERT INTO finding (at, row) VALUES (?, ?)",
                (found.at, msgspec.msgpack.encode(found)),
            )
            self._connection.execute(
                f"DELETE FROM finding WHERE number <= ({oldest})", (KEPT_FINDINGS,)
            )

    def findings(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return what was found of failing zones, latest first."""
        query = "SELECT row FROM finding ORDER BY at DESC, number DESC LIMIT ?"
        return [msgspec.msgpack.decode(row) for (row,) in self._rows(query, (limit,))]

    def has_callback(self, call: str) -> bool:
        """Tell whether a call's callback is on the disk."""
        return bool(self._rows("SELECT 1 FROM callback WHERE call = ?", (call,)))

    def has_alert(self, name: str) -> bool:
        """Tell whether an alert is on the disk."""
        return bool(self._rows("SELECT 1 FROM alert WHERE name = ?", (name,)))

    def _rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, values).fetchall()


@cache
def _upsert_statement(into: str, key: str, columns: tuple[str, ...], rows: int) -> str:
    """Write the statement once: a text of 2 KB built anew each time costs 0.5 µs a row."""
    mark = f"({', '.join('?' * (into.count(',') + 1))})"
    change = ", ".join(f"{column} = excluded.{column}" for column in columns)
    marks = ", ".join([mark] * rows)
    return f"INSERT INTO {into} VALUES {marks} ON CONFLICT ({key}) DO UPDATE SET {change}"


def _parts(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Cut rows into parts of `LENGTHS`, mostly one or two."""
    start = 0
    while left := len(rows) - start:
        length = LENGTHS[bisect_right(LENGTHS, left) - 1]
        yield rows[start : start + length]
        start += length
