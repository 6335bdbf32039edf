"""Somebody comes, by an INVITE of its own, to a party that waits: pick-up and retrieval (C8, C9).

The party is a caller whose phones still ring, or one that talks with us alone. With a caller, what
both have offered is answered to both; one that left the offer to others is offered what who comes
has said, and its ACK has the answer. A party that has its answer already gets a re-INVITE.
"""

from __future__ import annotations

from typing import Protocol

from appliance.call.caller import Caller, dismiss
from appliance.call.joining import Joining
from appliance.call.leg import Leg
from appliance.call.media import CallMedia, parse_offer
from appliance.call.own_media import answer_between
from appliance.call.record import RecordDraft
from appliance.call.relays import opposite
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_offer
from appliance.sdp.session import Session


class Waiting(Protocol):
    """The attempt to reach somebody for the party; `attempt.Attempt` fulfils it."""

    media: CallMedia
    draft: RecordDraft
    client: Leg
    side: int
    offer: Session | None

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
    """One INVITE of somebody who comes."""

    def __init__(self, attempt: Waiting, comes: Caller) -> None:
        self._attempt = attempt
        self._comes = comes
        self._joining: Joining | None = None
        comes.on_cancel = self._cancelled

    def start(self, now: float) -> None:
        """Begin; raises RemoteError or Unavailable, with nothing changed, where it cannot be."""
        comes, attempt = self._comes, self._attempt
        request, client = comes.invite.request, attempt.client
        comes.timer.check(request)
        offer = parse_offer(request.body)
        if offer is None:
            raise RemoteError(488, "who takes a call has to say where its audio goes")
        check_offer(offer, comes.srtp)
        comes.heard, comes.offered = offer, request.body
        attempt.draft.step(f"{comes.extension} takes the call", comes.extension)
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
            if session is None or not comes.answering:
                self._failed(status, now)
                return
            side = opposite(attempt.side)
            try:
                comes.answer(now, attempt.media.answer(session, client, comes, side, offer))
            except (RemoteError, Unavailable) as error:
                self._failed(error.status if isinstance(error, RemoteError) else 503, now)
                return
            attempt.taken(comes, now)

        attempt.pause()
        self._joining = Joining(attempt, client, attempt.side, body, joined)
        self._joining.start(now)

    def _cancelled(self, now: float) -> None:
        """Take the CANCEL of who came; the party that waits may have heard of it and waits on."""
        if self._comes.answering:
            self._comes.reject(487, now)

    def _failed(self, status: int, now: float) -> None:
        comes = self._comes
        dismiss(comes, status if status >= 300 else 487, now)
        self._attempt.draft.step(f"{comes.extension} did not take the call ({status})")
        self._attempt.go_on(now)
