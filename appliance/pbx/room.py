"""Makes room where everything is in use: a call for help comes before all others (E6)."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.call.call import Call, CallState
from appliance.call.leg import Leg
from appliance.call.line import Lines

REASON = "ended to make room for an emergency call"


def make_room(lines: Lines, line: str, now: float) -> str:
    """End a call on a line; see `end_youngest`."""
    owners = [leg.owner for leg in lines.on(line) if isinstance(leg, Leg)]
    return end_youngest([owner for owner in owners if isinstance(owner, Call)], now)


def end_youngest(calls: Iterable[Call], now: float) -> str:
    """End the last of these calls that is not for help, one that only rings before all others.

    Returns whose it was; empty: there is none. Its record says why.
    """
    found = sorted(filter(_may_go, calls), key=lambda call: call.state is CallState.RINGING)
    if not found:
        return ""
    call = found[-1]
    record = call.draft.record
    call.end("system", REASON, now, 503)
    return f"{record.caller} to {record.callee}"


def _may_go(call: Call) -> bool:
    return call.state is not CallState.ENDED and call.draft.record.emergency is None
