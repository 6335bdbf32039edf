"""Holidays and other closing times from an iCalendar (RFC 5545), as spans of time.

Read once, when a bundle is checked, and never in a call: a lookup is a bisection. Whatever recurs
is written out between two fixed days, so the same text gives the same spans on every day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache
from itertools import islice
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Calendar

from appliance.bundle.recurrence import Budget, occurrences, read_rule
from appliance.errors import LocalError

FIRST: Final = datetime(2020, 1, 1)
LAST: Final = datetime(2060, 1, 1)
"""What recurs is written out from here to here."""
EARLIEST: Final = datetime(1970, 1, 1)
SPANS_LIMIT: Final = 20_000
"""Spans of one calendar: 40 years of 500 holidays, or of one rule for every day."""
DAYS_LIMIT: Final = 500_000
"""Days that all rules together may look at; takes half a second. A yearly holiday takes 3,000."""


class Span(NamedTuple):
    """One time in which nobody works."""

    begin: float
    """Unix seconds."""
    end: float
    """The first second after it."""
    name: str


class _Given(NamedTuple):
    """One event: when it takes place first, by the clock of its own zone."""

    event: Any
    name: str
    begin: datetime
    """Without zone."""
    end: datetime
    zone: tzinfo
    uid: str
    replaces: datetime | None
    """Which one of a recurring event this one stands for."""


@lru_cache(maxsize=32)
def closing_spans(text: str, time_zone: str) -> tuple[Span, ...]:
    """Return when a calendar says that nobody works, in the order of their beginnings.

    Days without a clock time, and times without a zone, are those of `time_zone`. Raises LocalError
    with a sentence on what cannot be read, or recurs too often.
    """
    try:
        zone = ZoneInfo(time_zone)
        events = [_given(event, zone) for event in Calendar.from_ical(text).walk("VEVENT")]
        spans = list(islice(_spans(events), SPANS_LIMIT + 1))
    except LocalError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        words = " ".join(str(error).split())[:120]
        raise LocalError(f"not an iCalendar that can be read ({words}); export it again") from None
    if len(spans) > SPANS_LIMIT:
        raise LocalError(f"it has more than {SPANS_LIMIT:,} closing times; leave some out")
    return tuple(sorted(spans))


def _spans(events: list[_Given]) -> Iterator[Span]:
    budget = Budget(DAYS_LIMIT)
    moved = {(given.uid, given.replaces) for given in events if given.replaces is not None}
    for given in events:
        if str(given.event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        try:
            for begin in _beginnings(given, budget):
                if given.replaces is not None or (given.uid, begin) not in moved:
                    yield _span(begin, given)
        except LocalError as error:
            raise LocalError(f"{given.name!r} {error}") from None


def _given(event: Any, zone: ZoneInfo) -> _Given:
    name = _shown(str(event.get("SUMMARY", ""))) or "an event without a name"
    for field, fault in event.errors:
        raise LocalError(f"{name!r}: {field} cannot be read ({fault}); mend the calendar")
    if "DTSTART" not in event:
        raise LocalError(f"{name!r} has no DTSTART; mend the calendar")
    begin, own = _naive(event["DTSTART"].dt, zone)
    end = _in_zone(event.end, own)
    if end < begin or begin < EARLIEST:
        raise LocalError(f"{name!r} ends before it begins, or is before 1970; mend the calendar")
    replaces = _in_zone(event["RECURRENCE-ID"].dt, own) if "RECURRENCE-ID" in event else None
    return _Given(event, name, begin, end, own, str(event.get("UID", "")), replaces)


def _shown(text: str) -> str:
    """Return a name as it may stand in a record and on a terminal."""
    return "".join(letter for letter in " ".join(text.split())[:80] if letter.isprintable())


def _naive(when: date | datetime, zone: tzinfo) -> tuple[datetime, tzinfo]:
    """Return a time by its own clock, and whose clock that is."""
    if not isinstance(when, datetime):
        return datetime.combine(when, time()), zone
    return when.replace(tzinfo=None), when.tzinfo or zone


def _in_zone(when: date | datetime, zone: tzinfo) -> datetime:
    """Return a time by the clock of a zone."""
    if isinstance(when, datetime) and when.tzinfo is not None:
        return when.astimezone(zone).replace(tzinfo=None)
    return _naive(when, zone)[0]


def _beginnings(given: _Given, budget: Budget) -> Iterator[datetime]:
    """Yield each beginning by the event's own clock, without those that are taken out."""
    out = {_in_zone(when, given.zone) for when in _listed(given.event, "EXDATE")}
    for begin in _ruled(given, budget):
        if begin not in out:
            yield begin
    for when in _listed(given.event, "RDATE"):
        yield _in_zone(when, given.zone)


def _ruled(given: _Given, budget: Budget) -> Iterator[datetime]:
    parts = given.event.get("RRULE")
    if parts is None or given.replaces is not None:
        yield given.begin
        return
    if isinstance(parts, list):
        raise LocalError("has two rules; make it two events")
    until = None
    for when in parts.get("UNTIL", ()):
        until = _in_zone(when, given.zone)
        if not isinstance(when, datetime):
            until = datetime.combine(when, time.max)
    for begin in occurrences(read_rule(parts, until), given.begin, LAST, budget):
        if begin >= FIRST:
            yield begin


def _listed(event: Any, field: str) -> Iterator[date | datetime]:
    found = event.get(field, [])
    for values in found if isinstance(found, list) else [found]:
        for value in values.dts:
            yield value.dt[0] if isinstance(value.dt, tuple) else value.dt


def _span(begin: datetime, given: _Given) -> Span:
    end = begin + (given.end - given.begin)
    return Span(_seconds(begin, given.zone), _seconds(end, given.zone), given.name)


def _seconds(when: datetime, zone: tzinfo) -> float:
    return when.replace(tzinfo=zone).astimezone(UTC).timestamp()
