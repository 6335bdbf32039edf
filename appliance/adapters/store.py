"""core.db's only door: whatever must outlast this process goes through one thread (reliability 1).

Bindings are gathered for a moment and committed together; calls, records and modes at once, with
whatever else waits then. When the disk takes nothing, everything waits in memory and the service
goes on.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

from appliance.adapters.pending import Moment, Pending, Saving
from appliance.adapters.schema import is_corruption, open_database, snapshot_of, take_snapshot
from appliance.adapters.tables import Tables
from appliance.call.actions import (
    Notice,
    SaveAlert,
    SaveCall,
    SaveCallback,
    SaveForwarding,
    SaveMode,
    SaveRecord,
    SaveStop,
)
from appliance.errors import Unavailable
from appliance.evidence import Finding
from appliance.ports import Restored

GATHER = 0.05
"""Seconds bindings wait for company: at 8,000 registrations a second 400 share one commit."""
PACE = 0.05
"""Seconds between the beginnings of two commits, unless somebody waits for one: at 500 calls a
second 25 share it, and the pages that it writes. What comes after a pause is written at once."""
RETRY = 2.0
"""Seconds between two attempts to write to a disk that took nothing."""
SNAPSHOT_EVERY = 86_400.0
"""Seconds."""
SNAPSHOT_FIRST = 300.0
"""Seconds after the start: the phones that come back first need the disk more."""
BOOT_FILE = Path("/proc/sys/kernel/random/boot_id")

PATIENCE = 0.3
"""Seconds that a call for help waits for the disk, and everybody with it; a commit takes 0.01."""

URGENT = frozenset(
    (SaveCall, SaveForwarding, SaveStop, SaveRecord, SaveMode, SaveCallback, SaveAlert)
)
"""Written within `PACE` and a commit: phones believe what they were told meanwhile."""

Read = Callable[[Tables, Moment], Any]


def now() -> Moment:
    """Read every clock once."""
    return Moment(_boot(), time.monotonic(), time.time())


@cache
def _boot() -> str:
    """Return what names this boot of the machine, which outlives no process of ours."""
    try:
        boot = BOOT_FILE.read_text(encoding="ascii").strip()
    except OSError:  # Then every start is taken for a reboot, and the wall clock decides.
        boot = ""
    return boot or f"unknown-{time.monotonic_ns()}"


class Store:
    """Keep bindings, calls, records and the mode; every method may be called from the loop."""

    def __init__(
        self,
        file: Path,
        notify: Callable[[Notice], None],
        clock: Callable[[], Moment] = now,
        retry: float = RETRY,
    ) -> None:
        """`notify` is called in the store's thread."""
        self._file = file
        self._notify = notify
        self._clock = clock
        self._retry = retry
        self._queue: deque[Saving | tuple[Read, Future[Any]]] = deque()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._awaited = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="store", daemon=True)
        self._restored: Future[Restored] = Future()
        self._tables: Tables | None = None
        self._pending = Pending()
        self._failing = ""
        self._next_try = 0.0
        self._copying = threading.Lock()
        self._snapshot_due = _first_snapshot(file)

    # Called from the loop.

    def start(self) -> Restored:
        """Open the database and return what the last process left; never fails.

        Without a usable file the store begins empty, says so, and tries on.
        """
        self._thread.start()
        return self._restored.result()

    def save(self, action: Saving) -> None:
        """Write soon; a call, a record or a mode at once."""
        self._queue.append(action)
        # Setting wakes a thread, which costs us the turn that we are in; asking costs nothing.
        if type(action) in URGENT and not self._urgent.is_set():
            self._urgent.set()
        if not self._wake.is_set():
            self._wake.set()

    def save_now(self, action: SaveCallback | SaveAlert) -> None:
        """Write, and return when it is on the disk, or when the disk has had its chance.

        A call for help waits for this, so it may block the loop, and must not for long.
        """
        future: Future[Any] = Future()
        self.save(action)
        self._queue.append((lambda tables, _: _has(tables, action), future))
        self._hurry()
        try:
            written = bool(future.result(PATIENCE))
        except (TimeoutError, Unavailable):
            written = False
        if not written:
            missing = "whom to call back" if isinstance(action, SaveCallback) else "whom to alert"
            text = f"a call for help is made before the disk knows {missing}"
            self._say("alarm", "store.callback", text)

    async def records(
        self,
        limit: int = 100,
        since: float | None = None,
        call_id: str | None = None,
        until: float | None = None,
        offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return records, latest start first, with `uploaded` (Unix time or None)."""
        asked = (limit, since, call_id, until, offset)
        return list(await self._ask(lambda tables, _: tables.records(*asked)))

    async def pending_records(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return the oldest records that the cloud has not got."""
        found = await self._ask(lambda tables, at: tables.pending_records(at.wall, limit))
        return list(found)

    async def count_pending(self) -> int:
        """Return how many records the cloud has not got."""
        return int(await self._ask(lambda tables, _: tables.count_pending()))

    async def mark_uploaded(self, ids: list[str]) -> int:
        """Remember that the cloud has got these; return how many were news."""
        return int(await self._ask(lambda tables, at: tables.mark_uploaded(ids, at.wall)))

    async def mode_history(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return changes of mode, latest first."""
        return list(await self._ask(lambda tables, _: tables.mode_history(limit)))

    async def add_finding(self, found: Finding) -> None:
        """Keep what was found of a failing zone; raises Unavailable when the disk takes nothing."""
        await self._ask(lambda tables, _: tables.add_finding(found))

    async def findings(self, limit: int = 100) -> list[dict[str, Any]]:
        """Return what was found of failing zones, latest first."""
        return list(await self._ask(lambda tables, _: tables.findings(limit)))

    def _ask(self, read: Read) -> asyncio.Future[Any]:
        """Read in the store's thread after all that was saved before; raises Unavailable."""
        future: Future[Any] = Future()
        self._queue.append((read, future))
        self._hurry()
        return asyncio.wrap_future(future)

    def stop(self) -> None:
        """Write what waits and close; gives up after a disk that takes nothing has had its try."""
        self._stopping = True
        self._hurry()
        self._thread.join()

    def _hurry(self) -> None:
        self._awaited.set()
        self._urgent.set()
        self._wake.set()

    async def snapshot(self) -> None:
        """Copy the database beside itself now; raises Unavailable."""
        if not await asyncio.to_thread(self._snapshot):
            raise Unavailable("the disk takes no copy of the database")

    # The thread.

    def _run(self) -> None:
        self._open()
        self._restored.set_result(self._read_restored())
        while not self._stopping:
            self._wait()
            begun = time.monotonic()
            self._work()
            if begun >= self._snapshot_due and self._tables is not None:
                self._snapshot_due = begun + SNAPSHOT_EVERY
                threading.Thread(target=self._snapshot, name="snapshot", daemon=True).start()
            if not self._stopping:
                self._awaited.wait(max(0.0, begun + PACE - time.monotonic()))
        self._next_try = 0.0
        self._work()
        if self._tables is not None:
            self._tables.close()

    def _wait(self) -> None:
        """Return when something is to be done and has had the time to gather company."""
        due = self._next_try if self._pending else self._snapshot_due
        if self._wake.wait(max(0.0, due - time.monotonic())):
            self._wake.clear()
            self._urgent.wait(GATHER)
            self._urgent.clear()

    def _work(self) -> None:
        """Write all that is queued, then answer who asked."""
        self._awaited.clear()
        asked: list[tuple[Read, Future[Any]]] = []
        wall = self._clock().wall
        while self._queue:
            item = self._queue.popleft()
            if isinstance(item, tuple):
                asked.append(item)
            else:
                self._pending.take(item, wall)
        if self._pending and time.monotonic() >= self._next_try:
            self._write()
        for read, future in asked:
            self._answer(read, future)

    def _write(self) -> None:
        try:
            if self._tables is None:
                self._open()
            if self._tables is not None:
                pruned = self._tables.write(self._pending, self._clock())
                self._written(pruned + self._pending.lost)
        except (ValueError, OverflowError) as error:
            # Nothing that can be written looks like this; records cannot, the rest is renewed.
            self._pending.bindings.clear()
            self._pending.forwardings.clear()
            self._pending.sightings.clear()
            self._pending.stops.clear()
            self._pending.calls.clear()
            self._say("alarm", "store.row", f"a row could not be written: {error}")
        except sqlite3.Error as error:
            self._fail(error)

    def _written(self, lost: int) -> None:
        self._pending = Pending()
        if self._failing:
            self._failing = ""
            self._say("info", "store.disk", "the disk takes data again; nothing waits in memory")
        if lost:
            self._say("alarm", "store.records", f"{lost} call records were given up for room")

    def _fail(self, error: sqlite3.Error | OSError) -> None:
        """Keep everything for a later try; leave a file that will never do."""
        self._next_try = time.monotonic() + self._retry
        moved = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED
        if self._tables is not None and (moved or _is_broken(error)):
            self._tables.close()
            self._tables = None
        if self._failing != str(error):
            self._failing = str(error)
            waiting = f"data waits in memory and is tried again every {self._retry:.0f} s"
            self._say("alarm", "store.disk", f"{self._file} cannot be written: {error}; {waiting}")

    def _open(self) -> None:
        try:
            opened = open_database(self._file, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
            self._tables = Tables(opened.connection)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return
        if opened.quarantined is not None:
            instead = "last night's snapshot" if opened.from_snapshot else "an empty one"
            text = f"the database was corrupt and is kept as {opened.quarantined}; using {instead}"
            self._say("alarm", "store.corrupt", text)

    def _read_restored(self) -> Restored:
        try:
            return self._tables.restored(self._clock()) if self._tables else Restored()
        except sqlite3.Error as error:
            self._fail(error)
            return Restored()

    def _answer(self, read: Read, future: Future[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            if self._tables is None:
                raise Unavailable(f"the database is not open: {self._failing}")
            future.set_result(read(self._tables, self._clock()))
        except sqlite3.Error as error:
            future.set_exception(Unavailable(f"the database does not answer: {error}"))
        except (Unavailable, ValueError, OverflowError) as error:
            future.set_exception(error)

    def _snapshot(self) -> bool:
        with self._copying:
            try:
                take_snapshot(self._file)
            except (sqlite3.Error, OSError) as error:
                self._say("warning", "store.snapshot", f"no snapshot was taken: {error}")
                return False
            return True

    def _say(self, severity: str, topic: str, text: str) -> None:
        self._notify(Notice(severity, topic, text))


def _is_broken(error: sqlite3.Error | OSError) -> bool:
    return isinstance(error, sqlite3.Error) and is_corruption(error)


def _first_snapshot(file: Path) -> float:
    """Return when a start should take a snapshot: soon, unless there is a young one."""
    try:
        age = time.time() - snapshot_of(file).stat().st_mtime
    except OSError:
        age = SNAPSHOT_EVERY
    return time.monotonic() + max(SNAPSHOT_FIRST, SNAPSHOT_EVERY - max(0.0, age))


def _has(tables: Tables, action: SaveCallback | SaveAlert) -> bool:
    """Tell whether what a call for help waits for is on the disk."""
    if isinstance(action, SaveCallback):
        return tables.has_callback(action.call_id)
    return tables.has_alert(action.key)
