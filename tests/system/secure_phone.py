"""A phone whose SRTP is written from the RFCs: it calls or answers, says a tone, and listens.

Without a suite it talks in the clear.
"""

from __future__ import annotations

import array
import math
import re
import secrets
import socket
import struct
import time
from base64 import b64decode, b64encode
from contextlib import suppress

from appliance.rtp.g711 import decode_ulaw, encode_ulaw
from tests.media.srtp_by_the_book import Book
from tests.system.network import APPLIANCE, Host
from tests.system.sip import Account, Line, Message
from tests.system.site import DOMAIN, password
from tests.system.tone import PACKET, RATE, presence

LENGTHS = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AES_256_CM_HMAC_SHA1_80": 46,
    "AES_256_CM_HMAC_SHA1_32": 46,
    "AEAD_AES_128_GCM": 28,
    "AEAD_AES_256_GCM": 44,
}
PORT = 15000


class Clear:
    """Stands for a `Book` where nothing is protected."""

    def rtp(self, packet: bytes) -> bytes:
        """Give the packet as it is."""
        return packet


class SecurePhone:
    """One phone that has one call at a time; all it does is done by `talk`."""

    def __init__(self, host: Host, name: str, tone: int, appliance: str = APPLIANCE) -> None:
        self.host, self.tone = host, tone
        line = Line(host, server=(appliance, 5060))
        self.account = Account(name, password(name), DOMAIN, line)
        with host.inside():
            self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((host.address, PORT))
        self.rtp.setblocking(False)
        self._sequence = secrets.randbelow(60000)
        self._ssrc = secrets.token_bytes(4)
        self._sends: Book | Clear = Clear()
        self._receives: Book | Clear = Clear()
        self.offers: list[str] = []
        """Descriptions that came in re-INVITEs."""
        self.refused = 0
        """Packets that were not protected as agreed."""
        self._stream = ("sendrecv", host.address)
        """Direction and address of our descriptions."""

    def call(self, dialled: str, suite: str = "") -> Message:
        """Call somebody with a new key of this suite; give the 200, acknowledged."""
        self._begin(suite)
        self._uri = f"sip:{dialled}@{DOMAIN}"
        self._dialog = (secrets.token_hex(8), secrets.token_hex(4))
        self._cseq = 1
        challenged = self._invite("")
        self._ack(challenged)
        self.account.authorization(challenged)
        self._cseq += 1
        self.answer = self._invite(self.account.credentials("INVITE", self._uri))
        if self.answer.status == 200:
            self._agree()
        self._ack(self.answer)
        return self.answer

    def answer_call(self, suite: str = "") -> None:
        """Wait for a call and answer it with a new key of this suite."""
        self._begin(suite)
        invite = self._request("INVITE")
        body = invite.body.decode()
        self._agree_with(body)
        found = re.search(rf"a=crypto:(\d+) {suite} ", body)
        self._accept(invite, self._description(1, found[1] if found else ""), tag=";tag=callee")
        self._request("ACK")

    def let_go(self) -> None:
        """Answer the BYE that ends the call."""
        self._accept(self._request("BYE"), "")

    def decline(self) -> Message:
        """Wait for a call and refuse it; give the INVITE."""
        invite = self._request("INVITE")
        self._accept(invite, "", tag=";tag=callee", status="486 Busy Here")
        return invite

    def hold(self, how: str) -> None:
        """Hold the other one by a direction, or by the address 0.0.0.0 (RFC 2543)."""
        address = self.host.address
        self._offer_again((how, address) if how != "0.0.0.0" else ("sendrecv", how))

    def resume(self) -> None:
        """Take the other one back."""
        self._offer_again(("sendrecv", self.host.address))

    def change_key(self) -> Message:
        """Offer a fresh key by re-INVITE."""
        self._choose(self.suite)
        return self._offer_again(self._stream)

    def _offer_again(self, stream: tuple[str, str]) -> Message:
        self._stream = stream
        self._cseq += 1
        answer = self._invite("", self._target())
        assert answer.status == 200, answer
        self.answer = answer
        self._agree()
        self._ack(answer)
        return answer

    def talk(self, seconds: float) -> array.array[int]:
        """Say the tone in packets of 20 ms and give the samples that came meanwhile."""
        samples: array.array[int] = array.array("h")
        begin = time.monotonic()
        for number in range(int(seconds * 50)):
            time.sleep(max(0.0, begin + number / 50 - time.monotonic()))
            self.rtp.sendto(self._sends.rtp(self._packet()), self._remote)
            samples.extend(self._received())
            self._agree_to_offers()
        return samples

    def hears(self, tone: int, seconds: float = 1.0, tries: int = 8) -> bool:
        """Talk until the last `seconds` of what is heard are a tone."""
        wanted = int(seconds * RATE) // PACKET * PACKET
        for _ in range(tries):
            part = self.talk(seconds + 0.2)[-wanted:]
            if len(part) == wanted and presence(part, tone) > 0.7:
                return True
        return False

    def hang_up(self) -> None:
        """End the call."""
        self._cseq += 1
        self._send("BYE", self._target(), "")
        assert self._final("BYE").status == 200

    def close(self) -> None:
        """Give the ports back."""
        self.rtp.close()
        self.account.line.close()

    def _agree_to_offers(self) -> None:
        """Answer a re-INVITE: listen only where the other side only sends."""
        message = self.account.line.receive(0.001)
        if message is None or not message.start.startswith("INVITE "):
            return
        self.offers.append(message.body.decode())
        tag = re.search(rf"a=crypto:(\d+) {self.suite} ", self.offers[-1])
        assert tag or not self.suite, self.offers[-1]
        direction = "recvonly" if "a=sendonly" in self.offers[-1] else "sendrecv"
        self._stream = (direction, self.host.address)
        self._agree_with(self.offers[-1])
        self._accept(message, self._description(len(self.offers) + 10, tag[1] if tag else ""))

    def _accept(self, request: Message, body: str, tag: str = "", status: str = "200 OK") -> None:
        """Answer, 200 as a rule; `tag` is put behind a To header that has none."""
        names = ("Via", "From", "To", "Call-ID", "CSeq")
        copied = [(name, value) for name, value in request.headers if name in names]
        lines = [
            f"SIP/2.0 {status}",
            *[f"{name}: {value}{tag if name == 'To' else ''}" for name, value in copied],
            f"Contact: <sip:{self.account.name}@{self.account.line.own}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.account.line.send("\r\n".join([*lines, "", body]).encode())

    def _request(self, method: str) -> Message:
        """Wait for a request of this method."""
        end = time.monotonic() + 15
        while time.monotonic() < end:
            message = self.account.line.receive(1.0)
            if message is not None and message.start.startswith(f"{method} "):
                return message
        raise AssertionError(f"no {method} came to {self.account.name}")

    # -- SRTP ---------------------------------------------------------------------------------

    def _begin(self, suite: str) -> None:
        """Forget what the last call left in the socket."""
        self._sends = self._receives = Clear()
        self._stream = ("sendrecv", self.host.address)
        with suppress(BlockingIOError):
            while self.rtp.recv(2048):
                pass
        self._choose(suite)

    def _choose(self, suite: str) -> None:
        self.suite, self.key = suite, secrets.token_bytes(LENGTHS[suite] if suite else 0)

    def _agree(self) -> None:
        self._agree_with(self.answer.body.decode())

    def _agree_with(self, body: str) -> None:
        """Take the other side's address, and its key of our suite."""
        port = re.search(rf"m=audio (\d+) {self._profile} ", body)
        address = re.search(r"c=IN IP4 (\S+)", body)
        assert port and address, body
        self._remote = (address[1], int(port[1]))
        self._sends = self._receives = Clear()
        if self.suite:
            line = re.search(rf"a=crypto:\d+ {self.suite} inline:(\S+)", body)
            assert line, body
            self._sends = Book(self.suite, self.key)
            self._receives = Book(self.suite, b64decode(line[1]))

    @property
    def _profile(self) -> str:
        return "RTP/SAVP" if self.suite else "RTP/AVP"

    def _packet(self) -> bytes:
        self._sequence += 1
        step = 2 * math.pi * self.tone / RATE
        first = self._sequence * PACKET
        wave = (int(8000 * math.sin(step * (first + n))) for n in range(PACKET))
        head = struct.pack(">BBHI", 0x80, 0, self._sequence & 0xFFFF, first & 0xFFFFFFFF)
        return head + self._ssrc + encode_ulaw(wave)

    def _received(self) -> array.array[int]:
        samples: array.array[int] = array.array("h")
        while True:
            try:
                packet = self.rtp.recv(2048)
            except BlockingIOError:
                return samples
            # Counter modes are their own reverse; what is protected again must be what came.
            clear = self._receives.rtp(packet[: 12 + PACKET])[: 12 + PACKET]
            if self._receives.rtp(clear) != packet:
                self.refused += 1
                continue
            samples.extend(decode_ulaw(clear[12:]))

    # -- SIP ----------------------------------------------------------------------------------

    def _invite(self, authorization: str, uri: str = "") -> Message:
        self._send("INVITE", uri or self._uri, self._description(self._cseq), authorization)
        return self._final("INVITE")

    def _description(self, version: int, tag: str = "1") -> str:
        direction, address = self._stream
        crypto = f"a=crypto:{tag} {self.suite} inline:{b64encode(self.key).decode()}\r\n"
        return (
            f"v=0\r\no=- 1 {version} IN IP4 {self.host.address}\r\ns=-\r\n"
            f"c=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {PORT} {self._profile} 0\r\na=rtpmap:0 PCMU/8000\r\n"
            f"{crypto if self.suite else ''}a={direction}\r\n"
        )

    def _ack(self, answer: Message) -> None:
        target = self._target() if answer.status == 200 else self._uri
        self._send("ACK", target, "", to=answer.first("To"))

    def _target(self) -> str:
        return self.answer.first("Contact").partition("<")[2].partition(">")[0]

    def _send(
        self, method: str, uri: str, body: str, authorization: str = "", to: str = ""
    ) -> None:
        known = getattr(self, "answer", None)
        inside = known is not None and known.status == 200 and known.first("Call-ID") == self.id
        own = self.account.line.own
        callee = known.first("To") if known is not None and inside else f"<{self._uri}>"
        if method != "ACK" or (to and inside):
            self._branch = secrets.token_hex(8)
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {own};branch=z9hG4bK{self._branch};rport",
            f"From: <sip:{self.account.name}@{DOMAIN}>;tag={self._dialog[1]}",
            f"To: {to or callee}",
            f"Call-ID: {self.id}",
            f"CSeq: {self._cseq} {method}",
            f"Contact: <sip:{self.account.name}@{own}>",
            "Max-Forwards: 70",
            *([f"Authorization: {authorization}"] if authorization else []),
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.account.line.send("\r\n".join([*lines, "", body]).encode())

    @property
    def id(self) -> str:
        """The Call-ID."""
        return self._dialog[0]

    def _final(self, method: str) -> Message:
        end = time.monotonic() + 15
        while time.monotonic() < end:
            message = self.account.line.receive(1.0)
            if message is None or message.status < 200:
                continue
            if message.first("CSeq") == f"{self._cseq} {method}":
                return message
        raise AssertionError(f"no final answer to {method}")
