"""One way to a zone's server: a TCP or TLS connection, or UDP sockets, opened step by step.

Each step that can fail names its layer, because that is what an admin has to mend.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from appliance.adapters.addresses import family_of, open_datagram, open_stream
from appliance.adapters.tls import CIPHERS, words_of
from appliance.bundle import Zone
from appliance.sip.flow import Address, host_port
from appliance.sip.framing import StreamFramer

STAGGER = 0.3
"""Seconds before the next address is tried beside one that does not connect (RFC 8305: 0.25)."""
_RECEIVE_BUFFER = 1 << 16

ZONE = "the zone"


class Failed(Exception):
    """Say which layer failed, and how."""

    def __init__(self, layer: str, text: str) -> None:
        super().__init__(f"{layer}: {text}")
        self.layer = layer
        self.text = text


class Listener(Protocol):
    """Takes what a channel receives."""

    def heard(self, data: bytes) -> None:
        """Take one whole message."""
        ...

    def lost(self, channel: Channel, failure: Failed) -> None:
        """Learn that a connection ended."""
        ...

    def troubled(self, failure: Failed) -> None:
        """Learn why there may be no answer."""
        ...


class Channel(Protocol):
    """Carries questions to a zone."""

    local: Address

    def send(self, data: bytes) -> None:
        """Send, or lose it."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


class StreamChannel(asyncio.Protocol):
    """A connection that is up."""

    def __init__(self, listener: Listener) -> None:
        self.local: Address = ("", 0)
        self._listener = listener
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # Not isinstance: the transports of uvloop are not those of asyncio.
        self._transport = cast(asyncio.Transport, transport)
        self.local = transport.get_extra_info("sockname")[:2]

    def data_received(self, data: bytes) -> None:
        """Cut messages out of the stream."""
        for message in self._framer.feed(data):
            self._listener.heard(message)
        if self._framer.broken and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell why it ended."""
        self._listener.lost(self, _end(error))

    def send(self, data: bytes) -> None:
        """Send, or lose it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close without waiting: a half-dead peer would not answer the farewell."""
        if self._transport is not None:
            self._transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def datagram_received(self, data: bytes, address: Any) -> None:
        """Pass a datagram on."""
        self._listener.heard(data)

    def error_received(self, error: Exception) -> None:
        """Keep what ICMP said; datagrams on their way may still arrive."""
        self._listener.troubled(Failed("sip", words_of(error, ZONE)))


class DatagramChannel:
    """Sockets connected to each address of a zone, used in turn."""

    def __init__(self, transports: list[asyncio.DatagramTransport]) -> None:
        self.local: Address = transports[0].get_extra_info("sockname")[:2]
        self._transports = transports
        self._next = 0

    def send(self, data: bytes) -> None:
        """Send to the next address: a retransmission goes to the next server."""
        transport = self._transports[self._next % len(self._transports)]
        self._next += 1
        transport.sendto(data)

    def close(self) -> None:
        """Close every socket."""
        for transport in self._transports:
            transport.abort()


def zone_context(zone: Zone) -> ssl.SSLContext:
    """Build what a zone's certificate is checked with; raises Failed for an unusable CA."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    try:
        if zone.ca:
            context.load_verify_locations(cadata=zone.ca)
        else:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    except (ssl.SSLError, ValueError) as error:
        raise Failed("certificate", f"the CA in the bundle cannot be read: {error}") from error
    return context


async def open_streams(
    addresses: list[Address],
    listener: Listener,
    tls: tuple[ssl.SSLContext, str] | None,
    reached: Callable[[str, Address], None],
) -> StreamChannel:
    """Connect to the address that is quickest; the first ones get a head start.

    `reached(layer, address)` tells what is waited for. Raises Failed when all have failed.
    """
    waiting = [open_stream_channel(address, listener, tls, reached) for address in addresses]
    return await _first_of(waiting)


async def _first_of(openers: list[Coroutine[Any, Any, StreamChannel]]) -> StreamChannel:
    queue = openers[::-1]
    pending: set[asyncio.Task[StreamChannel]] = set()
    failure = Failed("dns", "the zone has no address")
    try:
        while queue or pending:
            if queue:
                pending.add(asyncio.ensure_future(queue.pop()))
            done, pending = await asyncio.wait(
                pending, timeout=STAGGER if queue else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                error = task.exception()
                if error is None:
                    pending |= done - {task}
                    return task.result()
                if not isinstance(error, Failed):
                    raise error
                failure = error
        raise failure
    finally:
        for task in pending:
            task.add_done_callback(_discard)
            task.cancel()
        for opener in queue:
            opener.close()


def _discard(task: asyncio.Task[StreamChannel]) -> None:
    """Close a connection that came too late to be the first."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def open_stream_channel(
    address: Address,
    listener: Listener,
    tls: tuple[ssl.SSLContext, str] | None,
    reached: Callable[[str, Address], None],
) -> StreamChannel:
    """Connect to one address; raises Failed with the layer that did not work."""
    loop = asyncio.get_running_loop()
    reached("tcp", address)
    try:
        sock = open_stream(address, "")
    except OSError as error:
        raise Failed("tcp", f"{host_port(address)}: {words_of(error, ZONE)}") from error
    try:
        await _connected(loop, sock)
        if tls is None:
            _, channel = await loop.create_connection(lambda: StreamChannel(listener), sock=sock)
            return channel
    except OSError as error:
        sock.close()
        raise Failed("tcp", f"{host_port(address)}: {words_of(error, ZONE)}") from error
    except asyncio.CancelledError:
        sock.close()
        raise
    reached("tls", address)
    try:
        context, name = tls
        _, channel = await loop.create_connection(
            lambda: StreamChannel(listener), sock=sock, ssl=context, server_hostname=name
        )
    except OSError as error:
        sock.close()
        raise _tls_failure(error, address) from error
    return channel


async def _connected(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    writable = asyncio.Event()
    loop.add_writer(sock, writable.set)
    try:
        await writable.wait()
    finally:
        loop.remove_writer(sock)
    error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        raise OSError(error, os.strerror(error))


async def open_datagrams(addresses: list[Address], listener: Listener) -> DatagramChannel:
    """Open a socket to each address; raises Failed when there is a way to none."""
    loop = asyncio.get_running_loop()
    transports: list[asyncio.DatagramTransport] = []
    failure = Failed("dns", "the zone has no address")
    for address in addresses:
        try:
            any_address = "::" if family_of(address[0]) == socket.AF_INET6 else "0.0.0.0"
            sock = open_datagram((any_address, 0), _RECEIVE_BUFFER)
            sock.connect(address)
        except OSError as error:
            failure = Failed("sip", f"{host_port(address)}: {words_of(error, ZONE)}")
            continue
        transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(listener), sock=sock)
        transports.append(transport)
    if not transports:
        raise failure
    return DatagramChannel(transports)


def _tls_failure(error: OSError, address: Address) -> Failed:
    place, words = host_port(address), words_of(error, ZONE)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failed("certificate", f"{place}: {words}")
    during = "" if isinstance(error, ssl.SSLError) else " during the handshake"
    return Failed("tls", f"{place}: {words}{during}")


def _end(error: Exception | None) -> Failed:
    if error is None:
        return Failed("tcp", "the zone closed the connection")
    return Failed("tls" if isinstance(error, ssl.SSLError) else "tcp", words_of(error, ZONE))
