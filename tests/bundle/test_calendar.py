"""Calendars as spans of time, and rules as days."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as some

from appliance.bundle.calendar import LAST, closing_spans
from appliance.bundle.recurrence import Budget, occurrences, read_rule
from appliance.errors import LocalError

ZURICH = ZoneInfo("Europe/Zurich")


def calendar(*events: str) -> str:
    parts = [f"BEGIN:VEVENT\nUID:1\n{event}\nSUMMARY:Day off\nEND:VEVENT\n" for event in events]
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{''.join(parts)}END:VCALENDAR\n"


def spans(*events: str) -> list[str]:
    """Return the beginnings and ends by the clock of Zurich."""
    return [
        f"{datetime.fromtimestamp(span.begin, ZURICH):%Y-%m-%d %H:%M} - "
        f"{datetime.fromtimestamp(span.end, ZURICH):%Y-%m-%d %H:%M}"
        for span in closing_spans(calendar(*events), "Europe/Zurich")
    ]


def test_a_day_without_an_end_is_one_day() -> None:
    assert spans("DTSTART;VALUE=DATE:20260801") == ["2026-08-01 00:00 - 2026-08-02 00:00"]


def test_a_day_when_clocks_change_is_23_or_25_hours_long() -> None:
    (span,) = closing_spans(calendar("DTSTART;VALUE=DATE:20260329"), "Europe/Zurich")
    assert span.end - span.begin == 23 * 3600
    (span,) = closing_spans(calendar("DTSTART;VALUE=DATE:20261025"), "Europe/Zurich")
    assert span.end - span.begin == 25 * 3600


def test_times_of_other_zones_and_exceptions_to_a_rule() -> None:
    found = spans(
        "DTSTART;TZID=America/New_York:20261225T120000\nDURATION:PT4H\n"
        "RRULE:FREQ=DAILY;UNTIL=20261228T170000Z\nEXDATE;TZID=America/New_York:20261226T120000"
    )
    assert found == [f"2026-12-{day} 18:00 - 2026-12-{day} 22:00" for day in (25, 27, 28)]


def test_a_rule_by_the_clock_keeps_its_hour_through_the_year() -> None:
    rule = "DTSTART;TZID=Europe/Zurich:20260101T120000\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;COUNT=8"
    assert {line[11:16] for line in spans(rule)} == {"12:00"}


def test_one_of_a_series_is_moved_and_one_is_called_off() -> None:
    series = "DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY;COUNT=3"
    moved = "RECURRENCE-ID;VALUE=DATE:20271225\nDTSTART;VALUE=DATE:20271224"
    called_off = "RECURRENCE-ID;VALUE=DATE:20281225\nDTSTART;VALUE=DATE:20281225\nSTATUS:CANCELLED"
    assert [line[:10] for line in spans(series, moved, called_off)] == ["2026-12-25", "2027-12-24"]


def test_further_days_stand_beside_the_first() -> None:
    found = spans("DTSTART;VALUE=DATE:20261225\nRDATE;VALUE=DATE:20270101,20270102")
    assert [line[:10] for line in found] == ["2026-12-25", "2027-01-01", "2027-01-02"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hello", "not an iCalendar that can be read"),
        (calendar("DTSTART:garbage"), "DTSTART cannot be read"),
        (calendar("DTEND:20260101T000000Z"), "has no DTSTART"),
        (calendar("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=SECONDLY"), "recurs by SECONDLY"),
        (calendar("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;BYHOUR=1"), "recurs by BYHOUR"),
        (calendar("DTSTART;VALUE=DATE:20260101\nRRULE:FREQ=DAILY;INTERVAL=0"), "no whole number"),
        (calendar("DTSTART;VALUE=DATE:19000101"), "before 1970"),
        (calendar("DTSTART;VALUE=DATE:20260102\nDTEND;VALUE=DATE:20260101"), "ends before"),
        (calendar(*["DTSTART;VALUE=DATE:20200101\nRRULE:FREQ=DAILY"] * 2), "more than 20,000"),
        (
            calendar(
                *["DTSTART;VALUE=DATE:19700101\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"] * 9
            ),
            "recurs too often",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(text: str, told: str) -> None:
    with pytest.raises(LocalError, match=told):
        closing_spans(text, "UTC")


PLAIN = some.fixed_dictionaries(
    {"FREQ": some.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])},
    optional={
        "INTERVAL": some.integers(1, 5).map(lambda number: [number]),
        "COUNT": some.integers(1, 30).map(lambda number: [number]),
        "WKST": some.sampled_from([["MO"], ["SU"]]),
        "BYMONTH": some.lists(some.integers(1, 12), min_size=1, max_size=3, unique=True),
        "BYMONTHDAY": some.lists(
            some.sampled_from([1, 2, 13, 28, -1, -7]), min_size=1, max_size=2, unique=True
        ),
        "BYDAY": some.lists(
            some.sampled_from(["MO", "TU", "SA", "SU"]), min_size=1, max_size=2, unique=True
        ),
        "BYSETPOS": some.sampled_from([[1], [-1]]),
    },
).filter(lambda parts: "BYSETPOS" not in parts or "BYDAY" in parts)


@settings(deadline=None, max_examples=40)
@given(PLAIN, some.dates(datetime(2020, 1, 1).date(), datetime(2026, 1, 1).date()))
def test_rules_are_written_out_as_dateutil_writes_them(given: dict[str, Any], day: object) -> None:
    begin, last = datetime.fromisoformat(str(day)), datetime(2034, 1, 1)
    parts = {key: [value] if isinstance(value, str) else value for key, value in given.items()}
    if parts["FREQ"] == ["WEEKLY"]:
        parts.pop("BYSETPOS", None)  # dateutil cuts the first week where the event begins
    if parts["FREQ"] in (["MONTHLY"], ["YEARLY"]) and "BYMONTHDAY" not in parts:
        parts["BYDAY"] = [f"-1{name}" for name in parts.get("BYDAY", ["FR"])]
    ours = list(occurrences(read_rule(parts, None), begin, last, Budget(100_000)))
    text = ";".join(f"{key}={','.join(map(str, value))}" for key, value in parts.items())
    text += "" if "COUNT" in parts else f";UNTIL={last:%Y%m%dT%H%M%S}"
    assert ours == [when for when in rrulestr(text, dtstart=begin) if when < last]


def test_a_rule_never_goes_beyond_the_last_day() -> None:
    found = spans("DTSTART;VALUE=DATE:20261225\nRRULE:FREQ=YEARLY")
    assert len(found) == LAST.year - 2026


LINES = some.sampled_from(
    [
        "BEGIN:VEVENT",
        "END:VEVENT",
        "BEGIN:VTIMEZONE",
        "TZID:X",
        "END:VTIMEZONE",
        "DTSTART;VALUE=DATE:20261225",
        "DTSTART;TZID=X:20260101T000000",
        "DTSTART;TZID=Nowhere:20260101T000000",
        "DTSTART;VALUE=DATE:99991231",
        "DTSTART:00010101T000000Z",
        "DTEND;VALUE=DATE:99991231",
        "DURATION:P1D",
        "DURATION:-P1D",
        "RRULE:FREQ=DAILY;COUNT=99999999999",
        "RRULE:FREQ=DAILY;INTERVAL=99999999999999999999",
        "RRULE:FREQ=MONTHLY;BYMONTHDAY=0",
        "RRULE:FREQ=MONTHLY;BYDAY=99MO",
        "RRULE:FREQ=WEEKLY;WKST=XX",
        "RRULE:INTERVAL=2",
        "EXDATE:20260101",
        "RDATE;VALUE=PERIOD:20260101T000000Z/PT1H",
        "RECURRENCE-ID:20260101T000000Z",
        "SUMMARY:\x00\u202e",
        ": ;=",
    ]
)


@settings(deadline=None, max_examples=200)
@given(some.lists(LINES, max_size=12))
def test_whatever_stands_in_a_calendar_is_read_or_refused(lines: list[str]) -> None:
    text = "\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"])
    try:
        found = closing_spans(text, "America/Chicago")
    except LocalError as error:
        assert ";" in str(error), "a reason and what to do"
        return
    assert all(span.begin <= span.end for span in found)
