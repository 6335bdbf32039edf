"""SIP over TCP and TLS: every connection in two epolls of our own, watched by the loop.

A transport object and a timer per connection would cost 35 µs and 7 KiB more for each phone (uvloop
101 µs per TCP registration, this 66). Newcomers to TLS wait in an epoll of their own, of which few
are taken per turn and only while few are under way: handshakes that have begun are ended first, so
that 10,000 phones at once are served one after the other instead of all too late.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import ssl
from collections import Counter
from itertools import count
from time import monotonic

from appliance.adapters.addresses import is_numeric, open_stream
from appliance.adapters.connection import READ, Connection, State
from appliance.adapters.mutual_tls import MutualTls, Untrusted
from appliance.adapters.tls import TlsSession
from appliance.ports import Inbox
from appliance.settings import Settings
from appliance.sip.flow import Address, Flow, Transport

EVENTS = 64
"""Connections served per turn of the loop."""
HANDSHAKES = 8
"""TLS handshakes begun per turn; each costs about 350 µs, and UDP waits meanwhile."""
UNFINISHED = 256
"""Handshakes under way at a time: a site's round trip of 50 ms still allows 5,000 a second."""
STALLED = 0.25
"""Seconds after which handshakes under way count no more: some peers never finish theirs."""
SWEEP = 1.0
"""Seconds between two looks at who is overdue; one pass over 10,000 costs 1 ms."""
IDLE_LOOKS = 16
"""How often within `idle_timeout` all connections are looked at for silence."""
OURS = ("closed", "overdue_close")
"""Reasons of a cut that the core need not be told: it asked for it."""
WHY = {
    "ended": "the other side closed the connection",
    "lost": "the connection broke",
    "overdue_connect": "no answer to the connection",
    "overdue_handshake": "no end of the handshake",
}
"""Reasons of a cut in words, where the connection knows no better ones."""
_OVERDUE = {
    State.CONNECTING: "overdue_connect",
    State.NEWCOMER: "overdue_handshake",
    State.HANDSHAKE: "overdue_handshake",
    State.OPEN: "overdue_message",
    State.CLOSING: "overdue_close",
}


class Streams:
    """Hold every stream connection; fulfils `connection.Keeper`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        inbox: Inbox,
        settings: Settings,
        server: ssl.SSLContext | None = None,
        trunk: MutualTls | None = None,
        limit: int = 65_536,
    ) -> None:
        self.inbox = inbox
        self.server = server
        """Context for new TLS connections to us; may be replaced at any time."""
        self._trunk = trunk
        """For connections out of the site; None: there are none."""
        self.octets_received = 0
        self.octets_sent = 0
        """Both as on the wire, encrypted."""
        self.room = memoryview(bytearray(READ))
        self.counts: Counter[str] = Counter()
        """How often what happened: accepted, connected, refused_*, and each reason of a cut."""
        self._loop = loop
        self._settings = settings
        self._limit = limit
        self._numbers = count(1)
        self._by_descriptor: dict[int, Connection] = {}
        self._by_number: dict[int, Connection] = {}
        self._by_peer: dict[tuple[Transport, Address, str], Connection] = {}
        """Those that we began."""
        self._sources: dict[str, int] = {}
        self._owing: dict[Connection, float] = {}
        self._served = select.epoll()
        self._newcomers = select.epoll()
        self._unfinished = 0
        self._stalled: asyncio.TimerHandle | None = None
        """Set while no newcomer is welcome."""
        self._clock = self._swept = self._looked = monotonic()
        self._interval = min(
            SWEEP,
            settings.handshake_timeout / 2,
            settings.first_message_timeout / 2,
            settings.idle_timeout / IDLE_LOOKS,
        )
        loop.add_reader(self._served.fileno(), self._serve)
        loop.add_reader(self._newcomers.fileno(), self._welcome)
        self._timer = loop.call_later(self._interval, self._sweep)

    def __len__(self) -> int:
        return len(self._by_descriptor)

    def stop(self) -> None:
        """Close everything."""
        self._timer.cancel()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        for connection in list(self._by_descriptor.values()):
            self.cut(connection, "closed")
        for epoll in (self._served, self._newcomers):
            self._loop.remove_reader(epoll.fileno())
            epoll.close()

    # What the core asks.

    def send(self, flow: Flow, data: bytes) -> None:
        """Send on the flow's connection; without a number on one to its peer, made when needed.

        What arrives on a connection made for a flow comes with the same flow, numbered.
        """
        number = flow.connection
        connection = self._by_number.get(number) if number else self._reach(flow)
        if connection is None:
            self._loop.call_soon(self._tell_lost, "no connection could be begun", flow)
        else:
            connection.send(data)

    def close(self, flow: Flow) -> None:
        """Close the flow's connection after what is queued."""
        connection = self._by_number.get(flow.connection) or self._by_peer.get(_peer(flow))
        if connection is not None:
            connection.close()

    def _reach(self, flow: Flow) -> Connection | None:
        connection = self._by_peer.get(_peer(flow))
        if connection is not None and connection.state < State.CLOSING:
            return connection
        # A TLS peer without a name to prove would be anybody: such flows can only be answered on.
        nameless = flow.transport == "TLS" and self._client(flow) is None
        if nameless or len(self) >= self._limit or not is_numeric(flow.remote[0]):
            self.counts["refused_connect"] += 1
            return None
        try:
            sock = open_stream(flow.remote, flow.local[0] if is_numeric(flow.local[0]) else "")
        except (OSError, OverflowError):
            self.counts["failed_connect"] += 1
            return None
        return self._connect(sock, flow)

    def _client(self, flow: Flow) -> ssl.SSLContext | None:
        return self._trunk.client(flow.identity) if self._trunk and flow.identity else None

    def _connect(self, sock: socket.socket, flow: Flow) -> Connection:
        numbered = flow._replace(connection=next(self._numbers))
        connection = self._hold(sock, numbered, State.CONNECTING)
        connection.asked = flow
        self._by_peer[_peer(flow)] = connection
        self._served.register(sock.fileno(), select.EPOLLOUT)
        self.owe(connection, self._settings.handshake_timeout)
        return connection

    def _connected(self, connection: Connection, now: float) -> None:
        """Learn what became of a connect."""
        error = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            connection.trouble = os.strerror(error).lower()
            self.cut(connection, "failed_connect")
            return
        try:
            connection.sock.getpeername()
        except OSError:  # An event of the descriptor's former owner, in the same batch.
            return
        self.counts["connected"] += 1
        self._served.modify(connection.sock.fileno(), select.EPOLLIN)
        if connection.flow.transport != "TLS":
            connection.open()
        elif (client := self._client(connection.flow)) is None:
            self.cut(connection, "refused_tls")
        else:
            connection.mutual = True
            connection.secure(TlsSession(client, connection.flow.identity))
            connection.shake(b"", now)

    # What comes in.

    def admit_outsider(
        self, sock: socket.socket, source: Address, transport: Transport, local: Address
    ) -> None:
        """Take a connection that has to prove who it is, on the port for SBCs and other sites."""
        self.admit(sock, source, transport, local, mutual=True)

    def admit(
        self,
        sock: socket.socket,
        source: Address,
        transport: Transport,
        local: Address,
        mutual: bool = False,
    ) -> None:
        """Take an accepted connection, or close it when there are too many."""
        here = self._sources.get(source[0], 0)
        full = len(self) >= self._limit
        if full or here >= self._settings.connections_per_source:
            self.counts["refused_full" if full else "refused_source"] += 1
            sock.close()
            return
        self.counts["accepted"] += 1
        self._sources[source[0]] = here + 1
        flow = Flow(transport, local, source, next(self._numbers))
        if transport == "TLS":
            connection = self._hold(sock, flow, State.NEWCOMER)
            connection.mutual = mutual
            self._newcomers.register(sock.fileno(), select.EPOLLIN)
            self.owe(connection, self._settings.handshake_timeout)
        else:
            connection = self._hold(sock, flow, State.OPEN)
            self._served.register(sock.fileno(), select.EPOLLIN)
            connection.open()

    def _hold(self, sock: socket.socket, flow: Flow, state: State) -> Connection:
        connection = Connection(sock, flow, self, self._settings, state)
        self._by_descriptor[sock.fileno()] = self._by_number[flow.connection] = connection
        return connection

    def _serve(self) -> None:
        now = monotonic()
        connections = self._by_descriptor
        for descriptor, events in self._served.poll(0, EVENTS):
            connection = connections.get(descriptor)
            if connection is None:
                continue
            if connection.state is State.CONNECTING:
                self._connected(connection, now)
                continue
            if events & select.EPOLLOUT:
                connection.flush()
            if events & ~select.EPOLLOUT and connection.state is not State.CLOSED:
                connection.read(now)
        self.inbox.settled()

    def _welcome(self) -> None:
        """Begin the handshakes of some who have spoken; without a context they are told nothing."""
        room = UNFINISHED - self._unfinished
        if room <= 0:
            self._loop.remove_reader(self._newcomers.fileno())
            self._stalled = self._loop.call_later(STALLED, self._forgive)
            return
        now = monotonic()
        for descriptor, _ in self._newcomers.poll(0, min(HANDSHAKES, room)):
            connection = self._by_descriptor.get(descriptor)
            if connection is None:
                continue
            self._newcomers.unregister(descriptor)
            self._served.register(descriptor, select.EPOLLIN)
            server = self._server(connection)
            if server is None:
                self.cut(connection, "refused_tls")
            else:
                self._unfinished += 1
                connection.secure(TlsSession(server))
                connection.read(now)
        self.inbox.settled()

    def _server(self, connection: Connection) -> ssl.SSLContext | None:
        if connection.mutual:
            return self._trunk.server if self._trunk is not None else None
        return self.server

    def prove(self, connection: Connection, session: TlsSession) -> bool:
        """Learn who is at the other end; False: nobody that we trust, and the reason is kept."""
        expected = connection.flow.identity
        try:
            name = self._trunk.identify(session, expected) if self._trunk is not None else ""
        except Untrusted as error:
            connection.trouble = str(error)
            return False
        connection.flow = connection.flow._replace(identity=expected or name)
        return True

    def shaken(self) -> None:
        """Learn that a handshake has come to its end; welcome the next."""
        self._unfinished = max(0, self._unfinished - 1)
        if self._stalled is not None:
            self._stalled.cancel()
            self._resume()

    def _forgive(self) -> None:
        """Do not count on those any more who are under way."""
        self._unfinished = 0
        self._resume()

    def _resume(self) -> None:
        self._stalled = None
        self._loop.add_reader(self._newcomers.fileno(), self._welcome)

    # What connections ask of their keeper.

    def clock(self) -> float:
        """Return the time of the last sweep, which stands still while this process does."""
        return self._clock

    def owe(self, connection: Connection, seconds: float | None) -> None:
        """Cut `connection` in `seconds` unless it is asked again; None: it owes nothing."""
        if seconds is None:
            self._owing.pop(connection, None)
        else:
            self._owing[connection] = self._clock + seconds

    def watch(self, connection: Connection) -> None:
        """Wait for reading and, while something is queued, for room to write."""
        events = select.EPOLLIN | (select.EPOLLOUT if connection.queued else 0)
        self._served.modify(connection.sock.fileno(), events)

    def cut(self, connection: Connection, why: str) -> None:
        """Close at once, count `why`, and tell the inbox unless we closed by ourselves."""
        if connection.state is State.CLOSED:
            return
        if why not in OURS and connection.state is not State.CLOSING:
            shaking = connection.state is State.HANDSHAKE and why in ("ended", "lost")
            words = "the other side broke the TLS handshake off" if shaking else WHY.get(why, why)
            reason = connection.trouble or words.replace("_", " ")
            self._loop.call_soon(self._tell_lost, reason, connection.flow, connection.asked)
        if connection.state is State.HANDSHAKE:
            self.shaken()
        self.counts[why] += 1
        connection.state = State.CLOSED
        self._owing.pop(connection, None)
        del self._by_descriptor[connection.sock.fileno()]
        del self._by_number[connection.flow.connection]
        if connection.asked is None:
            self._forget_source(connection.flow.remote[0])
        elif self._by_peer.get(_peer(connection.flow)) is connection:
            del self._by_peer[_peer(connection.flow)]
        connection.sock.close()

    def _forget_source(self, host: str) -> None:
        left = self._sources[host] - 1
        if left:
            self._sources[host] = left
        else:
            del self._sources[host]

    def _tell_lost(self, reason: str, *flows: Flow | None) -> None:
        for flow in flows:
            if flow is not None:
                self.inbox.lost(flow, reason)
        self.inbox.settled()

    # Who is overdue.

    def _sweep(self) -> None:
        """Cut who is overdue on a clock that does not run while we are stopped or swamped."""
        now = monotonic()
        self._clock += min(now - self._swept, 2 * self._interval)
        self._swept = now
        for connection in [c for c, due in self._owing.items() if due <= self._clock]:
            if connection.state is State.NEWCOMER and _has_spoken(connection.sock):
                self.owe(connection, self._settings.handshake_timeout)  # It waits for us.
            else:
                self.cut(connection, _OVERDUE[connection.state])
        if self._clock - self._looked >= self._settings.idle_timeout / IDLE_LOOKS:
            self._looked = self._clock
            self._cut_idle(self._clock - self._settings.idle_timeout)
        self._timer = self._loop.call_later(self._interval, self._sweep)

    def _cut_idle(self, since: float) -> None:
        silent = [c for c in self._by_descriptor.values() if c.seen < since]
        for connection in silent:
            if connection.state is State.OPEN:
                self.cut(connection, "idle")


def _peer(flow: Flow) -> tuple[Transport, Address, str]:
    return flow.transport, flow.remote, flow.identity


def _has_spoken(sock: socket.socket) -> bool:
    try:
        return bool(sock.recv(1, socket.MSG_PEEK))
    except OSError:
        return False
