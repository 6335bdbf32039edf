"""The leg of one phone that rings: an INVITE with its early dialogs until one answer or none."""

from __future__ import annotations

from typing import Protocol

import msgspec

from appliance.call.afterwards import Afterwards
from appliance.call.asked import Asked
from appliance.call.context import ALLOW, CallContext, contact_uri
from appliance.call.diversion import moved_to, told_of
from appliance.call.leg import SDP, Leg, LegOwner
from appliance.call.over import OVER
from appliance.call.steps import Diverted, Target
from appliance.errors import RemoteError
from appliance.sip.dialog import Dialog, DialogState, uac_dialog
from appliance.sip.matching import ClientTransaction
from appliance.sip.message import Request, Response
from appliance.sip.multipart import Part, join
from appliance.sip.values import RAck, RetryAfter

NO_SUCH_MEDIA = (415, 488, 606)
"""Answers to an INVITE that may mean the profile: phones that only do SRTP, or never."""
COMPLETED_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
"""Reason of the CANCEL to phones that lost the race: no missed call on their screens (RFC 3326)."""


class BranchOwner(Protocol):
    """Who rings phones, as these see it; `attempt.Attempt` fulfils it."""

    def ringing(self, branch: Branch, response: Response, now: float) -> None:
        """Take a provisional response above 100."""
        ...

    def answered(self, branch: Branch, response: Response, now: float) -> None:
        """Take the first 2xx of this branch; it still has to be acknowledged."""
        ...

    def declined(self, branch: Branch, status: int, now: float) -> None:
        """Take the branch's end without an answer."""
        ...

    def refused_profile(self, branch: Branch, status: int) -> bytes:
        """Return the offer with SRTP in place of RTP, or the reverse; empty: that is no use."""
        ...


class Invitation(msgspec.Struct, frozen=True):
    """What every phone rung for one call is sent."""

    call_id: str
    caller: str
    """From without tag: name and address of the authenticated caller."""
    callee: str
    """To: the address of record that was dialled."""
    max_forwards: int
    early_reliable: bool
    """Whether the phone may use 100rel: not with a late offer, whose answer only the ACK brings."""
    diverted: tuple[Diverted, ...] = ()
    """Every forwarding on the call's way, the first one first."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers, such as Referred-By."""
    parts: tuple[Part, ...] = ()
    """What the body carries beside the description."""


class Branch(Leg):
    """One phone that is rung, and the callee's leg if it answers first."""

    def __init__(
        self,
        context: CallContext,
        owner: LegOwner,
        target: Target,
        invitation: Invitation,
        attempt: BranchOwner = OVER,
    ) -> None:
        super().__init__(context, owner, target.flow, target.extension, target.line)
        self.target = target
        self.srtp = target.srtp or self.srtp
        self.attempt = attempt
        self.alive = True
        """Whether it may still answer."""
        self.heard_of = False
        """Whether it has said anything at all, be it 100."""
        self.rang = False
        """Whether it has said more than 100: somebody may have been rung there."""
        self.moved_to = ""
        """What it wants to be dialled in its place (3xx)."""
        self.retry_after = 0
        """Seconds for which it does not want to be asked again, as its refusal said."""
        self._invitation = invitation
        self._early: dict[str, Dialog] = {}
        self._rseq: dict[str, int] = {}
        self._tx: ClientTransaction | None = None
        self._request: Request | None = None
        self._local_tag = context.identifiers.token()
        self._cancelled = False
        self._body = b""

    @property
    def sent(self) -> bytes:
        """The INVITE as it was sent, as long as the phone may still answer; else empty."""
        return self._tx.data if self.alive and self._tx is not None else b""

    def has_early(self, call_id: str, local_tag: str, remote_tag: str) -> bool:
        """Tell whether the phone rings in this dialog."""
        early = self._early.get(remote_tag)
        return early is not None and early.key == (call_id, local_tag, remote_tag)

    def invite(self, now: float, body: bytes) -> None:
        """Ring the phone with this offer, or with none (RFC 3261, 13.2.1)."""
        invitation = self._invitation
        request = Request(
            "INVITE",
            self.target.uri,
            [
                ("Max-Forwards", str(invitation.max_forwards)),
                ("From", f"{invitation.caller};tag={self._local_tag}"),
                ("To", invitation.callee),
                ("Call-ID", invitation.call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", contact_uri(self.flow)),
                ("Allow", ALLOW),
                *self.timer.offer_headers(),
                *told_of(invitation.diverted, self.extension, self.context.domain),
                *invitation.headers,
            ],
        )
        if invitation.early_reliable:
            request.add("Supported", "100rel")
        if body:
            kind, request.body = SDP, body
            if invitation.parts:
                kind, request.body = join([Part(SDP, body), *invitation.parts], self._local_tag)
            request.add("Content-Type", kind)
        self._body = body
        self._request = request
        self._tx = self.context.transactions.request(request, self.flow, now, self)

    def cancel(self, now: float, reason: str = "") -> None:
        """Stop ringing; an answer that crosses is acknowledged and ended at once."""
        if not self.alive or self._cancelled:
            return
        self._cancelled = True
        self.alive = False
        self.context.lines.leave(self)
        self._end_early()
        tx, self._tx = self._tx, None
        if tx is not None:
            tx.cancel(now, [("Reason", reason)] if reason else [])

    def cut_off(self, now: float) -> None:
        """Ring here no longer: nobody's answer would come."""
        if self.alive:
            attempt = self.attempt
            self.cancel(now)
            attempt.declined(self, 503, now)

    def close(self) -> None:
        """Forget everything, the call and the transaction of the INVITE too."""
        self.attempt = OVER
        tx, self._tx = self._tx, None
        if tx is not None and tx.state == "accepted":
            tx.settle(self._afterwards(tx.request.cseq.number))
        self._end_early()
        super().close()

    def _afterwards(self, number: int) -> Afterwards:
        dialog, ack = self.dialog, self.acks.get(number)
        tag, target = ("", "") if dialog is None else (dialog.remote_tag, dialog.remote_target)
        octets = ack.encode() if ack is not None else b""
        return Afterwards(self.context, self.extension, self.flow, tag, target, octets)

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a response of the phone."""
        self.heard_of = True
        if response.status < 200:
            self._provisional(response, now)
        elif response.status < 300:
            self._accepted(response, now)
        elif self._timer_too_short(response, now) or self._refuses_profile(response, now):
            return
        else:
            self.retry_after = _retry_after(response)
            self.moved_to = moved_to(response) if self.line is None else ""
            self._over(response.status, now)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Take the phone's silence (408) or a broken transport (503)."""
        self._over(status, now)

    def _provisional(self, response: Response, now: float) -> None:
        tag = response.to.tag
        if response.status == 100 or not tag or self._cancelled:
            return
        self.rang = True
        self.learn(response)
        if tag not in self._early:
            self._early[tag] = self._new_dialog(response)
        if "100rel" in response.require and not self._acknowledge_reliable(response, tag, now):
            return
        self.attempt.ringing(self, response, now)

    def _acknowledge_reliable(self, response: Response, tag: str, now: float) -> bool:
        text = response.first("RSeq") or ""
        if not text.isdigit() or len(text) > 10:
            return False
        rseq, last = int(text), self._rseq.get(tag)
        if last is not None and rseq != last + 1:
            return False  # a retransmission, or out of order: RFC 3262, section 4
        self._rseq[tag] = rseq
        prack = self._early[tag].new_request("PRACK")
        prack.add("RAck", str(RAck(rseq, response.cseq.number, "INVITE")))
        nothing = Asked(lambda response, status, now: None)
        self.context.transactions.request(prack, self.flow, now, nothing)
        return True

    def _accepted(self, response: Response, now: float) -> None:
        tag = response.to.tag or ""
        if self.dialog is not None and self.dialog.state is DialogState.CONFIRMED:
            if tag == self.dialog.remote_tag:
                self.repeat_ack(response, now)
            else:
                self._hang_up(self._new_dialog(response), response, now)
            return
        dialog = self._early.get(tag) or self._new_dialog(response)
        dialog.confirm(response)
        if self._cancelled or self.ended:
            self._hang_up(dialog, response, now)
            self._over(487, now)
            return
        self.alive = False
        self.learn(response)
        self.establish(dialog)
        self.timer.answered(response, now)
        self.attempt.answered(self, response, now)

    def _hang_up(self, dialog: Dialog, response: Response, now: float) -> None:
        """End a dialog nobody wants: a fork that answered second, or after CANCEL."""
        self.context.transactions.send_ack(dialog.ack(response.cseq.number), self.flow)
        nothing = Asked(lambda response, status, now: None)
        self.context.transactions.request(dialog.new_request("BYE"), self.flow, now, nothing)

    def _timer_too_short(self, response: Response, now: float) -> bool:
        if response.status != 422 or self._cancelled or not self.timer.too_small(response):
            return False
        self._invite_again(self._body, now)
        return True

    def _refuses_profile(self, response: Response, now: float) -> bool:
        """Ask once more for SRTP where RTP was refused, or the reverse (C13)."""
        if response.status not in NO_SUCH_MEDIA or self._cancelled:
            return False
        if not self._body or self.asked_for_srtp is not None:
            return False
        body = self.attempt.refused_profile(self, response.status)
        if not body:
            return False
        self._invite_again(body, now)
        return True

    def _end_early(self) -> None:
        for dialog in self._early.values():
            self.context.legs.remove(dialog)

    def _invite_again(self, body: bytes, now: float) -> None:
        self._local_tag = self.context.identifiers.token()
        self.invite(now, body)

    def _over(self, status: int, now: float) -> None:
        was_alive, self.alive = self.alive, False
        attempt = self.attempt
        self.close()
        if was_alive:
            attempt.declined(self, status, now)

    def _new_dialog(self, response: Response) -> Dialog:
        if self._request is None:
            raise AssertionError("a response before the INVITE")
        return uac_dialog(self._request, response)


def _retry_after(response: Response) -> int:
    text = response.first("Retry-After")
    try:
        return RetryAfter.parse(text).seconds if text else 0
    except RemoteError:
        return 0
