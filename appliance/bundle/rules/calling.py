"""Parking orbits and pickup groups (C8, C9)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.calling_parts import MOST_ORBITS
from appliance.bundle.emergency import emergency_numbers
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import extensions, repeated, rows
from appliance.bundle.shape import is_sound


def orbits_are_a_range(bundle: Bundle) -> Iterator[Problem]:
    """Refuse orbits that begin nowhere, end before they begin, or are too many."""
    first, last = bundle.park.first, bundle.park.last
    if first is None:
        if last is not None:
            yield Problem("park.first", "missing; write the first of the orbits")
        return
    if last is None or not (is_sound(first) and is_sound(last)):
        return
    if len(first) != len(last) or int(last) < int(first):
        text = f"`{last}` does not follow `{first}`; write a later one with as many digits"
        yield Problem("park.last", text)
    elif int(last) - int(first) >= MOST_ORBITS:
        yield Problem("park.last", f"more than {MOST_ORBITS} orbits; write an earlier one")


def orbits_stay_free(bundle: Bundle) -> Iterator[Problem]:
    """Refuse an orbit that somebody has for an extension, or that is dialled for help."""
    named = extensions(bundle) | {alias for user in bundle.users for alias in user.aliases}
    codes = {bundle.site.code, *(peer.code for peer in bundle.peers)}
    prefix = bundle.number_plan.outside_prefix or ""
    emergency = {before + number for number in emergency_numbers(bundle) for before in ("", prefix)}
    for orbit in bundle.park.orbits:
        if orbit in named:
            yield Problem("park", f"the orbit `{orbit}` is also an extension; move the range")
        elif orbit in emergency:
            yield Problem("park", f"`{orbit}` is dialled in an emergency; move the range")
        elif orbit in codes:
            yield Problem("park", f"`{orbit}` is a site code; move the range")


def pickup_groups_have_users(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a member of a pickup group that does not exist or is named twice."""
    users = {part.id for part in bundle.users}
    for path, group in rows("pickup_groups", bundle.pickup_groups):
        members = rows(f"{path}.members", group.members)
        for below, member in members:
            if member not in users:
                yield Problem(below, f"there is no user `{member}`; mend the id or remove it")
        yield from repeated(members, "name each member once")
