"""One of two parties that talk hands the other on: blind transfer (C5; RFC 5589, section 6).

We look for the target ourselves, so that neither the party that is handed on nor the target has to
understand REFER. Until the target has answered and the party has agreed to talk with it, nothing is
lost: the two are together again if it fails, and who has hung up meanwhile is called back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace as replaced

from appliance.call.attempt import Attempt
from appliance.call.branch import Branch
from appliance.call.context import CallContext
from appliance.call.joining import PAUSE, Joining
from appliance.call.leg import Leg, LegOwner
from appliance.call.media import CallMedia
from appliance.call.own_media import offered_anew
from appliance.call.party import Party
from appliance.call.record import RecordDraft
from appliance.call.referral import Referral, ReferTo, read_refer
from appliance.call.relays import opposite
from appliance.call.steps import Outcome, Plan, Ring
from appliance.call.wording import ascii_text
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.session import Session
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response
from appliance.sip.timers import TIMEOUT, Timer

HOPS = 70
"""Max-Forwards of what we send ourselves (RFC 3261, 8.1.1.6)."""
MOST = 16
"""Transfers of one call: phones that hand it on by themselves, round and round, end there."""


class TransferOwner(LegOwner, Protocol):
    """The call, as a transfer sees it."""

    context: CallContext
    media: CallMedia
    draft: RecordDraft
    legs: list[Leg | None]
    party: Party
    transfers: int

    @property
    def caller(self) -> Leg:
        """The party whose INVITE began the call."""
        ...

    def hand_on(self, transfer: Transfer) -> None:
        """Begin to look for somebody in place of one of the two."""
        ...

    def replace(self, side: int, comes: Leg, text: str) -> Leg | None:
        """Let a leg take part in place of the one on this side."""
        ...

    def rejoin(self, now: float) -> None:
        """Let the two talk again."""
        ...

    def end(self, who: str, reason: str, now: float, status: int = 500) -> None:
        """End the call on both sides."""
        ...


def refer(
    call: TransferOwner, leg: Leg, request: Request, tx: ServerTransaction, now: float
) -> None:
    """Take a REFER in the dialog of a party."""
    try:
        to = read_refer(request)
        if call.transfers >= MOST:
            raise RemoteError(482, f"this call has been handed on {MOST} times")
    except RemoteError as error:
        warning = ("Warning", f'399 holdfast "{ascii_text(error.reason)}"')
        leg.refuse(tx, error.status, now, [warning])
        return
    call.transfers += 1
    referral = Referral(leg, request)
    leg.refuse(tx, 202, now, referral.headers)
    Transfer(call, leg, referral).start(to, now)


class Transfer:
    """Put whoever a plan reaches in the place of one party."""

    def __init__(self, call: TransferOwner, leaves: Leg, referral: Referral) -> None:
        self.call = call
        self.context, self.media, self.draft = call.context, call.media, call.draft
        self.leaves, self._referral = leaves, referral
        self.side = call.legs.index(leaves)
        stays = call.legs[opposite(self.side)]
        if stays is None:
            raise AssertionError("a transfer needs two that talk")
        self.stays = stays
        self.attempt: Attempt | None = None
        self._comes: Branch | None = None
        """Who has answered."""
        self._joining: Joining | None = None
        self._agreed = stays.told, stays.heard
        self._failure: tuple[int, str] | None = None
        """Why it failed while the party that stays had still to answer us."""
        self._calls_back = False
        self._timer: Timer | None = None

    def start(self, to: ReferTo, now: float) -> None:
        """Look for the target as soon as neither phone is in the middle of an offer."""
        self.draft.step(f"{self.leaves.extension} transfers to {to.dialled}", self.leaves.extension)
        self.call.hand_on(self)
        self._referral.tell(100, now)
        self._begin(to, now + TIMEOUT, now)

    def _begin(self, to: ReferTo, until: float, now: float) -> None:
        self._timer = None
        legs = self.leaves, self.stays
        if any(leg.inviting or leg.invited for leg in legs) and now < until:
            later = lambda now: self._begin(to, until, now)  # noqa: E731
            self._timer = self.context.timers.arm(now + PAUSE, later)
            return
        exchange = self.context.exchange
        self._look(exchange.plan(self.leaves.extension, to.dialled, now), to.dialled, now)

    def _look(self, plan: Plan, dialled: str, now: float) -> None:
        """Let the party that stays hear music while a plan is performed for it."""
        stays, leaves = self.stays, self.leaves
        self.media.vacate(self.side)
        exchange = self.context.exchange
        party = self.call.party if stays is self.call.caller else exchange.party(stays.extension)
        side = opposite(self.side)
        attempt = Attempt(self, self.call, stays, side, party, dialled, HOPS, talks=True)
        self.attempt = attempt
        attempt.headers = (("Referred-By", f"<{exchange.party(leaves.extension).uri}>"),)
        attempt.offer, attempt.lines = offered_anew(stays)
        attempt.own_end().ring_back()
        in_call = tuple([leg.flow for leg in (leaves, stays) if not leg.ended])
        attempt.start(sparing(plan, in_call, now), now)

    # -- what the attempt comes to ----------------------------------------------------------

    def rings(self, branch: Branch, response: Response, now: float) -> None:
        """Tell who transfers that the target rings."""
        self._referral.tell(180, now)

    def reached(self, branch: Branch, response: Response, now: float) -> None:
        """Tell the party that stays with whom it talks from now on."""
        branch.acknowledge(response, now)
        try:
            if self.attempt is not None:
                self.attempt.take_answer(branch, response)
        except (RemoteError, Unavailable) as error:
            branch.bye(now)
            self._failed(488, f"the answer cannot be passed on: {error}", now)
            return
        self._comes = branch
        self._join(branch, now, self._joined)

    def unreached(self, status: int, reason: str, now: float) -> None:
        """Take that the target does not answer."""
        self._failed(status, reason, now)

    def picked_up(self, now: float) -> None:
        """Do nothing: the party that stays has been connected for long."""

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: the party that stays is gone."""
        self.call.lapsed(leg, reason, now)

    def changed(self) -> None:
        """Save the call."""
        self.call.changed()

    def _join(self, comes: Leg, now: float, done: Callable[[int, str, float], None]) -> None:
        stays, side = self.stays, opposite(self.side)

        def offer() -> bytes:
            if comes.heard is None:
                raise RemoteError(488, "the target has said nothing of its audio")
            return self.media.offer(comes.heard, comes, stays, side)

        def joined(status: int, session: Session | None, now: float) -> None:
            self._joining = None
            if status == 408:
                text = "the phone did not answer when it was to be transferred"
                self.call.lapsed(stays, text, now)
                return
            done(status, "", now)

        self._joining = Joining(self.call, stays, side, offer, joined)
        self._joining.start(now)

    def _joined(self, status: int, reason: str, now: float) -> None:
        comes, self._comes = self._comes, None
        if comes is None and self._failure is not None:
            self._give_back(*self._failure, now)
        elif comes is not None and status == 200:
            self._succeed(comes, now)
        elif comes is not None:
            comes.bye(now)
            self._give_back(status, f"{self.stays.extension} would not talk with the target", now)

    def _succeed(self, comes: Leg, now: float) -> None:
        text = f"{self.leaves.extension} is replaced by {comes.extension} on {comes.flow}"
        self._detach()
        self.call.replace(self.side, comes, text)
        self._referral.close(200, now, self.leaves.bye)

    # -- what else may happen ---------------------------------------------------------------

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request of a party: who stays may change how it talks with us, nobody else."""
        terminal = self.attempt.terminal if self.attempt is not None else None
        offers = request.method == "INVITE" or bool(request.body and request.method == "UPDATE")
        if leg is self.stays and terminal is not None and self._joining is None:
            terminal.received(request, tx, now)
        elif offers:
            leg.refuse(tx, 491, now)
        else:
            leg.refuse(tx, 200 if request.method in ("UPDATE", "INFO", "OPTIONS") else 501, now)

    def left(self, leg: Leg, now: float) -> bool:
        """Take that a leg has ended; return whether the call goes on without it."""
        if leg is self.leaves:
            self.draft.step(f"{leg.extension} hung up", leg.extension)
            return True
        if leg is self._comes:
            self._comes = None
            self._failure = 480, "the target hung up"
            if self._joining is None:
                self._give_back(*self._failure, now)
            return True
        return False

    def stop(self, now: float) -> None:
        """End: the call is over."""
        self._detach(now)
        if self._comes is not None:
            self._comes.bye(now)
        self._referral.close(487, now, self.leaves.bye)

    def _detach(self, now: float = 0.0) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._joining is not None:
            self._joining.stop()
        attempt, self.attempt = self.attempt, None
        if attempt is not None:
            attempt.stop(now)
            attempt.close()

    # -- failure ----------------------------------------------------------------------------

    def _failed(self, status: int, reason: str, now: float) -> None:
        self._give_back(status, reason, now)

    def _give_back(self, status: int, reason: str, now: float) -> None:
        """Bring the two together again, or call back who has hung up meanwhile."""
        self.draft.step(f"transfer failed ({status})" + (f": {reason}" if reason else ""))
        self._failure = None
        if not self.leaves.ended:
            self._back_together(status, now)
        elif self._calls_back:
            self.call.end("system", reason or "nobody took the transferred call", now)
        else:
            self._calls_back = True
            self._detach(now)
            extension = self.leaves.extension
            self.draft.step(f"call {extension} back")
            plan = self.context.exchange.plan(extension, extension, now)
            self._look(plan, extension, now)

    def _back_together(self, status: int, now: float) -> None:
        stays, leaves = self.stays, self.leaves

        def rejoin(ok: int, reason: str, now: float) -> None:
            if ok != 200:
                text = f"{stays.extension} would not go back to who it talked with ({ok})"
                self.call.end("system", text, now)
                return
            self._detach(now)
            self.call.rejoin(now)
            self._referral.close(status, now, lambda now: None)

        self.media.take_back()
        if (stays.told, stays.heard) == self._agreed:
            rejoin(200, "", now)
        else:
            self._join(leaves, now, rejoin)


def sparing(plan: Plan, flows: tuple[Flow, ...], now: float) -> Plan:
    """Perform a plan without ringing the phones on these flows: they are in the call already."""
    step = next(plan)
    while True:
        outcome: Outcome | None = None
        if isinstance(step, Ring):
            targets = tuple([one for one in step.targets if one.flow not in flows])
            if not targets:
                outcome = Outcome("unavailable", 480, now)
            step = replaced(step, targets=targets)
        if outcome is None:
            outcome = yield step
        now = outcome.at
        try:
            step = plan.send(outcome)
        except StopIteration:
            return
