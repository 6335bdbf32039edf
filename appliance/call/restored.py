"""Calls that an earlier process has begun: what was answered goes on, what only rang is ended.

A row may be some milliseconds older than what happened last. So our CSeq numbers go on with a gap;
a 2xx that may not have arrived is repeated, which any phone takes (RFC 3261, 13.2.2.4); and whoever
was told something that does not count is told again what does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

from msgspec.structs import replace

from appliance.call.actions import SaveRecord
from appliance.call.branch import Branch, Invitation
from appliance.call.bridge import Bridge
from appliance.call.call import Call
from appliance.call.context import CallContext
from appliance.call.ending import cancel_ringing, end_ringing, hang_up_others
from appliance.call.leg import Leg
from appliance.call.media import MUSIC
from appliance.call.party import Party
from appliance.call.record import CallRecord
from appliance.call.referral import Unasked
from appliance.call.relays import opposite
from appliance.call.saved import (
    SEQUENCE_GAP,
    SavedCall,
    SavedInvite,
    SavedLeg,
    SavedPark,
    read_head,
)
from appliance.call.steps import Park, Target
from appliance.call.transfer import Transfer
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.session import MEDIA_LIMIT
from appliance.sip.flow import Flow
from appliance.sip.framing import parse
from appliance.sip.message import Response
from appliance.sip.timers import TIMEOUT

SETTLE_AFTER = 1.0
"""Seconds until a phone is told again what counts: it may be in the middle of its answer."""
SETTLE_TRIES = 5
RETURN_AFTER = 5.0
"""Seconds that whoever has parked a call has at least to be registered again, before it rings."""


def ports_of(calls: Iterable[SavedCall | CallRecord]) -> set[int]:
    """Return the RTP ports of the calls that will go on."""
    media = [call.media for call in calls if isinstance(call, SavedCall) and call.talking]
    return {port for one in media if one for ports in one.ports for port in ports}


def take_up(
    context: CallContext,
    saved: SavedCall | CallRecord,
    offset: float,
    now: float,
    over: Callable[[Call, bool], None],
) -> Call | None:
    """Go on with a call whose ports are claimed already, or end it and return None.

    `offset` brings the times in it onto today's clock.
    """
    if isinstance(saved, CallRecord):
        _close(context, saved, "signalling restarted during the call", now)
        return None
    if saved.talking:
        return _resume(context, saved, offset, now, over)
    end_ringing(context, saved, now)
    _close(context, saved.record, "signalling restarted while it rang", now, 500)
    return None


def _close(
    context: CallContext, record: CallRecord, reason: str, now: float, status: int = 0
) -> None:
    """Write the record of a call that is over."""
    ended = replace(
        record,
        ended=record.ended or context.wall(now),
        ended_by=record.ended_by or "system",
        reason=record.reason or reason,
        status=record.status or status,
        sealed=True,
    )
    context.emit(SaveRecord(ended))


def _resume(
    context: CallContext,
    saved: SavedCall,
    offset: float,
    now: float,
    over: Callable[[Call, bool], None],
) -> Call:
    record, caller, callee, media = saved.record, saved.caller, saved.callee, saved.media
    if caller is None or callee is None or media is None:
        raise AssertionError("only a call between two phones goes on")
    request = read_head(saved.invite, saved.flow)
    invite = context.transactions.resume(request, saved.flow, now)
    uri = f"sip:{record.caller}@{context.domain}"
    party = Party(record.caller, record.caller_name, uri, caller.line)
    call = Call(context, invite, caller.flow.gone, party, record, over, caller.dialog)
    call.caller.extension = caller.extension
    invitation = Invitation(callee.dialog.call_id, "", "", 70, early_reliable=False)
    at = callee.dialog.remote_target
    target = Target(at, callee.flow.gone, callee.extension, line=callee.line)
    branch = Branch(context, call, target, invitation)
    branch.alive = False
    branch.establish(callee.dialog)
    for dialog in (caller.dialog, callee.dialog):
        context.traces.join(call.id, dialog.call_id)
    bridge = call.join(call.caller, branch)
    call.media.resume(media)
    _resume_leg(call.caller, caller, offset, now)
    _resume_leg(branch, callee, offset, now)
    _resume_answer(call, bridge, saved, offset, now)
    for leg, state in ((call.caller, caller), (branch, callee)):
        if state.unsettled:
            _Settling(call, leg, now)
    if saved.handing_on:
        cancel_ringing(context, saved, now)
    hang_up_others(context, saved, now)
    call.draft.step("signalling restarted; the call goes on")
    if saved.parked is not None:
        _wait_on(call, saved.parked, offset, now)
    elif saved.handing_on:
        call.reconnect()
    call.changed()
    return call


def _wait_on(call: Call, saved: SavedPark, offset: float, now: float) -> None:
    """Let a party that is parked hear its music, be fetched, and come back in time."""
    leaves = call.legs[opposite(saved.side)]
    if leaves is None:
        raise AssertionError("a party is parked by another")
    if saved.alone:
        leaves.close()
    seconds = max(saved.until + offset - now, RETURN_AFTER)
    waits = Park(saved.place, MUSIC.name, seconds, saved.left)
    Transfer(call, leaves, Unasked()).wait_on(waits, now)


def _resume_leg(leg: Leg, saved: SavedLeg, offset: float, now: float) -> None:
    leg.session_id, leg.offered = saved.session_id, saved.offered
    leg.heard, leg.allow, leg.awaits = saved.heard, saved.allow, saved.awaits
    leg.announces = dict.fromkeys(range(MEDIA_LIMIT), False)  # it has talked: sendonly is a hold
    leg.srtp, leg.asked_for_srtp, leg.keys = saved.srtp, saved.asked_for_srtp, saved.keys
    leg.told = leg.settled = saved.told
    if saved.unsettled and saved.told is not None:
        origin = replace(saved.told.origin, version=saved.version + 1)
        leg.told = leg.settled = replace(saved.told, origin=origin)
    if saved.acknowledged:
        ack = saved.dialog.ack(saved.acknowledged)
        if saved.ack_body and leg.told is not None:
            ack.add("Content-Type", "application/sdp")
            ack.body = leg.told.encode()
        leg.acks[saved.acknowledged] = ack
    saved.dialog.local_seq += SEQUENCE_GAP
    leg.timer.resume(saved.timer, offset, now)


def _resume_answer(call: Call, bridge: Bridge, saved: SavedCall, offset: float, now: float) -> None:
    """Repeat what has no ACK yet; refuse a re-INVITE that was not answered: it may come again."""
    caller, callee = saved.caller, saved.callee
    first, second = call.legs
    if caller is None or callee is None or first is None or second is None:
        return
    if callee.awaits:
        bridge.answer_in_ack(first, second, _answer(callee.awaits))
    elif caller.awaits:
        bridge.answer_in_ack(second, first, _answer(caller.awaits))
    began = False
    for leg, state in ((first, caller), (second, callee)):
        invite = state.invite
        if invite is not None and not (invite.answer and invite.answered + offset + TIMEOUT < now):
            began |= _resume_invite(call, leg, invite, now)
    if not began:
        call.caller.invite.forget()


def _resume_invite(call: Call, leg: Leg, saved: SavedInvite, now: float) -> bool:
    """Return whether it is the INVITE that began the call."""
    began = not saved.request
    tx = call.caller.invite
    if not began:
        request = read_head(saved.request, saved.flow)
        tx = leg.context.transactions.resume(request, saved.flow, now)

    def answer(flow: Flow, now: float) -> None:
        if flow.reliable:
            tx.flow = flow
        if saved.answer:
            leg.repeat(tx, cast(Response, parse(saved.answer)), now, sure=False)
        else:
            leg.refuse(tx, 491, now)

    leg.reached(answer, now)
    return began


class _Settling:
    """Tell a phone again what counts: it was offered something, and its answer is lost."""

    def __init__(self, call: Call, leg: Leg, now: float) -> None:
        self._call = call
        self._leg = leg
        self._tries = SETTLE_TRIES
        self._later(now)

    def _later(self, now: float) -> None:
        self._leg.context.timers.arm(now + SETTLE_AFTER, self._tell)

    def _tell(self, now: float) -> None:
        leg = self._leg
        if leg.ended or leg.told is None:
            return
        if leg.busy:
            self._later(now)
            return
        leg.reinvite(now, leg.told.encode(), self._told)

    def _told(self, response: Response | None, status: int, now: float) -> None:
        call, leg = self._call, self._leg
        self._tries -= 1
        if response is not None and status < 300:
            leg.acknowledge(response, now)
            try:
                call.media.heard_again(leg, response.body)
                call.reconnect()
            except (RemoteError, Unavailable) as error:
                call.end("system", f"its audio could not be settled: {error}", now)
        elif response is not None and status in (491, 500) and self._tries:
            self._later(now)
        else:
            call.lapsed(leg, "the phone did not take back an offer after a restart", now)


def _answer(number: int) -> Response:
    """Stand for the 2xx with that CSeq number."""
    return Response(200, "OK", [("CSeq", f"{number} INVITE")])
