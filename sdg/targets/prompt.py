"""A message: callers hear it to its end, then they go on or are hung up on (D6)."""

from __future__ import annotations

from appliance.call.steps import Goto, Play
from sdg.visit import Part, Result, Visit


def plan(visit: Visit) -> Part:
    """Answer, so that every phone lets its user hear it, and play."""
    group = visit.group
    if group.prompt is not None:
        yield Play((group.prompt,), answer=True)
    if group.target is not None:
        yield Goto(group.target)
    return Result(word="played", reason="its message is over")
