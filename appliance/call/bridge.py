"""What passes between two joined legs: re-INVITE, UPDATE and INFO, with their SDP rewritten.

Each leg has its own dialog, so each glare is settled on the leg where it happens (RFC 3261, 14).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from msgspec.structs import replace

from appliance.call.asked import Asked
from appliance.call.context import CallContext
from appliance.call.in_band import InBand
from appliance.call.joining import Joining
from appliance.call.leg import GONE, Headers, Leg
from appliance.call.media import CallMedia
from appliance.call.relays import CALLEE, CALLER
from appliance.errors import RemoteError, Unavailable
from appliance.sdp.offer_answer import check_answer, parse_offer, turned, versioned
from appliance.sdp.session import Session
from appliance.sip.digit import digit_of
from appliance.sip.matching import ServerTransaction
from appliance.sip.message import Request, Response


class BridgeOwner(Protocol):
    """The call, as its bridge sees it."""

    context: CallContext
    media: CallMedia
    in_band: InBand

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: this leg's phone is gone."""
        ...

    def digit(self, side: int, digit: str, now: float) -> None:
        """Take a key that a party has pressed."""
        ...


class Bridge:
    """Pass offers, answers and INFO from one leg to the other."""

    def __init__(self, call: BridgeOwner, caller: Leg, callee: Leg, media: CallMedia) -> None:
        self._call = call
        self._caller = caller
        self._callee = callee
        self._media = media

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request of `leg` inside the joined call."""
        try:
            act = ACTS.get(request.method)
            if act is None:
                leg.refuse(tx, 501, now)
            else:
                act(self, leg, request, tx, now)
        except RemoteError as error:
            leg.refuse(tx, error.status, now, list(error.headers))
        except Unavailable:
            leg.refuse(tx, 503, now)

    def answer_in_ack(self, offered_to: Leg, offering: Leg, response: Response) -> None:
        """Acknowledge a 2xx that carries an offer only when its answer has come in an ACK."""

        def acknowledged(answer: bytes, now: float) -> None:
            if not answer:
                self._call.lapsed(offered_to, "the ACK brought no answer to our offer", now)
                return
            try:
                body = self._pass_answer(answer, offered_to, offering, offering.heard)
            except (RemoteError, Unavailable) as error:
                offering.acknowledge(response, now)
                self._call.lapsed(offered_to, f"its answer cannot be passed on: {error}", now)
                return
            offering.acknowledge(response, now, body)
            self._media.connect(self._caller, self._callee)

        offering.awaits = response.cseq.number
        offered_to.on_ack = acknowledged

    def await_answer(self, caller: Leg) -> None:
        """Join a caller that left the offer to us when its ACK has brought the answer."""

        def acknowledged(answer: bytes, now: float) -> None:
            try:
                if caller.told is None or not answer:
                    raise RemoteError(488, "the ACK brought no answer to our offer")
                caller.heard = check_answer(caller.told, Session.parse(answer))
                self._media.connect(self._caller, self._callee)
            except (RemoteError, Unavailable) as error:
                self._call.lapsed(caller, str(error), now)

        caller.on_ack = acknowledged

    def _other(self, leg: Leg) -> Leg:
        return self._callee if leg is self._caller else self._caller

    def _side(self, leg: Leg) -> int:
        return CALLER if leg is self._caller else CALLEE

    def _pass_offer(self, session: Session, offering: Leg, to: Leg) -> bytes:
        return self._media.offer(session, offering, to, self._side(to))

    def _pass_answer(self, body: bytes, answering: Leg, to: Leg, offer: Session | None) -> bytes:
        if offer is None:
            raise RemoteError(488, "an answer to an offer nobody made")
        session = Session.parse(body)
        passed = self._media.answer(session, answering, to, self._side(to), offer)
        answering.heard = session
        return passed

    # -- re-INVITE and UPDATE (RFC 3261, 14; RFC 3311) ----------------------------------------

    def _invite(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        other = self._other(leg)
        if leg.inviting or other.inviting or other.invited is not None:
            leg.refuse(tx, 491, now)
            return
        if leg.invited is not None:
            leg.refuse(tx, 500, now, [("Retry-After", "3")])
            return
        headers = leg.timer.accept(request, now)
        if request.body and request.body == leg.offered and leg.told is not None:
            leg.accept(tx, now, leg.told.encode(), headers)  # a refresh: no news for the other
            return
        offer = parse_offer(request.body)
        if offer is None and other.line is not None and leg.told is not None:
            self._offer_first(leg, other, leg.told, tx, headers, now)
            return
        before = other.told
        body = self._pass_offer(offer, leg, other) if offer is not None else b""
        leg.invited = tx
        other.reinvite(now, body, self._answerer(leg, other, offer, tx, headers, before))

    def _offer_first(
        self,
        leg: Leg,
        other: Leg,
        told: Session,
        tx: ServerTransaction,
        headers: Headers,
        now: float,
    ) -> None:
        """Make the offer that a phone leaves to us, and pass its answer on as an offer (E2).

        So whoever is outside is never asked to make one: many carriers cannot.
        """

        before = leg.heard

        def acknowledged(answer: bytes, now: float) -> None:
            try:
                if leg.told is None or not answer:
                    raise RemoteError(488, "the ACK brought no answer to our offer")
                leg.heard = heard = check_answer(leg.told, Session.parse(answer))
            except RemoteError as error:
                self._call.lapsed(leg, error.reason, now)
                return
            if before is not None and replace(heard, origin=before.origin) == before:
                return  # a refresh: no news for the other
            side = self._side(other)
            passed = partial(self._pass_offer, heard, leg, other)
            Joining(self._call, other, side, passed, agreed).start(now)

        def agreed(status: int, session: Session | None, now: float) -> None:
            if status == 200:
                self._media.connect(self._caller, self._callee)
            elif status == 408:
                self._call.lapsed(other, "the phone did not answer a re-INVITE", now)

        media = [turned(line, "sendrecv") if line.port else line for line in told.media]
        leg.told = versioned(replace(told, media=tuple(media)), told)
        leg.on_ack = acknowledged
        leg.accept(tx, now, leg.told.encode(), headers)

    def _answerer(
        self,
        leg: Leg,
        other: Leg,
        offer: Session | None,
        tx: ServerTransaction,
        headers: Headers,
        before: Session | None,
    ) -> Callable[[Response | None, int, float], None]:
        """Return what to do with the other's answer to the offer of `leg`.

        An offer that is refused changes nothing (RFC 3261, 14.1), so `before`, what the other was
        told last, counts again.
        """

        def answered(response: Response | None, status: int, now: float) -> None:
            if response is None or status in GONE:
                leg.refuse(tx, 408 if response is None else status, now)
                self._call.lapsed(other, "the phone did not answer a re-INVITE", now)
                return
            if status >= 300:
                other.told = before
                leg.refuse(tx, status if status not in (401, 407) else 488, now)
                return
            try:
                body = self._answer_for(leg, other, offer, response, now)
            except (RemoteError, Unavailable) as error:
                leg.refuse(tx, 488, now)
                self._call.lapsed(other, f"its answer cannot be passed on: {error}", now)
                return
            if tx.request.method == "INVITE":
                leg.accept(tx, now, body, headers)
                return
            tx.respond(leg.reply_to(tx.request, 200, headers, body), now)

        return answered

    def _answer_for(
        self, leg: Leg, other: Leg, offer: Session | None, response: Response, now: float
    ) -> bytes:
        if offer is None:
            session = Session.parse(response.body)
            body = self._pass_offer(session, other, leg)
            other.heard = session
            self.answer_in_ack(leg, other, response)
            return body
        other.acknowledge(response, now)
        body = self._pass_answer(response.body, other, leg, offer)
        leg.heard = offer
        self._media.connect(self._caller, self._callee)
        return body

    def _update(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take an UPDATE; one with an offer goes on as a re-INVITE, which every phone knows."""
        if not request.body:
            headers = leg.timer.accept(request, now)
            tx.respond(leg.reply_to(request, 200, headers), now)
            return
        other = self._other(leg)
        if leg.inviting or other.inviting or leg.invited is not None or other.invited is not None:
            leg.refuse(tx, 491, now)
            return
        headers = leg.timer.accept(request, now)
        offer = Session.parse(request.body)
        before = other.told
        body = self._pass_offer(offer, leg, other)
        other.reinvite(now, body, self._answerer(leg, other, offer, tx, headers, before))

    # -- what is simply passed on -------------------------------------------------------------

    def _info(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Pass an INFO (DTMF, fast update) on with its body (RFC 6086; C7)."""

        def answered(response: Response | None, status: int, now: float) -> None:
            leg.refuse(tx, status, now)

        digit = digit_of(request.first("Content-Type") or "", request.body)
        other = self._other(leg)
        if digit:
            self._call.digit(self._side(leg), digit, now)
            if other.line is not None and self._call.in_band.press(self._side(other), digit):
                leg.refuse(tx, 200, now)
                return
        headers = [(name, value) for name in PASSED for value in request.all(name)]
        other.request(
            request.method,
            now,
            Asked(answered),
            headers=headers,
            body=request.body,
            content_type=request.first("Content-Type") or "application/dtmf-relay",
        )

    def _options(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        leg.refuse(tx, 200, now)


PASSED = ("Info-Package", "Content-Disposition")
"""Headers of an INFO that go on with its body."""

ACTS = {
    "INVITE": Bridge._invite,
    "UPDATE": Bridge._update,
    "INFO": Bridge._info,
    "OPTIONS": Bridge._options,
}
"""Methods a phone may use inside a joined call."""
