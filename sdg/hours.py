"""Opening hours by the clock of a time zone, with holidays (D7)."""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from appliance.bundle import Hours
from appliance.bundle.calendar import closing_spans

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Times = tuple[tuple[str, str], ...]
"""Opening and closing times, `HH:MM`: as texts they compare as they should."""


class Verdict(NamedTuple):
    """Whether it is open, and why."""

    open: bool
    why: str
    """In words, for the call's record."""


class Schedule:
    """One `Hours` of the bundle, ready to be asked; built when the bundle is applied.

    A window opens and closes by what clocks on the wall show, so that on the two days of the year
    when they are changed it is as long as people at the door would find it.
    """

    def __init__(self, hours: Hours) -> None:
        """Read the calendar; raises LocalError where it cannot be read."""
        self._zone = ZoneInfo(hours.time_zone)
        self._weekdays: dict[str, Times] = {
            day: tuple((w.opens, w.closes) for w in hours.windows if day in w.days)
            for day in WEEKDAYS
        }
        self._holidays = frozenset(hours.holidays)
        self._special: dict[str, Times] = {
            special.day: tuple((opening.opens, opening.closes) for opening in special.openings)
            for special in hours.exceptions
        }
        text = hours.calendar
        self._spans = closing_spans(text, hours.time_zone) if text else ()
        self._longest = max((span.end - span.begin for span in self._spans), default=0.0)

    def at(self, when: float) -> Verdict:
        """Tell whether it is open at a time (Unix seconds)."""
        local = datetime.fromtimestamp(when, UTC).astimezone(self._zone)
        day, clock = local.date().isoformat(), f"{local:%H:%M}"
        shown = f"{WEEKDAYS[local.weekday()]} {day} {clock} {local.tzname()}"
        if day in self._special:
            return _within(self._special[day], clock, f"{shown}, a special day")
        if day in self._holidays:
            return Verdict(False, f"{shown}, a holiday")
        if name := self._closing(when):
            return Verdict(False, f"{shown}, {name}")
        return _within(self._weekdays[WEEKDAYS[local.weekday()]], clock, shown)

    def _closing(self, when: float) -> str:
        """Return the name of the calendar's closing time that it is, if any."""
        index = bisect_right(self._spans, when, key=lambda span: span.begin)
        while index > 0 and self._spans[index - 1].begin >= when - self._longest:
            index -= 1
            if when < self._spans[index].end:
                return self._spans[index].name
        return ""


def _within(times: Times, clock: str, shown: str) -> Verdict:
    return Verdict(any(opens <= clock < closes for opens, closes in times), shown)
