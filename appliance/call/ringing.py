"""One `Ring` step: the phones that are rung for a caller, until one answers or none does."""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from appliance.call.branch import Branch, BranchOwner, Invitation
from appliance.call.context import CallContext
from appliance.call.leg import LegOwner
from appliance.call.party import Party
from appliance.call.record import LEGS, RecordDraft
from appliance.call.security import other_profile
from appliance.call.steps import Outcome, Ring, Target
from appliance.call.wording import better, word_of
from appliance.errors import RemoteError, Unavailable
from appliance.sip.timers import Timer


class RingingOwner(BranchOwner, Protocol):
    """The attempt, as its ringing sees it."""

    context: CallContext
    legs: LegOwner
    """Who owns the phones' legs: the call."""
    draft: RecordDraft
    party: Party
    callee: str
    hops: int
    headers: tuple[tuple[str, str], ...]

    @property
    def has_offer(self) -> bool:
        """Tell whether the client's description is known, or whether phones make the offer."""
        ...

    def offer_to(self, branch: Branch) -> bytes:
        """Return the offer for one phone, empty for none; raises as `CallMedia.offer` does."""
        ...

    def resume(self, outcome: Outcome, now: float) -> None:
        """Go on with the plan."""
        ...

    def unreached(self, status: int, reason: str, now: float) -> None:
        """End the attempt."""
        ...


class Ringing:
    """Ring all targets of a step at once."""

    def __init__(self, call: RingingOwner, step: Ring) -> None:
        self._call = call
        self._step = step
        self._best = 480
        self._timer: Timer | None = None
        self._hurry: list[Timer] = []
        self.branches: list[Branch] = []

    def start(self, now: float) -> None:
        """Send the INVITEs."""
        call, step = self._call, self._step
        rung = sorted({target.extension for target in step.targets})
        text = f"ring {', '.join(rung)}: {len(step.targets)} phones, {step.timeout:g} s"
        call.draft.step(text, to=rung)
        self._timer = call.context.timers.arm(now + step.timeout, self._nobody_answered)
        for seconds, ask in (
            (step.patience, self._nobody_there),
            (step.progress, self._nobody_rings),
        ):
            if seconds:
                self._hurry.append(call.context.timers.arm(now + seconds, ask))
        invitation = Invitation(
            call_id=call.context.identifiers.token(),
            caller=call.party.shown,
            callee=f"<sip:{call.callee}@{call.context.domain}>",
            max_forwards=call.hops,
            early_reliable=call.has_offer,
            diverted=step.diverted,
            headers=call.headers,
        )
        call.context.traces.join(call.draft.record.id, invitation.call_id)
        self.branches = [
            Branch(call.context, call.legs, target, _shown(invitation, target), call)
            for target in step.targets
        ]
        for branch in self.branches:
            try:
                branch.invite(now, call.offer_to(branch))
            except RemoteError as error:
                call.unreached(error.status, error.reason, now)
                return
            except Unavailable as error:
                call.unreached(503, str(error), now)
                return

    @property
    def may_be_heard(self) -> bool:
        """Tell whether the caller may hear early media: of one phone alone, and of us rather."""
        return len(self.branches) == 1 and self._call.has_offer and not self._step.hears

    def stop(self, now: float, reason: str = "", but: Branch | None = None) -> None:
        """Cancel every phone that still rings, but one."""
        for timer in (self._timer, *self._hurry):
            if timer is not None:
                timer.cancel()
        self._timer, self._hurry = None, []
        for branch in self.branches:
            if branch is not but:
                branch.cancel(now, reason)

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Go on when the last phone has said no; a 6xx ends the ringing at once, as a rule."""
        if self._timer is None:
            return
        if len(self.branches) <= LEGS:
            said = word_of(status).replace("_", " ")
            self._call.draft.step(f"{branch.extension}: {said} ({status})", branch.extension)
        # Of a line the plan wants to know exactly: what it says decides whether the next is tried.
        self._best = status if branch.line is not None else better(self._best, status)
        for_itself = self._step.each and len(self.branches) > 1
        all_over = status >= 600 and not for_itself
        if all_over or not any(other.alive for other in self.branches):
            self.stop(now)
            said = word_of(self._best)
            rang, retry = branch.rang, branch.retry_after
            moved = self._moved_to
            outcome = Outcome(said, self._best, now, rang=rang, retry_after=retry, moved_to=moved)
            self._call.resume(outcome, now)

    @property
    def _moved_to(self) -> str:
        """Where the first phone that has said so wants the call to go."""
        return next((branch.moved_to for branch in self.branches if branch.moved_to), "")

    def refused_profile(self, branch: Branch, status: int) -> bytes:
        """Return the offer with SRTP in place of RTP, or the reverse; empty: that is no use."""
        if self._timer is None or not self._call.has_offer:
            return b""
        secure = branch.asked_for_srtp = other_profile(branch)
        if secure is None:
            return b""
        try:
            body = self._call.offer_to(branch)
        except (RemoteError, Unavailable):
            return b""
        wanted, refused = ("SRTP", "RTP") if secure else ("RTP", "SRTP")
        text = f"{branch.extension} refused {refused} ({status}): {wanted}"
        self._call.draft.step(text, branch.extension)
        return body

    def _nobody_answered(self, now: float) -> None:
        self.stop(now)
        self._call.resume(Outcome("no_answer", 480, now, moved_to=self._moved_to), now)

    def _nobody_there(self, now: float) -> None:
        if not any(branch.heard_of for branch in self.branches):
            self._give_up(now)

    def _nobody_rings(self, now: float) -> None:
        if not any(branch.rang for branch in self.branches):
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        self.stop(now)
        self._call.resume(Outcome("unavailable", 408, now), now)


def _shown(invitation: Invitation, target: Target) -> Invitation:
    """Return the invitation as a target is to see it; outside, nothing of the inside shows."""
    shown = target.shown
    if shown is None:
        return invitation
    return replace(
        invitation,
        caller=shown.caller,
        callee=shown.callee,
        headers=shown.headers,
        max_forwards=min(invitation.max_forwards, shown.hops),
        parts=shown.parts,
        diverted=(),
        early_reliable=True,
    )
