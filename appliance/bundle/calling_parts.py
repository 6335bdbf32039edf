"""The parts of a bundle about what users can do with their calls, and what their phones show."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from appliance.bundle.part import Part
from appliance.bundle.values import Code, Screen, Seconds, Target


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
    """What users dial to change how their own calls are taken; an empty code is not served."""

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


class Texts(Part, frozen=True, kw_only=True):
    """What phones are sent (SIP MESSAGE) when the site begins to serve itself, and after (A5)."""

    outage: Screen = "Backup phone service is active. Calls within the site work as usual."
    """To each phone, once it has registered here in an outage; empty: nothing."""
    over: Screen = "The phone service is back to normal."
    """To each phone that was sent the other one; empty: nothing."""
    per_second: Annotated[int, Meta(ge=1, le=200)] = 50
    """Phones that are sent a text in one second."""
