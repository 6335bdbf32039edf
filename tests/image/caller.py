"""A phone that registers, calls and remembers what it was told, as that must outlive a cut."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

from tests.system.sip import Account, Line, Message
from tests.system.site import DOMAIN

SETTLED = 2.0
"""Seconds after which what a phone was told is on the disk; without emulation 0.1."""


@dataclass(frozen=True)
class Told:
    """Something the appliance said yes to."""

    at: float
    """Monotonic time of the answer."""
    kind: str
    """`binding` or `record`."""
    text: str
    """The contact, or the number called, as it must be found."""


class Caller:
    """One user's phone."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.line: Line = account.line
        self._contact = ""

    def register(self) -> Told:
        """Register a contact that nobody had before, in the place of the last one."""
        contact = f"<sip:{self.account.name}-{secrets.token_hex(4)}@{self.line.own}>"
        last = f", {self._contact};expires=0" if self._contact else ""
        self._contact = contact
        answer = self.account.register(60, contact=contact + last)
        assert answer.status == 200, answer.start
        return Told(time.monotonic(), "binding", contact[1:-1])

    def call_nobody(self) -> Told:
        """Call a number that nobody has: a whole call record, without another phone."""
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        number = str(secrets.randbelow(9 * 10**11) + 10**11)
        uri = f"sip:{number}@{DOMAIN}"
        final = self._invite(uri, call_id, tag, 1, "")
        if final.status == 401:
            self.account.authorization(final)
            final = self._invite(uri, call_id, tag, 2, self.account.credentials("INVITE", uri))
        assert final.status == 404, final.start
        return Told(time.monotonic(), "record", number)

    def _invite(self, uri: str, call_id: str, tag: str, cseq: int, proof: str) -> Message:
        branch = secrets.token_hex(8)
        head = [
            f"Via: SIP/2.0/UDP {self.line.own};branch=z9hG4bK{branch};rport",
            f"From: <sip:{self.account.name}@{DOMAIN}>;tag={tag}",
            f"Call-ID: {call_id}",
            "Max-Forwards: 70",
        ]
        own = f"Contact: <sip:{self.account.name}@{self.line.own}>"
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {self.line.own.split(':')[0]}\r\ns=-\r\n"
            f"c=IN IP4 {self.line.own.split(':')[0]}\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
        )
        lines = [
            f"INVITE {uri} SIP/2.0",
            *head,
            f"To: <{uri}>",
            f"CSeq: {cseq} INVITE",
            own,
            *([f"Authorization: {proof}"] if proof else []),
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        final = self._final("\r\n".join([*lines, "", body]).encode(), f"{cseq} INVITE")
        ack = [f"ACK {uri} SIP/2.0", *head, f"To: {final.first('To')}", f"CSeq: {cseq} ACK"]
        self.line.send("\r\n".join([*ack, "Content-Length: 0", "", ""]).encode())
        return final

    def _final(self, request: bytes, cseq: str) -> Message:
        for _ in range(6):
            self.line.send(request)
            end = time.monotonic() + 5
            while (left := end - time.monotonic()) > 0:
                answer = self.line.receive(left)
                if answer is not None and answer.status >= 200 and answer.first("CSeq") == cseq:
                    return answer
        raise AssertionError(f"no answer to the call of {self.account.name}")
