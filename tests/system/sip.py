"""A plain SIP phone made of sockets, written apart from the product it tests."""

from __future__ import annotations

import hashlib
import re
import secrets
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field

from tests.system.network import APPLIANCE, Host

PORTS = {"UDP": 5060, "TCP": 5060, "TLS": 5091}


@dataclass(frozen=True)
class Message:
    """One message, as it came."""

    start: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def status(self) -> int:
        """Status of a response, 0 for a request."""
        return int(self.start.split()[1]) if self.start.startswith("SIP/2.0") else 0

    def all(self, name: str) -> list[str]:
        """Give the values of all headers of a name."""
        return [value for found, value in self.headers if found.lower() == name.lower()]

    def first(self, name: str) -> str:
        """Give the first value, or nothing."""
        return next(iter(self.all(name)), "")


def parse(data: bytes) -> Message:
    """Read one whole message."""
    head, _, body = data.partition(b"\r\n\r\n")
    start, *lines = head.decode(errors="replace").split("\r\n")
    pairs = [line.partition(":") for line in lines]
    return Message(start, [(name.strip(), value.strip()) for name, _, value in pairs], body)


class Line:
    """One phone's way to a server: a UDP socket, or a TCP or TLS connection, on a host."""

    def __init__(
        self,
        host: Host,
        transport: str = "UDP",
        server: tuple[str, int] | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.transport = transport
        self.server = server or (APPLIANCE, PORTS[transport])
        family = socket.AF_INET6 if ":" in self.server[0] else socket.AF_INET
        kind = socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM
        with host.inside():
            plain = socket.socket(family, kind)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port:
            plain.bind(("", port))
        plain.settimeout(10)
        plain.connect(self.server)
        self.socket = (tls or trusting()).wrap_socket(plain) if transport == "TLS" else plain
        self._pending = b""

    @property
    def own(self) -> str:
        """Our address and port, as SIP writes them."""
        address, port = self.socket.getsockname()[:2]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def send(self, data: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(data)

    def receive(self, seconds: float = 2.0) -> Message | None:
        """Give the next message, None if none comes in time or the connection is closed."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            whole = self._whole()
            if whole is not None:
                return parse(whole)
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(65536)
            except OSError:
                return None
            if not more and self.transport != "UDP":
                return None
            self._pending += more
        return None

    def _whole(self) -> bytes | None:
        if self.transport == "UDP":
            data, self._pending = self._pending, b""
            return data or None
        self._pending = self._pending.lstrip(b"\r\n")
        head, blank, rest = self._pending.partition(b"\r\n\r\n")
        found = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", head)
        length = int(found.group(1)) if found else 0
        if not blank or len(rest) < length:
            return None
        self._pending = rest[length:]
        return head + blank + rest[:length]

    def reset(self) -> None:
        """Close it so that its port is free at once: no TIME_WAIT."""
        abort = struct.pack("ii", 1, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
        self.socket.close()

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def trusting() -> ssl.SSLContext:
    """Give a TLS context that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Account:
    """Who a phone says it is."""

    name: str
    password: str
    domain: str
    line: Line
    call_id: str = field(default_factory=lambda: secrets.token_hex(8))
    tag: str = field(default_factory=lambda: secrets.token_hex(4))
    cseq: int = 0
    algorithm: str = "MD5"
    challenge: dict[str, str] = field(default_factory=dict)

    def register(self, expires: int = 60, **changes: str) -> Message:
        """Register with digest and give the final answer, whatever it is."""
        answer = self.ask(expires, **changes)
        if answer.status in (401, 407):
            answer = self.ask(expires, authorization=self.authorization(answer), **changes)
        return answer

    def ask(self, expires: int = 60, authorization: str = "", **changes: str) -> Message:
        """Send one REGISTER and give its final answer; retransmits over UDP."""
        self.cseq += 1
        data = self.request(expires, authorization, changes)
        wait = 0.5
        for _ in range(7):
            self.line.send(data)
            answer = self._answer(wait if self.line.transport == "UDP" else 30)
            if answer is not None:
                return answer
            wait = min(wait * 2, 4)
        raise AssertionError(f"no answer to REGISTER of {self.name} over {self.line.transport}")

    def _answer(self, seconds: float) -> Message | None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            found = self.line.receive(left)
            if found is not None and found.status >= 200:
                if found.first("CSeq").split()[0] == str(self.cseq):
                    return found
            elif found is None and self.line.transport != "UDP":
                return None
        return None

    def request(self, expires: int, authorization: str, changes: dict[str, str]) -> bytes:
        """Write one REGISTER."""
        contact = changes.get("contact") or (
            f"<sip:{self.name}@{self.line.own};transport={self.line.transport.lower()}>"
        )
        lines = [
            f"REGISTER sip:{self.domain} SIP/2.0",
            f"Via: SIP/2.0/{self.line.transport} {self.line.own}"
            f";branch=z9hG4bK{secrets.token_hex(8)};rport",
            f"From: <sip:{self.name}@{self.domain}>;tag={self.tag}",
            f"To: <sip:{self.name}@{self.domain}>",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} REGISTER",
            f"Contact: {contact}",
            f"Expires: {expires}",
            "Max-Forwards: 70",
            *([f"Authorization: {authorization}"] if authorization else []),
            "Content-Length: 0",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    def authorization(self, answer: Message, count: int = 1) -> str:
        """Answer the challenge of our algorithm in a 401."""
        for value in answer.all("WWW-Authenticate") + answer.all("Proxy-Authenticate"):
            fields = {key: text.strip('"') for key, text in FIELD.findall(value)}
            if fields.get("algorithm", "MD5").upper() == self.algorithm:
                self.challenge = fields
        return self.credentials("REGISTER", f"sip:{self.domain}", count)

    def credentials(self, method: str, uri: str, count: int = 1) -> str:
        """Write credentials for the last challenge taken."""
        realm, nonce = self.challenge["realm"], self.challenge["nonce"]
        ha1 = self._hash(f"{self.name}:{realm}:{self.password}")
        ha2 = self._hash(f"{method}:{uri}")
        cnonce, nc = secrets.token_hex(4), f"{count:08x}"
        response = self._hash(f"{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}")
        return (
            f'Digest username="{self.name}", realm="{realm}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm={self.algorithm}, qop=auth, nc={nc}, '
            f'cnonce="{cnonce}"'
        )

    def _hash(self, text: str) -> str:
        kind = {"MD5": "md5", "SHA-256": "sha256"}[self.algorithm]
        return hashlib.new(kind, text.encode()).hexdigest()


FIELD = re.compile(r'([a-z]+)=("[^"]*"|[^,\s]+)', re.IGNORECASE)
