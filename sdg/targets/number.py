"""A phone number outside: the dial plan finds the way there, or says why there is none (D4)."""

from __future__ import annotations

from sdg.targets.group import away
from sdg.visit import Part, Visit


def plan(visit: Visit) -> Part:
    """Go to the number, and come back when nobody there takes the call."""
    return (yield from away(visit.group.number or ""))
