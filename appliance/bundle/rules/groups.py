"""Distribution groups: members, prompts, hours, and where callers go next (D1-D7)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.bundle.parts import Bundle, Group
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import extensions, repeated, rows


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
        if group.kind == "menu" and not group.keys:
            yield Problem(f"{path}.keys", "empty; say where the keys of the menu lead")
        if group.kind == "number" and group.number is None:
            yield Problem(f"{path}.number", "missing; write the number this group leads to")
        if group.kind == "prompt" and group.prompt is None:
            yield Problem(f"{path}.prompt", "missing; name the prompt this group plays")


def references_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a prompt or hours that do not exist."""
    prompts, hours = {part.id for part in bundle.prompts}, {part.id for part in bundle.hours}
    for path, group in rows("groups", bundle.groups):
        if group.prompt is not None and group.prompt not in prompts:
            text = f"there is no prompt `{group.prompt}`; add it to `prompts`"
            yield Problem(f"{path}.prompt", text)
        if group.hours is not None and group.hours not in hours:
            yield Problem(f"{path}.hours", f"there are no hours `{group.hours}`; add them")


def targets_exist(bundle: Bundle) -> Iterator[Problem]:
    """Refuse a target that could not be dialled."""
    known = extensions(bundle)
    known |= set(bundle.emergency_numbers)
    beginnings = _beginnings(bundle)
    for path, group in rows("groups", bundle.groups):
        for below, target in _targets(path, group):
            if target not in known and not target.startswith(beginnings):
                yield Problem(below, f"nothing has the extension `{target}`; lead somewhere else")


def nobody_goes_round(bundle: Bundle) -> Iterator[Problem]:
    """Refuse groups that hand a caller round in a circle without the caller choosing it."""
    groups = {group.extension: (path, group) for path, group in rows("groups", bundle.groups)}
    done: set[str] = set()
    for extension in groups:
        trail: list[str] = []
        yield from _walk(extension, groups, trail, done)


def _walk(
    start: str, groups: dict[str, tuple[str, Group]], trail: list[str], done: set[str]
) -> Iterator[Problem]:
    """Follow every automatic way from a group, depth first, with a stack of our own."""
    ways = [_ways(groups[start][1])] if start not in done else []
    trail += [start] if ways else []
    while ways:
        field, target = next(ways[-1], ("", ""))
        if target in trail:
            path = groups[trail[-1]][0]
            circle = " → ".join([*trail[trail.index(target) :], target])
            yield Problem(f"{path}.{field}", f"callers go round: {circle}; lead them elsewhere")
        elif target in groups and target not in done:
            trail.append(target)
            ways.append(_ways(groups[target][1]))
        elif not field:
            ways.pop()
            done.add(trail.pop())


def _ways(group: Group) -> Iterator[tuple[str, str]]:
    if group.closed is not None:
        yield "closed", group.closed
    if group.overflow is not None:
        yield "overflow", group.overflow


def _targets(path: str, group: Group) -> Iterator[tuple[str, str]]:
    for key, target in group.keys.items():
        yield f"{path}.keys.{key}", target
    for field, target in _ways(group):
        yield f"{path}.{field}", target


def _beginnings(bundle: Bundle) -> tuple[str, ...]:
    """Return what a target that is not an extension may begin with."""
    codes = [bundle.site.code, *(peer.code for peer in bundle.peers)]
    prefix = bundle.number_plan.outside_prefix
    return ("+", *codes, *([prefix] if prefix else []))
