"""The reference cloud's ledger of call records: which arrived, and how many times each."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    site TEXT NOT NULL,
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    arrivals INTEGER NOT NULL DEFAULT 1,
    altered INTEGER NOT NULL DEFAULT 0,
    received REAL NOT NULL,
    PRIMARY KEY (site, id)
) WITHOUT ROWID
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One call record as the cloud has it."""

    id: str
    arrivals: int
    """How many times it was sent; more than 1 after an answer got lost."""
    altered: int
    """How many repeats differed from the first, which is the one kept."""
    received: float
    """Wall-clock seconds (Unix) of the first arrival."""
    record: dict[str, Any]


class Ledger:
    """Keep each record once, on disk before it is acknowledged."""

    def __init__(self, file: Path) -> None:
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute(_SCHEMA)

    def put(self, site: str, record_id: str, body: bytes, received: float) -> bool:
        """Store a record and count its arrival; return whether it was new."""
        row = self._connection.execute(
            "INSERT INTO records (site, id, body, received) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET arrivals = arrivals + 1,"
            " altered = altered + (body <> excluded.body) RETURNING arrivals",
            (site, record_id, body, received),
        ).fetchall()
        return bool(row[0][0] == 1)

    def entries(self, site: str) -> list[Entry]:
        """Return everything a site has sent, oldest first."""
        rows = self._connection.execute(
            "SELECT id, arrivals, altered, received, body FROM records WHERE site = ?"
            " ORDER BY received, id",
            (site,),
        )
        return [
            Entry(
                id=record_id,
                arrivals=arrivals,
                altered=altered,
                received=received,
                record=msgspec.json.decode(body),
            )
            for record_id, arrivals, altered, received, body in rows
        ]

    def counts(self) -> tuple[int, int]:
        """Return how many records there are and how many times any has arrived."""
        rows = self._connection.execute("SELECT count(*), total(arrivals) FROM records")
        records, arrivals = rows.fetchone()
        return int(records), int(arrivals)

    def close(self) -> None:
        """Close the file; nothing may be put afterwards."""
        self._connection.close()
