"""Writes down a call as `saved.SavedCall`: done with every answer and every change, so be quick."""

from __future__ import annotations

from typing import Protocol

from appliance.call.branch import Branch
from appliance.call.caller import Caller
from appliance.call.leg import Leg
from appliance.call.media import CallMedia
from appliance.call.record import RecordDraft
from appliance.call.saved import (
    SavedBranch,
    SavedCall,
    SavedInvite,
    SavedLeg,
    SavedPark,
    head_of,
    pack,
)
from appliance.sip.matching import ServerTransaction


class Savable(Protocol):
    """A call, as it is saved; `call.Call` fulfils it."""

    caller: Caller
    legs: list[Leg | None]
    media: CallMedia
    draft: RecordDraft

    @property
    def branches(self) -> list[Branch]:
        """The phones that were rung last."""
        ...

    @property
    def others(self) -> list[Leg]:
        """Legs that have no part in it any more, or not yet."""
        ...

    @property
    def handing_on(self) -> bool:
        """Tell whether one of two that talk is to be replaced."""
        ...

    @property
    def waits_at(self) -> SavedPark | None:
        """Tell where one of two waits, and for how long."""
        ...


def row_of(call: Savable) -> bytes:
    """Return what `SaveCall` writes of a call that rings or is answered."""
    caller, (first, callee) = call.caller, call.legs
    dialog = caller.dialog
    if dialog is None:
        raise AssertionError("a caller always has a dialog")
    answered = not caller.answering
    parked = call.waits_at
    lonely = parked is None and any(leg is not None and leg.ended for leg in call.legs)
    rings = callee is None or call.handing_on
    return pack(
        SavedCall(
            call.draft.record,
            caller.head,
            caller.invite.flow,
            dialog.local_tag,
            _leg(first or caller, caller.invite) if answered else None,
            _leg(callee, caller.invite) if callee is not None else None,
            tuple([_branch(one) for one in call.branches if one.sent]) if rings else (),
            call.media.save() if answered and not lonely else None,
            call.handing_on,
            tuple([_leg(leg, caller.invite) for leg in call.others]),
            parked,
        )
    )


def _branch(branch: Branch) -> SavedBranch:
    return SavedBranch(branch.extension, branch.flow, branch.sent)


def _leg(leg: Leg, began: ServerTransaction) -> SavedLeg:
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
        _invite(leg, began),
        leg.srtp,
        leg.asked_for_srtp,
        leg.keys,
        leg.line,
    )


def _invite(leg: Leg, began: ServerTransaction) -> SavedInvite | None:
    if leg.invited is not None:
        return SavedInvite(head_of(leg.invited.request), leg.invited.flow)
    if leg.answered is None:
        return None
    tx, since = leg.answered
    request = b"" if tx is began else head_of(tx.request)
    return SavedInvite(request, tx.flow, tx.last, since)
