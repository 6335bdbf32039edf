"""Zones on real sockets that behave in every way a zone can misbehave."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from appliance.sip.framing import StreamFramer, parse
from appliance.sip.message import Request

Reply = Callable[[Request], bytes | None]
DAY = datetime.timedelta(days=1)


def answering(status: int) -> Reply:
    """Answer every request with one status."""
    return lambda request: request.response(status, to_tag="z").encode()


def silent(request: Request) -> None:
    """Answer nothing."""


def read(data: bytes) -> Request:
    """Parse what the prober sent."""
    request = parse(data)
    assert isinstance(request, Request)
    return request


class Authority:
    """Sign certificates for zones, good and bad ones."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test CA")])
        now = datetime.datetime.now(datetime.UTC)
        builder = self._builder(self._name, self._key, now - DAY, now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        own = builder.sign(self._key, hashes.SHA256())
        self.pem = own.public_bytes(Encoding.PEM).decode()

    def _builder(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        begin: datetime.datetime,
        end: datetime.datetime,
    ) -> x509.CertificateBuilder:
        number = x509.random_serial_number()
        public = key.public_key()
        return x509.CertificateBuilder(self._name, subject, public, number, begin, end)

    def context(self, *names: str, days: int = 1) -> ssl.SSLContext:
        """Give a server's context with a certificate for these names; days < 0: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zone")])
        alternatives = x509.SubjectAlternativeName([_name(name) for name in names])
        certificate = (
            self._builder(subject, key, now - 10 * DAY, now + days * DAY)
            .add_extension(alternatives, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"{'-'.join(names)}{days}.pem".replace(":", "_")
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(secret + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class StreamZone:
    """A zone on TCP or TLS; `reply` may be changed while it runs."""

    def __init__(self, reply: Reply, context: ssl.SSLContext | None = None) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.connections = 0
        self.reset = False
        """Reset the connection instead of answering."""
        self.port = 0
        self._context = context
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self, host: str = "127.0.0.1") -> StreamZone:
        """Serve on a free port."""
        self._server = await asyncio.start_server(self._serve, host, 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        framer = StreamFramer()
        try:
            while data := await reader.read(65536):
                for message in framer.feed(data):
                    self._take(read(message), writer)
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    def _take(self, request: Request, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        if self.reset:
            writer.transport.abort()
        elif answer := self.reply(request):
            writer.write(answer)

    def drop_all(self) -> None:
        """Close every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def stop(self) -> None:
        """Serve no more."""
        self.drop_all()
        if self._server is not None:
            self._server.close()


class DatagramZone(asyncio.DatagramProtocol):
    """A zone on UDP."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.requests: list[Request] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self, host: str = "127.0.0.1") -> DatagramZone:
        """Serve on a free port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = read(data)
        self.requests.append(request)
        answer = self.reply(request)
        if answer and self._transport is not None:
            self._transport.sendto(answer, address)

    def stop(self) -> None:
        """Serve no more."""
        if self._transport is not None:
            self._transport.close()
