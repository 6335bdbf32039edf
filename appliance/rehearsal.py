"""Try a site's groups without a call: who would ring, when, and where callers would end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from appliance.bundle import Bundle, Group, User
from appliance.call.outside import Nothing
from appliance.errors import LocalError
from appliance.pbx.destinations import Destinations
from appliance.pbx.directory import Directory
from appliance.pbx.forwarding import Forwardings
from appliance.pbx.park import Parking
from appliance.premises import Crowd, Premises
from sdg.group import Groups, next_of
from sdg.turns import Turns
from sdg.walk import Script, Walked, walk

PHONE_KEYS = frozenset("0123456789*#")
OUTSIDE = User(id="outside", name="somebody outside", extension="outside")
"""Who calls where nobody is named."""


class Rehearsal(NamedTuple):
    """What to try."""

    group: str
    """Extension or number."""
    caller: str = ""
    """Extension of who calls; empty: somebody outside."""
    keys: tuple[str, ...] = ()
    """What is pressed, once for each time that keys are asked for."""
    busy: tuple[str, ...] = ()
    """Extensions that are on another call."""
    unregistered: tuple[str, ...] = ()
    """Extensions that have no phone here now."""
    answers: tuple[str, ...] = ()
    """Extensions that answer when they ring; all others let it ring."""


def rehearse(site: Premises, asked: Rehearsal, at: float) -> tuple[Group, User, list[Walked]]:
    """Walk through a group at a time (Unix); return it, who calls, and each step.

    Raises LocalError for a group, an extension or a key that there is not.
    """
    group = _find_group(site.bundle, asked.group)
    directory = site.directory
    caller = _user(directory, asked.caller) if asked.caller else OUTSIDE
    busy = _extensions(directory, asked.busy)
    absent = _extensions(directory, asked.unregistered)
    crowd = Crowd(busy | {caller.extension}, absent)
    script = Script(_keys(asked.keys), _extensions(directory, asked.answers), busy)
    destinations = Destinations(
        site.bundle,
        site.dialplan,
        crowd,
        site.groups(crowd),
        Forwardings(lambda action: None),
        Parking({}),
        Nothing(),
        lambda now: now,
    )
    plan = destinations.plan(caller, group.extension, None, at)
    return group, caller, list(walk(plan, script, at))


def group_rows(bundle: Bundle, at: float) -> list[dict[str, Any]]:
    """Tell of each group where it leads, and whether it is open at a time (Unix)."""
    # Hours are all that is asked of them; who the users are takes 60 ms to learn at 10,000.
    groups = Groups(msgspec.structs.replace(bundle, users=()), Turns(), Crowd())
    return [_row(group, groups, at) for group in bundle.groups]


def moment_at(text: str, bundle: Bundle) -> float:
    """Return a time as Unix seconds: by the site's clock where it names no zone."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise LocalError(f"{text!r} is no time; write it like '2026-12-25 09:00'") from None
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(bundle.site.time_zone))
    return when.timestamp()


def words(text: str) -> tuple[str, ...]:
    """Return the words between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _row(group: Group, groups: Groups, at: float) -> dict[str, Any]:
    verdict = groups.verdict(group, at)
    next_places = {word: next_of(group, word) for word in ("closed", "no_answer", "busy", "empty")}
    return {
        "extension": group.extension,
        "numbers": group.numbers,
        "name": group.name,
        "kind": group.kind,
        "leads_to": _leads_to(group),
        "open": "yes" if verdict is None or verdict.open else "no",
        "why": verdict.why if verdict else "always open",
        "next": next_places,
        "stands_in_for": group.stands_in_for.replace("_", " "),
    }


def _leads_to(group: Group) -> str:
    if group.kind == "members":
        return f"{len(group.members)} members, {group.strategy.replace('_', ' ')}"
    if group.kind == "menu":
        return ", ".join(f"{key}: {target}" for key, target in sorted(group.keys.items()))
    return group.number or group.target or ""


def _find_group(bundle: Bundle, name: str) -> Group:
    for group in bundle.groups:
        if name == group.extension or name in group.numbers:
            return group
    there = ", ".join(group.extension for group in bundle.groups[:20]) or "none at all"
    raise LocalError(f"no group has the extension or number {name!r}; there are: {there}")


def _user(directory: Directory, extension: str) -> User:
    user = directory.by_extension(extension)
    if user is None:
        raise LocalError(f"no user has the extension {extension!r}; see `holdfast phones`")
    return user


def _extensions(directory: Directory, named: Iterable[str]) -> frozenset[str]:
    return frozenset(_user(directory, word).extension for word in named)


def _keys(pressed: Iterable[str]) -> list[str]:
    keys = list(pressed)
    for word in keys:
        if not PHONE_KEYS.issuperset(word):
            raise LocalError(f"{word!r} are no keys of a phone; write 0-9 * # with commas between")
    return keys
