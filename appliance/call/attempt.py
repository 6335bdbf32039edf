"""One attempt to reach somebody for a party: a plan's steps, performed until a phone answers (C1).

It serves the caller whose INVITE has just come, and a party of an answered call whose other party
hands it on.
"""

from __future__ import annotations

from typing import Protocol

from appliance.call.branch import COMPLETED_ELSEWHERE, Branch
from appliance.call.caller import Caller
from appliance.call.context import CallContext
from appliance.call.events import DigitPressed, Heard, SoundEnded
from appliance.call.leg import Leg, LegOwner
from appliance.call.media import CallMedia
from appliance.call.party import Party
from appliance.call.record import CALLER_LEG, RecordDraft
from appliance.call.relays import CALLEE, CALLER, opposite
from appliance.call.ringing import Ringing
from appliance.call.steps import Collect, Note, Outcome, Park, Plan, Play, Reject, Ring, Step
from appliance.call.taking import Taking
from appliance.call.terminal import Terminal
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer, check_offer, parse_offer
from appliance.sdp.session import Session
from appliance.sip.message import Response
from appliance.sip.timers import Timer


class AttemptOwner(Protocol):
    """Who wants somebody to be reached."""

    context: CallContext
    media: CallMedia
    draft: RecordDraft

    def rings(self, branch: Branch, response: Response, now: float) -> None:
        """Take a provisional response above 100."""
        ...

    def reached(self, branch: Branch, response: Response, now: float) -> None:
        """Take the first answer; the others are cancelled already."""
        ...

    def unreached(self, status: int, reason: str, now: float) -> None:
        """Take the plan's end without an answer."""
        ...

    def taken(self, comes: Leg, now: float) -> None:
        """Join the client with somebody who has come by itself; both know how."""
        ...

    def picked_up(self, now: float) -> None:
        """Note that the client is connected with us."""
        ...

    def parked(self, now: float) -> None:
        """Take that the client waits now until somebody comes."""
        ...

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: this leg's phone is gone."""
        ...

    def changed(self) -> None:
        """Save the call."""
        ...


class Attempt:
    """Perform one plan for one party, the client."""

    def __init__(
        self,
        owner: AttemptOwner,
        legs: LegOwner,
        client: Leg,
        side: int,
        party: Party,
        callee: str,
        hops: int,
        *,
        talks: bool = False,
    ) -> None:
        """`legs` owns the legs of the phones; `party` is who they are shown, `callee` what for."""
        self.owner, self.legs = owner, legs
        self.context, self.media, self.draft = owner.context, owner.media, owner.draft
        self.client, self.side = client, side
        self.party, self.callee = party, callee
        self.hops = hops
        """Max-Forwards of the INVITEs to phones."""
        self.talks = talks
        """Whether the client has talked already: who answers is made known to it by re-INVITE."""
        self.label = client.extension if talks else CALLER_LEG
        """The client in the record's path, as in `record.Stamp`."""
        self.headers: tuple[tuple[str, str], ...] = ()
        """Further headers of the INVITEs."""
        self.offer: Session | None = None
        """What the client has offered, or can be asked for; None: it left that to us."""
        self.lines: tuple[int, ...] = ()
        """The m-lines of the offer that can be relayed."""
        self.word = ""
        """What came of the last step."""
        self.over = False
        self.terminal: Terminal | None = None
        self.parked: Park | None = None
        """Where the client waits for somebody who comes, even while somebody else is rung."""
        self.parked_until = 0.0
        """When it has waited for long enough, in monotonic seconds."""
        self._timer: Timer | None = None
        self.taking: Taking | None = None
        """Somebody who comes by itself, until it is known whether that can be."""
        self._paused = False
        self._missed: Outcome | None = None
        """What came of the step while the attempt was paused."""
        self._plan: Plan | None = None
        self._last: Reject | None = None
        """What comes when the sound has ended that goes before it."""
        self._ringing: Ringing | None = None

    def hear(self, body: bytes) -> None:
        """Take what the client offers in its INVITE; raises RemoteError 400 or 488."""
        self.offer = parse_offer(body)
        if self.offer is not None:
            self.lines = check_offer(self.offer, self.client.srtp)
            self.client.heard, self.client.offered = self.offer, body

    def start(self, plan: Plan, now: float) -> None:
        """Take the plan's first step."""
        self._plan = plan
        self._perform(next(plan), now)

    @property
    def branches(self) -> list[Branch]:
        """The phones that were rung last."""
        return self._ringing.branches if self._ringing is not None else []

    @property
    def found(self) -> list[Leg]:
        """Who has come and been answered, though the client does not talk with it yet."""
        return self.taking.found if self.taking is not None else []

    def stop(self, now: float, reason: str = "", but: Branch | None = None) -> None:
        """Cancel every phone that still rings, but one; nothing more is performed."""
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        taking, self.taking = self.taking, None
        if taking is not None:
            taking.stop(now)
        if self._ringing is not None:
            self._ringing.stop(now, reason, but)
        if self.terminal is not None:
            self.terminal.stop()

    def close(self) -> None:
        """Let go of everything: what was rung knows us, and we know it."""
        self.over = True
        if self.terminal is not None:
            self.terminal.stop()
        self._plan = self._ringing = self.terminal = self.taking = None

    # -- somebody comes by itself -------------------------------------------------------------

    def take(self, comes: Caller, now: float) -> None:
        """Let the sender of an INVITE talk with the client.

        Raises RemoteError or Unavailable, with nothing changed, where that cannot be.
        """
        if self.over:
            raise RemoteError(481, "nobody waits here any more")
        if self.taking is not None:
            raise RemoteError(486, "somebody else takes this call")
        self.taking = taking = Taking(self, comes)
        try:
            taking.start(now)
        except (RemoteError, Unavailable):
            self.taking = None
            raise
        if not self.over:
            self.owner.changed()

    def taken(self, comes: Leg, now: float) -> None:
        """Cancel every phone that still rings, and join the client with who has come."""
        self.taking = None
        self.stop(now, COMPLETED_ELSEWHERE)
        self.owner.taken(comes, now)

    def pause(self) -> None:
        """Go no further for now; what happens meanwhile is kept."""
        self._paused = True

    def go_on(self, now: float) -> None:
        """Go on, with what has happened meanwhile."""
        self.taking, self._paused = None, False
        missed, self._missed = self._missed, None
        if self.over:
            return
        if missed is not None:
            self.resume(missed, now)
        elif self.terminal is not None:
            self.terminal.reconnect()

    def resume(self, outcome: Outcome, now: float) -> None:
        """Tell the plan how its step ended, and take its next one."""
        if self._paused:
            self._missed = outcome
        if self.over or self._paused:
            return
        if self._last is not None:
            self.unreached(self._last.status, self._last.reason, now)
            return
        self.word = outcome.word
        more = f" {outcome.keys}" if outcome.keys else f" ({outcome.status})"
        source = self.label if outcome.keys else ""
        self.draft.step(outcome.word.replace("_", " ") + more, source)
        self._perform(self._next(outcome), now)

    def waited(self, now: float) -> None:
        """Take that the client has been parked for long enough."""
        if self._timer is not None:
            self._timer.cancel()
        self.resume(Outcome("waited", 480, now), now)

    def unreached(self, status: int, reason: str, now: float) -> None:
        """End: nobody was reached."""
        self.stop(now)
        self.owner.unreached(status, reason, now)

    def picked_up(self, now: float) -> None:
        """Note that the client has its 2xx, from us."""
        self.owner.picked_up(now)

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: the client is gone."""
        self.owner.lapsed(leg, reason, now)

    def own_end(self) -> Terminal:
        """Return what plays to the client and collects its digits."""
        self.terminal = self.terminal or Terminal(self)
        return self.terminal

    def media_heard(self, event: Heard, now: float) -> None:
        """Take what a sound or a key of the client came to."""
        side = CALLER if event.side == "a" else CALLEE
        if isinstance(event, DigitPressed):
            self.digit(side, event.digit, now)
        elif isinstance(event, SoundEnded) and side == self.side and self.terminal is not None:
            self.terminal.sound_ended(event, now)

    def digit(self, side: int, digit: str, now: float) -> None:
        """Take a key that a party has pressed."""
        if side == self.side and self.terminal is not None and not self.over:
            self.terminal.digit(digit, now)

    # -- what the phones say ------------------------------------------------------------------

    @property
    def has_offer(self) -> bool:
        """Tell whether the client's description is known before anybody is rung."""
        return self.offer is not None or bool(self.terminal and self.terminal.told)

    @property
    def early_media(self) -> bool:
        """Tell whether the client may hear a phone before it answers."""
        return self._ringing is not None and self._ringing.may_be_heard and not self.talks

    def offer_to(self, leg: Leg) -> bytes:
        """Return what a phone is offered for the client; empty: it has to make the offer."""
        if self.terminal and self.terminal.told and not self.talks:
            return self.terminal.offer_to(leg)
        side = opposite(self.side)
        if self.offer is None:
            return self.media.offer_early(leg, side)
        return self.media.offer(self.offer, self.client, leg, side, self.lines)

    def take_answer(self, branch: Branch, response: Response) -> bytes:
        """Take what a phone answers with; as `understand`."""
        return self.understand(branch, Session.parse(response.body))

    def understand(self, leg: Leg, session: Session) -> bytes:
        """Take a phone's description; return what the client has to be told, if it can be.

        Raises RemoteError or Unavailable for an answer that cannot be passed on.
        """
        if self.talks:
            if leg.told is None:
                raise RemoteError(488, "an answer to an offer nobody made")
            leg.heard = check_answer(leg.told, session)
            return b""
        if self.terminal and self.terminal.told:
            return self.terminal.joined_by(leg, session)
        if self.offer is None:
            body = self.media.offer_onward(session, leg, self.client, self.side)
        else:
            body = self.media.answer(session, leg, self.client, self.side, self.offer)
        leg.heard = session
        return body

    def ringing(self, branch: Branch, response: Response, now: float) -> None:
        """Take a provisional response of a phone."""
        if not self.over:
            self.owner.rings(branch, response, now)

    def answered(self, branch: Branch, response: Response, now: float) -> None:
        """Take the first phone that answers; tell the others (C1)."""
        if self.over or self._paused:
            branch.acknowledge(response, now)
            branch.bye(now)
            self.declined(branch, 480, now)
            return
        self.stop(now, COMPLETED_ELSEWHERE, but=branch)
        branch.asked_for_srtp = None
        self.owner.reached(branch, response, now)

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Take that a phone will not answer."""
        if not self.over and self._ringing is not None:
            self._ringing.declined(branch, status, now)

    def refused_profile(self, branch: Branch, status: int) -> bytes:
        """Return the offer in the other profile; empty: that is no use."""
        ringing = None if self.over else self._ringing
        return ringing.refused_profile(branch, status) if ringing is not None else b""

    # -- steps --------------------------------------------------------------------------------

    def _perform(self, step: Step, now: float) -> None:
        while isinstance(step, Note):
            self.draft.step(step.text)
            if step.emergency is not None:
                self.draft.note(emergency=step.emergency)
            if step.status and isinstance(self.client, Caller):
                self.client.progress(step.status, now)
            step = self._next(Outcome("noted", at=now))
        if isinstance(step, Reject):
            self._end_plan(step, now)
        elif isinstance(step, Ring):
            self._ring(step, now)
        elif isinstance(step, Play | Collect):
            self.own_end().perform(step, now)
        elif isinstance(step, Park):
            self._park(step, now)
        else:
            raise AssertionError(f"a call cannot perform {step}")
        self.owner.changed()

    def _park(self, step: Park, now: float) -> None:
        self.parked, self.parked_until = step, now + step.timeout
        self.own_end().entertain(step.hears, now)
        self._timer = self.context.timers.arm(self.parked_until, self.waited)
        self.owner.parked(now)

    def _end_plan(self, step: Reject, now: float) -> None:
        self.word = step.word or self.word
        if step.says and self._last is None:
            self._last = step
            self.own_end().perform(Play((step.says,)), now)
        else:
            self.unreached(step.status, step.reason, now)

    def _ring(self, step: Ring, now: float) -> None:
        self._ringing = Ringing(self, step)
        if step.hears and self.offer is not None:
            self.own_end().entertain(step.hears, now)
        elif self.terminal is not None:
            self.terminal.ring_back()
        self._ringing.start(now)

    def _next(self, outcome: Outcome) -> Step:
        if self._plan is None:
            raise AssertionError("an outcome without a plan")
        try:
            return self._plan.send(outcome)
        except StopIteration:
            return Reject(outcome.status or 480)
