"""Writes down a call as `saved.SavedCall`: done with every answer and every change, so be quick."""

from __future__ import annotations

from typing import Protocol

from appliance.call.branch import Branch
from appliance.call.caller import Caller
from appliance.call.leg import Leg
from appliance.call.media import CallMedia
from appliance.call.record import RecordDraft
from appliance.call.saved import SavedBranch, SavedCall, SavedInvite, SavedLeg, head_of, pack


class Savable(Protocol):
    """A call, as it is saved; `call.Call` fulfils it."""

    caller: Caller
    callee: Branch | None
    media: CallMedia
    draft: RecordDraft

    @property
    def branches(self) -> list[Branch]:
        """The phones that were rung last."""
        ...


def row_of(call: Savable) -> bytes:
    """Return what `SaveCall` writes of a call that rings or is answered."""
    caller, callee = call.caller, call.callee
    dialog = caller.dialog
    if dialog is None:
        raise AssertionError("a caller always has a dialog")
    answered = not caller.answering
    return pack(
        SavedCall(
            call.draft.record,
            caller.head,
            caller.invite.flow,
            dialog.local_tag,
            _leg(caller) if answered else None,
            _leg(callee) if callee is not None else None,
            tuple([_branch(one) for one in call.branches if one.sent]) if callee is None else (),
            call.media.save() if answered else None,
        )
    )


def _branch(branch: Branch) -> SavedBranch:
    return SavedBranch(branch.extension, branch.flow, branch.sent)


def _leg(leg: Leg) -> SavedLeg:
    dialog = leg.dialog
    if dialog is None:
        raise AssertionError("a leg that is saved has a dialog")
    if not (leg.inviting or leg.invited):
        leg.settled = leg.told
    acknowledged = next(reversed(leg.acks), 0)
    return SavedLeg(
        leg.extension,
        leg.flow,
        dialog,
        leg.session_id,
        leg.told.origin.version if leg.told is not None else 0,
        leg.settled,
        leg.told is not leg.settled and leg.told != leg.settled,
        leg.heard,
        leg.offered,
        leg.allow,
        leg.timer.state,
        acknowledged,
        bool(acknowledged and leg.acks[acknowledged].body),
        leg.awaits,
        _invite(leg),
        leg.srtp,
        leg.asked_for_srtp,
        leg.keys,
    )


def _invite(leg: Leg) -> SavedInvite | None:
    if leg.invited is not None:
        return SavedInvite(head_of(leg.invited.request), leg.invited.flow)
    if leg.answered is None:
        return None
    tx, since = leg.answered
    request = head_of(tx.request) if tx.request.to.tag else b""
    return SavedInvite(request, tx.flow, tx.last, since)
