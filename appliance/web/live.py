"""The state of everything, asked of core once a second at most however many look on.

Twenty browsers on the dashboard cost core what one costs: a status each second, and nothing at all
while nobody looks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import msgspec

from appliance import __version__
from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands
from appliance.settings import Settings
from appliance.web.issues import Issue, find_issues
from appliance.web.machine import Machine, read_machine

FRESH = 1.0
"""Seconds for which a status is good."""
MACHINE_FRESH = 10.0
ANSWER_TIMEOUT = 5.0
"""Seconds a page waits for core before it says that core is away."""
LOOK_EVERY = 1.0
LISTENERS_LIMIT = 100
"""Event streams at a time."""
WAITING = 50
"""Events that wait for a listener who does not read; older ones are dropped, all repeat."""

BUNDLE_CHANGES = ("version", "stored_at", "in_core", "failure", "refused_at")
"""What of the bundle's state is told when it changes, besides the version that is held."""

Event = tuple[str, Any]
"""Name and data."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment."""

    at: float
    """Unix seconds."""
    status: dict[str, Any] | None
    """As the API tells it; None while core is away."""
    emergency: dict[str, Any] | None = None
    """Ways out for calls for help, as the API tells them; None while they are not known."""
    failure: str
    """Why core is away."""
    machine: Machine
    issues: list[Issue]


class Live:
    """Hold the latest view and tell listeners what changes."""

    def __init__(
        self,
        core: Commands,
        settings: Settings,
        sync: Callable[[], dict[str, Any]],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`sync` gives the cloud's part of the status."""
        self._core = core
        self._settings = settings
        self._sync = sync
        self._wall = wall
        self._turn = asyncio.Lock()
        self._view: View | None = None
        self._asked = float("-inf")
        self._machine: Machine | None = None
        self._machine_read = float("-inf")
        self._listeners: set[asyncio.Queue[Event]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._told: dict[str, bytes] = {}

    async def view(self) -> View:
        """Return the view, at most a second old; never raises."""
        async with self._turn:
            if self._view is None or time.monotonic() - self._asked > FRESH:
                self._view = await self._look()
                self._asked = time.monotonic()
            return self._view

    def forget(self) -> None:
        """Have the next view be a new one: something was changed."""
        self._asked = float("-inf")

    @contextmanager
    def listen(self) -> Any:
        """Give a queue of events while the context lasts; raises Unavailable for one too many."""
        if len(self._listeners) >= LISTENERS_LIMIT:
            raise Unavailable(f"{LISTENERS_LIMIT} event streams are open already")
        queue: asyncio.Queue[Event] = asyncio.Queue(WAITING)
        self._listeners.add(queue)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._keep_looking())
        try:
            yield queue
        finally:
            self._listeners.discard(queue)
            if not self._listeners and self._looking is not None:
                self._looking.cancel()

    async def close(self) -> None:
        """End what still runs."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _keep_looking(self) -> None:
        self._told.clear()
        while True:
            for name, data in events_of(await self.view()).items():
                text = msgspec.json.encode(data)
                if self._told.get(name) != text:
                    self._told[name] = text
                    self._tell((name, data))
            await asyncio.sleep(LOOK_EVERY)

    def _tell(self, event: Event) -> None:
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(event)

    async def _look(self) -> View:
        status, failure = None, ""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                status = await self._core.call("status") | {"sync": self._sync()}
        except (Unavailable, LocalError) as error:
            failure = str(error)
        except TimeoutError:
            failure = "the signalling process does not answer in time"
        emergency = await self._ask_emergency() if status is not None else None
        machine = await self._read_machine()
        plain = None if status is None else msgspec.to_builtins(status)
        now = self._wall()
        return View(
            at=now,
            status=plain,
            emergency=emergency,
            failure=failure,
            machine=machine,
            issues=find_issues(plain, machine, now, emergency),
        )

    async def _ask_emergency(self) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                told: dict[str, Any] = await self._core.call("emergency")
        except (Unavailable, LocalError, TimeoutError):
            return None  # There is no bundle yet; that is an issue of its own.
        return told

    async def _read_machine(self) -> Machine:
        if self._machine is None or time.monotonic() - self._machine_read > MACHINE_FRESH:
            self._machine = await asyncio.to_thread(read_machine, self._settings, __version__)
            self._machine_read = time.monotonic()
        return self._machine


def events_of(view: View) -> dict[str, Any]:
    """Return what a view says under the names of events; each is told when it changes."""
    issues = [{"id": issue.id, "severity": issue.severity} for issue in view.issues]
    status = view.status
    if status is None:
        return {"core": {"away": view.failure}, "issues": issues}
    stored = status["sync"].get("bundle") or {}
    held = (stored.get("held") or {}).get("version")
    zones = [
        {"id": zone["id"], "state": zone["state"], "rtt": zone.get("rtt")}
        for zone in status["zones"]
    ]
    return {
        "core": {"away": ""},
        "mode": {name: status.get(name) for name in ("mode", "since", "reason")},
        "zones": zones,
        "phones": {**status["phones"], "users": status["users"]},
        "calls": {"calls": status["calls"]},
        "records": status.get("records") or {},
        "bundle": {name: stored.get(name) for name in BUNDLE_CHANGES} | {"held": held},
        "issues": issues,
    }
