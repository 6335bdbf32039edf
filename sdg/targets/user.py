"""One user: all phones of that user ring, as if nobody else were in the group (D1)."""

from __future__ import annotations

from sdg.targets.members import ring
from sdg.visit import Part, Result, Visit


def plan(visit: Visit) -> Part:
    """Ring the user."""
    target = visit.group.target or ""
    user = visit.grounds.by_extension.get(target)
    if user is None:
        return Result(word="empty", reason=f"there is no user with the extension {target}")
    return (yield from ring(visit, (user,)))
