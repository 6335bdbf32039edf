"""The groups of a site: opening hours first, then the target, then the next step (D1-D7)."""

from __future__ import annotations

from copy import copy
from typing import Final, NamedTuple

from appliance.bundle import Bundle, Group
from appliance.call.steps import Goto, Note, Plan, Play, Reject
from sdg.hours import Schedule, Verdict
from sdg.presence import Presence
from sdg.targets import TARGETS
from sdg.turns import Turns
from sdg.visit import Grounds, Result, Visit

GREETED = ("user", "members", "number", "group")
"""Kinds whose callers hear the group's prompt before anything rings."""


class Ending(NamedTuple):
    """What a caller is told whom a group has nowhere to send."""

    status: int
    word: str
    says: str


ENDINGS: Final[dict[str, Ending]] = {
    "closed": Ending(480, "unavailable", "closed"),
    "no_answer": Ending(480, "no_answer", "nobody-available"),
    "busy": Ending(486, "busy", "nobody-available"),
    "empty": Ending(480, "unavailable", "nobody-available"),
    "unavailable": Ending(480, "unavailable", "nobody-available"),
    "rejected": Ending(480, "rejected", "nobody-available"),
    "played": Ending(480, "unavailable", ""),
}
"""By `Result.word`, and `closed`."""


class Groups:
    """Every group of one bundle; made anew with each bundle, calls under way keep theirs."""

    def __init__(self, bundle: Bundle, turns: Turns, presence: Presence) -> None:
        """`turns` outlives the bundle. Raises LocalError where a calendar cannot be read."""
        self._grounds = Grounds(bundle, turns, presence)
        self._schedules = {hours.id: Schedule(hours) for hours in bundle.hours}
        turns.keep(group.id for group in bundle.groups)

    def among(self, presence: Presence, turns: Turns) -> Groups:
        """Return the same groups for other people: nothing is read from the bundle again."""
        others = copy(self)
        others._grounds = self._grounds.among(presence, turns)
        return others

    def plan(self, group: Group, at: float) -> Plan:
        """Return the plan of a call that comes to a group at a time (Unix seconds)."""
        yield Note(f"group {group.name} ({group.extension})")
        verdict = self.verdict(group, at)
        if verdict is not None:
            yield Note(f"{'open' if verdict.open else 'closed'}: {verdict.why}")
            if not verdict.open:
                yield from _go_on(group, "closed", "closed")
                return
        if group.prompt is not None and group.kind in GREETED:
            yield Play((group.prompt,))
        result: Result = yield from TARGETS[group.kind](Visit(group, self._grounds))
        yield from _go_on(group, result.word, result.reason)

    def verdict(self, group: Group, at: float) -> Verdict | None:
        """Tell whether a group is open at a time (Unix seconds); None: it always is."""
        schedule = self._schedules.get(group.hours) if group.hours is not None else None
        return schedule.at(at) if schedule is not None else None


def next_of(group: Group, word: str) -> str | None:
    """Return where callers go next after a result; None: nowhere."""
    if word == "closed":
        return group.closed
    places = {"no_answer": group.no_answer, "busy": group.busy, "empty": group.empty}
    return places.get(word) or group.overflow


def _go_on(group: Group, word: str, reason: str) -> Plan:
    target = next_of(group, word)
    if target is not None:
        yield Note(f"{reason}: on to {target}")
        yield Goto(target)
    ending = ENDINGS[word]
    yield Reject(ending.status, f"{group.name}: {reason}", ending.word, ending.says)
