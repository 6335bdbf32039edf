"""Another group: its plan is run, and what it has no place for comes back (D5)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from appliance.call.steps import Goto, Outcome, Step
from sdg.visit import Part, Result, Visit

WORDS: Final[dict[str, Result]] = {
    "busy": Result(word="busy", reason="everybody there is busy"),
    "no_answer": Result(word="no_answer", reason="nobody there answered"),
    "rejected": Result(word="rejected", reason="the call was declined there"),
}


def plan(visit: Visit) -> Part:
    """Go to the group, and come back when nobody there takes the call."""
    return (yield from away(visit.group.target or ""))


def away(dialled: str) -> Generator[Step, Outcome, Result]:
    """Go somewhere and return what came of it there."""
    outcome = yield Goto(dialled, back=True)
    other = Result(word="unavailable", reason=f"{dialled} cannot be reached ({outcome.status})")
    return WORDS.get(outcome.word, other)
