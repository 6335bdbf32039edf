"""One of two parties that talk hands the other on: blind transfer (C5; RFC 5589, section 6).

We look for the target ourselves, so that neither the party that is handed on nor the target has to
understand REFER. Until the target has answered and the party has agreed to talk with it, nothing is
lost: the two are together again if it fails, and who has hung up meanwhile is called back.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace as replaced

from appliance.call.attempt import Attempt
from appliance.call.branch import Branch
from appliance.call.caller import dismiss
from appliance.call.handover import Handover, HandoverOwner
from appliance.call.joining import PAUSE
from appliance.call.leg import Leg
from appliance.call.own_media import offered_anew
from appliance.call.referral import Referral, ReferTo, Unasked
from appliance.call.relays import opposite
from appliance.call.steps import Outcome, Park, Plan, Ring
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.session import Session
from appliance.sip.message import Response
from appliance.sip.timers import TIMEOUT, Timer

HOPS = 70
"""Max-Forwards of what we send ourselves (RFC 3261, 8.1.1.6)."""


class Transfer(Handover):
    """Put whoever a plan reaches in the place of one party."""

    def __init__(self, call: HandoverOwner, leaves: Leg, referral: Referral | Unasked) -> None:
        super().__init__(call, leaves)
        self._referral = referral
        self._calls_back = False
        self._timer: Timer | None = None

    def start(self, to: ReferTo, now: float) -> None:
        """Look for the target as soon as neither phone is in the middle of an offer."""
        self.draft.step(f"{self.leaves.extension} transfers to {to.dialled}", self.leaves.extension)
        self.call.hand_on(self)
        self._referral.tell(100, now)
        self._begin(to, now + TIMEOUT, now)

    def wait_on(self, waits: Park, now: float) -> None:
        """Let the party that stays wait on where an earlier process has parked it."""
        self.call.hand_on(self)
        plan = self.context.exchange.wait_on(self.leaves.extension, waits, now)
        self._look(plan, waits.place, now)

    def _begin(self, to: ReferTo, until: float, now: float) -> None:
        self._timer = None
        legs = self.leaves, self.stays
        if any(leg.inviting or leg.invited for leg in legs) and now < until:
            later = partial(self._begin, to, until)
            self._timer = self.context.timers.arm(now + PAUSE, later)
            return
        exchange = self.context.exchange
        leaves = self.leaves
        plan = exchange.plan(leaves.extension, to.dialled, now, leaves.flow)
        self._look(plan, to.dialled, now)

    def _look(self, plan: Plan, dialled: str, now: float) -> None:
        """Let the party that stays hear music while a plan is performed for it."""
        stays, leaves = self.stays, self.leaves
        self.media.vacate(self.side)
        exchange = self.context.exchange
        party = self.call.party
        if stays is not self.call.caller or stays.extension != party.extension:
            party = exchange.party(stays.extension)
        side = opposite(self.side)
        attempt = Attempt(self, self.call, stays, side, party, dialled, HOPS, talks=True)
        self.attempt = attempt
        attempt.headers = (("Referred-By", f"<{exchange.party(leaves.extension).uri}>"),)
        attempt.offer, attempt.lines = offered_anew(stays)
        attempt.own_end().ring_back()
        attempt.start(sparing(plan, (leaves, stays), now), now)

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
        self.comes = branch
        self.join(branch, now, self._joined)
        self.call.changed()

    def unreached(self, status: int, reason: str, now: float) -> None:
        """Take that the target does not answer."""
        self._failed(status, reason, now)

    def taken(self, comes: Leg, now: float) -> None:
        """Take that somebody has come by itself to the party that stays."""
        self._succeed(comes, now)

    def parked(self, now: float) -> None:
        """Tell who transfers that it is done, and let it go."""

        def let_go(now: float) -> None:
            self.leaves.bye(now)
            if self.attempt is not None:
                self.call.hand_on(self)  # again, as one of the two is free now
                self.call.changed()

        self._referral.close(200, now, let_go)

    def picked_up(self, now: float) -> None:
        """Do nothing: the party that stays has been connected for long."""

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: the party that stays is gone."""
        self.call.lapsed(leg, reason, now)

    def changed(self) -> None:
        """Save the call."""
        self.call.changed()

    def _joined(self, status: int, session: Session | None, now: float) -> None:
        comes, self.comes = self.comes, None
        if comes is None:
            self._failed(480, "the target hung up", now)
        elif status == 200:
            self._succeed(comes, now)
        else:
            self._send_back(comes, status, now)
            self._failed(status, f"{self.stays.extension} would not talk with the target", now)

    def _succeed(self, comes: Leg, now: float) -> None:
        self.detach(now)
        text = f"{self.leaves.extension} is replaced by {comes.extension} on {comes.flow}"
        self.call.replace(self.side, comes, text)
        self._referral.close(200, now, self.leaves.bye)

    def _send_back(self, comes: Leg, status: int, now: float) -> None:
        """Send a target away with whom nobody talks after all."""
        dismiss(comes, status, now)

    def detach(self, now: float) -> None:
        """Let go of everything that is under way."""
        if self._timer is not None:
            self._timer.cancel()
        super().detach(now)

    def stop(self, now: float) -> None:
        """End: the call is over."""
        super().stop(now)
        self._referral.close(487, now, self.leaves.bye)

    def _failed(self, status: int, reason: str, now: float) -> None:
        """Bring the two together again, or call back who has hung up meanwhile."""
        self.draft.step(f"transfer failed ({status})" + (f": {reason}" if reason else ""))
        if not self.leaves.ended:
            self.back_together(now, lambda now: self._referral.close(status, now))
        elif self._calls_back:
            self.call.end("system", reason or "nobody took the transferred call", now)
        else:
            self._calls_back = True
            self.detach(now)
            extension = self.leaves.extension
            self.draft.step(f"call {extension} back")
            plan = self.context.exchange.plan(extension, extension, now)
            self._look(plan, extension, now)


def sparing(plan: Plan, legs: tuple[Leg, ...], now: float) -> Plan:
    """Perform a plan without ringing the phones of these legs as long as they are in the call."""
    step = next(plan)
    while True:
        outcome: Outcome | None = None
        if isinstance(step, Ring):
            flows = [leg.flow for leg in legs if not leg.ended]
            # A phone has one conversation; a line out of the site has many on one connection.
            rings = [one for one in step.targets if one.line is not None or one.flow not in flows]
            targets = tuple(rings)
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
