"""What a power cut leaves on the data partition, as the next start would find it."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from appliance.bundle import Bundle, decode
from appliance.call.record import CallRecord

HOME = "/var/lib/holdfast"


@dataclass(frozen=True)
class Remains:
    """What a power cut has left."""

    integrity: dict[str, str]
    """SQLite's own words for each database; `ok`, or what is broken."""
    bindings: str
    """All contacts that are kept, a line each."""
    called: frozenset[str]
    """Who was called, by all call records."""
    answered: int
    """How many of these calls somebody answered."""
    bundle: Bundle | None
    """The last good one; None: there was none yet."""


def partition(disk: Path, name: str) -> tuple[int, int]:
    """Return where a partition begins and ends, octets."""
    shown = subprocess.run(
        ["sfdisk", "--json", disk], check=True, capture_output=True, text=True
    ).stdout
    for found in json.loads(shown)["partitiontable"]["partitions"]:
        if found.get("name") == name:
            return found["start"] * 512, (found["start"] + found["size"]) * 512
    raise AssertionError(f"no partition {name}")


def examine(data: Path, folder: Path) -> Remains:
    """Repair a copy of the partition as a start does, and read what is on it; AssertionError."""
    repaired = subprocess.run(["e2fsck", "-p", data], capture_output=True, text=True)
    # 1: the journal was played back. What `-p` will not do alone would be more than a cut may do.
    assert repaired.returncode in (0, 1), repaired.stdout + repaired.stderr
    again = subprocess.run(["e2fsck", "-f", "-n", data], capture_output=True, text=True)
    assert again.returncode == 0, again.stdout
    home = _take(data, folder)
    integrity = {file.name: _integrity(file) for file in sorted(home.glob("*.db"))}
    contacts, rows = _core(home / "core.db")
    file = home / "bundle.json"
    bundle = decode(file.read_bytes()) if file.exists() else None
    records = [msgspec.msgpack.decode(row, type=CallRecord) for row in rows]
    called = frozenset(record.callee for record in records)
    answered = sum(record.outcome == "answered" for record in records)
    return Remains(integrity, "\n".join(contacts), called, answered, bundle)


def _take(data: Path, folder: Path) -> Path:
    """Copy databases and bundle out of the partition; returns where they are, if they are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    listed = _debugfs(data, f"ls -p {HOME}\n")
    names = [line.split("/")[5] for line in listed.splitlines() if line.startswith("/")]
    wanted = [name for name in names if name == "bundle.json" or ".db" in name]
    _debugfs(data, "".join(f"dump {HOME}/{name} {folder / name}\n" for name in wanted))
    return folder


def _debugfs(data: Path, commands: str) -> str:
    words = ["debugfs", "-f", "-", data]
    return subprocess.run(words, check=True, capture_output=True, text=True, input=commands).stdout


def _integrity(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        return str(database.execute("PRAGMA integrity_check").fetchone()[0])


def _core(file: Path) -> tuple[list[str], list[bytes]]:
    """Return contacts and records; none where the power went before there was a table."""
    if not file.exists():
        return [], []
    with closing(sqlite3.connect(file)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE name = 'record'")
        if not tables.fetchall():
            return [], []
        contacts = database.execute("SELECT contact FROM binding").fetchall()
        rows = database.execute("SELECT row FROM record").fetchall()
    return [contact for (contact,) in contacts], [row for (row,) in rows]
