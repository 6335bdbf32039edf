"""What a REFER comes to: a blind transfer, or one to somebody who was consulted (C5, C6)."""

from __future__ import annotations

from appliance.call.branch import COMPLETED_ELSEWHERE
from appliance.call.consultation import Consultation
from appliance.call.handover import HandoverOwner
from appliance.call.leg import Leg
from appliance.call.referral import Referral, ReferTo, read_refer
from appliance.call.transfer import Transfer
from appliance.call.wording import ascii_text
from appliance.errors import RemoteError
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request
from appliance.sip.values import Replaces

MOST = 16
"""Transfers of one call: phones that hand it on by themselves, round and round, end there."""


def refer(
    call: HandoverOwner,
    leg: Leg,
    request: Request,
    tx: ServerTransaction,
    now: float,
    told: Leg | None = None,
) -> None:
    """Take a REFER of one party about the other.

    `told` is a dialog of its own for a REFER that came outside that of `leg`.
    """
    teller = told or leg
    try:
        to = read_refer(request)
        _check(call, leg)
    except RemoteError as error:
        warning = ("Warning", f'399 holdfast "{ascii_text(error.reason)}"')
        teller.refuse(tx, error.status, now, [warning])
        if told is not None:
            told.close()
        return
    call.transfers += 1
    referral = Referral(teller, request, alone=told is not None)
    teller.refuse(tx, 202, now, referral.headers)
    if to.replaces is None:
        Transfer(call, leg, referral).start(to, now)
    else:
        _consulted(call, leg, referral, to.replaces, now)


def _check(call: HandoverOwner, leg: Leg) -> None:
    if call.handing_on:
        raise RemoteError(491, "this call is being handed on already")
    if not call.talks or leg not in call.legs:
        raise RemoteError(403, "there is nobody to transfer")
    if leg.line is not None:
        raise RemoteError(403, "nobody outside may send our calls anywhere")
    if call.transfers >= MOST:
        raise RemoteError(482, f"this call has been handed on {MOST} times")


def _consulted(
    call: HandoverOwner, leg: Leg, referral: Referral, replaces: Replaces, now: float
) -> None:
    """Join the other party with that of the phone's other call; tell why not where that fails."""
    try:
        theirs, other = _other_call(call, leg, replaces)
    except RemoteError as error:
        call.draft.step(f"transfer failed ({error.status}): {error.reason}", leg.extension)
        referral.close(error.status, now)
        return
    if other.talks:
        Consultation(call, leg, referral, other, theirs).begin(now)
        return
    # Nobody has answered there: whoever rings is rung anew, and shown who really calls.
    dialled = other.draft.record.callee
    other.end("caller", "transferred before anybody answered", now, 487, COMPLETED_ELSEWHERE)
    Transfer(call, leg, referral).start(ReferTo(dialled), now)


def _other_call(call: HandoverOwner, leg: Leg, replaces: Replaces) -> tuple[Leg, HandoverOwner]:
    """Return the phone's leg in its other call, and that call (RFC 3891, section 3)."""
    found = call.context.legs.named(replaces.call_id, replaces.to_tag, replaces.from_tag)
    other = found.owner if isinstance(found, Leg) else None
    if not isinstance(found, Leg) or not isinstance(other, type(call)):
        raise RemoteError(481, "the dialog to be replaced is not there")
    if found.extension != leg.extension or found.line is not None:
        raise RemoteError(603, f"{leg.extension} has no part in the dialog to be replaced")
    if other is call or other.handing_on:
        raise RemoteError(491, "the dialog to be replaced is being handed on")
    if other.talks and (replaces.early_only or found not in other.legs):
        raise RemoteError(486, "the dialog to be replaced is answered already")
    return found, other
