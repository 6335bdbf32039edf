"""The plan of a call to one user: ring every phone that is registered (C1)."""

from __future__ import annotations

from appliance.call.steps import Plan, Reject, Ring, Target


def plan(targets: tuple[Target, ...], ring_time: float, name: str) -> Plan:
    """Ring all of a user's phones at once, then tell the caller what came of it."""
    if not targets:
        yield Reject(480, f"{name} has no phone registered here now")
        return
    outcome = yield Ring(targets, ring_time)
    if outcome.word == "busy":
        yield Reject(486, f"{name} is busy")
    elif outcome.word == "no_answer":
        yield Reject(480, f"{name} did not answer", "no_answer")
    elif outcome.word == "rejected":
        yield Reject(603, f"{name} declined the call")
    else:
        yield Reject(480, f"no phone of {name} could be reached ({outcome.status})")
