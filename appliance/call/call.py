"""One call: a caller, the phones rung for it, the bridge once one has answered, and its record."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from appliance.call.actions import SaveCall
from appliance.call.attempt import Attempt
from appliance.call.branch import Branch
from appliance.call.bridge import Bridge
from appliance.call.caller import Caller
from appliance.call.context import CallContext, decremented_max_forwards
from appliance.call.events import Heard, RelayFailed
from appliance.call.handover import Handover
from appliance.call.in_band import InBand
from appliance.call.leg import Headers, Leg
from appliance.call.media import CallMedia
from appliance.call.move import Move
from appliance.call.party import Party
from appliance.call.record import CALLER_LEG, CallRecord, RecordDraft
from appliance.call.refer import refer
from appliance.call.relays import CALLEE, CALLER
from appliance.call.saved import SavedPark
from appliance.call.saving import row_of
from appliance.call.sealing import Sealing
from appliance.call.steps import Plan
from appliance.call.terminal import Terminal
from appliance.call.wording import ascii_text
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import is_hold
from appliance.sip.dialog import Dialog
from appliance.sip.flow import Flow
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response


class CallState(Enum):
    """Where a call stands."""

    RINGING = "ringing"
    ANSWERED = "answered"
    TRANSFERRING = "transferring"
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
        self.caller = Caller(context, self, flow, party, invite, dialog)
        self.party = party
        self.state = CallState.RINGING
        self.legs: list[Leg | None] = [self.caller, None]
        """Who talks, by side; the caller is among them until its part is taken by another."""
        self.draft = RecordDraft(record, lambda: context.wall(context.timers.now))
        self.media = CallMedia(context, self.id, self.draft.step)
        self.in_band = InBand(self.media)
        self.sealing = Sealing(context, self.draft, lambda sealed: over(self, sealed))
        hops = decremented_max_forwards(invite.request)
        self._attempt: Attempt | None = Attempt(
            self, self, self.caller, CALLER, party, record.callee, hops
        )
        self._handover: Handover | None = None
        self._departing: list[Leg | None] = []
        self.transfers = 0
        """How many times this call was handed on."""
        self._bridge: Bridge | None = None
        self._move: Move | None = None

    # -- the beginning ----------------------------------------------------------------------

    def start(self, plan: Plan, now: float) -> None:
        """Check the offer and take the plan's first step."""
        try:
            self.caller.timer.check(self.caller.invite.request)
            self.attempt.hear(self.caller.invite.request.body)
        except RemoteError as error:
            self.reject(error.status, error.reason, now, list(error.headers))
            return
        self.attempt.start(plan, now)

    @property
    def attempt(self) -> Attempt:
        """What reaches somebody for the caller, as long as the call is not over."""
        if self._attempt is None:
            raise AssertionError("the call is over")
        return self._attempt

    @property
    def waiting(self) -> Attempt | None:
        """What reaches somebody for a party, or has done so: the caller, or whoever is left."""
        return self._handover.attempt if self._handover is not None else self._attempt

    @property
    def branches(self) -> list[Branch]:
        """The phones that were rung last."""
        return self.waiting.branches if self.waiting is not None else []

    def rings(self, branch: Branch, response: Response, now: float) -> None:
        """Let the caller hear that it rings; early media only when one phone rings alone."""
        if response.body and self.attempt.early_media:
            try:
                body = self.attempt.take_answer(branch, response)
            except (RemoteError, Unavailable):
                body = b""  # the final answer will tell; a broken preview is nobody's loss
            if body:
                self.media.connect(self.caller, branch)
                self.caller.progress(response.status, now, body)
                return
        self.caller.progress(180 if response.status != 183 else 183, now)

    def reached(self, branch: Branch, response: Response, now: float) -> None:
        """Join the caller with the first phone that answers (C1)."""
        self.legs[CALLEE] = branch
        try:
            body = self.attempt.take_answer(branch, response)
        except (RemoteError, Unavailable) as error:
            branch.acknowledge(response, now)
            branch.bye(now)
            self.reject(500, f"the answer cannot be passed on: {error}", now)
            return
        bridge = self.join(self.caller, branch)
        if self.attempt.has_offer:
            branch.acknowledge(response, now)
            self.media.connect(self.caller, branch)
        elif branch.line is not None:
            branch.acknowledge(response, now)
            bridge.await_answer(self.caller)
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

    def unreached(self, status: int, reason: str, now: float) -> None:
        """Tell the caller that nobody takes its call."""
        self.reject(status, reason, now)

    def taken(self, comes: Leg, now: float) -> None:
        """Join the caller with somebody who has come by itself."""
        self.join(self.caller, comes)
        self.media.connect(self.caller, comes)
        self.picked_up(now, comes)

    def parked(self, now: float) -> None:
        """Do nothing: a caller that waits for somebody who comes waits as any other."""

    def picked_up(self, now: float, branch: Leg | None = None) -> None:
        """Note that the caller is connected: with a phone, or with us."""
        where = f"{branch.extension} on {branch.flow}" if branch is not None else "Holdfast itself"
        self.draft.step(f"answered by {where}", branch.extension if branch else "", (CALLER_LEG,))
        self.draft.answered(branch.extension if branch is not None else "")
        self._over(self, False)
        self.changed()

    def cancelled(self, now: float) -> None:
        """Take the caller's CANCEL (or the loss of its connection while it still rings)."""
        if self.state is CallState.RINGING:
            self._stop(now)
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
        elif method == "REFER":
            refer(self, leg, request, tx, now)
        elif self._handover is not None:
            self._handover.received(leg, request, tx, now)
        elif self._bridge is not None and self.state is CallState.ANSWERED:
            self._bridge.received(leg, request, tx, now)
        elif self.terminal and (not self.caller.answering or method == "INFO"):
            self.terminal.received(request, tx, now)
        elif method == "UPDATE" and not request.body:
            leg.refuse(tx, 200, now)
        else:
            leg.refuse(tx, 491 if method in ("INVITE", "UPDATE") else 481, now)
        self.changed()

    @property
    def terminal(self) -> Terminal | None:
        """We as the far end of whoever waits for somebody."""
        return self.waiting.terminal if self.waiting is not None else None

    def join(self, caller: Leg, callee: Leg) -> Bridge:
        """Let what one of the two says in its dialog reach the other from now on."""
        self.legs = [caller, callee]
        self.state = CallState.ANSWERED
        self._bridge = bridge = Bridge(self, caller, callee, self.media)
        return bridge

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: a leg's phone is gone; one that had left it already ends for itself."""
        if self._handover is not None and self._handover.left(leg, now):
            leg.bye(now)
        elif leg in self.legs:
            self.end("system", f"{self._who(leg)}: {reason}", now)
        else:
            leg.bye(now)

    def _who(self, leg: Leg) -> str:
        return "callee" if leg is self.legs[CALLEE] else "caller"

    def _hung_up(self, leg: Leg, now: float) -> None:
        leg.drop_invited(now)
        leg.close()
        unanswered = self.draft.record.answered is None
        if leg is self.caller and self.state is CallState.RINGING and unanswered:
            self.cancelled(now)
        elif self._handover is not None and self._handover.left(leg, now):
            self.changed()
        elif leg in self.legs:
            who = self._who(leg)
            self.end(who, f"the {who} hung up", now)

    # -- one party in another's place -------------------------------------------------------

    def replace(self, side: int, comes: Leg, text: str) -> None:
        """Let a leg take part in place of the one on this side, which has yet to be ended."""
        caller, callee = [comes if at == side else leg for at, leg in enumerate(self.legs)]
        if caller is None or callee is None:
            raise AssertionError("only a party of two that talk can be replaced")
        self._handover = None
        self._departing = [*self._departing, self.legs[side]]
        comes.owner = self
        if comes.dialog is not None:
            self.context.traces.join(self.id, comes.dialog.call_id)
        self.media.settle()
        self.join(caller, callee)
        self.media.connect(caller, callee)
        self.draft.step(text, comes.extension)
        self._over(self, False)
        self.changed()

    def rejoin(self, now: float) -> None:
        """Let the two talk again of whom one was to be replaced."""
        self._handover = None
        self.state = CallState.ANSWERED
        self.media.take_back()
        self.reconnect()
        self._over(self, False)
        self.changed()

    def hand_on(self, handover: Handover) -> None:
        """Begin to look for somebody in place of one of the two."""
        self._handover = handover
        self.state = CallState.TRANSFERRING
        self._over(self, False)

    def release(self, leg: Leg, reason: str, now: float) -> None:
        """End the call but for a leg that talks in another one."""
        self._handover = None
        self.legs = [one if one is not leg else None for one in self.legs]
        self.end("system", reason, now)

    @property
    def talks(self) -> bool:
        """Tell whether two talk here, and none of them is to be replaced."""
        return self.state is CallState.ANSWERED

    @property
    def others(self) -> list[Leg]:
        """Legs that have no part in it any more, or not yet."""
        gone = [leg for leg in self._departing if leg is not None and not leg.ended]
        found = self._handover.found if self._handover is not None else []
        return [*gone, *found, *(self.waiting.found if self.waiting is not None else [])]

    @property
    def handing_on(self) -> bool:
        """Tell whether one of the two is to be replaced."""
        return self._handover is not None

    @property
    def waits_at(self) -> SavedPark | None:
        """Tell where one of the two waits, and for how long."""
        return self._handover.waits_at if self._handover is not None else None

    # -- the end ----------------------------------------------------------------------------

    def end(self, who: str, reason: str, now: float, status: int = 500, told: str = "") -> None:
        """End the call on both sides and write its record; phones that ring are `told` why."""
        if self.state is CallState.ENDED:
            return
        ringing = self.state is CallState.RINGING
        self._stop(now, told)
        if self.caller.answering:
            self.caller.reject(status, now)
        for leg in self.legs:
            if leg is not None:
                leg.bye(now)
        self._finish(who, reason, status if ringing else 200, now)

    def reject(self, status: int, reason: str, now: float, headers: Headers | None = None) -> None:
        """Give the caller its final answer, or hang up where it has been answered."""
        self._stop(now)
        if self.draft.record.answered is not None:
            self.end("system", reason, now, status)
            return
        headers = list(headers or ())
        if reason and (self.caller.line is None or status == 488):
            headers.append(("Warning", f'399 holdfast "{ascii_text(reason)}"'))
        self.draft.step(f"answer {status}" + (f": {reason}" if reason else ""), to=(CALLER_LEG,))
        self._finish("system", reason, status, now)
        self.caller.reject(status, now, headers)

    def _stop(self, now: float, told: str = "") -> None:
        if self._attempt is not None:
            self._attempt.stop(now, told)
        if self._handover is not None:
            self._handover.stop(now)

    def _finish(self, who: str, reason: str, status: int, now: float) -> None:
        if self.state is CallState.ENDED:
            return
        self.state = CallState.ENDED
        self.draft.end(who, reason, status, self.attempt.word)
        if self._move is not None:
            self._move.stop()
        # They know us as we know them: without this only the garbage collector could free us.
        self.attempt.close()
        self._attempt = self._bridge = self._move = self._handover = None
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
        self.in_band.heard(event)
        if self.waiting is not None:
            self.waiting.media_heard(event, now)

    def digit(self, side: int, digit: str, now: float) -> None:
        """Take a key that a party has pressed, however it came: RFC 4733, INFO or in its audio."""
        if self.waiting is not None:
            self.waiting.digit(side, digit, now)

    def described(self, leg: Leg, body: bytes) -> None:
        """Take the description in a phone's answer to a refresh: another key, another port."""
        if self.media.says_anew(leg, body):
            self.reconnect()

    def reconnect(self) -> None:
        """Make the relays fit what was said last."""
        caller, callee = self.legs
        if self.state is CallState.ANSWERED and caller is not None and callee is not None:
            self.media.connect(caller, callee)
        elif self.terminal is not None:
            self.terminal.reconnect()

    @property
    def joined(self) -> tuple[Leg, ...]:
        """The legs that are answered: none, the caller's alone, or those of two parties."""
        if self.draft.record.answered is None:
            return ()
        legs = self.legs if self.state is not CallState.RINGING else (self.caller,)
        return tuple([leg for leg in legs if leg is not None])

    def changed(self) -> None:
        """Save the call, for a restart to go on with it; nothing to do once it is over."""
        if self.state is not CallState.ENDED:
            self.context.emit(SaveCall(self.id, row_of(self)))
