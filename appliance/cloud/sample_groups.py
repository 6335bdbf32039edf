"""The groups of a made-up site: departments, a menu in front of them, and what follows at night."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from appliance.bundle import (
    Group,
    Hours,
    Opening,
    ParkingPlaces,
    PickupGroup,
    Prompt,
    SpecialDay,
    User,
    Window,
)
from appliance.cloud.sample_names import DEPARTMENTS

PROMPTS = (
    Prompt(
        id="welcome",
        text="Welcome. Press 1 for sales, 2 for support, 0 for reception, or star to spell a name. "
        "If you know the extension, dial it now.",
    ),
    Prompt(id="closed", text="We are closed now. Please call again during opening hours."),
    Prompt(id="all-busy", text="All of us are on other calls. Please hold on, reception is next."),
)
_HOLIDAYS = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Holidays//EN
BEGIN:VEVENT
UID:new-year@example.com
DTSTART;VALUE=DATE:20260101
RRULE:FREQ=YEARLY
SUMMARY:New Year's Day
END:VEVENT
BEGIN:VEVENT
UID:independence@example.com
DTSTART;VALUE=DATE:20260704
RRULE:FREQ=YEARLY
SUMMARY:Independence Day
END:VEVENT
BEGIN:VEVENT
UID:thanksgiving@example.com
DTSTART;VALUE=DATE:20261126
DTEND;VALUE=DATE:20261128
RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4TH
SUMMARY:Thanksgiving
END:VEVENT
END:VCALENDAR
"""
HOURS = (
    Hours(
        id="office",
        time_zone="America/Chicago",
        windows=(Window(days=("mon", "tue", "wed", "thu", "fri"), opens="08:00", closes="18:00"),),
        holidays=("2026-12-25", "2027-01-01"),
        calendar=_HOLIDAYS,
        exceptions=(
            SpecialDay(day="2026-12-24", openings=(Opening(opens="08:00", closes="12:00"),)),
        ),
    ),
)
_KINDS: tuple[dict[str, Any], ...] = (
    {"strategy": "simultaneous", "hears": "music", "stands_in_for": "call_queue"},
    {"strategy": "sequential", "ring_time": 15.0, "rounds": 2, "stands_in_for": "call_queue"},
    {"strategy": "round_robin", "ring_time": 15.0, "stands_in_for": "call_queue"},
    {"strategy": "longest_idle", "hears": "music", "stands_in_for": "shared_line"},
)


def make_groups(users: tuple[User, ...]) -> Iterator[Group]:
    """Yield a department for every twenty users, reception, a menu and what is said at night."""
    base = 70 * 10 ** (len(users[0].extension) - 2)
    count = max(1, min(len(users) // 20, len(DEPARTMENTS)))
    reception, menu, closed, busy = (str(base + place) for place in (89, 90, 91, 92))
    for index in range(count):
        yield Group(
            id=f"group-{index}",
            name=DEPARTMENTS[index],
            extension=str(base + index),
            numbers=(f"+1312557{index:04d}",),
            members=tuple(user.id for user in users[index::count][:8]),
            hours="office",
            closed=closed,
            busy=busy,
            overflow=reception,
            **_KINDS[index % len(_KINDS)],
        )
    yield Group(
        id="reception",
        name="Reception",
        extension=reception,
        kind="user",
        target=users[0].extension,
        ring_time=30.0,
        overflow=closed,
    )
    yield _menu(menu, reception, base, count)
    yield Group(id="closed", name="Closed", extension=closed, kind="prompt", prompt="closed")
    yield Group(
        id="all-busy",
        name="All busy",
        extension=busy,
        kind="prompt",
        prompt="all-busy",
        target=reception,
    )


def make_orbits(users: tuple[User, ...]) -> ParkingPlaces:
    """Return ten orbits behind the groups."""
    base = 71 * 10 ** (len(users[0].extension) - 2)
    return ParkingPlaces(first=str(base + 1), last=str(base + 10))


def make_pickup_groups(users: tuple[User, ...]) -> Iterator[PickupGroup]:
    """Yield the users of each department: they may take each other's calls."""
    count = max(1, min(len(users) // 20, len(DEPARTMENTS)))
    for index in range(count):
        members = tuple(user.id for user in users[index::count][:8])
        yield PickupGroup(id=f"pickup-{index}", name=DEPARTMENTS[index], members=members)


def _menu(extension: str, reception: str, base: int, count: int) -> Group:
    return Group(
        id="menu",
        name="Main menu",
        extension=extension,
        numbers=("+13125550000",),
        stands_in_for="auto_receptionist",
        kind="menu",
        prompt="welcome",
        keys={"0": reception, "1": str(base), "2": str(base + count - 1)},
        dial_extension=True,
        names_key="*",
        overflow=reception,
    )
