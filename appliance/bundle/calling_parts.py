"""The parts of a bundle about what users can do with their calls, and what their phones show."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from appliance.bundle.part import Part
from appliance.bundle.values import Code, Identifier, Line, Orbit, Screen, Seconds, Target

MOST_ORBITS = 100
"""Orbits of one site: each parked call is looked for among all calls."""


class Forwarding(Part, frozen=True, kw_only=True):
    """Where a user's calls go instead; what users set on their phones wins (C10)."""

    always: Target | None = None
    busy: Target | None = None
    """Where calls go while a phone says that it is busy, and under do-not-disturb."""
    no_answer: Target | None = None
    unreachable: Target | None = None
    """Where calls go while the user has no phone here, or none that answers us."""
    no_answer_after: Seconds = 20.0
    """How long phones ring before `no_answer`, seconds."""
    do_not_disturb: bool = False
    """Callers are told that the user is busy."""


class FeatureCodes(Part, frozen=True, kw_only=True):
    """What users dial to change how calls are taken; an empty code is not served."""

    forward_always: Code = "*72"
    """Forward every call; the extension or number follows, or is asked for (C10)."""
    forward_always_off: Code = "*73"
    forward_busy: Code = "*90"
    forward_busy_off: Code = "*91"
    forward_no_answer: Code = "*92"
    forward_no_answer_off: Code = "*93"
    forward_unreachable: Code = "*94"
    """Forward calls while no phone of the user can be reached."""
    forward_unreachable_off: Code = "*95"
    do_not_disturb: Code = "*78"
    do_not_disturb_off: Code = "*79"
    pickup: Code = "*97"
    """Take a call that rings at the extension that follows (C9)."""
    pickup_group: Code = "*98"
    """Take a call that rings anywhere in the user's pickup groups."""
    park: Code = "*68"
    """Park whom the user holds, at the orbit that follows or at a free one (C8)."""


class ParkingPlaces(Part, frozen=True, kw_only=True):
    """Where calls are parked (C8)."""

    first: Orbit | None = None
    """The first of the orbits that users dial; None: calls cannot be parked."""
    last: Orbit | None = None
    """The last of them, with as many digits; None: `first` is the only one."""
    ring_back_after: Annotated[float, Meta(ge=5, le=3600)] = 120.0
    """Seconds until whoever has parked a call is rung, and again after as many."""

    @property
    def orbits(self) -> tuple[str, ...]:
        """Every orbit, in order; at most 100, whatever a bundle says that is not checked yet."""
        if self.first is None or not (self.first + (self.last or "")).isdigit():
            return ()  # none, or what stands in for a value that another problem tells of
        low, high = int(self.first), int(self.last or self.first)
        numbers = range(low, min(high, low + MOST_ORBITS - 1) + 1)
        return tuple(f"{number:0{len(self.first)}d}" for number in numbers)


class PickupGroup(Part, frozen=True, kw_only=True):
    """Users who may take each other's calls (C9)."""

    id: Identifier
    name: Line = ""
    members: tuple[Identifier, ...]
    """Ids of the users; a user may be in several groups."""


class Texts(Part, frozen=True, kw_only=True):
    """What phones are sent (SIP MESSAGE) when the site begins to serve itself, and after (A5)."""

    outage: Screen = "Backup phone service is active. Calls within the site work as usual."
    """To each phone, once it has registered here in an outage; empty: nothing."""
    over: Screen = "The phone service is back to normal."
    """To each phone that was sent the other one; empty: nothing."""
    per_second: Annotated[int, Meta(ge=1, le=200)] = 50
    """Phones that are sent a text in one second."""
