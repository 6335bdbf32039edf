"""The ways callers take from group to group: circles are refused, dead ends pointed out (D5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from appliance.bundle.parts import Bundle, Group
from appliance.bundle.problem import Problem
from appliance.bundle.rules.names import rows

DEPTH = 8
"""Groups that a call may go through by itself; what goes further is ended as a circle."""

OUTCOMES = ("closed", "no_answer", "busy", "empty", "overflow")
"""The fields of a group that say where callers go next, besides `target` and `keys`."""

Groups = dict[str, tuple[str, Group]]
"""Whatever can be dialled for a group, to its path and the group."""


def nobody_goes_round(bundle: Bundle) -> Iterator[Problem]:
    """Refuse groups that hand a caller round in a circle without the caller choosing it."""
    groups = _dialled(bundle)
    done: set[str] = set()
    for group in bundle.groups:
        yield from _walk(group.extension, groups, done)


def dead_ends(bundle: Bundle) -> Iterator[Problem]:
    """Point out where callers end without anybody or anything to follow, with the way there."""
    trunk = bool(bundle.route_groups)
    before = _before(bundle)
    for path, group in rows("groups", bundle.groups):
        way, length = _way(before, group.extension)
        if length == DEPTH + 2:
            text = f"callers are cut off after {DEPTH} groups: {way}; make the way shorter"
            yield Problem(path, text)
        if group.kind == "number" and not trunk:
            text = f"callers end here: {way}; there are no `route_groups` to take them outside"
            yield Problem(f"{path}.number", text)
        if fault := _dead_end(group):
            yield Problem(path, f"callers {fault} end here: {way}; give it an `overflow`")


def targets(path: str, group: Group) -> Iterator[tuple[str, str]]:
    """Yield everything a group may lead to, the caller's choices included, with its path."""
    for key, target in group.keys.items():
        yield f"{path}.keys.{key}", target
    if group.target is not None:
        yield f"{path}.target", group.target
    for field in OUTCOMES:
        target = getattr(group, field)
        if target is not None:
            yield f"{path}.{field}", target


def _walk(start: str, groups: Groups, done: set[str]) -> Iterator[Problem]:
    """Follow every automatic way from a group, depth first, with a stack of our own."""
    trail = [start] if start not in done else []
    ways = [_ways(groups[name][1], groups) for name in trail]
    while ways:
        field, target = next(ways[-1], ("", ""))
        if target in trail:
            path = groups[trail[-1]][0]
            circle = " → ".join([*trail[trail.index(target) :], target])
            yield Problem(f"{path}.{field}", f"callers go round: {circle}; lead them elsewhere")
        elif target and target not in done:
            trail.append(target)
            ways.append(_ways(groups[target][1], groups))
        elif not field:
            ways.pop()
            done.add(trail.pop())


def _ways(group: Group, groups: Groups) -> Iterator[tuple[str, str]]:
    """Yield the fields that lead to other groups without a choice, with those extensions."""
    if group.kind in ("group", "prompt") and group.target in groups:
        yield "target", groups[group.target][1].extension
    for field in OUTCOMES:
        target = getattr(group, field)
        if target in groups:
            yield field, groups[target][1].extension


def _dialled(bundle: Bundle) -> Groups:
    groups: Groups = {}
    for path, group in rows("groups", bundle.groups):
        for name in (group.extension, bundle.site.code + group.extension, *group.numbers):
            groups.setdefault(name, (path, group))
    return groups


def _before(bundle: Bundle) -> dict[str, str]:
    """Return which group comes before each on the shortest way from where calls come in."""
    groups = _dialled(bundle)
    after = {group.extension: _next(group, groups) for group in bundle.groups}
    led_to = {target for name, found in after.items() for target in found if target != name}
    first = [
        group.extension for group in bundle.groups if group.numbers or group.extension not in led_to
    ]
    before: dict[str, str] = {}
    for entry in [*first, *after]:
        waiting = deque([] if entry in before else [(entry, "")])
        while waiting:
            name, last = waiting.popleft()
            if name not in before:
                before[name] = last
                waiting += [(target, name) for target in after[name]]
    return before


def _way(before: dict[str, str], name: str) -> tuple[str, int]:
    """Write the way to a group, its last part only where it is long; and count its groups."""
    way = [name]
    while before[way[-1]]:
        way.append(before[way[-1]])
    shown = way[: DEPTH + 2]
    return ("… → " if len(way) > len(shown) else "") + " → ".join(reversed(shown)), len(way)


def _next(group: Group, groups: Groups) -> list[str]:
    found = [groups[target][1].extension for target in group.keys.values() if target in groups]
    return found + [extension for _, extension in _ways(group, groups)]


def _dead_end(group: Group) -> str:
    """Return which callers a group turns away, in words; empty: none."""
    if group.kind == "prompt" or group.overflow is not None or group.no_answer is not None:
        return ""
    return "who press no key" if group.kind == "menu" else "whom nobody answers"
