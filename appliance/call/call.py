"""One call: a caller, the phones rung for it, the bridge once one has answered, and its record."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from appliance.call.actions import SaveCall
from appliance.call.branch import COMPLETED_ELSEWHERE, Branch
from appliance.call.bridge import Bridge
from appliance.call.caller import Caller, Party
from appliance.call.context import CallContext
from appliance.call.events import DigitPressed, Heard, RelayFailed, SoundEnded
from appliance.call.leg import Headers, Leg
from appliance.call.media import CALLEE, CALLER, CallMedia, parse_offer
from appliance.call.move import Move
from appliance.call.record import CALLER_LEG, CallRecord, RecordDraft, outcome_of
from appliance.call.ringing import Ringing
from appliance.call.saving import row_of
from appliance.call.sealing import Sealing
from appliance.call.steps import Collect, Note, Outcome, Plan, Play, Reject, Ring, Step
from appliance.call.terminal import Terminal
from appliance.call.wording import ascii_text
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_offer, is_hold
from appliance.sdp.session import Session
from appliance.sip.dialog import Dialog
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response


class CallState(Enum):
    """Where a call stands."""

    RINGING = "ringing"
    ANSWERED = "answered"
    ENDED = "ended"


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
        self.callee: Branch | None = None
        self.draft = RecordDraft(record, lambda: context.wall(context.timers.now))
        self.media = CallMedia(context, self.id, self.draft.step)
        self.sealing = Sealing(context, self.draft, lambda sealed: over(self, sealed))
        self.offer: Session | None = None
        """What the caller's INVITE offered; None: it left that to us."""
        self._lines: tuple[int, ...] = ()
        """The m-lines of the offer that can be relayed."""
        self._plan: Plan | None = None
        self._word = ""
        self._last: Reject | None = None
        """What comes when the sound has ended that goes before it."""
        self._ringing: Ringing | None = None
        self._terminal: Terminal | None = None
        self._bridge: Bridge | None = None
        self._move: Move | None = None

    # -- the plan ---------------------------------------------------------------------------

    def start(self, plan: Plan, now: float) -> None:
        """Check the offer and take the plan's first step."""
        try:
            self.caller.timer.check(self.caller.invite.request)
            self.offer = parse_offer(self.caller.invite.request.body)
            if self.offer is not None:
                self._lines = check_offer(self.offer, self.caller.srtp)
                self.caller.heard = self.offer
                self.caller.offered = self.caller.invite.request.body
        except RemoteError as error:
            self.reject(error.status, error.reason, now, list(error.headers))
            return
        self._plan = plan
        self._perform(next(plan), now)

    def _perform(self, step: Step, now: float) -> None:
        while isinstance(step, Note):
            self.draft.step(step.text)
            if step.status:
                self.caller.progress(step.status, now)
            step = self._next(Outcome("noted", at=now))
        if isinstance(step, Reject):
            self._end_plan(step, now)
        elif isinstance(step, Ring):
            self._ring(step, now)
        elif isinstance(step, Play | Collect):
            self._own_end().perform(step, now)
        else:
            raise AssertionError(f"a call cannot perform {step}")
        self.changed()

    def _end_plan(self, step: Reject, now: float) -> None:
        self._word = step.word or self._word
        if step.says and self._last is None:
            self._last = step
            self._own_end().perform(Play((step.says,)), now)
        else:
            self.reject(step.status, step.reason, now)

    def _ring(self, step: Ring, now: float) -> None:
        self._ringing = Ringing(self, step)
        if step.hears and self.offer is not None:
            self._own_end().entertain(step.hears, now)
        elif self._terminal is not None:
            self._terminal.ring_back()
        self._ringing.start(now)

    def _own_end(self) -> Terminal:
        self._terminal = self._terminal or Terminal(self)
        return self._terminal

    def resume(self, outcome: Outcome, now: float) -> None:
        """Tell the plan how its step ended, and take its next one."""
        if self._last is not None:
            self.reject(self._last.status, self._last.reason, now)
            return
        self._word = outcome.word
        more = f" {outcome.keys}" if outcome.keys else f" ({outcome.status})"
        source = CALLER_LEG if outcome.keys else ""
        self.draft.step(outcome.word.replace("_", " ") + more, source)
        self._perform(self._next(outcome), now)

    def _next(self, outcome: Outcome) -> Step:
        if self._plan is None:
            raise AssertionError("an outcome without a plan")
        try:
            return self._plan.send(outcome)
        except StopIteration:
            return Reject(outcome.status or 480)

    @property
    def branches(self) -> list[Branch]:
        """The phones that were rung last."""
        return self._ringing.branches if self._ringing is not None else []

    @property
    def has_offer(self) -> bool:
        """Tell whether the caller's description is known before anybody is rung."""
        return self.offer is not None or bool(self._terminal and self._terminal.told)

    def offer_to(self, branch: Branch) -> bytes:
        """Return what a phone is offered for the caller; empty: it has to make the offer."""
        if self._terminal and self._terminal.told:
            return self._terminal.offer_to(branch)
        if self.offer is None:
            return b""
        return self.media.offer(self.offer, self.caller, branch, CALLEE, self._lines)

    def _stop_ringing(self, now: float, reason: str = "", but: Branch | None = None) -> None:
        if self._ringing is not None:
            self._ringing.stop(now, reason, but)

    # -- what the phones say ----------------------------------------------------------------

    def ringing(self, branch: Branch, response: Response, now: float) -> None:
        """Let the caller hear that it rings; early media only when one phone rings alone."""
        if self.state is not CallState.RINGING:
            return
        if response.body and self._ringing is not None and self._ringing.may_be_heard:
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
        """Return the offer in the other profile; empty: that is no use."""
        ringing = self._ringing if self.state is CallState.RINGING else None
        return ringing.refused_profile(branch, status) if ringing is not None else b""

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
            self.reject(500, f"the answer cannot be passed on: {error}", now)
            return
        bridge = self.join(branch)
        if self.has_offer:
            branch.acknowledge(response, now)
            self.media.connect(self.caller, branch)
        else:
            bridge.answer_in_ack(self.caller, branch, response)
        if self.caller.answering:
            try:
                self.caller.answer(now, body)
            except RemoteError as error:
                self.end("system", error.reason, now, status=error.status)
                return
        self.picked_up(now, branch)
        if self._move is not None:
            self._move.tell(now)

    def picked_up(self, now: float, branch: Branch | None = None) -> None:
        """Note that the caller is connected: with a phone, or with us."""
        where = f"{branch.extension} on {branch.flow}" if branch is not None else "Holdfast itself"
        self.draft.step(f"answered by {where}", branch.extension if branch else "", (CALLER_LEG,))
        self.draft.note(
            answered=self.draft.record.answered or self.context.wall(now),
            answered_by=branch.extension if branch is not None else "",
            outcome="answered",
            status=200,
        )
        self._over(self, False)
        self.changed()

    def _pass_answer(self, branch: Branch, response: Response) -> bytes:
        """Return the callee's description for the caller: an answer, or a late offer."""
        session = Session.parse(response.body)
        if self._terminal and self._terminal.told:
            return self._terminal.joined_by(branch, session)
        if self.offer is None:
            body = self.media.offer(session, branch, self.caller, CALLER)
        else:
            body = self.media.answer(session, branch, self.caller, CALLER, self.offer)
        branch.heard = session
        return body

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Take that a phone will not answer."""
        if self.state is CallState.RINGING and self._ringing is not None:
            self._ringing.declined(branch, status, now)

    def cancelled(self, now: float) -> None:
        """Take the caller's CANCEL (or the loss of its connection while it still rings)."""
        if self.state is CallState.RINGING:
            self._stop_ringing(now)
            self._finish("caller", "the caller gave up", 487, now)
            self.caller.reject(487, now)

    # -- in the dialog ----------------------------------------------------------------------

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request inside one of the call's dialogs."""
        method = request.method
        if method == "BYE":
            leg.refuse(tx, 200, now)
            self._hung_up(leg, now)
        elif method == "PRACK" and isinstance(leg, Caller):
            leg.prack(request, tx, now)
        elif self._bridge is not None and self.state is CallState.ANSWERED:
            self._bridge.received(leg, request, tx, now)
        elif self._terminal and (not self.caller.answering or method == "INFO"):
            self._terminal.received(request, tx, now)
        elif method == "UPDATE" and not request.body:
            leg.refuse(tx, 200, now)
        else:
            leg.refuse(tx, 491 if method in ("INVITE", "UPDATE") else 481, now)
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
        unanswered = self.draft.record.answered is None
        if leg is self.caller and self.state is CallState.RINGING and unanswered:
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

    def reject(self, status: int, reason: str, now: float, headers: Headers | None = None) -> None:
        """Give the caller its final answer, or hang up where it has been answered."""
        self._stop_ringing(now)
        if self.draft.record.answered is not None:
            self.end("system", reason, now, status)
            return
        headers = list(headers or ())
        if reason:
            headers.append(("Warning", f'399 holdfast "{ascii_text(reason)}"'))
        self.draft.step(f"answer {status}" + (f": {reason}" if reason else ""), to=(CALLER_LEG,))
        self._finish("system", reason, status, now)
        self.caller.reject(status, now, headers)

    def _finish(self, who: str, reason: str, status: int, now: float) -> None:
        if self.state is CallState.ENDED:
            return
        self.state = CallState.ENDED
        for waiting in (self._move, self._terminal):
            if waiting is not None:
                waiting.stop()
        # They know us as we know them: without this only the garbage collector could free us.
        self._plan = self._bridge = self._move = self._terminal = self._ringing = None
        answered = self.draft.record.answered is not None
        self.draft.note(
            ended=self.context.wall(now),
            ended_by=who,
            reason=reason,
            outcome="answered" if answered else outcome_of(status, self._word),
            status=200 if answered else status,
        )
        self.sealing.close(self.media.close(), now)

    def relay_failed(self, event: RelayFailed, now: float) -> None:
        """Take that a relay could not be opened: move to another port, or end the call."""
        if self.state is CallState.ENDED:
            return
        if self._move is None:
            self._move = Move(self)
        self._move.failed(event, now)

    def silent(self, seconds: float, now: float) -> None:
        """Take that no audio has come from either side; a call on hold is silent by right."""
        held = any(leg.heard is not None and is_hold(leg.heard) for leg in self.joined)
        if self.state is CallState.ANSWERED and not held:
            self.end("system", f"neither phone has sent audio for {seconds:.0f} s", now)

    def media_heard(self, event: Heard, now: float) -> None:
        """Take what a sound or a key came to; of a recording nobody waits for the end."""
        if isinstance(event, DigitPressed):
            self.digit(CALLER if event.side == "a" else CALLEE, event.digit, now)
        elif isinstance(event, SoundEnded) and self._terminal and event.side == "a":
            self._terminal.sound_ended(event, now)

    def digit(self, side: int, digit: str, now: float) -> None:
        """Take a key that a party has pressed, however it came: RFC 4733, INFO or in its audio."""
        if side == CALLER and self._terminal and self.state is CallState.RINGING:
            self._terminal.digit(digit, now)

    def described(self, leg: Leg, body: bytes) -> None:
        """Take the description in a phone's answer to a refresh: another key, another port."""
        if self.media.says_anew(leg, body):
            self.reconnect()

    def reconnect(self) -> None:
        """Make the relays fit what was said last."""
        if self.state is CallState.ANSWERED and self.callee is not None:
            self.media.connect(self.caller, self.callee)
        elif self._terminal is not None:
            self._terminal.reconnect()

    @property
    def joined(self) -> tuple[Leg, ...]:
        """The legs that are answered: none, the caller's alone, or the caller's and callee's."""
        if self.state is CallState.ANSWERED and self.callee is not None:
            return (self.caller, self.callee)
        return (self.caller,) if self.draft.record.answered is not None else ()

    def changed(self) -> None:
        """Save the call, for a restart to go on with it; nothing to do once it is over."""
        if self.state is not CallState.ENDED:
            self.context.emit(SaveCall(self.id, row_of(self)))
