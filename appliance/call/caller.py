"""The leg of whoever calls: answers one INVITE, reliably where the phone wants that (RFC 3262)."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from appliance.call.context import CallContext
from appliance.call.leg import Headers, Leg, LegOwner
from appliance.call.party import Party
from appliance.call.saved import head_of
from appliance.errors import RemoteError
from appliance.sip.dialog import Dialog, DialogState, uas_dialog
from appliance.sip.flow import Flow
from appliance.sip.matching import Retransmission, ServerTransaction
from appliance.sip.message import Request, Response
from appliance.sip.values import RAck

FORWARDED = 181
"""Call Is Being Forwarded (RFC 3261, 21.1.3)."""


class Caller(Leg):
    """The party whose INVITE began the call."""

    def __init__(
        self,
        context: CallContext,
        owner: LegOwner,
        flow: Flow,
        party: Party,
        invite: ServerTransaction,
        dialog: Dialog | None = None,
    ) -> None:
        """Begin to answer `invite`; with a `dialog`, go on where an earlier process has done so."""
        super().__init__(context, owner, flow, party.extension, party.line)
        request = invite.request
        self.invite = invite
        self.invited = invite if dialog is None else None
        self.learn(request)
        self.establish(dialog or uas_dialog(request, context.identifiers.token()))
        self._must_be_reliable = "100rel" in request.require
        self._may_be_reliable = self._must_be_reliable or "100rel" in request.supported
        self._sent_status = 100
        self._rseq = 0
        self._pending: Retransmission | None = None
        self._waiting: list[tuple[int, bytes]] = []
        self._deferred: tuple[bytes, Headers] | None = None
        self._head = b""
        self.on_cancel: Callable[[float], None] | None = None
        """Who takes the CANCEL of an INVITE that began no call."""

    @property
    def head(self) -> bytes:
        """The INVITE that began the call, without its body, in octets."""
        if not self._head:
            self._head = head_of(self.invite.request)
        return self._head

    @property
    def answering(self) -> bool:
        """Tell whether the INVITE that began the call has no final answer yet."""
        return self.invited is self.invite

    def progress(self, status: int, now: float, body: bytes = b"") -> None:
        """Send a provisional response, once for each new thing it tells.

        181, that the call is forwarded, says nothing of whether anybody is rung.
        """
        forwarded = status == FORWARDED
        old = status <= self._sent_status and not body and not forwarded
        if self.invited is None or old:
            return
        if self._pending is not None:
            self._waiting.append((status, body))
            return
        self._sent_status = max(0 if forwarded else status, self._sent_status)
        response = self.reply_to(self.invite.request, status, body=body)
        if self._must_be_reliable or (body and self._may_be_reliable):
            self._send_reliably(response, now)
        else:
            self.invite.respond(response, now)

    def answer(self, now: float, body: bytes) -> None:
        """Send the 2xx; while a reliable provisional response is open, after its PRACK.

        RFC 3262, section 3: no 2xx while a session description is unacknowledged.
        """
        headers = self.timer.accept(self.invite.request, now)
        if self._pending is not None:
            self._waiting.clear()
            self._deferred = (body, headers)
            return
        self._answer_now(body, headers, now)

    def reject(self, status: int, now: float, headers: Headers | None = None) -> None:
        """Send a final failure; the leg is over."""
        if self.invited is not None:
            self._stop_provisional()
            self.refuse(self.invite, status, now, headers)
        self.close()

    def prack(self, request: Request, tx: ServerTransaction, now: float) -> None:
        """Take a PRACK; one that fits nothing gets 481 (RFC 3262, section 3)."""
        value = request.first("RAck")
        if value is None:
            raise RemoteError(400, "PRACK without RAck")
        rack = RAck.parse(value)
        expected = (self._rseq, self.invite.request.cseq.number, "INVITE")
        if self._pending is None or (rack.rseq, rack.cseq, rack.method) != expected:
            self.refuse(tx, 481, now)
            return
        self._stop_provisional()
        self.refuse(tx, 200, now)
        if self._deferred is not None:
            body, headers = self._deferred
            self._deferred = None
            self._answer_now(body, headers, now)
        elif self._waiting:
            status, body = self._waiting.pop(0)
            self.progress(status, now, body)

    def close(self) -> None:
        """Forget everything, an unacknowledged provisional response too."""
        self.on_cancel = None
        self._stop_provisional()
        if self.invite.status >= 200:
            self._head = self.head  # rows of a call that goes on without us begin with it
            self.invite.settle()
        super().close()

    def _answer_now(self, body: bytes, headers: Headers, now: float) -> None:
        if self.dialog is not None:
            self.dialog.state = DialogState.CONFIRMED
        self.accept(self.invite, now, body, headers)

    def _send_reliably(self, response: Response, now: float) -> None:
        self._rseq += 1
        response.add("Require", "100rel")
        response.add("RSeq", str(self._rseq))

        def again(now: float) -> None:
            self.invite.retransmit(response, now)

        def given_up(now: float) -> None:
            self._pending = None
            self.owner.lapsed(self, "the phone never acknowledged a reliable response", now)

        self.invite.respond(response, now)
        self._pending = Retransmission(self.context.timers, now, again, given_up, inf)

    def _stop_provisional(self) -> None:
        if self._pending is not None:
            self._pending.stop()
            self._pending = None


def dismiss(leg: Leg, status: int, now: float) -> None:
    """Send somebody away who came too late, or for nothing."""
    if isinstance(leg, Caller) and leg.answering:
        leg.reject(status, now)
    else:
        leg.bye(now)
