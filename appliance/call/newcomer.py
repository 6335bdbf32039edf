"""Somebody comes into a call with an INVITE of its own: to a party that waits, or for another.

Pick-up, retrieval of a parked call and INVITE with Replaces all end here: whoever decides that it
may be (`pbx`) finds the call and hands over the transaction.
"""

from __future__ import annotations

from appliance.call.call import Call, CallState
from appliance.call.caller import Caller
from appliance.call.leg import Leg
from appliance.call.party import Party
from appliance.call.replacing import Replacing
from appliance.errors import RemoteError, Unavailable
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction


def take(call: Call, tx: ServerTransaction, flow: Flow, party: Party, now: float) -> Caller:
    """Let the sender of an INVITE talk with the party that waits in a call for somebody.

    Phones that ring are told "completed elsewhere". Returns the new leg, which has its answer now
    or gets it when the other party has agreed. Raises RemoteError (481: nobody waits, 486: somebody
    else was first) or Unavailable, with nothing changed and nothing answered, where it cannot be.
    """
    waiting = call.waiting
    if waiting is None or waiting.over:
        raise RemoteError(481, "nobody waits here any more")
    comes = Caller(call.context, call, flow, party, tx)
    try:
        waiting.take(comes, now)
    except (RemoteError, Unavailable):
        comes.close()
        raise
    call.context.traces.join(call.id, tx.request.call_id)
    return comes


def replace(
    call: Call, leaves: Leg, tx: ServerTransaction, flow: Flow, party: Party, now: float
) -> Caller:
    """Let the sender of an INVITE talk in place of one of two that talk; otherwise as `take`."""
    if call.state is CallState.TRANSFERRING:
        raise RemoteError(491, "this call is being handed on")
    if call.state is not CallState.ANSWERED or leaves not in call.legs:
        raise RemoteError(481, "there is no such dialog")
    comes = Caller(call.context, call, flow, party, tx)
    try:
        Replacing(call, leaves, comes).start(now)
    except (RemoteError, Unavailable):
        comes.close()
        raise
    call.context.traces.join(call.id, tx.request.call_id)
    return comes
