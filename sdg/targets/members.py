"""Members: all at once, one after the other, in turn, or whoever waited longest (D2)."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Literal

from appliance.bundle import User
from appliance.call.steps import Note, Outcome, Ring, Step
from sdg.visit import Part, Result, Visit

State = Literal["free", "ringing", "busy", "away"]

WHY = {
    "ringing": "rung by another call",
    "busy": "on another call",
    "away": "no phone here",
}

NO_ANSWER = Result(word="no_answer", reason="nobody answered")
BUSY = Result(word="busy", reason="everybody is on another call")
EMPTY = Result(word="empty", reason="nobody has a phone here now")
UNREACHED = Result(word="unavailable", reason="no phone could be reached")


def plan(visit: Visit) -> Part:
    """Ring the members as the group's strategy says."""
    users = visit.grounds.users
    named = dict.fromkeys(visit.group.members)  # each once, whatever the bundle says
    return (yield from ring(visit, tuple(users[id] for id in named if id in users)))


def ring(visit: Visit, members: tuple[User, ...]) -> Part:
    """Ring these users for as many rounds and as long as the group allows.

    Whoever is busy or without a phone is passed over at once, as of the moment of ringing. Who is
    being rung by another call is rung only when nobody is free: two callers meet two members.
    """
    attempt = _Attempt(visit, members)
    for _ in range(visit.group.rounds):
        rang = yield from attempt.round()
        if not rang or attempt.left <= 0:
            break
    return attempt.result


class _Attempt:
    """What one caller has tried in a group so far."""

    def __init__(self, visit: Visit, members: tuple[User, ...]) -> None:
        self.left = visit.group.ring_limit
        """Seconds that are left to ring."""
        self._visit = visit
        self._members = members
        self._words: set[str] = set()
        """How ringing ended, and `busy` for whoever was passed over as busy."""

    @property
    def result(self) -> Result:
        """Return what came of it: what leaves the most hope counts."""
        if self._words & {"no_answer", "rejected"}:
            return NO_ANSWER
        if "busy" in self._words:
            return BUSY
        return UNREACHED if self._words else EMPTY

    def round(self) -> Generator[Step, Outcome, bool]:
        """Try all members once; return whether anybody was rung."""
        rang = False
        for batch in self._batches():
            free = yield from self._free(batch)
            if free and self.left > 0:
                rang = True
                yield from self._ring(free)
        if rang:
            return True
        for batch in self._batches():  # nobody is free: let a phone that rings ring for us, too
            states = self._states(batch)
            rung = [one for one in batch if states[one.id] == "ringing"]
            if rung and self.left > 0:
                rang = True
                yield from self._ring(rung)
        return rang

    def _batches(self) -> Iterator[tuple[User, ...]]:
        """Yield who is to ring together, in order; looked at again with each batch."""
        group, grounds = self._visit.group, self._visit.grounds
        members = self._members
        if group.strategy == "simultaneous":
            yield members
            return
        if group.strategy == "round_robin":
            ids = grounds.turns.in_turn(group.id, tuple(member.id for member in members))
            members = tuple(grounds.users[id] for id in ids)
        elif group.strategy == "longest_idle":
            members = tuple(sorted(members, key=grounds.presence.idle_since))
        for member in members:
            yield (member,)

    def _free(self, batch: tuple[User, ...]) -> Generator[Step, Outcome, list[User]]:
        """Return those who are free, and note the others with the reason."""
        states = self._states(batch)
        others = [member for member in batch if states[member.id] != "free"]
        self._words.update("busy" for member in others if states[member.id] != "away")
        if others:
            shown = ", ".join(f"{one.extension} ({WHY[states[one.id]]})" for one in others[:20])
            more = f" and {len(others) - 20} more" if len(others) > 20 else ""
            yield Note(f"passed over: {shown}{more}")
        return [member for member in batch if states[member.id] == "free"]

    def _states(self, batch: tuple[User, ...]) -> dict[str, State]:
        presence = self._visit.grounds.presence
        busy, ringing = presence.busy(), presence.ringing()

        def state(user: User) -> State:
            if not presence.phones(user):
                return "away"
            if user.extension in busy or presence.do_not_disturb(user):
                return "busy"
            return "ringing" if user.extension in ringing else "free"

        return {user.id: state(user) for user in batch}

    def _ring(self, users: list[User]) -> Generator[Step, Outcome, None]:
        group, grounds = self._visit.group, self._visit.grounds
        seconds = min(group.ring_time, self.left)
        targets = tuple(phone for user in users for phone in grounds.presence.phones(user))
        if group.strategy == "round_robin":
            grounds.turns.rung(group.id, users[-1].id)
        outcome = yield Ring(targets, seconds, self._visit.hears, each=True)
        self._words.add(outcome.word)
        if outcome.word == "no_answer":
            self.left -= seconds
