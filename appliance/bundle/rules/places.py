"""Locations, networks, time zones and opening hours."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from appliance.bundle.parts import Bundle, Window
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows


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
            if not _is_date(day):
                text = f"`{day}` is not in the calendar; write a date like 2026-12-25"
                yield Problem(f"{path}.holidays[{index}]", text)


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


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
