"""Call records through 10,000 simulated hours of outages, lost answers and killed processes.

The real tables (SQLite in memory), the real upload and the real modes; the cloud is a counter that
loses requests and answers. What must hold: the cloud counts each record once, and none is lost.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from appliance.adapters.pending import Moment, Pending
from appliance.adapters.schema import open_database
from appliance.adapters.tables import Tables
from appliance.bundle import Monitoring
from appliance.call.actions import SaveRecord
from appliance.call.record import CallRecord
from appliance.cloud.records import RecordUpload
from appliance.errors import Unavailable
from appliance.pbx.survival import Mode
from tests.simulation.outages import Outages

SLOWEST = Monitoring(interval=120, timeout=50, misses=4, stable_window=1500)
WALL = 1_800_000_000.0


class CountingCloud:
    """Counts records by idempotency key; drops connections before or after counting."""

    def __init__(self, dice: random.Random) -> None:
        self.counted: dict[str, int] = {}
        self._dice = dice

    async def put_record(self, record: CallRecord) -> None:
        luck = self._dice.random()
        if luck < 0.1:
            raise Unavailable("the request was lost")
        self.counted.setdefault(record.id, 0)
        self.counted[record.id] += 1
        if luck < 0.3:
            raise Unavailable("the connection broke in the middle of the answer")


class Core:
    """Core's commands on its real tables; killed now and then between two of them."""

    def __init__(self, tables: Tables, dice: random.Random) -> None:
        self.mode: Mode = "standby"
        self.now = 0.0
        self._tables = tables
        self._dice = dice

    def moment(self) -> Moment:
        return Moment("boot", self.now, WALL + self.now)

    def write(self, record: CallRecord) -> None:
        pending = Pending()
        pending.take(SaveRecord(record), WALL + self.now)
        self._tables.write(pending, self.moment())

    async def call(self, name: str, /, **arguments: Any) -> Any:
        if self._dice.random() < 0.05:
            raise Unavailable("core was killed")
        if name == "mode":
            return {"mode": self.mode}
        if name == "records.pending":
            return self._tables.pending_records(WALL + self.now, **arguments)
        assert name == "records.uploaded"
        done = self._tables.mark_uploaded(arguments["ids"], WALL + self.now)
        if self._dice.random() < 0.05:
            raise Unavailable("core was killed before it could say so")
        return done


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Give a folder where a commit need not wait for a disk; what is tested is what is counted."""
    there = Path("/dev/shm")
    with TemporaryDirectory(dir=there if there.is_dir() else tmp_path) as folder:
        yield Path(folder)


def record(number: int, mode: str, started: float) -> CallRecord:
    return CallRecord(
        id=f"call-{number}",
        site="hq",
        mode=mode,
        caller="1001",
        callee="1002",
        started=started,
        outcome="answered",
        status=200,
    )


def upload_once(upload: RecordUpload, loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_until_complete(upload.upload())
    except Unavailable:
        return


@pytest.mark.parametrize("seed", range(5))
def test_each_record_is_counted_exactly_once(seed: int, memory: Path) -> None:
    dice = random.Random(seed)
    connection = open_database(memory / "core.db", "stamp").connection
    assert isinstance(connection, sqlite3.Connection)
    tables = Tables(connection)
    core, cloud = Core(tables, dice), CountingCloud(dice)
    loop = asyncio.new_event_loop()

    def changed(mode: Mode, now: float) -> None:
        core.mode = mode

    site = Outages(seed, SLOWEST, changed)
    upload = RecordUpload(cloud, core, clock=lambda: core.now)  # type: ignore[arg-type]
    made = 0
    try:
        for _ in range(2000):
            site.run(1)
            core.now = site.now
            for _ in range(dice.randrange(4)):
                core.write(record(made, core.mode, WALL + site.now))
                made += 1
            if dice.random() < 0.1:  # the admin process was killed and knows nothing any more
                upload = RecordUpload(cloud, core, clock=lambda: core.now)  # type: ignore[arg-type]
            before = len(cloud.counted)
            upload_once(upload, loop)
            assert core.mode == "standby" or len(cloud.counted) == before
        core.mode = "standby"
        for _ in range(3000):
            upload_once(upload, loop)
            if not tables.pending_records(WALL + core.now + 3600):
                break
    finally:
        loop.close()
    assert made > 2000
    assert cloud.counted.keys() == {f"call-{number}" for number in range(made)}
    assert tables.pending_records(WALL + core.now + 3600) == []
    assert max(cloud.counted.values()) > 1, "no answer was lost: the test tests nothing"
    tables.close()
