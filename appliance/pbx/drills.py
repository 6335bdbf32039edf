"""Tests that begin by themselves when the bundle says so (A6).

A drill begins by the clock of the site, within a minute of its time or not at all: one that was
missed, because the appliance was off, is not made up for when nobody expects it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from appliance.bundle import Bundle, Drill
from appliance.call.actions import Action, Notice
from appliance.errors import LocalError
from appliance.sip.timers import Timer, TimerQueue

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LATE = 60.0
"""Seconds after its time in which a drill still begins."""
LOOK = 600.0
"""Seconds between two looks at the clock: one that is set must not make a drill late."""
SOON = 0.05
"""Seconds to the next look at least."""


class Due(NamedTuple):
    """When a drill begins next."""

    at: float
    """Wall-clock seconds."""
    drill: Drill


class Drills:
    """Begin each drill of the bundle at its time."""

    def __init__(
        self,
        timers: TimerQueue,
        emit: Callable[[Action], None],
        wall: Callable[[float], float],
        begin: Callable[[Drill, float], None],
    ) -> None:
        """`begin(drill, now)` raises LocalError where a test cannot begin now."""
        self._timers = timers
        self._emit = emit
        self._wall = wall
        self._begin = begin
        self._drills: tuple[Drill, ...] = ()
        self._zone = ZoneInfo("UTC")
        self._seen: float | None = None
        """Wall-clock time up to which every drill has begun or been missed."""
        self._timer: Timer | None = None

    def apply(self, bundle: Bundle, now: float) -> None:
        """Keep the drills of this bundle from now on."""
        self._drills, self._zone = bundle.drills, ZoneInfo(bundle.site.time_zone)
        if self._seen is None:
            self._seen = self._wall(now)
        self._arm(now)

    def next(self, now: float) -> Due | None:
        """Return which drill begins next, None if none does."""
        return self._next(self._wall(now))

    def _next(self, after: float) -> Due | None:
        due = [
            Due(at, drill)
            for drill in self._drills
            if (at := beginning(drill, self._zone, after)) is not None
        ]
        return min(due, key=lambda one: one.at, default=None)

    def _look(self, now: float) -> None:
        """Begin what is due."""
        wall, seen = self._wall(now), self._seen or 0.0
        if wall < seen - LOOK:  # The clock was ahead by far, and is right now.
            seen = wall
        self._seen = max(seen, wall)
        for drill in self._drills:
            at = beginning(drill, self._zone, seen)
            if at is None or at > wall:
                continue
            latest = beginning(drill, self._zone, max(seen, wall - LATE))
            self._try(drill, latest is not None and latest <= wall, now)
        self._arm(now)

    def _try(self, drill: Drill, in_time: bool, now: float) -> None:
        try:
            if not in_time:
                raise LocalError("its time has passed while the clock was set or stood still")
            self._begin(drill, now)
        except LocalError as error:
            text = f"Drill {drill.id} did not begin: {error}"
            self._emit(Notice("warning", "drill.missed", text))

    def _arm(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._next(self._seen or 0.0)
        if due is not None:
            wait = min(max(due.at - self._wall(now), SOON), LOOK)
            self._timer = self._timers.arm(now + wait, self._look)


def beginning(drill: Drill, zone: ZoneInfo, after: float) -> float | None:
    """Return when a drill begins first after a time; both are wall-clock seconds."""
    clock = time.fromisoformat(drill.at)
    for day in _days(drill, datetime.fromtimestamp(after, UTC).astimezone(zone).date()):
        at = datetime.combine(day, clock, zone).timestamp()
        if at > after:
            return at
    return None


def _days(drill: Drill, today: date) -> Iterator[date]:
    """Yield the days a drill may begin on, from yesterday to this day of the next week."""
    if drill.day is not None:
        yield date.fromisoformat(drill.day)
        return
    for number in range(-1, 9):
        day = today + timedelta(days=number)
        if WEEKDAYS[day.weekday()] in drill.days:
            yield day
