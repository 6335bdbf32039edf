"""One TCP or TLS connection: bytes in to whole messages, messages out, and when it owes us one."""

from __future__ import annotations

import socket
import ssl
from collections import deque
from enum import IntEnum
from typing import Protocol

from appliance.adapters.tls import TlsSession, words_of
from appliance.ports import Inbox
from appliance.sip.flow import Flow
from appliance.sip.framing import StreamFramer

READ = 1 << 16
"""Bytes per read; with the framer's limits this bounds what one peer can make us hold."""
HIGH_WATER = 1 << 18
"""Bytes that may wait for a slow reader before it is cut; 100 times the longest SIP answer."""
PONG = b"\r\n"
"""Answer to a double-CRLF keep-alive (RFC 5626, 3.5.1)."""


class State(IntEnum):
    """What a connection is doing; only OPEN carries SIP."""

    CONNECTING = 0
    """Ours, not decided yet."""
    NEWCOMER = 1
    """Accepted for TLS; its handshake begins when it has spoken and it is its turn."""
    HANDSHAKE = 2
    OPEN = 3
    CLOSING = 4
    """What is queued is still sent, what comes is thrown away."""
    CLOSED = 5


class Keeper(Protocol):
    """Who holds the connections; the only one that opens, watches and closes sockets."""

    inbox: Inbox
    octets_received: int
    octets_sent: int
    room: memoryview
    """`READ` octets that all connections read into, in turn: `udp.LARGEST` says why."""

    def clock(self) -> float:
        """Return the time of the last sweep, which stands still while this process does."""
        ...

    def owe(self, connection: Connection, seconds: float | None) -> None:
        """Cut `connection` in `seconds` unless it is asked again; None: it owes nothing."""
        ...

    def shaken(self) -> None:
        """Learn that a TLS handshake has come to its end."""
        ...

    def prove(self, connection: Connection, session: TlsSession) -> bool:
        """Learn who is at the other end; False: nobody that we trust, and the reason is kept."""
        ...

    def watch(self, connection: Connection) -> None:
        """Wait for reading and, while something is queued, for room to write."""
        ...

    def cut(self, connection: Connection, why: str) -> None:
        """Close at once, count `why`, and tell the inbox unless we closed by ourselves."""
        ...


class Limits(Protocol):
    """The time-outs of `Settings` that a connection lives by."""

    @property
    def handshake_timeout(self) -> float:
        """Seconds a connect, a TLS handshake and a close may take, each."""
        ...

    @property
    def first_message_timeout(self) -> float:
        """Seconds in which a new connection's first message, or any begun one, must be whole."""
        ...


class Connection:
    """Carry SIP over one socket; every method leaves it closed rather than raise."""

    __slots__ = (
        "_framer",
        "_keeper",
        "_limits",
        "_owing",
        "_queue",
        "_tls",
        "_waiting",
        "asked",
        "flow",
        "mutual",
        "queued",
        "seen",
        "sock",
        "state",
        "trouble",
    )

    def __init__(
        self, sock: socket.socket, flow: Flow, keeper: Keeper, limits: Limits, state: State
    ) -> None:
        self.sock = sock
        self.flow = flow
        self.state = state
        self.asked: Flow | None = None
        """The flow with `connection == 0` for which we connected."""
        self.mutual = False
        """Both ends have to prove who they are."""
        self.trouble = ""
        """Why it will be cut, in words, where more is known than that."""
        self.queued = 0
        """Bytes that wait for room in the socket."""
        self.seen = keeper.clock()
        """When the peer was last heard, on the keeper's clock."""
        self._keeper = keeper
        self._limits = limits
        self._framer = StreamFramer()
        self._owing = True
        self._queue: deque[bytes] | None = None
        """What waits for room; None, as nearly always: nothing has had to yet."""
        self._waiting: list[bytes] | None = None
        """Messages that wait for the connection to be open."""
        self._tls: TlsSession | None = None

    def secure(self, session: TlsSession) -> None:
        """Go through a TLS handshake before anything else; as the client, begin it."""
        self._tls = session
        self.state = State.HANDSHAKE
        self._keeper.owe(self, self._limits.handshake_timeout)

    def open(self) -> None:
        """Carry SIP from now on, and send what has waited for that."""
        self.state = State.OPEN
        self._owe(self._limits.first_message_timeout if self.asked is None else None)
        waiting, self._waiting = self._waiting, None
        for data in waiting or ():
            self.send(data)

    def read(self, now: float) -> None:
        """Take what has come."""
        try:
            room = self._keeper.room
            data = room[: self.sock.recv_into(room)].tobytes()
        except BlockingIOError:
            return
        except OSError:
            self._keeper.cut(self, "lost")
            return
        self._keeper.octets_received += len(data)
        if not data:
            self._keeper.cut(self, "ended")
        elif self._tls is None and self.state is State.OPEN:
            self._receive(data, now)
        elif self.state is not State.CLOSING:
            self._take(data, now)

    def _take(self, data: bytes, now: float) -> None:
        tls = self._tls
        if tls is None:
            self._receive(data, now)
        elif self.state is State.HANDSHAKE:
            self.shake(data, now)
        else:
            self._decrypt(tls, data, now)

    def _decrypt(self, tls: TlsSession, data: bytes, now: float) -> None:
        plain = tls.decrypt(data)
        if plain:
            self._receive(plain, now)
        if tls.ended:
            self._keeper.cut(self, "ended")

    def shake(self, data: bytes, now: float) -> None:
        """Go on with the TLS handshake, and with what the peer sent right behind it."""
        tls = self._tls
        assert tls is not None
        try:
            done = tls.shake(data)
        except ssl.SSLError as error:
            self.trouble = words_of(error, "the other side")
            self._write(tls.take())
            self._keeper.cut(self, f"tls_{error.reason or 'failed'}".lower())
            return
        if answer := tls.take():
            self._write(answer)
        if done and self.state is State.HANDSHAKE:
            self._keeper.shaken()
            if self.mutual and not self._keeper.prove(self, tls):
                self._keeper.cut(self, "untrusted")
                return
            self.open()
            self._decrypt(tls, b"", now)

    def _receive(self, data: bytes, now: float) -> None:
        self.seen = self._keeper.clock()
        framer = self._framer
        receive, flow = self._keeper.inbox.receive, self.flow
        whole = 0
        for message in framer.feed(data):
            whole += 1
            receive(message, flow, now)
            if self.state is not State.OPEN:
                return
        if pings := framer.take_pings():
            self.send(PONG * pings)
        if framer.broken:
            self.close()
        elif framer.pending:
            # Only a whole message buys more time: a byte a second does not (slow loris).
            if whole or not self._owing:
                self._owe(self._limits.first_message_timeout)
        elif whole and self._owing:
            self._owe(None)

    def _owe(self, seconds: float | None) -> None:
        self._owing = seconds is not None
        self._keeper.owe(self, seconds)

    def send(self, data: bytes) -> None:
        """Send now, or when there is room; a peer that reads too slowly is cut."""
        if self.state is State.OPEN:
            self._write(data if self._tls is None else self._tls.encrypt(data))
        elif self.state < State.OPEN:
            self._waiting = [*(self._waiting or ()), data]
            if sum(map(len, self._waiting)) > HIGH_WATER:
                self._keeper.cut(self, "slow_reader")

    def _write(self, data: bytes) -> None:
        if not self._queue:
            try:
                sent = self.sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._keeper.cut(self, "lost")
                return
            self._keeper.octets_sent += sent
            if sent == len(data):
                return
            data = data[sent:]
        self._enqueue(data)
        if self.state is not State.CLOSED:
            self._keeper.watch(self)

    def _enqueue(self, data: bytes) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(data)
        self.queued += len(data)
        if self.queued > HIGH_WATER:
            self._keeper.cut(self, "slow_reader")

    def flush(self) -> None:
        """Send what waited for room."""
        queue = self._queue
        while queue:
            try:
                sent = self.sock.send(queue[0])
            except BlockingIOError:
                return
            except OSError:
                self._keeper.cut(self, "lost")
                return
            self._keeper.octets_sent += sent
            self.queued -= sent
            if sent < len(queue[0]):
                queue[0] = queue[0][sent:]
            else:
                queue.popleft()
        self._keeper.watch(self)
        if self.state is State.CLOSING:
            self._finish()

    def close(self) -> None:
        """Close after what is queued has gone; the peer may finish within `handshake_timeout`."""
        if self.state < State.OPEN:
            self._keeper.cut(self, "closed")
        if self.state is not State.OPEN:
            return
        if self._tls is not None:
            self._write(self._tls.farewell())
        if self.state is State.OPEN:
            self.state = State.CLOSING
            self._keeper.owe(self, self._limits.handshake_timeout)
            if not self._queue:
                self._finish()

    def _finish(self) -> None:
        """Send FIN only: closing with unread input would be a reset that kills our last answer."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._keeper.cut(self, "closed")
