"""A phone whose SRTP is written from the RFCs: calls with one suite, says a tone, and listens."""

from __future__ import annotations

import array
import math
import re
import secrets
import socket
import struct
import time
from base64 import b64decode, b64encode

from appliance.rtp.g711 import decode_ulaw, encode_ulaw
from tests.media.srtp_by_the_book import Book
from tests.system.network import Host
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


class SecurePhone:
    """One phone that makes one call at a time; all it does is done by `talk`."""

    def __init__(self, host: Host, name: str, tone: int) -> None:
        self.host, self.tone = host, tone
        self.account = Account(name, password(name), DOMAIN, Line(host))
        with host.inside():
            self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.rtp.bind((host.address, PORT))
        self.rtp.setblocking(False)
        self._sequence = secrets.randbelow(60000)
        self._ssrc = secrets.token_bytes(4)
        self.offers: list[str] = []
        """Descriptions that came in re-INVITEs."""
        self.refused = 0
        """Packets that were not protected as agreed."""

    def call(self, dialled: str, suite: str) -> Message:
        """Call somebody with a new key of this suite; give the 200, acknowledged."""
        self.suite, self.key = suite, secrets.token_bytes(LENGTHS[suite])
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

    def change_key(self) -> Message:
        """Offer a fresh key by re-INVITE."""
        self.key = secrets.token_bytes(LENGTHS[self.suite])
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
        assert tag, self.offers[-1]
        direction = "recvonly" if "a=sendonly" in self.offers[-1] else "sendrecv"
        names = ("Via", "From", "To", "Call-ID", "CSeq")
        copied = [(name, value) for name, value in message.headers if name in names]
        body = self._description(len(self.offers) + 10, tag[1]) + f"a={direction}\r\n"
        lines = [
            "SIP/2.0 200 OK",
            *[f"{name}: {value}" for name, value in copied],
            f"Contact: <sip:{self.account.name}@{self.account.line.own}>",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
        ]
        self.account.line.send("\r\n".join([*lines, "", body]).encode())

    # -- SRTP ---------------------------------------------------------------------------------

    def _agree(self) -> None:
        body = self.answer.body.decode()
        port = re.search(r"m=audio (\d+) RTP/SAVP ", body)
        address = re.search(r"c=IN IP4 (\S+)", body)
        line = re.search(r"a=crypto:(\d+) (\S+) inline:(\S+)", body)
        assert port and address and line, body
        assert line[2] == self.suite
        self._remote = (address[1], int(port[1]))
        self._sends = Book(self.suite, self.key)
        self._receives = Book(self.suite, b64decode(line[3]))

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
        key = b64encode(self.key).decode()
        address = self.host.address
        return (
            f"v=0\r\no=- 1 {version} IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            f"m=audio {PORT} RTP/SAVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=crypto:{tag} {self.suite} inline:{key}\r\n"
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
        if method != "ACK" or to:
            self._branch = self._branch if method == "ACK" and not inside else secrets.token_hex(8)
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
