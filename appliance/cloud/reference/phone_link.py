"""A simulated phone's way to one server: a UDP socket or a TCP or TLS connection of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import cast

from appliance.errors import Unavailable
from appliance.sip.flow import Flow, Transport, host_port
from appliance.sip.framing import StreamFramer

CONNECT = 5.0
"""Seconds for a TCP connection with its TLS handshake."""
KEEPALIVE = 25.0
"""Seconds between two CRLF pings; NATs forget a silent TCP connection after minutes, UDP 30 s."""
PONG = 10.0
"""Seconds to wait for the answer to a ping (RFC 5626, 4.4.1)."""

_numbers = count(1)


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of a phone's server list."""

    host: str
    port: int
    transport: Transport
    name: str = ""
    """What people call it: `zone A`, `Holdfast`."""

    def __str__(self) -> str:
        return self.name or f"{self.transport} {host_port((self.host, self.port))}"


Receive = Callable[["Link", bytes], None]
Lost = Callable[["Link", str], None]


class Link:
    """An open way to a server; make it with `connect`.

    `receive` gets every whole message. `lost` is called once, with the reason, when a connection
    ends by itself, a ping stays unanswered, or the network says that nobody listens there; never
    after `close`.
    """

    def __init__(self, server: Server, receive: Receive, lost: Lost) -> None:
        self.server = server
        self.flow = Flow(server.transport, ("", 0), (server.host, server.port))
        self._receive = receive
        self._lost = lost
        self._transport: asyncio.Transport | asyncio.DatagramTransport | None = None
        self._framer = StreamFramer()
        self._ping: asyncio.TimerHandle | None = None
        self._pong: asyncio.TimerHandle | None = None

    @property
    def open(self) -> bool:
        """Tell whether messages can be sent."""
        return self._transport is not None

    def send(self, data: bytes) -> None:
        """Send, or drop when the link has gone."""
        transport = self._transport
        if transport is None:
            return
        if self.flow.reliable:
            cast(asyncio.Transport, transport).write(data)
        else:
            cast(asyncio.DatagramTransport, transport).sendto(data)

    def close(self) -> None:
        """Close after what is queued has been sent; harmless twice."""
        transport, self._transport = self._transport, None
        self._stop_pings()
        if transport is not None:
            transport.close()

    def keep_alive(self, interval: float) -> None:
        """Send CRLF pings from now on; 0 never.

        On TCP and TLS each wants its pong; over UDP nobody answers, but NATs stay open and the
        network tells when nobody listens there any more.
        """
        if interval > 0 and self._ping is None and self.open:
            self._ping = asyncio.get_running_loop().call_later(interval, self._send_ping, interval)

    def _send_ping(self, interval: float) -> None:
        self._ping = None
        self.send(b"\r\n\r\n")
        if self._pong is None and self.flow.reliable:
            loop = asyncio.get_running_loop()
            self._pong = loop.call_later(PONG, self.end, "no answer to a keep-alive")
        self.keep_alive(interval)

    def _stop_pings(self) -> None:
        for handle in (self._ping, self._pong):
            if handle is not None:
                handle.cancel()
        self._ping = self._pong = None

    def made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport once it is connected."""
        self._transport = cast("asyncio.Transport | asyncio.DatagramTransport", transport)
        local = transport.get_extra_info("sockname")
        remote = transport.get_extra_info("peername") or self.flow.remote
        self.flow = Flow(
            self.server.transport,
            (local[0], local[1]),
            (remote[0], remote[1]),
            next(_numbers) if self.flow.reliable else 0,
        )

    def end(self, reason: str) -> None:
        """Give the link up and tell its owner, unless it was closed on purpose."""
        transport, self._transport = self._transport, None
        self._stop_pings()
        if transport is not None:
            transport.abort()
            self._lost(self, reason)

    def datagram(self, data: bytes) -> None:
        """Hand on one datagram that is more than a keep-alive."""
        if data.strip(b"\r\n\0"):
            self._receive(self, data)

    def stream(self, data: bytes) -> None:
        """Hand on the messages that are whole now."""
        if self._pong is not None:
            self._pong.cancel()
            self._pong = None
        for message in self._framer.feed(data):
            self._receive(self, message)
        for _ in range(self._framer.take_pings()):
            self.send(b"\r\n")
        if self._framer.broken:
            self.end("the server's framing is broken")


async def connect(server: Server, tls: ssl.SSLContext | None, receive: Receive, lost: Lost) -> Link:
    """Open a link; raises Unavailable with the reason in words."""
    loop = asyncio.get_running_loop()
    link = Link(server, receive, lost)
    remote = (server.host, server.port)
    try:
        if server.transport == "UDP":
            await loop.create_datagram_endpoint(lambda: _Datagrams(link), remote_addr=remote)
        else:
            context = tls if server.transport == "TLS" else None
            async with asyncio.timeout(CONNECT):
                await loop.create_connection(lambda: _Stream(link), *remote, ssl=context)
    except TimeoutError as error:
        raise Unavailable(f"{server}: no connection within {CONNECT:g} s") from error
    except OSError as error:
        raise Unavailable(f"{server}: {error.strerror or error}") from error
    return link


async def listen(
    here: Server, tls: ssl.SSLContext, welcome: Callable[[Link], None], receive: Receive, lost: Lost
) -> asyncio.Server:
    """Take TLS connections; each is a link, of which `welcome` is told before anything comes."""
    loop = asyncio.get_running_loop()

    def made() -> _Stream:
        return _Stream(Link(here, receive, lost), welcome)

    return await loop.create_server(made, here.host, here.port, ssl=tls)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket, connected, so that the kernel tells when nobody listens."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.made(transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._link.datagram(data)

    def error_received(self, exc: Exception) -> None:
        self._link.end(str(exc))


class _Stream(asyncio.Protocol):
    """The TCP or TLS connection."""

    def __init__(self, link: Link, welcome: Callable[[Link], None] | None = None) -> None:
        self._link = link
        self._welcome = welcome

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.made(transport)
        if self._welcome is not None:
            self._welcome(self._link)

    def data_received(self, data: bytes) -> None:
        self._link.stream(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.end(str(exc) if exc else "the server closed the connection")
