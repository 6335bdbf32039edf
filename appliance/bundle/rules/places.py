"""Locations, networks, time zones and opening hours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from appliance.bundle.calendar import closing_spans
from appliance.bundle.parts import Bundle, Window
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows
from appliance.errors import LocalError


def time_zones_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a time zone that this machine does not know."""
    named = [("site.time_zone", bundle.site.time_zone)]
    named += [(f"{path}.time_zone", hours.time_zone) for path, hours in rows("hours", bundle.hours)]
    for path, name in named:
        if not _is_time_zone(name):
            text = f"there is no time zone `{name}`; write an IANA name like Europe/Zurich"
            yield Problem(path, text)


def networks_are_networks(bundle: Bundle) -> Iterator[Problem]:
    """Refuse what is not CIDR, and a network that is in two locations."""
    sound: list[tuple[str, str]] = []
    for path, location in rows("locations", bundle.locations):
        for index, network in enumerate(location.networks):
            below = f"{path}.networks[{index}]"
            try:
                sound.append((below, str(ipaddress.ip_network(network))))
            except ValueError:
                yield Problem(below, _network_advice(network))
    yield from repeated(sound, "a network is in one location")


def hours_can_be_kept(bundle: Bundle) -> Iterator[Problem]:
    """Refuse windows that never open and holidays that are no dates."""
    for path, hours in rows("hours", bundle.hours):
        for index, window in enumerate(hours.windows):
            if fault := _never_open(window):
                yield Problem(f"{path}.windows[{index}]", fault)
        for index, day in enumerate(hours.holidays):
            if not is_date(day):
                text = f"`{day}` is not in the calendar; write a date like 2026-12-25"
                yield Problem(f"{path}.holidays[{index}]", text)


def exceptions_can_be_kept(bundle: Bundle) -> Iterator[Problem]:
    """Refuse special days that are no dates, are there twice or never open when they say so."""
    for path, hours in rows("hours", bundle.hours):
        days = rows(f"{path}.exceptions", hours.exceptions)
        for below, special in days:
            if not is_date(special.day):
                text = f"`{special.day}` is not in the calendar; write a date like 2026-12-25"
                yield Problem(f"{below}.day", text)
            for at, opening in rows(f"{below}.openings", special.openings):
                if opening.closes <= opening.opens:
                    yield Problem(at, "closes before it opens; a night is two days")
        yield from repeated(
            [(f"{below}.day", special.day) for below, special in days], "a day is one exception"
        )


def calendars_can_be_read(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an iCalendar that cannot be read, or recurs without end."""
    for path, hours in rows("hours", bundle.hours):
        if hours.calendar and _is_time_zone(hours.time_zone):
            try:
                closing_spans(hours.calendar, hours.time_zone)
            except LocalError as error:
                yield Problem(f"{path}.calendar", str(error))


def _is_time_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _network_advice(network: str) -> str:
    try:
        meant = ipaddress.ip_network(network, strict=False)
    except ValueError:
        return f"`{network}` is not a network; write CIDR like 10.1.0.0/16"
    return f"`{network}` is an address within a network; write {meant}"


def _never_open(window: Window) -> str:
    if not window.days:
        return "has no days; name some or remove it"
    if window.closes <= window.opens:
        return "closes before it opens; write a night as two windows, until 24:00 and from 00:00"
    return ""


def is_date(text: str) -> bool:
    """Tell whether a text is a day of the calendar."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
