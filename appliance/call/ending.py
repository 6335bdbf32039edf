"""Ends what an earlier process has left half done: calls that rang when it died.

Nothing of this is a call any more: its record is written already. It is only about phones that must
not ring, or wait, for ever.
"""

from __future__ import annotations

from typing import cast

from appliance.call.asked import Asked
from appliance.call.context import CallContext
from appliance.call.leg import Leg
from appliance.call.reach import is_gone
from appliance.call.saved import SEQUENCE_GAP, SavedBranch, SavedCall, SavedLeg, read_head
from appliance.sip.dialog import Dialog, DialogState, uac_dialog, uas_dialog
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.matching import ClientTransaction, ServerTransaction
from appliance.sip.message import Request, Response
from appliance.sip.timers import Timer

DEAF_AFTER = 4.0
"""Seconds after which a caller that does not acknowledge our refusal is taken for one that had its
200 already: over UDP it has been told four times by then."""
REASON = 'SIP;cause=500;text="signalling restarted"'
WARNING = '399 holdfast "the call was interrupted while it rang; dial again"'


def end_ringing(context: CallContext, saved: SavedCall, now: float) -> None:
    """Tell everybody who takes part that a call is over which was not answered yet."""
    if saved.caller is not None:
        _bye(context, saved.caller, now)
    else:
        _refuse(context, saved, now)
    if saved.callee is not None:
        _bye(context, saved.callee, now)
    cancel_ringing(context, saved, now)
    hang_up_others(context, saved, now)


def hang_up_others(context: CallContext, saved: SavedCall, now: float) -> None:
    """End the legs that had no part in a call of an earlier process."""
    for leg in saved.others:
        _bye(context, leg, now)


def cancel_ringing(context: CallContext, saved: SavedCall, now: float) -> None:
    """Let no phone ring on for a call of an earlier process."""
    for branch in saved.ringing:
        _cancel(context, branch, now)


def dismiss(context: CallContext, response: Response, flow: Flow, now: float) -> None:
    """Acknowledge and end a dialog that nobody knows: a phone answered what is long forgotten.

    Both go back the way the response came, whatever its Contact says.
    """
    names = ("From", "To", "Call-ID")
    headers = [(name, response.first(name) or "") for name in names]
    headers.append(("CSeq", f"{response.cseq.number} INVITE"))
    dialog = uac_dialog(Request("INVITE", "sip:unknown@invalid", headers), response)
    context.transactions.send_ack(dialog.ack(response.cseq.number), flow)
    context.transactions.request(dialog.new_request("BYE"), flow, now, _nobody())


def _bye(context: CallContext, saved: SavedLeg, now: float) -> None:
    _Departed.leg(context, saved.extension, saved.flow, saved.dialog).bye(now, REASON)


def _refuse(context: CallContext, saved: SavedCall, now: float) -> None:
    request = read_head(saved.invite, saved.flow)
    dialog = uas_dialog(request, saved.caller_tag)
    leg = _Departed.leg(context, saved.record.caller, saved.flow, dialog)

    def answer(flow: Flow, now: float) -> None:
        tx = context.transactions.resume(request, flow, now)
        tx.user = _Refused(leg, now)
        headers = [("Warning", WARNING)]
        tx.respond(request.response(500, to_tag=saved.caller_tag, headers=headers), now)

    leg.reached(answer, now)


def _cancel(context: CallContext, branch: SavedBranch, now: float) -> None:
    request = cast(Request, parse(branch.request))
    host = branch.flow.remote[0]

    def look() -> Flow | None:
        flow = branch.flow.gone
        return context.reach.find(branch.extension, flow, request.uri) if is_gone(flow) else flow

    def cancel(flow: Flow | None, now: float) -> None:
        if flow is not None:
            user = _Late(context, flow)
            tx = context.transactions.resume_invite(request, flow, user)
            tx.cancel(now, [("Reason", REASON)])

    context.reach.wait(host, look, cancel, now)


def _nobody() -> Asked:
    return Asked(lambda response, status, now: None)


class _Departed:
    """Own a leg whose call is over; fulfils `leg.LegOwner`."""

    @classmethod
    def leg(cls, context: CallContext, extension: str, flow: Flow, dialog: Dialog) -> Leg:
        """Return a leg that only waits to be ended."""
        leg = Leg(context, cls(), flow.gone, extension)
        dialog.local_seq += SEQUENCE_GAP
        leg.establish(dialog)
        return leg

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Answer a request that crosses our BYE."""
        leg.refuse(tx, 200 if request.method == "BYE" else 481, now)
        leg.close()

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """Do nothing: it is over."""

    def described(self, leg: Leg, body: bytes) -> None:
        """Do nothing: it is over."""

    def changed(self) -> None:
        """Do nothing: it is over."""


class _Refused:
    """Wait for the ACK of our refusal; who does not send it believes the call to be answered."""

    def __init__(self, leg: Leg, now: float) -> None:
        self._leg = leg
        self._timer: Timer = leg.context.timers.arm(now + DEAF_AFTER, self._end)

    def acknowledged(self, tx: ServerTransaction, ack: Request, now: float) -> None:
        """Take the ACK."""
        self._timer.cancel()
        self._leg.close()

    def unacknowledged(self, tx: ServerTransaction, now: float) -> None:
        """Do nothing: it has been told otherwise."""

    def _end(self, now: float) -> None:
        if self._leg.dialog is not None:
            self._leg.dialog.state = DialogState.CONFIRMED
        self._leg.bye(now, REASON)


class _Late:
    """End the dialog of a phone that answered before our CANCEL came."""

    def __init__(self, context: CallContext, flow: Flow) -> None:
        self._context = context
        self._flow = flow

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a response to the INVITE."""
        if 200 <= response.status < 300:
            dismiss(self._context, response, self._flow, now)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Do nothing: the phone is gone."""
