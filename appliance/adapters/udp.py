"""SIP over UDP: one socket per local address, so that an answer leaves where the question came."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from contextlib import suppress
from time import monotonic
from typing import Any

from appliance.adapters.addresses import is_numeric, open_datagram
from appliance.ports import Inbox
from appliance.sip.flow import Address, Flow

BATCH = 64
"""Datagrams read per wake-up; at 30 µs each TCP and TLS wait 2 ms at most for their turn."""
LARGEST = 65_535
"""Bytes; no UDP datagram is larger. All are read into one buffer and copied, 0.1 µs: memory of this
size for each, given back but for what the message needs, has the heap grow around what is kept."""
SHORTEST = 16
"""Bytes; shorter ones (CRLF or NUL keep-alives) are no SIP message and need no answer."""
FLOWS = 32_768
"""Remembered flows per socket; the memory is emptied when full, so spoofed sources cost 10 MB."""
QUEUE = 1024
"""Datagrams that wait for a full send buffer; more are dropped as a full network would."""


class _Port:
    """One bound socket with the flows seen on it."""

    __slots__ = ("flows", "local", "queue", "sock")

    def __init__(self, sock: socket.socket, local: Address) -> None:
        self.sock = sock
        self.local = local
        self.flows: dict[Address, Flow] = {}
        self.queue: deque[tuple[bytes, Address]] = deque()

    def learn(self, source: Address) -> Flow:
        """Make the flow of a new source; `source` may be IPv6's tuple of four."""
        if len(self.flows) >= FLOWS:
            self.flows.clear()
        flow = self.flows[source] = Flow("UDP", self.local, (source[0], source[1]))
        return flow


class Datagrams:
    """Receive and send SIP datagrams on any number of local addresses."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, inbox: Inbox, receive_buffer: int = 8 << 20
    ) -> None:
        self._loop = loop
        self._inbox = inbox
        self._receive_buffer = receive_buffer
        self._ports: dict[Address, _Port] = {}
        self._held: list[tuple[Flow, bytes]] | None = None
        self._buffer = bytearray(LARGEST)
        self._view = memoryview(self._buffer)
        self.received = 0
        self.sent = 0
        self.octets_received = 0
        self.octets_sent = 0
        self.dropped = 0
        """Datagrams not sent: the queue was full, or the kernel refused."""

    @property
    def locals(self) -> list[Address]:
        """Return the addresses served now."""
        return list(self._ports)

    def open(self, address: Address) -> Address:
        """Serve `address` (port 0: the kernel picks one) and return it; raises OSError."""
        sock = open_datagram(address, self._receive_buffer)
        local: Address = sock.getsockname()[:2]
        port = self._ports[local] = _Port(sock, local)
        self._loop.add_reader(sock, self._drain, port)
        return local

    def close(self, local: Address) -> None:
        """Serve `local` no more."""
        port = self._ports.pop(local, None)
        if port is not None:
            self._loop.remove_reader(port.sock)
            self._loop.remove_writer(port.sock)
            port.sock.close()

    def _drain(self, port: _Port) -> None:
        now = monotonic()
        receive = self._inbox.receive
        recvfrom_into, buffer, view = port.sock.recvfrom_into, self._buffer, self._view
        flows = port.flows
        batch: list[tuple[bytes, Any]] = []
        with suppress(OSError):  # Empty, or an ICMP error that belongs to a datagram sent earlier.
            for _ in range(BATCH):
                size, source = recvfrom_into(buffer)
                batch.append((view[:size].tobytes(), source))
        answers: list[tuple[Flow, bytes]] = []
        self._held = answers
        try:
            for data, source in batch:
                if len(data) >= SHORTEST:
                    receive(data, flows.get(source) or port.learn(source), now)
        finally:
            self._held = None
        for flow, data in answers:
            self.send(flow, data)
        self.received += len(batch)
        self.octets_received += sum([len(data) for data, _ in batch])
        self._inbox.settled()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send at once, or when the socket has room again; what cannot be sent is counted.

        While a batch is worked off its answers are held: reading, deciding and sending by turns
        would have the kernel and us push each other out of the processor's caches, and make a
        registration a quarter dearer.
        """
        if self._held is not None:
            self._held.append((flow, data))
            return
        port = self._ports.get(flow.local) or self._instead(flow)
        if port is None or (flow.remote not in port.flows and not is_numeric(flow.remote[0])):
            self.dropped += 1  # A name would make the kernel's resolver stop the whole loop.
            return
        if port.queue:
            self._enqueue(port, data, flow.remote)
            return
        try:
            port.sock.sendto(data, flow.remote)
        except BlockingIOError:
            self._loop.add_writer(port.sock, self._flush, port)
            self._enqueue(port, data, flow.remote)
        except (OSError, OverflowError):
            self.dropped += 1
        else:
            self.sent += 1
            self.octets_sent += len(data)

    def _instead(self, flow: Flow) -> _Port | None:
        """Choose a port of the same family for a flow whose own address has gone."""
        colon = ":" in flow.remote[0]
        return next((p for at, p in self._ports.items() if (":" in at[0]) is colon), None)

    def _enqueue(self, port: _Port, data: bytes, remote: Address) -> None:
        if len(port.queue) >= QUEUE:
            self.dropped += 1
        else:
            port.queue.append((data, remote))

    def _flush(self, port: _Port) -> None:
        queue = port.queue
        while queue:
            data, remote = queue[0]
            try:
                port.sock.sendto(data, remote)
            except BlockingIOError:
                return
            except (OSError, OverflowError):
                self.dropped += 1
            else:
                self.sent += 1
                self.octets_sent += len(data)
            queue.popleft()
        self._loop.remove_writer(port.sock)
