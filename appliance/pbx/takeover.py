"""INVITEs that take somebody's place: with Replaces (RFC 3891), by pick-up, to a parked call."""

from __future__ import annotations

from collections.abc import Callable

from appliance.bundle import User
from appliance.call import newcomer
from appliance.call.branch import Branch
from appliance.call.call import Call
from appliance.call.caller import Caller
from appliance.call.context import CallContext
from appliance.call.leg import Leg
from appliance.call.over import OVER
from appliance.call.party import Party
from appliance.call.refer import refer
from appliance.errors import RemoteError, Unavailable
from appliance.pbx.stateless import stateless_tag
from appliance.sip.dialog import DialogState, uas_dialog
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request
from appliance.sip.values import Replaces, TargetDialog

MayTake = Callable[[str, str], bool]
"""Tell whether the user with an extension may take the calls of another extension."""


def read_replaces(request: Request) -> Replaces | None:
    """Return the dialog an INVITE is to replace; raises RemoteError 400 (RFC 3891, section 3)."""
    texts = request.all("Replaces")
    if not texts:
        return None
    if len(texts) > 1 or request.first("Join") is not None:
        raise RemoteError(400, "an INVITE replaces one dialog and joins none")
    return Replaces.parse(texts[0])


class Takeovers:
    """Let users take the place of a party of a call, and know whose INVITE is not answered yet."""

    def __init__(self, calls: dict[str, Call], may_take: MayTake) -> None:
        self._calls = calls
        self._may_take = may_take
        self._coming: dict[ServerTransaction, Caller] = {}

    def __len__(self) -> int:
        self._sweep()
        return len(self._coming)

    def replace(
        self,
        context: CallContext,
        replaces: Replaces,
        party: Party,
        tx: ServerTransaction,
        now: float,
    ) -> None:
        """Carry out the INVITE with Replaces of a party; answer it either way."""

        def act() -> Caller:
            call, leg = self._find(context, replaces)
            rings = isinstance(leg, Branch) and leg.alive
            if not self._allowed(party, leg, rings):
                raise RemoteError(603, f"{party.extension} has no part in that call")
            if rings:
                return newcomer.take(call, tx, tx.flow, party, now)
            if leg.dialog is None or leg.dialog.state is not DialogState.CONFIRMED:
                raise RemoteError(481, "only the phone that rings can be replaced")
            if replaces.early_only:
                raise RemoteError(486, "the dialog is answered already")
            return newcomer.replace(call, leg, tx, tx.flow, party, now)

        self.carry_out(tx, act, now)

    def refer(self, context: CallContext, user: User, tx: ServerTransaction, now: float) -> None:
        """Carry out a REFER that came outside the dialog it is about, which it names (RFC 4538)."""
        request = tx.request
        try:
            target = request.first("Target-Dialog")
            if target is None:
                raise RemoteError(403, "a REFER outside a dialog has to name one of its sender")
            named = TargetDialog.parse(target)
            leg = context.legs.named(named.call_id, named.remote_tag, named.local_tag)
            if not isinstance(leg, Leg) or not isinstance(leg.owner, Call):
                raise RemoteError(481, "there is no such dialog")
            if leg.extension != user.extension or leg.line is not None:
                raise RemoteError(403, f"{user.extension} has no part in that call")
            told = Leg(context, OVER, tx.flow, user.extension)
            told.establish(uas_dialog(request, context.identifiers.token()))
        except RemoteError as error:
            tx.respond(request.response(error.status, to_tag=stateless_tag(request)), now)
            return
        refer(leg.owner, leg, request, tx, now, told)

    def carry_out(self, tx: ServerTransaction, act: Callable[[], Caller], now: float) -> bool:
        """Do what makes an INVITE part of a call; answer it where that cannot be.

        Return whether it could.
        """
        try:
            comes = act()
        except (RemoteError, Unavailable) as error:
            status = error.status if isinstance(error, RemoteError) else 503
            more = error.headers if isinstance(error, RemoteError) else ()
            tag = stateless_tag(tx.request)
            tx.respond(tx.request.response(status, to_tag=tag, headers=more), now)
            return False
        self._sweep()
        if comes.answering:
            self._coming[tx] = comes
        return True

    def cancel(self, invite: ServerTransaction, now: float) -> None:
        """Take the CANCEL of an INVITE that waits for the other party to agree."""
        comes = self._coming.pop(invite, None)
        if comes is not None and comes.on_cancel is not None:
            comes.on_cancel(now)

    def lost(self, flow: Flow, now: float) -> None:
        """Take the end of a stream connection: who came on it is gone."""
        for tx, comes in list(self._coming.items()):
            if comes.flow in (flow, flow.gone):
                self.cancel(tx, now)

    def _allowed(self, party: Party, leg: Leg, rings: bool) -> bool:
        """Tell whether a party may take a leg's place: who talks is replaced by its own user only.

        Colleagues may pick up what rings; nobody may take a conversation from them.
        """
        if party.line is not None or leg.line is not None:
            return False
        mine = party.extension == leg.extension
        return mine or (rings and self._may_take(party.extension, leg.extension))

    def _find(self, context: CallContext, replaces: Replaces) -> tuple[Call, Leg]:
        """Return the call and the leg of a dialog, which is named as its phone knows it."""
        key = replaces.call_id, replaces.to_tag, replaces.from_tag
        leg = context.legs.named(*key)
        if isinstance(leg, Leg) and isinstance(leg.owner, Call):
            return leg.owner, leg
        for call in self._calls.values():
            for branch in call.branches:
                if branch.alive and branch.has_early(*key):
                    return call, branch
        if context.legs.ended(*key):
            raise RemoteError(603, "that dialog is over (RFC 3891, section 3)")
        raise RemoteError(481, "there is no such dialog")

    def _sweep(self) -> None:
        """Forget who has been answered; there are few."""
        self._coming = {tx: comes for tx, comes in self._coming.items() if comes.answering}
