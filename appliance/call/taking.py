"""Somebody comes, by an INVITE of its own, to a party that waits: pick-up and retrieval (C8, C9).

The party is a caller whose phones still ring, or one that talks with us alone. With a caller, what
both have offered is answered to both; one that left the offer to others is offered what who comes
has said, and its ACK has the answer. A party that has its answer already gets a re-INVITE.

Who comes without an offer is offered, in our 200, what the party can be asked for; the party hears
of it when the ACK has brought the answer.
"""

from __future__ import annotations

from typing import Protocol

from appliance.call.caller import Caller, dismiss
from appliance.call.joining import Joining
from appliance.call.leg import Leg, LegOwner
from appliance.call.media import CallMedia
from appliance.call.own_media import answer_between
from appliance.call.record import RecordDraft
from appliance.call.relays import opposite
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_offer, parse_offer
from appliance.sdp.session import Session
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request


class Waiting(Protocol):
    """The attempt to reach somebody for the party; `attempt.Attempt` fulfils it."""

    media: CallMedia
    draft: RecordDraft
    client: Leg
    side: int
    offer: Session | None
    talks: bool

    def offer_to(self, leg: Leg) -> bytes:
        """Return what somebody is offered for the party; empty: nobody has made an offer."""
        ...

    def understand(self, leg: Leg, answer: Session) -> bytes:
        """Take the answer to that; return what the party has to be told, if it can be."""
        ...

    def pause(self) -> None:
        """Go no further for now; what happens meanwhile is kept."""
        ...

    def go_on(self, now: float) -> None:
        """Go on, with what has happened meanwhile."""
        ...

    def taken(self, comes: Leg, now: float) -> None:
        """Cancel every phone that still rings, and join the party with who has come."""
        ...

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: there is no talking with the party."""
        ...


class Taking:
    """One INVITE of somebody who comes; owns its leg while our offer to it is open."""

    def __init__(self, attempt: Waiting, comes: Caller) -> None:
        self._attempt = attempt
        self._comes = comes
        self._owner: LegOwner = comes.owner
        """Who owns the leg once it talks: the call."""
        self._joining: Joining | None = None
        comes.on_cancel = self._cancelled

    @property
    def found(self) -> list[Leg]:
        """Return who has its 200 though nobody talks with it yet."""
        comes = self._comes
        return [] if comes.answering or comes.ended else [comes]

    def start(self, now: float) -> None:
        """Begin; raises RemoteError or Unavailable, with nothing changed, where it cannot be."""
        comes, attempt = self._comes, self._attempt
        request, client = comes.invite.request, attempt.client
        comes.timer.check(request)
        offer = parse_offer(request.body)
        if offer is None:
            self._ask(now)
            return
        check_offer(offer, comes.srtp)
        comes.heard, comes.offered = offer, request.body
        self._note()
        if isinstance(client, Caller) and client.answering:
            if attempt.offer is None:
                self._offer_on(client, offer, now)
            else:
                self._answer_both(client, offer, attempt.offer, now)
        else:
            self._join(client, offer, now)

    def stop(self, now: float) -> None:
        """End: the party is gone."""
        if self._joining is not None:
            self._joining.stop()
            self._joining = None
        dismiss(self._comes, 487, now)

    def _note(self) -> None:
        comes = self._comes
        self._attempt.draft.step(f"{comes.extension} takes the call", comes.extension)

    # -- who comes leaves the offer to us -----------------------------------------------------

    def _ask(self, now: float) -> None:
        """Offer what the party has said; raises as `start` does."""
        attempt, comes = self._attempt, self._comes
        body = attempt.offer_to(comes)
        if not body:
            raise RemoteError(488, "neither who waits nor who comes says where its audio goes")
        comes.answer(now, body)
        comes.on_ack, comes.owner = self._answered, self
        self._note()
        attempt.pause()

    def _answered(self, answer: bytes, now: float) -> None:
        """Take the ACK's answer, and let the party know."""
        attempt, comes, client = self._attempt, self._comes, self._attempt.client
        try:
            if not answer:
                raise RemoteError(488, "the ACK brought no answer to our offer")
            body = attempt.understand(comes, Session.parse(answer))
        except (RemoteError, Unavailable) as error:
            self._failed(error.status if isinstance(error, RemoteError) else 503, now)
            return
        if attempt.talks and comes.heard is not None:
            self._join(client, comes.heard, now)
            return
        if isinstance(client, Caller) and client.answering:
            client.answer(now, body)
        self._taken(now)

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request of who comes, before anybody talks with it."""
        if request.method == "BYE":
            leg.refuse(tx, 200, now)
            self.lapsed(leg, "hung up", now)
        else:
            leg.refuse(tx, 491 if request.method in ("INVITE", "UPDATE") else 481, now)

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """Take that who came is gone; the party may have heard of it, and is told otherwise."""
        leg.bye(now)
        if self._joining is None:
            self._failed(487, now)

    def described(self, leg: Leg, body: bytes) -> None:
        """Do nothing: there is nobody yet who would send it audio."""

    def changed(self) -> None:
        """Save the call."""
        self._owner.changed()

    # -- who comes makes an offer -------------------------------------------------------------

    def _answer_both(self, client: Caller, offer: Session, theirs: Session, now: float) -> None:
        attempt, comes = self._attempt, self._comes
        media, side = attempt.media, opposite(attempt.side)
        to_client = media.tell(*answer_between(theirs, offer, client), client, attempt.side)
        to_comes = media.tell(*answer_between(offer, theirs, comes), comes, side)
        comes.answer(now, to_comes)
        client.answer(now, to_client)
        attempt.taken(comes, now)

    def _offer_on(self, client: Caller, offer: Session, now: float) -> None:
        """Answer the caller with the offer of who comes, who is answered when the ACK has come."""
        attempt, comes = self._attempt, self._comes

        def acknowledged(answer: bytes, now: float) -> None:
            try:
                if not answer:
                    raise RemoteError(488, "the ACK brought no answer to our offer")
                session, side = Session.parse(answer), opposite(attempt.side)
                body = attempt.media.answer(session, client, comes, side, offer)
                client.heard = session
                if not comes.answering:
                    raise RemoteError(487, f"{comes.extension} did not take the call after all")
                comes.answer(now, body)
            except (RemoteError, Unavailable) as error:
                dismiss(comes, error.status if isinstance(error, RemoteError) else 503, now)
                attempt.lapsed(client, str(error), now)
            else:
                attempt.taken(comes, now)

        client.answer(now, attempt.media.offer(offer, comes, client, attempt.side))
        client.on_ack = acknowledged
        attempt.pause()

    def _join(self, client: Leg, offer: Session, now: float) -> None:
        attempt, comes = self._attempt, self._comes

        def body() -> bytes:
            return attempt.media.offer(offer, comes, client, attempt.side)

        def joined(status: int, session: Session | None, now: float) -> None:
            self._joining = None
            if session is None or comes.ended:
                self._failed(status, now)
                return
            side = opposite(attempt.side)
            try:
                if comes.answering:
                    comes.answer(now, attempt.media.answer(session, client, comes, side, offer))
            except (RemoteError, Unavailable) as error:
                self._failed(error.status if isinstance(error, RemoteError) else 503, now)
                return
            self._taken(now)

        attempt.pause()
        self._joining = Joining(attempt, client, attempt.side, body, joined)
        self._joining.start(now)

    def _taken(self, now: float) -> None:
        self._comes.owner = self._owner
        self._attempt.taken(self._comes, now)

    def _cancelled(self, now: float) -> None:
        """Take the CANCEL of who came; the party that waits may have heard of it and waits on."""
        if self._comes.answering:
            self._comes.reject(487, now)

    def _failed(self, status: int, now: float) -> None:
        comes = self._comes
        dismiss(comes, status if status >= 300 else 487, now)
        self._attempt.draft.step(f"{comes.extension} did not take the call ({status})")
        self._attempt.go_on(now)
