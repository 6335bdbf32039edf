"""A phone joins the other parties of its two calls and leaves both (C6; RFC 5589, section 7).

The party of the second call is told first, then that of the first; until both have agreed the two
calls are kept as they were.
"""

from __future__ import annotations

from appliance.call.handover import Handover, HandoverOwner
from appliance.call.joining import Joining
from appliance.call.leg import Leg
from appliance.call.own_media import offered_anew
from appliance.call.referral import Referral
from appliance.call.transfer import Transfer
from appliance.errors import RemoteError
from appliance.sdp.session import Session

GONE = "the target hung up"


class Lending(Handover):
    """The second call, as long as its party may go to the first."""

    def __init__(self, call: HandoverOwner, leaves: Leg, consultation: Consultation) -> None:
        super().__init__(call, leaves)
        self._consultation: Consultation | None = consultation

    def give_back(self, now: float) -> None:
        """Let the two of this call talk again."""
        self._consultation = None
        if self.leaves.ended:
            self.call.end("system", f"{self.leaves.extension} hung up", now)
        else:
            self.back_together(now, lambda now: None)

    def give_away(self, reason: str, now: float) -> None:
        """End this call, but for the party that has gone."""
        self._consultation = None
        self.call.release(self.stays, reason, now)

    def stop(self, now: float) -> None:
        """End: the call is over."""
        super().stop(now)
        consultation, self._consultation = self._consultation, None
        if consultation is not None:
            consultation.target_gone(now)


class Consultation(Transfer):
    """Put the other party of a phone's second call in the place of that phone."""

    def __init__(
        self,
        call: HandoverOwner,
        leaves: Leg,
        referral: Referral,
        other: HandoverOwner,
        theirs: Leg,
    ) -> None:
        super().__init__(call, leaves, referral)
        self._lending: Lending | None = Lending(other, theirs, self)
        self._target = self._lending.stays

    def begin(self, now: float) -> None:
        """Offer the target what the party that stays can be asked for."""
        leaves, target = self.leaves.extension, self._target
        self.draft.step(f"{leaves} transfers to {target.extension}, with whom it talks", leaves)
        self.call.hand_on(self)
        if self._lending is not None:
            self._lending.draft.step(f"{leaves} transfers {self.stays.extension} here", leaves)
            self._lending.call.hand_on(self._lending)
        self._referral.tell(100, now)
        self.media.vacate(self.side)
        self.joining = Joining(self.call, target, self.side, self._offer, self._answered)
        self.joining.start(now)

    def target_gone(self, now: float) -> None:
        """Take that the second call has ended meanwhile."""
        self._lending = None
        if self.comes is not None:
            self.comes = None  # the party that stays has still to answer: `_joined` goes on
            return
        if self.joining is not None:
            self.joining.stop()
            self.joining = None
        self._failed(480, GONE, now)

    def stop(self, now: float) -> None:
        """End: the call is over; the second one goes on."""
        self.comes = None
        super().stop(now)
        self._send_back(self._target, 487, now)

    def _offer(self) -> bytes:
        offer, lines = offered_anew(self.stays)
        if offer is None:
            raise RemoteError(488, "the party that is transferred has said nothing of its audio")
        return self.media.offer(offer, self.stays, self._target, self.side, lines)

    def _answered(self, status: int, session: Session | None, now: float) -> None:
        """Take the target's answer, and tell the party that stays."""
        self.joining = None
        lending = self._lending
        if lending is None:
            self._failed(480, GONE, now)
        elif status == 408:
            text = "the phone did not answer when it was to talk with somebody else"
            lending.call.lapsed(self._target, text, now)
        elif status != 200:
            self._send_back(self._target, status, now)
            self._failed(status, f"{self._target.extension} would not talk with somebody else", now)
        else:
            self.comes = self._target
            self.join(self._target, now, self._joined)

    def _succeed(self, comes: Leg, now: float) -> None:
        lending, self._lending = self._lending, None
        super()._succeed(comes, now)
        if lending is not None:
            here = self.stays.extension
            lending.give_away(f"{comes.extension} was joined with {here} by a transfer", now)

    def _send_back(self, comes: Leg, status: int, now: float) -> None:
        lending, self._lending = self._lending, None
        if lending is not None:
            lending.give_back(now)
