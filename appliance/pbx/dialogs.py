"""What comes within a dialog, and what belongs to one that an earlier process has begun."""

from __future__ import annotations

from appliance.call.context import CallContext
from appliance.call.ending import dismiss
from appliance.errors import RemoteError
from appliance.pbx.access import ACCESS, misplaced
from appliance.pbx.location import Location
from appliance.sip.flow import Flow
from appliance.sip.message import Request, Response


def acknowledge(context: CallContext | None, request: Request, now: float) -> None:
    """Take the ACK of a 2xx; one to nothing we know is nobody's."""
    leg = context.legs.find(request) if context is not None else None
    if leg is not None:
        leg.acknowledged(request, now)


def receive(context: CallContext | None, request: Request, flow: Flow, now: float) -> None:
    """Hand a request to its leg; raises RemoteError for what has none, or must not be there."""
    leg = context.legs.find(request) if context is not None else None
    if context is None or leg is None or leg.dialog is None:
        raise RemoteError(481, "no such dialog")
    if request.method not in ACCESS:
        raise misplaced(request.method)
    leg.dialog.check_remote(request)
    tx = context.transactions.receive_request(request, flow, now)
    if tx is None:
        return
    leg.learn(request, flow)
    if request.method in ("INVITE", "UPDATE"):
        leg.dialog.refresh_target(request)
    leg.take(request, tx, now)


def stray(
    context: CallContext, location: Location, response: Response, flow: Flow, now: float
) -> None:
    """Take a response to an INVITE that an earlier process has sent.

    A phone whose 2xx nobody acknowledges repeats it for 32 s and then gives its call up.
    """
    if response.status // 100 != 2 or response.cseq.method != "INVITE":
        return
    tags = response.from_.tag or "", response.to.tag or ""
    leg = context.legs.named(response.call_id, *tags)
    if leg is not None:
        leg.learn(response, flow)
        leg.acknowledge_lost(response, now)
    elif location.holds(flow.remote[0]):
        dismiss(context, response, flow, now)
