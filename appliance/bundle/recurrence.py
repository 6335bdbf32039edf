"""Write out a recurrence rule (RFC 5545, 3.3.10) by days, with a bound on the work it may make.

dateutil's rules follow one that never comes true (30 February) to the year 9999, which took 5 s;
here every day that is looked at is counted.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from appliance.errors import LocalError

FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
PARTS: Final = frozenset(
    ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS")
)


class Budget:
    """Days that all rules of a calendar together may look at."""

    def __init__(self, days: int) -> None:
        self._left = days

    def spend(self, days: int) -> None:
        """Take some away; raises LocalError when there are none left."""
        self._left -= days
        if self._left < 0:
            raise LocalError("recurs too often; write its days one by one")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When something happens again."""

    frequency: str
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    """Last beginning, by the event's own clock."""
    week_start: int = 0
    months: frozenset[int] = frozenset()
    month_days: frozenset[int] = frozenset()
    """Days of the month; negative: from its end."""
    weekdays: tuple[tuple[int, int], ...] = ()
    """Which one of its kind in the month or year (0: each, negative: from the end), weekday."""
    positions: tuple[int, ...] = ()


def read_rule(parts: Mapping[str, Sequence[Any]], until: datetime | None) -> Rule:
    """Return the rule that an RRULE's parts make; raises LocalError for what is not supported."""
    unknown = {str(part).upper() for part in parts} - PARTS
    frequency = str(parts.get("FREQ", [""])[0]).upper()
    if unknown or frequency not in FREQUENCIES:
        odd = ", ".join(sorted(unknown)) or frequency
        raise LocalError(f"recurs by {odd}; write DAILY, WEEKLY, MONTHLY or YEARLY with plain days")
    rule = Rule(
        frequency=frequency,
        interval=int(parts.get("INTERVAL", [1])[0]),
        count=int(parts["COUNT"][0]) if "COUNT" in parts else None,
        until=until,
        week_start=WEEKDAYS.index(str(parts.get("WKST", ["MO"])[0])),
        months=frozenset(int(month) for month in parts.get("BYMONTH", ())),
        month_days=frozenset(int(day) for day in parts.get("BYMONTHDAY", ())),
        weekdays=tuple(_weekday(str(day)) for day in parts.get("BYDAY", ())),
        positions=tuple(int(position) for position in parts.get("BYSETPOS", ())),
    )
    if rule.interval < 1 or (rule.count is not None and rule.count < 1):
        raise LocalError("recurs no whole number of times; mend the calendar")
    return rule


def occurrences(
    rule: Rule, begin: datetime, before: datetime, budget: Budget
) -> Iterator[datetime]:
    """Yield each beginning from the first on, in order, up to `before`.

    Raises LocalError when the budget is spent.
    """
    left = rule.count
    last = before if rule.until is None else min(before, rule.until + timedelta(seconds=1))
    for days in _periods(rule, begin.date(), last.date(), budget):
        for day in _positioned(days, rule.positions):
            when = datetime.combine(day, begin.time())
            if when < begin:
                continue
            if when >= last or left == 0:
                return
            yield when
            if left is not None:
                left -= 1


def _periods(rule: Rule, first: date, last: date, budget: Budget) -> Iterator[list[date]]:
    """Yield the days that fit in each day, week, month or year in turn."""
    index = 0
    while (start := _start(rule, first, index)) is not None and start <= last:
        days = _days(rule, start, first)
        budget.spend(len(days) + 1)
        yield [day for day in days if _fits(rule, day, first)]
        index += rule.interval


def _start(rule: Rule, first: date, index: int) -> date | None:
    """Return the first day of a period, None beyond the calendar's end."""
    try:
        if rule.frequency == "DAILY":
            return first + timedelta(days=index)
        if rule.frequency == "WEEKLY":
            monday = first - timedelta(days=(first.weekday() - rule.week_start) % 7)
            return monday + timedelta(weeks=index)
        if rule.frequency == "MONTHLY":
            months = first.year * 12 + first.month - 1 + index
            return date(months // 12, months % 12 + 1, 1)
        return date(first.year + index, 1, 1)
    except (OverflowError, ValueError):
        return None


def _days(rule: Rule, start: date, first: date) -> list[date]:
    """Return the days of the period that are worth looking at."""
    if rule.frequency == "DAILY":
        return [start]
    if rule.frequency == "WEEKLY":
        return [start + timedelta(days=day) for day in range(7)]
    if rule.frequency == "MONTHLY":
        return _month(start.year, start.month)
    months = sorted(month for month in rule.months if 1 <= month <= 12)
    if not months:
        anywhere = rule.weekdays or rule.month_days
        months = list(range(1, 13)) if anywhere else [first.month]
    return [day for month in months for day in _month(start.year, month)]


def _month(year: int, month: int) -> list[date]:
    return [date(year, month, day + 1) for day in range(monthrange(year, month)[1])]


def _fits(rule: Rule, day: date, first: date) -> bool:
    if rule.months and day.month not in rule.months:
        return False
    if rule.month_days and rule.month_days.isdisjoint((day.day, day.day - _length(day) - 1)):
        return False
    if rule.weekdays:
        return any(_is_weekday(rule, day, *wanted) for wanted in rule.weekdays)
    if rule.month_days or rule.frequency == "DAILY":
        return True
    if rule.frequency == "WEEKLY":
        return day.weekday() == first.weekday()
    return day.day == first.day


def _is_weekday(rule: Rule, day: date, which: int, weekday: int) -> bool:
    if day.weekday() != weekday:
        return False
    if which == 0 or rule.frequency in ("DAILY", "WEEKLY"):
        return True
    if rule.frequency == "MONTHLY" or rule.months:
        before, after = day.day - 1, _length(day) - day.day
    else:
        before = (day - date(day.year, 1, 1)).days
        after = (date(day.year, 12, 31) - day).days
    return (before // 7 + 1 == which) if which > 0 else (after // 7 + 1 == -which)


def _length(day: date) -> int:
    return monthrange(day.year, day.month)[1]


def _positioned(days: list[date], positions: tuple[int, ...]) -> list[date]:
    if not positions:
        return days
    count = len(days)
    places = {place - 1 if place > 0 else count + place for place in positions}
    return [days[place] for place in sorted(places) if 0 <= place < count]


def _weekday(text: str) -> tuple[int, int]:
    try:
        return int(text[:-2] or 0), WEEKDAYS.index(text[-2:].upper())
    except ValueError:
        raise LocalError(
            f"recurs on {text[:8]!r}, which is no weekday; mend the calendar"
        ) from None
