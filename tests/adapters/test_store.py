import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from appliance.adapters import store as module
from appliance.adapters.pending import HELD_RECORDS, Moment, Pending
from appliance.adapters.schema import migrations, snapshot_of, take_snapshot
from appliance.adapters.store import Store
from appliance.call.actions import (
    DropAlert,
    DropBinding,
    DropCallback,
    ModeChange,
    Notice,
    SaveAlert,
    SaveBinding,
    SaveCall,
    SaveCallback,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    SaveSighting,
    SaveStop,
)
from appliance.call.record import CallRecord
from appliance.diagnostics.verdict import finding
from appliance.errors import Unavailable
from appliance.evidence import Step


def record(key: str, started: float = 1000.0, sealed: bool = True) -> CallRecord:
    return CallRecord(
        id=key,
        site="hq",
        mode="survivability",
        caller="100",
        callee="101",
        started=started,
        outcome="answered",
        status=200,
        sealed=sealed,
    )


class Opened:
    """A store on a temporary file that can be stopped and opened again."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.notices: list[Notice] = []
        self.moment: Moment | None = None
        self.store = self._new()
        self.restored = self.store.start()

    def _new(self) -> Store:
        return Store(self.file, self.notices.append, self._now, retry=0.05)

    def _now(self) -> Moment:
        return self.moment or module.now()

    def again(self) -> None:
        self.store.stop()
        self.store = self._new()
        self.restored = self.store.start()

    def ask(self, name: str, *arguments: Any, **options: Any) -> Any:
        async def asked() -> Any:
            return await getattr(self.store, name)(*arguments, **options)

        return asyncio.run(asked())

    def topics(self) -> list[tuple[str, str]]:
        return [(notice.severity, notice.topic) for notice in self.notices]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    it = Opened(tmp_path / "core.db")
    yield it
    it.store.stop()


def eventually(condition: Callable[[], object], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_a_new_store_has_nothing_to_restore(opened: Opened) -> None:
    assert (opened.restored.bindings, opened.restored.calls, opened.restored.mode) == ((), (), None)
    assert opened.file.stat().st_mode & 0o777 == 0o600


def test_the_latest_row_of_each_binding_comes_back(opened: Opened) -> None:
    opened.store.save(SaveBinding("a", "c1", b"old"))
    opened.store.save(SaveBinding("a", "c2", b"two"))
    opened.ask("records")
    opened.store.save(SaveBinding("a", "c1", b"new"))
    opened.again()
    assert sorted(opened.restored.bindings) == [b"new", b"two"]


def test_a_dropped_binding_does_not_come_back_and_its_place_can_be_taken_again(
    opened: Opened,
) -> None:
    opened.store.save(SaveBinding("a", "c", b"1"))
    opened.again()
    opened.store.save(DropBinding("a", "c"))
    opened.store.save(DropBinding("a", "unknown"))
    opened.again()
    assert opened.restored.bindings == ()
    opened.store.save(SaveBinding("a", "c", b"2"))
    opened.again()
    assert opened.restored.bindings == (b"2",)


def test_ten_thousand_bindings_are_written_and_read_back(opened: Opened) -> None:
    for number in range(10_000):
        opened.store.save(SaveBinding(f"user{number}", "sip:x", b"%d" % number))
    opened.again()
    assert len(set(opened.restored.bindings)) == 10_000


def test_a_record_takes_the_place_of_its_call(opened: Opened) -> None:
    opened.store.save(SaveCall("x", b"state"))
    opened.store.save(SaveCall("y", b"other"))
    opened.again()
    assert sorted(opened.restored.calls) == [b"other", b"state"]
    opened.store.save(SaveRecord(record("x")))
    opened.again()
    assert opened.restored.calls == (b"other",)
    assert [found["id"] for found in opened.ask("records")] == ["x"]


def test_records_are_found_by_time_and_by_call(opened: Opened) -> None:
    for number in range(5):
        opened.store.save(SaveRecord(record(f"r{number}", started=float(number))))
    assert [found["id"] for found in opened.ask("records", limit=2)] == ["r4", "r3"]
    assert [found["id"] for found in opened.ask("records", since=3.0)] == ["r4", "r3"]
    assert [found["id"] for found in opened.ask("records", call_id="r1")] == ["r1"]


def test_only_records_the_cloud_has_not_got_are_pending_oldest_first(opened: Opened) -> None:
    for key in ("a", "b", "c"):
        opened.store.save(SaveRecord(record(key)))
    assert opened.ask("mark_uploaded", ["a", "unknown"]) == 1
    assert opened.ask("mark_uploaded", ["a"]) == 0
    assert [found["id"] for found in opened.ask("pending_records")] == ["b", "c"]
    assert opened.ask("records", call_id="a")[0]["uploaded"] is not None


def test_an_unsealed_record_waits_for_its_counters_but_not_for_ever(opened: Opened) -> None:
    opened.store.save(SaveRecord(record("a", sealed=False)))
    assert opened.ask("pending_records") == []
    opened.moment = replace(module.now(), wall=time.time() + 61)
    assert [found["sealed"] for found in opened.ask("pending_records")] == [True]


def test_the_mode_and_its_history_come_back(opened: Opened) -> None:
    opened.store.save(SaveMode(b"1", ModeChange("standby", "survivability", "zones down")))
    opened.store.save(SaveMode(b"2", ModeChange("survivability", "recovering", "zones up")))
    opened.again()
    assert opened.restored.mode == b"2"
    history = opened.ask("mode_history")
    assert [change["after"] for change in history] == ["recovering", "survivability"]


def test_what_was_found_of_failing_zones_comes_back_the_latest_first(opened: Opened) -> None:
    for at in (5.0, 9.0, 7.0):
        step = Step(layer="tcp", verdict="fail", kind="reset", text="refused")
        opened.ask("add_finding", finding(at, "a", [step]))
    opened.again()
    found = opened.ask("findings", 2)
    assert [one["at"] for one in found] == [9.0, 7.0]
    assert found[0]["steps"][0]["kind"] == "reset" and found[0]["layer"] == "tcp"


def test_only_the_latest_findings_are_kept(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.adapters.tables.KEPT_FINDINGS", 2)
    for at in (5.0, 6.0, 7.0):
        opened.ask("add_finding", finding(at, "a", []))
    assert [one["at"] for one in opened.ask("findings")] == [7.0, 6.0]


def test_monotonic_times_hold_on_after_a_restart_of_the_process(opened: Opened) -> None:
    opened.store.save(SaveBinding("a", "c", b"1"))
    opened.again()
    assert opened.restored.offset == 0.0


@pytest.mark.parametrize(("wall", "offset"), [(5060.0, -950.0), (7.0, -890.0)])
def test_after_a_reboot_the_wall_clock_tells_how_long_it_took_unless_it_went_back(
    opened: Opened, wall: float, offset: float
) -> None:
    opened.moment = Moment("first boot", 900.0, 5000.0)
    opened.store.save(SaveBinding("a", "c", b"1"))
    opened.ask("records")
    opened.moment = Moment("second boot", 10.0, wall)
    opened.again()
    assert opened.restored.offset == offset


def test_a_corrupt_file_is_put_aside_and_an_empty_one_used(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    file.write_bytes(b"this is no database " * 1000)
    opened = Opened(file)
    opened.store.save(SaveBinding("a", "c", b"1"))
    opened.again()
    opened.store.stop()
    assert opened.topics() == [("alarm", "store.corrupt")]
    assert opened.restored.bindings == (b"1",)
    assert len(list(tmp_path.glob("core.db.corrupt-*"))) == 1


def test_the_snapshot_takes_the_place_of_a_corrupt_file(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "core.db")
    opened.store.save(SaveRecord(record("kept")))
    opened.ask("records")
    take_snapshot(opened.file)
    opened.store.stop()
    opened.file.write_bytes(os.urandom(100_000))
    opened = Opened(opened.file)
    assert [found["id"] for found in opened.ask("records")] == ["kept"]
    opened.store.stop()


def test_a_snapshot_holds_no_calls_and_none_of_their_keys(tmp_path: Path) -> None:
    opened = Opened(tmp_path / "core.db")
    secret = b"master key and salt" * 400
    opened.store.save(SaveCall("talking", secret))
    opened.store.save(SaveRecord(record("kept")))
    opened.ask("records")
    take_snapshot(opened.file)
    opened.store.stop()
    assert b"master key" in opened.file.read_bytes()
    assert b"master key" not in snapshot_of(opened.file).read_bytes()
    assert b"kept" in snapshot_of(opened.file).read_bytes()


def test_calls_of_the_first_schema_are_numbered(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    with closing(sqlite3.connect(file)) as old:
        migrations.apply(Database(old), stop_before="number_calls")
        old.execute("INSERT INTO call VALUES ('x', x'01'), ('y', x'02')")
        old.commit()
    opened = Opened(file)
    assert sorted(opened.restored.calls) == [b"\x01", b"\x02"]
    opened.store.save(SaveCall("z", b"\x03"))
    opened.store.save(SaveCall("x", b"\x04"))
    opened.store.save(SaveRecord(record("y")))
    opened.ask("records")
    opened.store.stop()
    opened = Opened(file)
    assert sorted(opened.restored.calls) == [b"\x03", b"\x04"]
    opened.store.stop()


def test_a_full_disk_costs_nothing_but_patience(opened: Opened) -> None:
    opened.ask("records")
    tables = opened.store._tables
    assert tables is not None
    pages = tables._connection.execute("PRAGMA page_count").fetchone()[0]
    tables._connection.execute(f"PRAGMA max_page_count={pages}")
    for number in range(10_000):
        opened.store.save(SaveRecord(record(f"r{number}")))
    opened.store.save(SaveBinding("a", "c", b"1" * 5000))
    eventually(lambda: opened.notices)
    assert opened.ask("records") == []
    assert opened.topics() == [("alarm", "store.disk")]
    tables._connection.execute("PRAGMA max_page_count=1000000")
    eventually(lambda: len(opened.notices) == 2)
    assert opened.topics()[1] == ("info", "store.disk")
    assert len(opened.ask("pending_records", limit=20_000)) == 10_000


def test_a_folder_that_cannot_be_used_is_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.write_text("a file where the folder should be")
    opened = Opened(folder / "core.db")
    opened.store.save(SaveBinding("a", "c", b"1"))
    with pytest.raises(Unavailable):
        opened.ask("records")
    folder.unlink()
    eventually(lambda: ("info", "store.disk") in opened.topics())
    opened.again()
    assert opened.restored.bindings == (b"1",)
    opened.store.stop()


def test_a_file_damaged_while_open_is_replaced_and_the_service_goes_on(opened: Opened) -> None:
    for number in range(2000):
        opened.store.save(SaveBinding(f"u{number}", "c", b"x" * 200))
    opened.again()
    with sqlite3.connect(opened.file) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with opened.file.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(opened.file.stat().st_size - 8192))
    opened.again()
    opened.store.save(SaveBinding("new", "c", b"1"))
    opened.again()
    assert ("alarm", "store.corrupt") in opened.topics()
    assert b"1" in opened.restored.bindings


def test_memory_for_records_is_bounded_and_the_oldest_go_first() -> None:
    pending = Pending()
    for number in range(HELD_RECORDS + 2):
        pending.take(SaveRecord(record(f"r{number}")), 0.0)
    assert (len(pending.records), pending.lost) == (HELD_RECORDS, 2)
    assert "r1" not in pending.records


KILLED = """
    import sys
    from pathlib import Path
    from appliance.adapters.store import Store
    from appliance.call.actions import SaveBinding, SaveRecord
    from tests.adapters.test_store import record

    store = Store(Path(sys.argv[1]), print)
    store.start()
    store.save(SaveRecord(record("r")))
    for number in range(500):
        store.save(SaveBinding(f"u{number}", "c", b"row"))
    sys.stdin.readline()
"""


def test_what_was_saved_100_ms_ago_survives_kill_9(tmp_path: Path) -> None:
    file = tmp_path / "core.db"
    victim = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(file)], stdin=subprocess.PIPE
    )
    eventually(lambda: file.exists() and _count(file) == 500, seconds=10.0)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    opened = Opened(file)
    assert len(opened.restored.bindings) == 500
    assert len(opened.ask("records")) == 1
    opened.store.stop()


def _count(file: Path) -> int:
    try:
        with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as reader:
            return int(reader.execute("SELECT count(*) FROM binding").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_binding_is_on_disk_within_100_ms(opened: Opened) -> None:
    begun = time.monotonic()
    opened.store.save(SaveBinding("a", "c", b"1"))
    eventually(lambda: _count(opened.file) == 1)
    assert time.monotonic() - begun < 2.0  # 0.1 on a machine that is not busy


def test_what_users_set_on_their_phones_lasts(opened: Opened) -> None:
    for user, row in (("alice", b"one"), ("alice", b"two"), ("bob", b"three")):
        opened.store.save(SaveForwarding(user, row))
    opened.again()
    assert sorted(opened.restored.forwardings) == [b"three", b"two"]
    opened.store.save(SaveForwarding("alice", None))
    opened.store.save(SaveForwarding("carol", None))
    opened.again()
    assert opened.restored.forwardings == (b"three",)


def test_who_is_stopped_from_calling_outside_stays_so(opened: Opened) -> None:
    for user, row in (("alice", b"one"), ("bob", b"two"), ("alice", None)):
        opened.store.save(SaveStop(user, row))
    opened.again()
    assert opened.restored.stops == (b"two",)


def test_when_phones_were_here_lasts(opened: Opened) -> None:
    for user, row in (("alice", b"one"), ("bob", b"two"), ("alice", b"three")):
        opened.store.save(SaveSighting(user, row))
    opened.again()
    assert sorted(opened.restored.sightings) == [b"three", b"two"]
    opened.store.save(SaveSighting("bob", None))
    opened.again()
    assert opened.restored.sightings == (b"three",)


def test_who_is_called_back_is_on_the_disk_at_once(opened: Opened) -> None:
    opened.store.save_now(SaveCallback("call-1", b"one"))
    with closing(sqlite3.connect(opened.file)) as other:
        assert other.execute("SELECT call, row FROM callback").fetchall() == [("call-1", b"one")]
    opened.store.save_now(SaveCallback("call-2", b"two"))
    opened.store.save(DropCallback("call-1"))
    opened.again()
    assert opened.restored.callbacks == (b"two",)
    assert not opened.notices


def test_who_is_to_be_alerted_is_on_the_disk_at_once_and_forgotten_when_told(
    opened: Opened,
) -> None:
    opened.store.save_now(SaveAlert("call-1-called", b"one", waits=True))
    with closing(sqlite3.connect(opened.file)) as other:
        rows = other.execute("SELECT name, row FROM alert").fetchall()
    assert rows == [("call-1-called", b"one")]
    opened.store.save(SaveAlert("call-2-called", b"two"))
    opened.store.save(SaveAlert("call-2-called", b"three"))
    opened.store.save(DropAlert("call-1-called"))
    opened.again()
    assert opened.restored.alerts == (b"three",)
    assert not opened.notices


def test_a_disk_that_takes_nothing_holds_no_call_for_help_back(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> int:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("appliance.adapters.tables.Tables.write", full)
    begun = time.monotonic()
    opened.store.save_now(SaveCallback("call-1", b"one"))
    assert time.monotonic() - begun < 1.0
    assert ("alarm", "store.callback") in opened.topics()
    monkeypatch.undo()
    opened.again()
    assert opened.restored.callbacks == (b"one",)
