"""Distribution groups: members, prompts, hours, and where callers go next (D1-D7)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.emergency import emergency_numbers
from appliance.bundle.parts import Bundle
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import extensions, repeated, rows
from appliance.bundle.rules.ways import targets

RING_BACK, MUSIC = "ring-back", "music"
"""What `Group.hears` may be besides a prompt."""


def members_are_users(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a member that does not exist or is named twice."""
    users = {part.id for part in bundle.users}
    for path, group in rows("groups", bundle.groups):
        members = rows(f"{path}.members", group.members)
        for below, member in members:
            if member not in users:
                yield Problem(below, f"there is no user `{member}`; mend the id or remove it")
        yield from repeated(members, "name each member once")


def kinds_have_what_they_need(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a group that could not do what its kind says."""
    for path, group in rows("groups", bundle.groups):
        if group.kind == "members" and not group.members:
            yield Problem(f"{path}.members", "empty; name somebody who answers")
        if group.kind == "menu" and not (group.keys or group.dial_extension or group.names_key):
            yield Problem(f"{path}.keys", "empty; say where the keys of the menu lead")
        if group.names_key is not None and group.names_key in group.keys:
            text = f"`{group.names_key}` leads somewhere in `keys`; choose another key"
            yield Problem(f"{path}.names_key", text)
        if group.kind == "number" and group.number is None:
            yield Problem(f"{path}.number", "missing; write the number this group leads to")
        if group.kind == "prompt" and group.prompt is None:
            yield Problem(f"{path}.prompt", "missing; name the prompt this group plays")


def kinds_lead_where_they_say(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a group of the kind `user` or `group` that leads to none."""
    users = {user.extension for user in bundle.users}
    groups = {group.extension for group in bundle.groups}
    for path, group in rows("groups", bundle.groups):
        known = {"user": users, "group": groups}.get(group.kind)
        if known is not None and group.target is None:
            text = f"missing; write the extension of the {group.kind} this group leads to"
            yield Problem(f"{path}.target", text)
        elif known is not None and group.target not in known:
            text = f"no {group.kind} has the extension `{group.target}`; mend it"
            yield Problem(f"{path}.target", text)


def references_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a prompt or hours that do not exist."""
    prompts, hours = {part.id for part in bundle.prompts}, {part.id for part in bundle.hours}
    for path, group in rows("groups", bundle.groups):
        if group.prompt is not None and group.prompt not in prompts:
            text = f"there is no prompt `{group.prompt}`; add it to `prompts`"
            yield Problem(f"{path}.prompt", text)
        if group.hears not in (RING_BACK, MUSIC) and group.hears not in prompts:
            text = (
                f"there is no prompt `{group.hears}`; write {RING_BACK}, {MUSIC} or a prompt's id"
            )
            yield Problem(f"{path}.hears", text)
        if group.hours is not None and group.hours not in hours:
            yield Problem(f"{path}.hours", f"there are no hours `{group.hours}`; add them")


def targets_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a target that could not be dialled."""
    known, beginnings = places(bundle)
    for path, group in rows("groups", bundle.groups):
        special = group.kind in ("user", "group")  # their own targets are another rule's matter
        for below, target in targets(path, group):
            if special and below == f"{path}.target":
                continue
            if target not in known and not target.startswith(beginnings):
                yield Problem(below, f"nothing has the extension `{target}`; lead somewhere else")


def places(bundle: Bundle) -> tuple[set[str], tuple[str, ...]]:
    """Return what can be dialled here, and what may begin what is dialled elsewhere."""
    known = extensions(bundle) | {alias for user in bundle.users for alias in user.aliases}
    return known | set(emergency_numbers(bundle)), _beginnings(bundle)


def _beginnings(bundle: Bundle) -> tuple[str, ...]:
    """Return what a target that is not an extension may begin with."""
    codes = [bundle.site.code, *(peer.code for peer in bundle.peers)]
    prefix = bundle.number_plan.outside_prefix
    return ("+", *codes, *([prefix] if prefix else []))
