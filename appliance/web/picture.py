"""What pages draw: the zones' ribbons, the day's modes, and the ways through groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from appliance.bundle import Bundle, Group

DAY = 86400.0
MEMBERS_SHOWN = 12
"""Names in the picture of one group; the number of all is told."""
WORDS = {
    "closed": "when closed",
    "no_answer": "nobody answers",
    "busy": "everybody is busy",
    "empty": "nobody has a phone here",
}


class Stretch(NamedTuple):
    """A part of a bar; places in thousandths of its width."""

    start: float
    width: float
    kind: str
    """Class of its colour: `up`, `weak`, `down`, `unknown`, or a mode."""
    title: str


def ribbon_drawn(slots: Sequence[dict[str, Any]]) -> list[Stretch]:
    """Draw a zone's day: neighbours of one kind are one stretch, so that a quiet day is short."""
    step = 1000 / len(slots)
    drawn: list[Stretch] = []
    for number, slot in enumerate(slots):
        kind = _kind(slot["share"])
        if drawn and drawn[-1].kind == kind:
            drawn[-1] = drawn[-1]._replace(width=round(drawn[-1].width + step, 2))
        else:
            drawn.append(Stretch(round(number * step, 2), round(step, 2), kind, KINDS[kind]))
    return drawn


KINDS = {
    "up": "answered",
    "weak": "answered in part",
    "down": "did not answer",
    "unknown": "not watched",
}


def _kind(share: float | None) -> str:
    if share is None:
        return "unknown"
    if share >= 0.99:
        return "up"
    return "down" if share <= 0.01 else "weak"


def modes_drawn(
    status: dict[str, Any] | None, history: Iterable[dict[str, Any]], now: float
) -> list[Stretch]:
    """Draw the modes of the last 24 hours from the history, the latest change first."""
    if status is None:
        return []
    drawn: list[Stretch] = []
    end, mode, begin = now, status["mode"], now - DAY
    for change in history:
        if change["at"] <= begin or change["at"] > end:
            continue
        drawn.append(_stretch(change["at"], end, mode, begin))
        end, mode = change["at"], change["before"]
    drawn.append(_stretch(begin, end, mode, begin))
    return drawn[::-1]


def _stretch(start: float, end: float, mode: str, begin: float) -> Stretch:
    place = (start - begin) / DAY * 1000
    # An outage of a minute is less than a pixel: it has to be seen all the same.
    width = max((end - start) / DAY * 1000, 2.0)
    return Stretch(round(min(place, 998.0), 2), round(width, 2), mode, mode)


def groups_drawn(
    bundle: Bundle, rows: Iterable[tuple[Group, dict[str, Any]]]
) -> list[dict[str, Any]]:
    """Return each group with names in place of ids, and what every extension it leads to is."""
    users = {user.id: user for user in bundle.users}
    names = {user.extension: user.name for user in bundle.users}
    names |= {group.extension: group.name for group in bundle.groups}
    drawn = []
    for group, row in rows:
        members = [users[member] for member in group.members if member in users]
        ways = [(WORDS[word], place) for word, place in row["next"].items() if place]
        drawn.append(
            {
                **row,
                "group": group,
                "members": [(user.name, user.extension) for user in members[:MEMBERS_SHOWN]],
                "more": max(0, len(members) - MEMBERS_SHOWN),
                "keys": [(key, to, names.get(to, "")) for key, to in sorted(group.keys.items())],
                "target": (group.target, names.get(group.target or "", "")),
                "ways": [(word, place, names.get(place, "")) for word, place in ways],
            }
        )
    return drawn
