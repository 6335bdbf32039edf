"""Calls that wait at an orbit until somebody dials it (C8).

A call is parked by handing its other party on to an orbit, or, while that party is held, by a code.
Nobody keeps a list: what is parked is seen in the calls themselves.
"""

from __future__ import annotations

from collections.abc import Mapping

from appliance.bundle import Bundle, User
from appliance.call.call import Call, CallState
from appliance.call.leg import Leg
from appliance.call.referral import ReferTo, Unasked
from appliance.call.steps import Goto, Note, Park, Plan, Reject
from appliance.call.transfer import Transfer
from appliance.sdp.offer_answer import is_hold

MUSIC = "music"
RETURNS = 3
"""How often whoever has parked a call is rung for it, before it ends."""


class Parking:
    """Know which orbits are free, and what waits at the others."""

    def __init__(self, calls: Mapping[str, Call]) -> None:
        """`calls` are all calls that are up, now and later."""
        self._calls = calls
        self._orbits: tuple[str, ...] = ()
        self._ring_back_after = 0.0

    def apply(self, bundle: Bundle) -> None:
        """Take the orbits of a new bundle; a call at one that is gone is still found there."""
        self._orbits = bundle.park.orbits
        self._ring_back_after = bundle.park.ring_back_after

    def parked(self) -> dict[str, Call]:
        """Return what is parked, by orbit."""
        found = {}
        for call in self._calls.values():
            if place := place_of(call):
                found[place] = call
        return found

    def free(self, wanted: str = "") -> str:
        """Return an orbit that is free, that one if it is named; empty: none is."""
        taken = self.parked()
        orbits = (wanted,) if wanted else self._orbits
        return next((orbit for orbit in orbits if orbit in self._orbits and orbit not in taken), "")

    def plan(self, parker: User, orbit: str) -> Plan:
        """Let whoever is handed on to an orbit wait there; ring who has parked it now and then."""
        if not self.free(orbit):
            yield Reject(486, f"another call is parked at {orbit}", "busy")
        yield Note(f"parked at {orbit} by {parker.extension}")
        first = Park(orbit, MUSIC, self._ring_back_after, RETURNS - 1)
        yield from self.wait_on(parker, first)

    def wait_on(self, parker: User, first: Park) -> Plan:
        """Let whoever waits at an orbit wait on: first as long as is left of an earlier time."""
        orbit = first.place
        for left in range(first.left, -1, -1):
            seconds = first.timeout if left == first.left else self._ring_back_after
            yield Park(orbit, first.hears, seconds, left)
            if left:
                yield Note(f"nobody has come to {orbit}: back to {parker.extension}")
                yield Goto(parker.extension, back=True)
        yield Reject(480, f"nobody has come to {orbit}", "no_answer")

    def park_held(self, extension: str, orbit: str, now: float) -> bool:
        """Park whom a user holds; return whether there is anybody."""
        found = self._held(extension)
        if found is None:
            return False
        call, leg = found
        Transfer(call, leg, Unasked()).start(ReferTo(orbit), now)
        return True

    def give_back(self, orbit: str, now: float) -> bool:
        """Ring whoever has parked a call, now; return whether one waits at this orbit."""
        call = self.parked().get(orbit)
        if call is None or call.waiting is None:
            return False
        call.waiting.waited(now)
        return True

    def _held(self, extension: str) -> tuple[Call, Leg] | None:
        """Return the call that a user's phone has put on hold last, and that phone's leg."""
        for call in reversed(list(self._calls.values())):
            if call.state is not CallState.ANSWERED or any(leg.busy for leg in call.joined):
                continue
            for leg in call.joined:
                if leg.extension == extension and leg.heard is not None and is_hold(leg.heard):
                    return call, leg
        return None


def place_of(call: Call) -> str:
    """Return the orbit at which a call is parked; empty: at none."""
    waiting = call.waiting
    if waiting is None or waiting.parked is None or waiting.over:
        return ""
    return waiting.parked.place
