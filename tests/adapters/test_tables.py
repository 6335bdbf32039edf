"""Rows are written many to a statement, and statements are of few lengths."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters import tables as module
from appliance.adapters.pending import Moment, Pending
from appliance.adapters.schema import open_database
from appliance.adapters.tables import LENGTHS, Tables
from tests.adapters.test_store import record

NOW = Moment("boot", 0.0, 1000.0)


class Heard(sqlite3.Connection):
    """Remember every statement."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.statements: list[str] = []

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        self.statements.append(sql)
        return super().execute(sql, parameters)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Heard]:
    open_database(tmp_path / "core.db", "now").connection.close()
    with closing(sqlite3.connect(tmp_path / "core.db", isolation_level=None, factory=Heard)) as one:
        yield one


def found(connection: Heard, query: str) -> list[Any]:
    return connection.cursor().execute(query).fetchall()


@pytest.mark.parametrize("count", [1, 5, 6, 7, 65, 99, 100, 101, 263])
def test_each_row_is_there_once_whatever_their_number(connection: Heard, count: int) -> None:
    tables = Tables(connection)
    names = [f"c{number}" for number in range(count)]
    tables.write(Pending(calls={name: name.encode() * 10 for name in names}), NOW)
    kept = found(connection, "SELECT call, row FROM call ORDER BY id")
    assert kept == [(name, name.encode() * 10) for name in names]
    bindings: dict[tuple[str, str], bytes | None] = {(name, "at"): b"row" for name in names}
    records = {name: record(name) for name in names}
    tables.write(Pending(bindings=dict(bindings), records=records), NOW)
    kept = found(connection, "SELECT number, id FROM record ORDER BY number")
    assert kept == list(enumerate(names, 1))
    assert found(connection, "SELECT count(*) FROM call") == [(0,)]
    assert found(connection, "SELECT aor FROM binding ORDER BY id") == [(n,) for n in names]
    tables.write(Pending(bindings=dict.fromkeys(bindings)), NOW)
    assert found(connection, "SELECT count(*) FROM binding") == [(0,)]


def test_statements_of_all_numbers_of_rows_have_few_lengths(connection: Heard) -> None:
    tables = Tables(connection)
    for count in range(1, 140):
        tables.write(Pending(calls={f"{count} {n}": b"" for n in range(count)}), NOW)
    written = {text for text in connection.statements if text.startswith("INSERT INTO call")}
    assert len(written) == len(LENGTHS)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few records be kept, and look at each writing how many there are."""
    for name, count in (("KEPT_UPLOADED", 5), ("KEPT_IN_ALL", 8), ("PRUNE_EVERY", 1)):
        monkeypatch.setattr(module, name, count)


def write_twice(tables: Tables, names: list[str]) -> int:
    """Write records as calls do: without counters, then with them; return how many went."""
    gone = 0
    for name in names:
        for sealed in (False, True):
            gone += tables.write(Pending(records={name: record(name, sealed=sealed)}), NOW)
    return gone


@pytest.mark.usefixtures("few")
def test_as_many_uploaded_records_are_kept_as_is_said_though_each_is_written_twice(
    connection: Heard,
) -> None:
    tables = Tables(connection)
    for number in range(12):
        assert write_twice(tables, [f"c{number}"]) == 0
        tables.mark_uploaded([f"c{number}"], 2000.0)
    write_twice(tables, ["last"])
    kept = [name for (name,) in found(connection, "SELECT id FROM record ORDER BY number")]
    assert kept == ["c7", "c8", "c9", "c10", "c11", "last"]


@pytest.mark.usefixtures("few")
def test_records_that_no_cloud_takes_are_dropped_oldest_first_and_counted(
    connection: Heard,
) -> None:
    tables = Tables(connection)
    names = [f"c{number}" for number in range(11)]
    assert write_twice(tables, names) == 3
    kept = [name for (name,) in found(connection, "SELECT id FROM record ORDER BY number")]
    assert kept == names[3:]


@pytest.mark.usefixtures("few")
def test_what_the_cloud_has_goes_before_what_it_has_not(connection: Heard) -> None:
    tables = Tables(connection)
    names = [f"c{number}" for number in range(7)]
    write_twice(tables, names)
    tables.mark_uploaded(names[1:], 2000.0)
    assert write_twice(tables, ["last"]) == 0
    kept = [name for (name,) in found(connection, "SELECT id FROM record ORDER BY number")]
    assert kept == ["c0", *names[2:], "last"]
