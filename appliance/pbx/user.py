"""The plan of a call to one user: ring every phone, or go where calls are forwarded (C1, C10)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from appliance.bundle import Forwarding, User
from appliance.call.steps import Diverted, Goto, Note, Outcome, Plan, Reject, Ring, Step, Target

FORWARDED = 181
"""Call Is Being Forwarded (RFC 3261, 21.1.3)."""
SHORTEST = 1.0
"""Seconds that a user's phones ring at least before nobody has answered."""

Way = Literal["always", "busy", "no_answer", "unreachable"]
Reason = Literal["always", "busy", "no_answer", "unreachable", "do_not_disturb", "deflected"]


class Ending(NamedTuple):
    """What a caller is told whose call nobody takes, and which forwarding is tried before."""

    way: Way | None
    status: int
    word: str
    text: str
    """Sentence for the record, after the user's name."""


ENDINGS: Final[dict[str, Ending]] = {
    "busy": Ending("busy", 486, "busy", "is busy"),
    "no_answer": Ending("no_answer", 480, "no_answer", "did not answer"),
    "rejected": Ending(None, 603, "rejected", "declined the call"),
    "unavailable": Ending("unreachable", 480, "unavailable", "could not be reached"),
    "away": Ending("unreachable", 480, "unavailable", "has no phone registered here now"),
}
"""By what came of ringing."""


@dataclass(frozen=True, kw_only=True)
class Called:
    """One user who is called."""

    user: User
    forwarding: Forwarding
    """What is in force now."""
    targets: tuple[Target, ...]
    """The phones to ring."""
    ring_time: float
    """Seconds that they ring where nothing else is said."""
    caller: User
    leads_to: Callable[[str], User | None] = lambda dialled: None
    """Return whose extension, alias or number is dialled, with the site's code or without."""

    def way(self, name: Way) -> str | None:
        """Return where calls are forwarded to; None: nowhere, or to somebody who is in the call.

        Whoever calls somebody whose calls come to the caller wants that very person.
        """
        target: str | None = getattr(self.forwarding, name)
        return target if target and self.elsewhere(target) else None

    def elsewhere(self, target: str) -> bool:
        """Tell whether somebody is not in the call yet: neither its caller nor who is called."""
        here = (self.user, self.caller)
        meant = self.leads_to(target)
        if meant is not None and meant.id in {one.id for one in here}:
            return False
        return target not in {name for one in here for name in (one.extension, *one.aliases)}


def plan(called: Called) -> Plan:
    """Ring all phones of a user at once, tell what came of it, or forward the call."""
    name, ways = called.user.name, called.forwarding
    if target := called.way("always"):
        yield from _forward(called, "always", target)
        yield Reject(482, f"{name}: the call came round to a forwarding it had left", "failed")
    if ways.do_not_disturb:
        if target := called.way("busy"):
            yield from _forward(called, "do_not_disturb", target)
        yield Reject(486, f"{name} does not want to be disturbed", "busy")
    ending, moved_to = yield from _ring(called)
    if moved_to and called.elsewhere(moved_to):
        yield from _forward(called, "deflected", moved_to)
    if ending.way is not None and (target := called.way(ending.way)):
        yield Note(f"{name} {ending.text}")
        yield from _forward(called, ending.way, target)
    yield Reject(ending.status, f"{name} {ending.text}", ending.word)


def _ring(called: Called) -> Generator[Step, Outcome, tuple[Ending, str]]:
    """Ring the phones; return what came of it, and where a phone wants the call to go."""
    if not called.targets:
        return ENDINGS["away"], ""
    wait = called.ring_time
    if called.way("no_answer"):
        wait = max(called.forwarding.no_answer_after, SHORTEST)
    outcome = yield Ring(called.targets, wait)
    ending = ENDINGS.get(outcome.word, ENDINGS["unavailable"])
    more = f" ({outcome.status})" if ending.word == "unavailable" else ""
    return ending._replace(text=ending.text + more), outcome.moved_to


def _forward(called: Called, reason: Reason, target: str) -> Generator[Step, Outcome, None]:
    """Go on elsewhere; come back only where the call would go round."""
    why = reason.replace("_", " ")
    yield Note(f"{called.user.extension} forwards to {target}: {why}", status=FORWARDED)
    yield Goto(target, diverted=Diverted(called.user.extension, reason))
    yield Note(f"not forwarded to {target}: {called.user.extension} has had this call before")
