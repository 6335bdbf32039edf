"""One party of a call: its dialog, its flow, its offer/answer state and its session timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from zlib import crc32

from appliance.bundle import SrtpPolicy
from appliance.call.asked import Asked, Reasked
from appliance.call.context import ALLOW, CallContext, contact_uri
from appliance.call.line import Line
from appliance.call.over import OVER
from appliance.call.reach import is_gone
from appliance.call.session_timer import SessionTimer
from appliance.sdp.session import Session
from appliance.sip.dialog import Dialog, DialogState
from appliance.sip.flow import Flow
from appliance.sip.matching import Retransmission, ServerTransaction
from appliance.sip.message import Request, Response

Headers = list[tuple[str, str]]
SDP = "application/sdp"
GONE = (408, 481)
"""Answers to a request in a dialog that mean it is dead (RFC 3261, 12.2.1.2)."""


class LegOwner(Protocol):
    """The call, as its legs see it."""

    def received(self, leg: Leg, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a request inside the leg's dialog."""
        ...

    def lapsed(self, leg: Leg, reason: str, now: float) -> None:
        """End the call: this leg's phone is not there any more."""
        ...

    def described(self, leg: Leg, body: bytes) -> None:
        """Take the description in a phone's answer to a refresh; mostly nothing new."""
        ...

    def changed(self) -> None:
        """Save the call: a leg has changed without a request of its phone."""
        ...


class Leg:
    """One party's dialog with us; both sides of an answered call are alike."""

    def __init__(
        self,
        context: CallContext,
        owner: LegOwner,
        flow: Flow,
        extension: str,
        line: Line | None = None,
    ) -> None:
        self.context = context
        self.owner = owner
        self.flow = flow
        """Where the next request goes; follows the phone when it comes on a new connection."""
        self.extension = extension
        self.line = line  # None: a phone here, no way out of the site
        self.dialog: Dialog | None = None
        self.session_id = number_of(context.identifiers.token())
        """Session id in the o= line of every SDP we send on this leg (RFC 8866, 5.2)."""
        self.srtp: SrtpPolicy = line.srtp if line is not None else context.policies.srtp
        """Whether this leg has to be, may be or must not be SRTP; the other leg's may differ."""
        self.asked_for_srtp: bool | None = None
        """What a phone is asked for that refused the other profile; None: whatever fits best."""
        self.keys: dict[str, bytes] = {}
        """Keys and salts of our own for this leg, by `<m-line> <suite>`; secret."""
        self.announces: dict[int, bool] = {}
        """By m-line: whether the phone only sends, and has from the beginning: that is no hold."""
        self.told: Session | None = None
        """Last description we sent, to be repeated in refreshes."""
        self.heard: Session | None = None
        """Last description the phone sent."""
        self.offered = b""
        """Bytes of the phone's last offer: the same again is a refresh."""
        self.allow: frozenset[str] = frozenset()
        """Methods the phone said it takes."""
        self.inviting = False
        """Whether an INVITE of ours is under way (RFC 3261, 14.2: theirs gets 491)."""
        self.invited: ServerTransaction | None = None
        """Their INVITE that has no final answer yet."""
        self.ended = False
        self.on_ack: Callable[[bytes, float], None] | None = None
        """Who waits for the SDP in the next ACK (the answer to an offer of ours in a 2xx)."""
        self.timer = SessionTimer(
            context.timers,
            context.policies.session_expires,
            self._refresh,
            lambda now: self.owner.lapsed(self, "the session timer ran out", now),
        )
        self.answered: tuple[ServerTransaction, float] | None = None
        """Their INVITE whose 2xx has no ACK yet, and when that was sent first."""
        self.acks: dict[int, Request] = {}
        """Our ACKs of their 2xx by CSeq number, to be sent again with each repeated 2xx."""
        self.awaits = 0
        """CSeq number of our INVITE whose ACK waits for the other party's answer; 0: none does."""
        self.settled: Session | None = None
        """Last description we sent that was saved as agreed."""
        self._unacknowledged: Retransmission | None = None
        self.referrals = 0
        """How many REFERs have come in this dialog."""
        context.lines.join(self)

    @property
    def busy(self) -> bool:
        """Tell whether an offer, an answer or its ACK is under way."""
        return self.inviting or self.invited is not None or self._unacknowledged is not None

    # -- the dialog -------------------------------------------------------------------------

    def establish(self, dialog: Dialog) -> None:
        """Make `dialog` this leg's, so that its requests find us."""
        self.dialog = dialog
        self.context.legs.add(dialog, self)
        self.context.reach.join(self)

    def learn(self, message: Request | Response, flow: Flow | None = None) -> None:
        """Note what the phone says it can do, and the flow it says it on."""
        allow = message.allow
        if allow:
            self.allow = allow
        if flow is not None and flow != self.flow and flow.remote[0] == self.flow.remote[0]:
            self.move(flow)

    def move(self, flow: Flow) -> None:
        """Use another flow from now on."""
        reach = self.context.reach
        reach.leave(self)
        self.flow = flow
        if not self.ended:
            reach.join(self)

    def take(self, request: Request, tx: ServerTransaction, now: float) -> None:
        """Hand a request inside the dialog to the call."""
        self.owner.received(self, request, tx, now)

    def close(self) -> None:
        """Forget the dialog, every timer and the call; nothing more is sent by itself."""
        self.ended = True
        self.owner = OVER
        self.on_ack = None
        self.timer.close()
        self._stop_retransmitting()
        self.context.reach.leave(self)
        self.context.lines.leave(self)
        if self.dialog is not None:
            self.context.legs.remove(self.dialog)

    def cut_off(self, now: float) -> None:
        """Go on: those who talk may still hear each other, and their line may come back."""

    def reached(self, send: Callable[[Flow, float], None], now: float) -> None:
        """Call `send` with the phone's flow: at once, or when the phone is back; or never."""

        def found(flow: Flow | None, now: float) -> None:
            if flow is not None:
                send(flow, now)

        self._reach(found, now)

    # -- requests to the phone --------------------------------------------------------------

    def request(
        self,
        method: str,
        now: float,
        asked: Asked,
        *,
        headers: Headers | None = None,
        body: bytes = b"",
        content_type: str = SDP,
    ) -> None:
        """Send a request inside the dialog, once the phone can be reached."""

        def send(flow: Flow | None, now: float) -> None:
            if flow is None or (self.ended and method != "BYE"):
                asked.failed(None, 408, now)
                return
            request = self._dialog().new_request(method)
            if method in ("INVITE", "UPDATE"):
                request.set("Contact", contact_uri(self.flow))
            for name, value in headers or ():
                request.add(name, value)
            if body:
                request.add("Content-Type", content_type)
                request.body = body
            self.context.transactions.request(request, flow, now, asked)

        self._reach(send, now)

    def reinvite(
        self,
        now: float,
        body: bytes,
        done: Callable[[Response | None, int, float], None],
    ) -> None:
        """Send a re-INVITE; `done` gets the final response once. A 2xx has to be acknowledged."""
        self.inviting = True

        def finished(response: Response | None, status: int, now: float) -> None:
            if not self.inviting:  # a retransmitted 2xx
                if response is not None:
                    self.repeat_ack(response, now)
                return
            self.inviting = False
            if self.ended:
                if response is not None and status < 300:
                    self.acknowledge(response, now)
                return
            if response is not None and status < 300:
                self.learn(response)
                self._dialog().refresh_target(response)
                self.timer.answered(response, now)
            done(response, status, now)
            self.owner.changed()

        headers: Headers = [("Allow", ALLOW), *self.timer.offer_headers()]
        asked = Reasked(finished, self.context.timers)
        self.request("INVITE", now, asked, headers=headers, body=body)

    def acknowledge(self, response: Response, now: float, body: bytes = b"") -> None:
        """Send the ACK of a 2xx (RFC 3261, 13.2.2.4) and keep it for its retransmissions."""
        ack = self._dialog().ack(response.cseq.number)
        if body:
            ack.add("Content-Type", SDP)
            ack.body = body
        self.acks[response.cseq.number] = ack
        self.awaits = 0
        self._send_ack(ack, now)

    def repeat_ack(self, response: Response, now: float) -> None:
        """Answer a retransmitted 2xx with the same ACK, when we have sent one."""
        ack = self.acks.get(response.cseq.number)
        if ack is not None:
            self._send_ack(ack, now)

    def acknowledge_lost(self, response: Response, now: float) -> None:
        """Take a 2xx to an INVITE that an earlier process has sent."""
        number = response.cseq.number
        if number not in self.acks and number != self.awaits:
            self.acknowledge(response, now)
        else:
            self.repeat_ack(response, now)

    def bye(self, now: float, reason: str = "") -> None:
        """End the dialog; whatever the phone answers, it is over."""
        if self.ended:
            return
        self.drop_invited(now)
        if self.dialog is not None and self.dialog.state is DialogState.CONFIRMED:
            headers: Headers = [("Reason", reason)] if reason else []
            self.request("BYE", now, Asked(lambda response, status, now: None), headers=headers)
        self.close()

    # -- answers to the phone ---------------------------------------------------------------

    def accept(
        self, tx: ServerTransaction, now: float, body: bytes, headers: Headers | None = None
    ) -> None:
        """Answer an INVITE with 200 and repeat it until the ACK comes (RFC 3261, 13.3.1.4)."""
        response = self.reply_to(tx.request, 200, headers, body)
        if self.invited is tx:
            self.invited = None
        self.repeat(tx, response, now)

    def repeat(
        self, tx: ServerTransaction, response: Response, now: float, sure: bool = True
    ) -> None:
        """Send a 2xx now and again until its ACK comes; if `sure` that none has, the call needs it.

        Not sure is who has not seen all: a phone that has sent its ACK long ago may send no other.
        """
        self._stop_retransmitting()

        def again(now: float) -> None:
            tx.retransmit(response, now)

        def given_up(now: float) -> None:
            self._stop_retransmitting()
            if sure:
                self.owner.lapsed(self, "the phone never acknowledged the answer", now)

        tx.respond(response, now)
        self.answered = tx, now
        self._unacknowledged = Retransmission(self.context.timers, now, again, given_up)

    def refuse(
        self, tx: ServerTransaction, status: int, now: float, headers: Headers | None = None
    ) -> None:
        """Answer a request inside the dialog with a failure."""
        if self.invited is tx:
            self.invited = None
        tx.respond(self.reply_to(tx.request, status, headers), now)

    def drop_invited(self, now: float) -> None:
        """Answer a re-INVITE that waits for the other party: the call is over."""
        if self.invited is not None:
            self.refuse(self.invited, 487, now)

    def reply_to(
        self, request: Request, status: int, headers: Headers | None = None, body: bytes = b""
    ) -> Response:
        """Build a response to the phone, with our Contact where it makes or refreshes a dialog.

        `body`: a session description.
        """
        tag = self.dialog.local_tag if self.dialog is not None else None
        lines: Headers = []
        if request.method in ("INVITE", "UPDATE") and 100 < status < 300:
            lines += ("Contact", contact_uri(self.flow)), ("Allow", ALLOW)
        lines += headers or ()
        if body:
            lines.append(("Content-Type", SDP))
        return request.response(status, to_tag=tag, headers=lines, body=body)

    def acknowledged(self, ack: Request, now: float) -> None:
        """Take the ACK of our 2xx; a repeated one changes nothing."""
        if self._unacknowledged is None:
            return
        self._stop_retransmitting()
        waiting, self.on_ack = self.on_ack, None
        if waiting is not None:
            waiting(ack.body, now)
            self.owner.changed()

    # -- the session timer ------------------------------------------------------------------

    def _refresh(self, now: float) -> None:
        if self.inviting or self.invited is not None:
            self.timer.try_later(now, 4.0)
        elif "UPDATE" in self.allow:
            headers = self.timer.offer_headers()
            self.request("UPDATE", now, Asked(self._refreshed), headers=headers)
        else:
            self.reinvite(now, self.told.encode() if self.told else b"", self._refreshed)

    def _refreshed(self, response: Response | None, status: int, now: float) -> None:
        if self.ended:
            return
        if response is None or status in GONE:
            self.owner.lapsed(self, "the phone did not answer the session refresh", now)
            return
        if status < 300:
            if response.cseq.method == "INVITE":
                self.acknowledge(response, now)
                self.owner.described(self, response.body)
            else:
                self.timer.answered(response, now)
                self.owner.changed()
        elif status == 422 and self.timer.too_small(response):
            self._refresh(now)
        elif status == 491:
            self.timer.try_later(now, 3.0)
        else:
            self.timer.answered(response, now)  # alive, only unwilling: ask again half-way

    # -- small print ------------------------------------------------------------------------

    def _reach(self, send: Callable[[Flow | None, float], None], now: float) -> None:
        """Call `send` with the phone's flow: at once, or when the phone is back; else with None."""
        if not is_gone(self.flow):
            send(self.flow, now)
            return

        def look() -> Flow | None:
            if is_gone(self.flow):
                target = self.dialog.remote_target if self.dialog is not None else ""
                found = self.context.reach.find(self.extension, self.flow, target)
                if found is None:
                    return None
                self.move(found)
            return self.flow

        self.context.reach.wait(self.flow.remote[0], look, send, now)

    def _send_ack(self, ack: Request, now: float) -> None:
        self.reached(lambda flow, now: self.context.transactions.send_ack(ack, flow), now)

    def _dialog(self) -> Dialog:
        if self.dialog is None:
            raise AssertionError("a request inside a dialog before there is one")
        return self.dialog

    def _stop_retransmitting(self) -> None:
        self.answered = None
        if self._unacknowledged is not None:
            self._unacknowledged.stop()
            self._unacknowledged = None


def number_of(token: str) -> int:
    """Turn a token into the decimal number that SDP's o= line wants, below 2**62."""
    return crc32(token.encode()) << 20 | len(token)
