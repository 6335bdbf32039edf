"""INVITE with Replaces: somebody comes in the place of one of two that talk (RFC 3891)."""

from __future__ import annotations

from appliance.call.branch import COMPLETED_ELSEWHERE
from appliance.call.caller import Caller, dismiss
from appliance.call.handover import Handover, HandoverOwner
from appliance.call.leg import Leg
from appliance.call.own_media import offered_anew
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer, parse_offer
from appliance.sdp.session import Session


class Replacing(Handover):
    """Let the sender of an INVITE talk in place of a party, once the other one has agreed."""

    def __init__(self, call: HandoverOwner, leaves: Leg, comes: Caller) -> None:
        super().__init__(call, leaves)
        self._caller = comes
        self.comes = comes
        comes.on_cancel = self._cancelled

    def start(self, now: float) -> None:
        """Begin; raises RemoteError or Unavailable, with nothing changed, where it cannot be."""
        comes = self._caller
        request = comes.invite.request
        comes.timer.check(request)
        offer = parse_offer(request.body)
        self.call.hand_on(self)
        self.media.vacate(self.side)
        self.draft.step(f"{comes.extension} comes for {self.leaves.extension}", comes.extension)
        if offer is None:
            self._offer(now)
            return
        comes.heard, comes.offered = offer, request.body
        self.join(comes, now, self._joined)

    def _offer(self, now: float) -> None:
        """Offer what the party that stays can be asked for, to one that leaves that to us."""
        comes = self._caller
        offer, lines = offered_anew(self.stays)
        try:
            if offer is None:
                raise RemoteError(488, "the other party has said nothing of its audio")
            body = self.media.offer(offer, self.stays, comes, self.side, lines)
            comes.on_ack = self._answered
            comes.answer(now, body)
        except (RemoteError, Unavailable) as error:
            self._failed(error.status if isinstance(error, RemoteError) else 503, now)

    def _answered(self, answer: bytes, now: float) -> None:
        comes = self._caller
        try:
            if comes.told is None or not answer:
                raise RemoteError(488, "the ACK brought no answer to our offer")
            comes.heard = check_answer(comes.told, Session.parse(answer))
        except RemoteError as error:
            self._failed(error.status, now)
            return
        self.join(comes, now, self._joined)

    def _joined(self, status: int, session: Session | None, now: float) -> None:
        comes = self._caller
        if self.comes is None or session is None:
            self._failed(status if status >= 300 else 487, now)
            return
        try:
            if comes.answering:
                comes.answer(now, self._answer_to(comes, session))
        except (RemoteError, Unavailable) as error:
            self._failed(error.status if isinstance(error, RemoteError) else 503, now)
            return
        self.comes = None
        self.detach(now)
        text = f"{self.leaves.extension} is replaced by {comes.extension} on {comes.flow}"
        self.call.replace(self.side, comes, text)
        self.leaves.bye(now, COMPLETED_ELSEWHERE)

    def _answer_to(self, comes: Caller, session: Session) -> bytes:
        if comes.heard is None:
            raise AssertionError("an answer to an offer nobody made")
        return self.media.answer(session, self.stays, comes, self.side, comes.heard)

    def _cancelled(self, now: float) -> None:
        """Take the CANCEL of who came: before the other party has agreed it costs nothing."""
        if self.comes is not None and self._caller.answering:
            self.comes = None
            self._caller.reject(487, now)
            if self.joining is None:
                self._failed(487, now)

    def lost(self, now: float) -> None:
        """Take that who came has gone again."""
        if self.joining is None:
            self._failed(487, now)

    def _failed(self, status: int, now: float) -> None:
        comes, self.comes = self.comes, None
        if comes is not None:
            dismiss(comes, status, now)
        self.draft.step(f"{self._caller.extension} did not come ({status})")
        if self.leaves.ended:
            self.call.end("system", f"{self.leaves.extension} hung up", now)
        else:
            self.back_together(now, lambda now: None)
