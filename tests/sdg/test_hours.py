"""Opening hours by the clock on the wall."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from appliance.bundle import Hours, Opening, SpecialDay, Window
from sdg.hours import Schedule

WORKDAYS = Window(days=("mon", "tue", "wed", "thu", "fri"), opens="08:00", closes="18:00")
NIGHTS = Window(days=("sun",), opens="01:00", closes="03:30")


def calendar(*lines: str) -> str:
    event = ["BEGIN:VEVENT", "UID:1", *lines, "END:VEVENT"]
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", *event, "END:VCALENDAR", ""])


CHRISTMAS = calendar("DTSTART;VALUE=DATE:20241225", "RRULE:FREQ=YEARLY", "SUMMARY:Christmas")


def schedule(zone: str = "Europe/Zurich", **more: object) -> Schedule:
    fields = {"windows": (WORKDAYS,), **more}
    return Schedule(Hours(id="h", time_zone=zone, **fields))  # type: ignore[arg-type]


def is_open(hours: Schedule, text: str, zone: str = "Europe/Zurich", fold: int = 0) -> bool:
    when = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return hours.at(when.timestamp()).open


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("2026-11-20 07:59:59", False),
        ("2026-11-20 08:00:00", True),
        ("2026-11-20 17:59:59", True),
        ("2026-11-20 18:00:00", False),
        ("2026-11-21 12:00:00", False),
    ],
)
def test_a_window_opens_and_closes_to_the_second(text: str, opened: bool) -> None:
    assert is_open(schedule(), text) is opened


def test_each_zone_has_its_own_clock() -> None:
    at = datetime.fromisoformat("2026-11-20 16:30:00+00:00").timestamp()
    assert schedule("Europe/Zurich").at(at).open
    assert not schedule("Asia/Tokyo").at(at).open
    assert schedule("America/Chicago").at(at).open


def test_windows_follow_the_clock_when_summer_time_begins() -> None:
    hours = schedule(windows=(NIGHTS,))
    day = "2026-03-29"  # 02:00 becomes 03:00
    first = datetime.fromisoformat(f"{day} 00:59:59+01:00").timestamp()
    opened = [hours.at(first + second).open for second in range(0, 7202, 60)]
    assert opened == [False, *[True] * 90, *[False] * 30], "90 minutes, and not 150"


def test_windows_follow_the_clock_when_summer_time_ends() -> None:
    hours = schedule(windows=(NIGHTS,))
    assert is_open(hours, "2026-10-25 02:30", fold=0)
    assert is_open(hours, "2026-10-25 02:30", fold=1)
    assert not is_open(hours, "2026-10-25 00:59")
    assert not is_open(hours, "2026-10-25 03:30")


def test_office_hours_are_the_same_on_both_sides_of_a_change() -> None:
    for day in ("2026-03-27", "2026-03-30", "2026-10-23", "2026-10-26"):
        assert [is_open(schedule(), f"{day} {time}") for time in ("07:59", "08:00")] == [
            False,
            True,
        ]


def test_a_closing_time_of_24_is_the_end_of_the_day() -> None:
    hours = schedule(windows=(Window(days=("fri",), opens="22:00", closes="24:00"),))
    assert is_open(hours, "2026-11-20 23:59:59")
    assert not is_open(hours, "2026-11-21 00:00:00")


def test_holidays_and_the_calendar_close() -> None:
    hours = schedule(holidays=("2026-11-20",), calendar=CHRISTMAS)
    assert not is_open(hours, "2026-11-20 12:00")
    assert not is_open(hours, "2026-12-25 12:00")
    assert is_open(hours, "2026-12-24 12:00")
    at = datetime.fromisoformat("2029-12-25 11:00:00+00:00").timestamp()
    assert hours.at(at).why == "tue 2029-12-25 12:00 CET, Christmas"


def test_a_special_day_wins_over_everything() -> None:
    special = SpecialDay(day="2026-12-25", openings=(Opening(opens="10:00", closes="12:00"),))
    closed = SpecialDay(day="2026-11-20")
    hours = schedule(calendar=CHRISTMAS, exceptions=(special, closed))
    assert is_open(hours, "2026-12-25 11:00")
    assert not is_open(hours, "2026-12-25 09:00")
    assert not is_open(hours, "2026-11-20 11:00")


def test_a_day_of_the_calendar_is_the_day_of_the_hours_zone() -> None:
    hours = schedule("Pacific/Auckland", calendar=CHRISTMAS)
    assert not is_open(hours, "2026-12-25 08:00", "Pacific/Auckland")
    assert is_open(hours, "2026-12-24 17:00", "Pacific/Auckland")


def test_a_long_closing_time_hides_behind_shorter_ones() -> None:
    lines = calendar("DTSTART;VALUE=DATE:20260701", "DTEND;VALUE=DATE:20260801", "SUMMARY:Holidays")
    short = "BEGIN:VEVENT\r\nUID:2\r\nDTSTART;VALUE=DATE:20260714\r\nSUMMARY:x\r\nEND:VEVENT\r\n"
    hours = schedule(calendar=lines.replace("END:VCALENDAR", short + "END:VCALENDAR"))
    assert not is_open(hours, "2026-07-20 12:00")
    assert is_open(hours, "2026-08-03 12:00")
