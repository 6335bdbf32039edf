"""Makes room on a line that is full: a call for help comes before all others (E6)."""

from __future__ import annotations

from appliance.call.call import Call, CallState
from appliance.call.leg import Leg
from appliance.call.line import Lines

REASON = "ended to make room for an emergency call"


def make_room(lines: Lines, line: str, now: float) -> str:
    """End the youngest call on a line that is not for help, one that only rings first.

    Returns whose it was; empty: there is none. Its record says why.
    """
    found: dict[str, Call] = {}
    for leg in lines.on(line):
        call = leg.owner if isinstance(leg, Leg) else None
        if isinstance(call, Call) and _may_go(call):
            found[call.id] = call
    calls = sorted(found.values(), key=lambda call: call.state is CallState.RINGING)
    if not calls:
        return ""
    call = calls[-1]
    record = call.draft.record
    call.end("system", REASON, now, 503)
    return f"{record.caller} to {record.callee}"


def _may_go(call: Call) -> bool:
    return call.state is not CallState.ENDED and call.draft.record.emergency is None
