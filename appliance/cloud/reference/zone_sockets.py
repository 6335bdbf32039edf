"""A zone's sockets: UDP, TCP and TLS on one port number.

TCP and TLS share a listener: a TLS connection begins with octet 0x16 (RFC 8446, 5.1), which no SIP
message does, so one look at the first octet tells them apart and a trial needs one port per zone.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from appliance.errors import LocalError
from appliance.sip.flow import Address, Flow
from appliance.sip.framing import StreamFramer

TLS_HANDSHAKE = b"\x16"
BACKLOG = 4096
"""Connections the kernel holds; phones of a whole site come back at once."""
BUFFER = 4 << 20
"""Bytes of UDP receive buffer."""
FIRST_OCTET = 10.0
"""Seconds a new connection may stay mute."""
HANDSHAKE = 10.0
"""Seconds a TLS handshake may take; on a loaded machine a fleet's handshakes queue up."""

Reply = Callable[[bytes], None]
Receive = Callable[[bytes, Flow, Reply], None]


class ZoneSockets:
    """Receive whole SIP messages on every transport and hand them on with a way to reply."""

    def __init__(self, address: str, port: int, receive: Receive) -> None:
        self.address = address
        self.port = port
        """The port; once opened with 0, the one the kernel chose, kept from then on."""
        self.tls: ssl.SSLContext | None = None
        """For new TLS connections; may be changed while open."""
        self.mute = False
        """Take connections and never greet them."""
        self._receive = receive
        self._datagrams: asyncio.DatagramTransport | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._greetings: set[asyncio.Task[None]] = set()
        self._streams: set[_Stream] = set()
        self._held: set[socket.socket] = set()
        self._count = 0

    async def open(self) -> None:
        """Bind and listen; LocalError when the port is taken."""
        loop = asyncio.get_running_loop()
        listener, datagrams = self._bind()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=datagrams)
        self._datagrams = transport
        self._accepting = asyncio.create_task(self._accept(listener))

    async def close(self) -> None:
        """Close the listener and cut every connection."""
        if self._datagrams is not None:
            self._datagrams.abort()
            self._datagrams = None
        self.cut()
        accepting, self._accepting = self._accepting, None
        if accepting is not None:
            accepting.cancel()
            await asyncio.wait([accepting])
        # Transports give their descriptor back in the next turn of the loop.
        await asyncio.sleep(0)

    def cut(self) -> None:
        """Cut every connection and go on listening."""
        for task in list(self._greetings):
            task.cancel()
        for stream in list(self._streams):
            stream.abort()
        for held in self._held:
            held.close()
        self._held.clear()

    @property
    def connections(self) -> int:
        """How many TCP and TLS connections are open."""
        return len(self._streams)

    def _bind(self) -> tuple[socket.socket, socket.socket]:
        family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
        try:
            listener = socket.create_server(
                (self.address, self.port), family=family, backlog=BACKLOG
            )
        except OSError as error:
            raise self._taken("TCP", error) from error
        self.port = listener.getsockname()[1]
        listener.setblocking(False)
        datagrams = socket.socket(family, socket.SOCK_DGRAM)
        datagrams.setblocking(False)
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        try:
            datagrams.bind((self.address, self.port))
        except OSError as error:
            listener.close()
            datagrams.close()
            raise self._taken("UDP", error) from error
        return listener, datagrams

    def _taken(self, transport: str, error: OSError) -> LocalError:
        return LocalError(
            f"cannot listen on {transport} {self.address}:{self.port}: {error.strerror};"
            " choose another port"
        )

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                connection, _ = await loop.sock_accept(listener)
                connection.setblocking(False)
                if self.mute:
                    self._held.add(connection)
                    continue
                task = asyncio.create_task(self._greet(connection))
                self._greetings.add(task)
                task.add_done_callback(self._greetings.discard)
        finally:
            listener.close()

    async def _greet(self, connection: socket.socket) -> None:
        """See whether TLS or plain SIP begins, and let the right one go on."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(FIRST_OCTET):
                await _readable(loop, connection)
            first = connection.recv(1, socket.MSG_PEEK)
            tls = self.tls if first == TLS_HANDSHAKE else None
            self._count += 1
            number = self._count
            await loop.connect_accepted_socket(
                lambda: _Stream(self, number, tls is not None),
                connection,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE if tls else None,
            )
        except (OSError, TimeoutError):
            # A peer that hung up, sent nothing or refused our certificate: its own affair.
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise

    def datagram(self, data: bytes, remote: Address) -> None:
        """Hand on one datagram."""
        flow = Flow("UDP", (self.address, self.port), remote)
        self._receive(data, flow, lambda answer: self._send_datagram(answer, remote))

    def message(self, stream: _Stream, data: bytes) -> None:
        """Hand on one message of a connection."""
        self._receive(data, stream.flow, stream.send)

    def opened(self, stream: _Stream) -> None:
        """Count a connection."""
        self._streams.add(stream)

    def ended(self, stream: _Stream) -> None:
        """Forget a connection."""
        self._streams.discard(stream)

    def _send_datagram(self, data: bytes, remote: Address) -> None:
        if self._datagrams is not None:
            self._datagrams.sendto(data, remote)


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    """Wait until there is something to read, without reading it."""
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, sockets: ZoneSockets) -> None:
        self._sockets = sockets

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._sockets.datagram(data, (addr[0], addr[1]))


class _Stream(asyncio.Protocol):
    """One TCP or TLS connection."""

    def __init__(self, sockets: ZoneSockets, number: int, secure: bool) -> None:
        self._sockets = sockets
        self._number = number
        self._secure = secure
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self.flow = Flow("TLS" if secure else "TCP", ("", 0), ("", 0), number)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        local = transport.get_extra_info("sockname")
        remote = transport.get_extra_info("peername") or ("", 0)
        self.flow = Flow(
            self.flow.transport, (local[0], local[1]), (remote[0], remote[1]), self._number
        )
        self._sockets.opened(self)

    def data_received(self, data: bytes) -> None:
        for message in self._framer.feed(data):
            self._sockets.message(self, message)
        if self._framer.broken:
            self.abort()
        for _ in range(self._framer.take_pings()):
            self.send(b"\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._sockets.ended(self)

    def send(self, data: bytes) -> None:
        """Send unless the connection has gone meanwhile."""
        if self._transport is not None:
            self._transport.write(data)

    def abort(self) -> None:
        """Cut the connection at once."""
        if self._transport is not None:
            self._transport.abort()
