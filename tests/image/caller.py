"""A phone that registers, calls and remembers what it was told, as that must outlive a cut."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from tests.system.sip import Account, Line, Message
from tests.system.site import DOMAIN


@dataclass(frozen=True)
class Told:
    """Something the appliance said yes to."""

    at: float
    """Monotonic time of the answer."""
    kind: str
    """`binding`, `record`, `talk` or `bundle`."""
    text: str
    """The contact, the number called, who was called, or the version, as it must be found."""


class Caller:
    """One user's phone."""

    def __init__(self, account: Account, patience: float = 5.0) -> None:
        """`patience` is how long an answer may take before it is asked for again, seconds."""
        self.account, self._patience = account, patience
        self.line: Line = account.line
        self.contact = ""
        """The last one registered, which the next one replaces."""

    def register(self) -> Told:
        """Register a contact that nobody had before, in the place of the last one."""
        contact = f"<sip:{self.account.name}-{secrets.token_hex(4)}@{self.line.own}>"
        last = f", {self.contact};expires=0" if self.contact else ""
        self.contact = contact
        answer = self.account.register(60, contact=contact + last)
        assert answer.status == 200, answer.start
        return Told(time.monotonic(), "binding", contact[1:-1])

    def call_nobody(self) -> Told:
        """Call a number that nobody has: a whole call record, without another phone."""
        number = str(secrets.randbelow(9 * 10**11) + 10**11)
        final = self._invite(f"sip:{number}@{DOMAIN}", secrets.token_hex(8), secrets.token_hex(4))
        assert final.status == 404, final.start
        return Told(time.monotonic(), "record", number)

    def talk_to(self, other: Caller) -> Told:
        """Call somebody who answers, and hang up: returns when the call is over."""
        uri, call_id = f"sip:{other.account.name}@{DOMAIN}", secrets.token_hex(8)
        tag = secrets.token_hex(4)
        answered = self._invite(uri, call_id, tag, other)
        assert answered.status == 200, answered.start
        to = answered.first("To")
        bye = self._request("BYE", target_of(answered), call_id, tag, 3, to)
        ended = self._final(bye, "3 BYE", other)
        assert ended.status == 200, ended.start
        return Told(time.monotonic(), "talk", other.account.name)

    def _invite(self, uri: str, call_id: str, tag: str, other: Caller | None = None) -> Message:
        """Call, with a proof when asked for one; returns the final answer, acknowledged."""
        proof = ""
        for cseq in (1, 2):
            request = self._request("INVITE", uri, call_id, tag, cseq, f"<{uri}>", proof)
            final = self._final(request, f"{cseq} INVITE", other)
            to, target = final.first("To"), uri
            if final.status == 200:  # which is acknowledged from end to end, and a transaction anew
                target, request = target_of(final), b""
            self.line.send(self._request("ACK", target, call_id, tag, cseq, to, request=request))
            if final.status != 401:
                break
            self.account.authorization(final)
            proof = self.account.credentials("INVITE", uri)
        return final

    def _request(
        self,
        method: str,
        uri: str,
        call_id: str,
        tag: str,
        cseq: int,
        to: str,
        proof: str = "",
        request: bytes = b"",
    ) -> bytes:
        """Write a request; an ACK has the branch of the `request` it is for."""
        branch = request.partition(b"branch=")[2][:23].decode() or f"z9hG4bK{secrets.token_hex(8)}"
        body = self._description() if method == "INVITE" else ""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.line.own};branch={branch};rport",
            f"From: <sip:{self.account.name}@{DOMAIN}>;tag={tag}",
            f"To: {to}",
            f"Call-ID: {call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:{self.account.name}@{self.line.own}>",
            *([f"Authorization: {proof}"] if proof else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", body]).encode()

    def _description(self) -> str:
        own = self.line.own.split(":")[0]
        return (
            f"v=0\r\no=- 1 1 IN IP4 {own}\r\ns=-\r\nc=IN IP4 {own}\r\nt=0 0\r\n"
            "m=audio 4000 RTP/AVP 0\r\n"
        )

    def answer(self) -> None:
        """Say yes to whatever is asked of this phone now."""
        request = self.line.receive(0.01)
        if request is None or request.status or request.start.startswith("ACK"):
            return
        kept = ("via", "from", "call-id", "cseq", "record-route")
        lines = [f"{name}: {value}" for name, value in request.headers if name.lower() in kept]
        to = request.first("To")
        body = self._description() if request.start.startswith("INVITE") else ""
        lines += [
            f"To: {to}" if "tag=" in to else f"To: {to};tag={secrets.token_hex(4)}",
            f"Contact: <sip:{self.account.name}@{self.line.own}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.line.send("\r\n".join(["SIP/2.0 200 OK", *lines, "", body]).encode())

    def _final(self, request: bytes, cseq: str, other: Caller | None = None) -> Message:
        """Send a request until it has its final answer; the `other` phone answers meanwhile."""
        for _ in range(6):
            self.line.send(request)
            end = time.monotonic() + self._patience
            while (left := end - time.monotonic()) > 0:
                if other is not None:
                    other.answer()
                answer = self.line.receive(0.02 if other is not None else left)
                if answer is not None and answer.status >= 200 and answer.first("CSeq") == cseq:
                    return answer
        raise AssertionError(f"no answer to the call of {self.account.name}")


def target_of(answer: Message) -> str:
    """Return where requests within a dialog go, by its answer."""
    return answer.first("Contact").partition("<")[2].partition(">")[0]
