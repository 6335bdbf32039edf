"""What a power cut leaves on the data partition, as the next start would find it."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from appliance.bundle import decode

NAMES = ("core.db", "core.db-wal", "bundle.json")
HOME = "/var/lib/holdfast"


@dataclass(frozen=True)
class Remains:
    """What a power cut has left."""

    integrity: str
    """SQLite's own words; `ok`, or what is broken."""
    bindings: str
    """All contacts that are kept, a line each."""
    records: bytes
    """All call records, one after another."""
    users: int
    """People in the last good bundle."""


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
    _take(data, folder, NAMES)
    with sqlite3.connect(folder / "core.db") as database:
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
        contacts = database.execute("SELECT contact FROM binding").fetchall()
        rows = database.execute("SELECT row FROM record").fetchall()
    database.close()
    bundle = decode((folder / "bundle.json").read_bytes())
    contact_lines = "\n".join(contact for (contact,) in contacts)
    return Remains(integrity, contact_lines, b"\n".join(row for (row,) in rows), len(bundle.users))


def _take(data: Path, folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)
        words = f"dump {HOME}/{name} {folder / name}"
        subprocess.run(["debugfs", "-R", words, data], check=True, capture_output=True)
    assert (folder / "core.db").stat().st_size > 0, "no database"
