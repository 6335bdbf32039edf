"""Calls for help: nothing a bundle says may lead one, or its call-back, astray (E6-E8)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from appliance.bundle.emergency_parts import Emergency
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import repeated, rows


def phones_are_told_by_their_mac(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a location for a phone that could never be recognised."""
    for path, device in rows("devices", bundle.devices):
        if device.location is not None and not device.mac:
            text = "nothing tells this phone from others; add its `mac`, or leave `location` out"
            yield Problem(f"{path}.location", text)


def pool_is_free(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a number to be lent that rings somebody, is the site's own, or is there twice."""
    pool = rows("emergency.pool", bundle.emergency.pool)
    yield from repeated(pool, "lend each once")
    taken = _owners(bundle)
    if bundle.number_plan.site_number is not None:
        taken.setdefault(bundle.number_plan.site_number, "number_plan.site_number")
    taken |= {one.elin: f"{path}.elin" for path, one in rows("locations", bundle.locations)}
    for path, number in pool:
        if number in taken:
            text = f"`{number}` is also at {taken[number]}; lend numbers that lead nowhere else"
            yield Problem(path, text)


def elins_are_nobodys(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a location's number that rings a user: a call-back would reach somebody else."""
    users = {number: path for path, user in rows("users", bundle.users) for number in user.numbers}
    for path, location in rows("locations", bundle.locations):
        if location.elin in users:
            text = f"`{location.elin}` rings {users[location.elin]}; give the location its own"
            yield Problem(f"{path}.elin", text)


def route_groups_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a route group that does not exist or is named twice."""
    known = {group.id for group in bundle.route_groups}
    named = rows("emergency.route_groups", bundle.emergency.route_groups)
    for path, name in named:
        if name not in known:
            yield Problem(path, f"there is no route group `{name}`; add it to `route_groups`")
    yield from repeated(named, "try each once")


def safety_team_are_users(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a member of the safety team who does not exist or is named twice."""
    users = {user.id for user in bundle.users}
    team = rows("emergency.safety_team", bundle.emergency.safety_team)
    for path, member in team:
        if member not in users:
            yield Problem(path, f"there is no user `{member}`; mend the id or remove it")
    yield from repeated(team, "name each member once")


def safety_group_is_a_group(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a safety group that does not exist."""
    extension = bundle.emergency.safety_group
    if extension is not None and extension not in {group.extension for group in bundle.groups}:
        text = f"no group has the extension `{extension}`; name one that people answer"
        yield Problem("emergency.safety_group", text)


def webhook_is_https(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a webhook that is no HTTPS address, or carries a password."""
    webhook = bundle.emergency.webhook
    if not webhook:
        return
    try:
        parts = urlsplit(webhook)
        sound = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        text = "not an HTTPS address; write it like https://alerts.example.com/holdfast"
        yield Problem("emergency.webhook", text)
    elif parts.username is not None:
        yield Problem("emergency.webhook", "has a user name in it; put a token into the path")


def _owners(bundle: Bundle) -> dict[str | None, str]:
    """Return what every number of a user or group rings, by its path."""
    owners = [(path, user.numbers) for path, user in rows("users", bundle.users)]
    owners += [(path, group.numbers) for path, group in rows("groups", bundle.groups)]
    return {number: path for path, numbers in owners for number in numbers}


def doubts(bundle: Bundle) -> Iterator[Problem]:
    """Point out what would fail a caller for help, or those who should come."""
    emergency = bundle.emergency
    if not bundle.route_groups:
        if emergency == Emergency():
            return  # a site without a trunk, which has said nothing of emergencies either
        text = "there are no `route_groups`: calls for help cannot leave the site"
        yield Problem("emergency", text)
        return
    placed = bool(bundle.locations and (emergency.location or _all_placed(bundle)))
    if not placed:
        text = "some callers have no location; name one for everybody else in `emergency.location`"
        yield Problem("emergency.location", text)
    if not emergency.safety_team:
        yield Problem(
            "emergency.safety_team", "empty: nobody on the site is told of calls for help"
        )
    lonely = sum(not user.numbers for user in bundle.users)
    if lonely and not emergency.pool and not any(place.elin for place in bundle.locations):
        text = f"{lonely} users have no number to be called back on; lend them some"
        yield Problem("emergency.pool", text)
    groups = {number for group in bundle.groups for number in group.numbers}
    for path, location in rows("locations", bundle.locations):
        if location.elin in groups:
            text = f"`{location.elin}` rings a group, so call-backs go there and not to the caller"
            yield Problem(f"{path}.elin", text)


def _all_placed(bundle: Bundle) -> bool:
    return all(user.location is not None for user in bundle.users)
