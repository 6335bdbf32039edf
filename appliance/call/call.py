"""One call: a caller, the phones rung for it, the bridge once one has answered, and its record."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import msgspec

from appliance.call.actions import SaveCall, SaveRecord
from appliance.call.branch import COMPLETED_ELSEWHERE, Branch, Invitation
from appliance.call.bridge import Bridge
from appliance.call.caller import Caller
from appliance.call.context import CallContext, decremented_max_forwards
from appliance.call.events import Heard, RelayEnded, RelayFailed
from appliance.call.leg import Headers, Leg
from appliance.call.media import CALLEE, CALLER, CallMedia, parse_offer
from appliance.call.move import Move
from appliance.call.record import CallRecord, RecordDraft, outcome_of
from appliance.call.saving import row_of
from appliance.call.security import other_profile
from appliance.call.steps import Note, Outcome, Plan, Reject, Ring, Step
from appliance.call.wording import ascii_text, better, quoted, word_of
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_offer, is_hold
from appliance.sdp.session import Session
from appliance.sip.dialog import Dialog
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response
from appliance.sip.timers import Timer

COUNTERS_WAIT = 2.0
"""Seconds a record waits for its relays' last counters before it is sealed without them."""


class CallState(Enum):
    """Where a call stands."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


class Party(msgspec.Struct, frozen=True):
    """The authenticated caller, as the callee is shown it."""

    extension: str
    name: str
    uri: str
    """Address of record, `sip:1001@example.com`."""


class Call:
    """Join a caller with whoever its plan reaches."""

    def __init__(
        self,
        context: CallContext,
        invite: ServerTransaction,
        flow: Flow,
        party: Party,
        record: CallRecord,
        over: Callable[[Call, bool], None],
        dialog: Dialog | None = None,
    ) -> None:
        """Begin a call; with the caller's `dialog` it is one that an earlier process has begun."""
        self.context = context
        self._over = over
        self.id = record.id
        self.caller = Caller(context, self, flow, party.extension, invite, dialog)
        self.party = party
        self.state = CallState.RINGING
        self.branches: list[Branch] = []
        self.callee: Branch | None = None
        self.draft = RecordDraft(record)
        self.media = CallMedia(context, self.id, self.draft.step)
        self.reports_due = 0
        """Relays whose last counters have not come yet."""
        self._offer: Session | None = None
        self._lines: tuple[int, ...] = ()
        """The m-lines of the offer that can be relayed."""
        self._plan: Plan | None = None
        self._word = ""
        self._best = 480
        self._each = False
        """Whether a 6xx of one phone lets the others ring on."""
        self._ring_timer: Timer | None = None
        self._seal_timer: Timer | None = None
        self._bridge: Bridge | None = None
        self._move: Move | None = None

    # -- the plan ---------------------------------------------------------------------------

    def start(self, plan: Plan, now: float) -> None:
        """Check the offer and take the plan's first step."""
        try:
            self.caller.timer.check(self.caller.invite.request)
            self._offer = parse_offer(self.caller.invite.request.body)
            if self._offer is not None:
                self._lines = check_offer(self._offer, self.caller.srtp)
                self.caller.heard = self._offer
                self.caller.offered = self.caller.invite.request.body
        except RemoteError as error:
            self._reject(error.status, error.reason, now, list(error.headers))
            return
        self._plan = plan
        self._perform(next(plan), now)

    def _perform(self, step: Step, now: float) -> None:
        while isinstance(step, Note):
            self.draft.step(step.text)
            step = self._next(Outcome("noted", at=now))
        if isinstance(step, Reject):
            self._word = step.word or self._word
            self._reject(step.status, step.reason, now)
        elif isinstance(step, Ring):
            self._ring(step, now)
        else:
            raise AssertionError(f"a call cannot perform {step}")
        self.changed()

    def _resume(self, outcome: Outcome, now: float) -> None:
        self._word = outcome.word
        self.draft.step(f"{outcome.word.replace('_', ' ')} ({outcome.status})")
        self._perform(self._next(outcome), now)

    def _next(self, outcome: Outcome) -> Step:
        if self._plan is None:
            raise AssertionError("an outcome without a plan")
        try:
            return self._plan.send(outcome)
        except StopIteration:
            return Reject(outcome.status or 480)

    def _ring(self, step: Ring, now: float) -> None:
        extensions = ", ".join(sorted({target.extension for target in step.targets}))
        self.draft.step(f"ring {extensions}: {len(step.targets)} phones, {step.timeout:g} s")
        self.branches = []
        self._best = 480
        self._each = step.each
        self._ring_timer = self.context.timers.arm(now + step.timeout, self._nobody_answered)
        request = self.caller.invite.request
        invitation = Invitation(
            call_id=self.context.identifiers.token(),
            caller=f"{quoted(self.party.name)} <{self.party.uri}>",
            callee=f"<sip:{self.draft.record.callee}@{self.context.domain}>",
            max_forwards=decremented_max_forwards(request),
            early_reliable=self._offer is not None,
        )
        self.branches = [Branch(self.context, self, target, invitation) for target in step.targets]
        for branch in self.branches:
            try:
                branch.invite(now, self._offered(branch))
            except RemoteError as error:
                self._reject(error.status, error.reason, now)
                return
            except Unavailable as error:
                self._reject(503, str(error), now)
                return

    def _offered(self, branch: Branch) -> bytes:
        if self._offer is None:
            return b""
        return self.media.offer(self._offer, self.caller, branch, CALLEE, self._lines)

    def _nobody_answered(self, now: float) -> None:
        self._stop_ringing(now)
        self._resume(Outcome("no_answer", 480, now), now)

    def _stop_ringing(self, now: float, reason: str = "", but: Branch | None = None) -> None:
        if self._ring_timer is not None:
            self._ring_timer.cancel()
            self._ring_timer = None
        for branch in self.branches:
            if branch is not but:
                branch.cancel(now, reason)

    # -- what the phones say ----------------------------------------------------------------

    def ringing(self, branch: Branch, response: Response, now: float) -> None:
        """Let the caller hear that it rings; early media only when one phone rings alone."""
        if self.state is not CallState.RINGING:
            return
        if response.body and len(self.branches) == 1 and self._offer is not None:
            try:
                body = self._pass_answer(branch, response)
            except (RemoteError, Unavailable):
                body = b""  # the final answer will tell; a broken preview is nobody's loss
            if body:
                self.media.connect(self.caller, branch)
                self.caller.progress(response.status, now, body)
                return
        self.caller.progress(180 if response.status != 183 else 183, now)

    def refused_profile(self, branch: Branch, status: int) -> bytes:
        """Return the offer with SRTP in place of RTP, or the reverse; empty: that is no use."""
        if self._offer is None or self.state is not CallState.RINGING:
            return b""
        secure = branch.asked_for_srtp = other_profile(branch)
        if secure is None:
            return b""
        try:
            body = self._offered(branch)
        except (RemoteError, Unavailable):
            return b""
        profiles = ("SRTP", "RTP") if secure else ("RTP", "SRTP")
        self.draft.step(f"{branch.extension} refused {profiles[1]} ({status}): {profiles[0]}")
        return body

    def answered(self, branch: Branch, response: Response, now: float) -> None:
        """Join the caller with the first phone that answers; tell the others (C1)."""
        if self.state is not CallState.RINGING:
            branch.acknowledge(response, now)
            branch.bye(now)
            return
        self._stop_ringing(now, COMPLETED_ELSEWHERE, but=branch)
        self.callee = branch
        branch.asked_for_srtp = None
        try:
            body = self._pass_answer(branch, response)
        except (RemoteError, Unavailable) as error:
            branch.acknowledge(response, now)
            branch.bye(now)
            self._reject(500, f"the answer cannot be passed on: {error}", now)
            return
        bridge = self.join(branch)
        if self._offer is not None:
            branch.acknowledge(response, now)
            self.media.connect(self.caller, branch)
        else:
            bridge.answer_in_ack(self.caller, branch, response)
        try:
            self.caller.answer(now, body)
        except RemoteError as error:
            self.end("system", error.reason, now, status=error.status)
            return
        self.draft.step(f"answered by {branch.extension} on {branch.flow}")
        self.draft.note(
            answered=self.context.wall(now),
            answered_by=branch.extension,
            outcome="answered",
            status=200,
        )
        self._over(self, False)
        self.changed()
        if self._move is not None:
            self._move.tell(now)

    def _pass_answer(self, branch: Branch, response: Response) -> bytes:
        """Return the callee's description for the caller: an answer, or a late offer."""
        session = Session.parse(response.body)
        if self._offer is None:
            body = self.media.offer(session, branch, self.caller, CALLER)
        else:
            body = self.media.answer(session, branch, self.caller, CALLER, self._offer)
        branch.heard = session
        return body

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Go on when the last phone has said no; a 6xx ends the ringing at once."""
        if self.state is not CallState.RINGING or self._ring_timer is None:
            return
        self._best = better(self._best, status)
        alone = self._each and len(self.branches) > 1
        if (status >= 600 and not alone) or not any(other.alive for other in self.branches):
            self._stop_ringing(now)
            self._resume(Outcome(word_of(self._best), self._best, now), now)

    def cancelled(self, now: float) -> None:
        """Take the caller's CANCEL (or the loss of its connection while it still rings)."""
        if self.state is CallState.RINGING:
            self._stop_ringing(now)
            self._finish("caller", "the caller gave up", 487, now)
            self.caller.reject(487, now)

    # -- in the dialog ----------------------------------------------------------------------

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request inside one of the call's dialogs."""
        if request.method == "BYE":
            leg.refuse(tx, 200, now)
            self._hung_up(leg, now)
        elif request.method == "PRACK" and isinstance(leg, Caller):
            leg.prack(request, tx, now)
        elif self._bridge is not None and self.state is CallState.ANSWERED:
            self._bridge.received(leg, request, tx, now)
        elif request.method == "UPDATE" and not request.body:
            leg.refuse(tx, 200, now)
        else:
            leg.refuse(tx, 491 if request.method in ("INVITE", "UPDATE") else 481, now)
        self.changed()

    def join(self, branch: Branch) -> Bridge:
        """Let what one of the two says in its dialog reach the other from now on."""
        self.callee = branch
        self.state = CallState.ANSWERED
        self._bridge = bridge = Bridge(self, self.caller, branch, self.media)
        return bridge

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: a leg's phone is gone."""
        who = "caller" if leg is self.caller else "callee"
        self.end("system", f"{who}: {reason}", now)

    def _hung_up(self, leg: Leg, now: float) -> None:
        leg.drop_invited(now)
        leg.close()
        if leg is self.caller and self.state is CallState.RINGING:
            self.cancelled(now)
            return
        who = "caller" if leg is self.caller else "callee"
        self.end(who, f"the {who} hung up", now)

    # -- the end ----------------------------------------------------------------------------

    def end(self, who: str, reason: str, now: float, status: int = 500) -> None:
        """End the call on both sides and write its record."""
        if self.state is CallState.ENDED:
            return
        ringing = self.state is CallState.RINGING
        self._stop_ringing(now)
        if self.caller.answering:
            self.caller.reject(status, now)
        else:
            self.caller.bye(now)
        if self.callee is not None:
            self.callee.bye(now)
        self._finish(who, reason, status if ringing else 200, now)

    def _reject(self, status: int, reason: str, now: float, headers: Headers | None = None) -> None:
        self._stop_ringing(now)
        headers = list(headers or ())
        if reason:
            headers.append(("Warning", f'399 holdfast "{ascii_text(reason)}"'))
        self.draft.step(f"answer {status}" + (f": {reason}" if reason else ""))
        self._finish("system", reason, status, now)
        self.caller.reject(status, now, headers)

    def _finish(self, who: str, reason: str, status: int, now: float) -> None:
        if self.state is CallState.ENDED:
            return
        self.state = CallState.ENDED
        if self._move is not None:
            self._move.stop()
        answered = self.draft.record.answered is not None
        self.reports_due = self.media.close()
        self.draft.note(
            ended=self.context.wall(now),
            ended_by=who,
            reason=reason,
            outcome="answered" if answered else outcome_of(status, self._word),
            status=200 if answered else status,
        )
        if self.reports_due:
            self._seal_timer = self.context.timers.arm(now + COUNTERS_WAIT, self._seal)
            self.context.emit(SaveRecord(self.draft.record))
            self._over(self, False)
        else:
            self._seal(now)

    def relay_ended(self, event: RelayEnded, now: float) -> None:
        """Add a relay's last counters; the last of them seals the record."""
        if event.key.endswith("/0"):
            self.draft.note(from_caller=event.from_a, from_callee=event.from_b)
        self.reports_due -= 1
        if self.state is CallState.ENDED and self.reports_due <= 0:
            self._seal(now)

    def relay_failed(self, event: RelayFailed, now: float) -> None:
        """Take that a relay could not be opened: move to another port, or end the call."""
        if self.state is CallState.ENDED:
            return
        if self._move is None:
            self._move = Move(self)
        self._move.failed(event, now)

    def silent(self, seconds: float, now: float) -> None:
        """Take that no audio has come from either side; a call on hold is silent by right."""
        held = any(leg.heard is not None and is_hold(leg.heard) for leg in self._legs())
        if self.state is CallState.ANSWERED and not held:
            self.end("system", f"neither phone has sent audio for {seconds:.0f} s", now)

    def media_heard(self, event: Heard, now: float) -> None:
        """Take what a sound, a key or a recording came to; two phones that talk wait for none."""

    @property
    def joined(self) -> tuple[Leg, ...]:
        """The caller's leg and the callee's; none before the answer."""
        if self.state is not CallState.ANSWERED or self.callee is None:
            return ()
        return (self.caller, self.callee)

    def _legs(self) -> tuple[Leg, ...]:
        return (self.caller,) if self.callee is None else (self.caller, self.callee)

    def _seal(self, now: float) -> None:
        if self._seal_timer is not None:
            self._seal_timer.cancel()
            self._seal_timer = None
        if not self.draft.record.sealed:
            self.context.emit(SaveRecord(self.draft.note(sealed=True)))
            self._over(self, True)

    def changed(self) -> None:
        """Save the call, for a restart to go on with it; nothing to do once it is over."""
        if self.state is not CallState.ENDED:
            self.context.emit(SaveCall(self.id, row_of(self)))
