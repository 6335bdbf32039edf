"""The door to the directory: takes phones' connections and passes on what phones may ask.

slapd has no port of its own. So a new database takes the old one's place without a refused
connection, TLS is the appliance's own, and what no phone needs never reaches slapd. Phones that
are connected stay with the slapd they have until it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from appliance.call.actions import Action, Notice
from appliance.pbx.guard import Guard
from appliance.phonebook.ldap_message import (
    ABANDON,
    ANSWERS,
    BIND,
    BUSY,
    COMPARE,
    DISCONNECTION,
    EXTENDED,
    NO_SUCH_METHOD,
    PROTOCOL_ERROR,
    SEARCH,
    START_TLS,
    SUCCESS,
    TLS_NEEDED,
    UNAVAILABLE,
    UNBIND,
    UNWILLING,
    WRONG_PASSWORD,
    Malformed,
    Request,
    answer,
    bind_result,
    parse,
    whole,
)

log = logging.getLogger("holdfast.ldap")

CONNECTIONS = 2000
"""Phones at a time; each has a connection to slapd, which may have 4,096."""
CONNECTIONS_PER_SOURCE = 500
"""Of one address; a site behind one NAT may be many phones."""
FIRST_TIMEOUT = 10.0
"""Seconds until a connection has asked something."""
IDLE_TIMEOUT = 300.0
"""Seconds of silence before a connection is closed."""
HANDSHAKE_TIMEOUT = 5.0
WAITING_LIMIT = 256 << 10
"""Octets kept for a phone or slapd that does not read; then the other side has to wait."""
BACKLOG = 512


@dataclass
class Backend:
    """What the door leads to, as it is now."""

    socket: Path | None = None
    """Of slapd; None: there is no directory now."""
    require_tls: bool = False
    context: Callable[[], ssl.SSLContext | None] = lambda: None
    """Gives the appliance's TLS; None: there is none now."""
    sources: Counter[str] = field(default_factory=Counter)
    """Connections by the address they come from."""
    phones: set[PhoneSide] = field(default_factory=set)
    guard: Guard = field(default_factory=lambda: Guard(_warn))
    """Slows down and bans whoever guesses passwords, as it does for SIP."""
    good: set[str] = field(default_factory=set)
    """Addresses from which a password was right: many phones may be behind one."""


def _warn(action: Action) -> None:
    if isinstance(action, Notice):
        log.warning("%s", action.text)


async def open_door(backend: Backend, addresses: Sequence[str], port: int) -> asyncio.Server:
    """Take connections until the server is closed; raises OSError when the port cannot be had."""
    loop = asyncio.get_running_loop()
    hosts = list(addresses) or None
    return await loop.create_server(lambda: PhoneSide(backend), hosts, port, backlog=BACKLOG)


class SlapdSide(asyncio.Protocol):
    """A connection's other half; whatever slapd answers goes to the phone as it is."""

    def __init__(self, phone: PhoneSide) -> None:
        self._phone = phone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(WAITING_LIMIT)

    def data_received(self, data: bytes) -> None:
        """Give the phone what slapd says."""
        self._phone.answered(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the phone that slapd is gone."""
        self._phone.left_alone()

    def pause_writing(self) -> None:
        """Let the phone wait."""
        self._phone.pause(True)

    def resume_writing(self) -> None:
        """Let the phone go on."""
        self._phone.pause(False)


class PhoneSide(asyncio.Protocol):
    """One phone's connection."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._phone: asyncio.Transport | None = None
        self._slapd: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._securing: asyncio.Task[None] | None = None
        self._buffer = bytearray()
        self._waiting: list[bytes] = []
        """What is to be passed on once slapd is connected."""
        self._secure = False
        self._source = ""
        self._idle: asyncio.TimerHandle | None = None
        self._binding: bytes | None = None
        """In whose name a bind waits for its answer, alone (RFC 4511, 4.2.1)."""
        self._told = bytearray()
        """What slapd has said since; the first message of it is the answer."""

    # -- the phone's connection ---------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, unless there are too many."""
        transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(WAITING_LIMIT)
        self._phone, backend = transport, self._backend
        self._source = str((transport.get_extra_info("peername") or ("?",))[0])
        full = len(backend.phones) >= CONNECTIONS
        if full or backend.sources[self._source] >= CONNECTIONS_PER_SOURCE:
            self._source = ""
            self.disconnect(BUSY, "too many connections")
            return
        backend.sources[self._source] += 1
        backend.phones.add(self)
        self._wait(FIRST_TIMEOUT)

    def data_received(self, data: bytes) -> None:
        """Take each message as soon as it is whole."""
        self._buffer += data
        try:
            while self._phone is not None and (size := whole(self._buffer)) is not None:
                request = parse(bytes(self._buffer[:size]))
                del self._buffer[:size]
                self._wait(IDLE_TIMEOUT)
                self._take(request)
        except Malformed as error:
            self.disconnect(PROTOCOL_ERROR, f"this is no LDAP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection, and end its other half."""
        backend, self._phone = self._backend, None
        backend.phones.discard(self)
        if self._source:
            backend.sources[self._source] -= 1
            if not backend.sources[self._source]:
                del backend.sources[self._source]
        if self._idle is not None:
            self._idle.cancel()
        for task in (self._connecting, self._securing):
            if task is not None:
                task.cancel()
        if self._slapd is not None:
            self._slapd.close()

    def pause_writing(self) -> None:
        """Let slapd wait for a phone that does not read."""
        if self._slapd is not None:
            self._slapd.pause_reading()

    def resume_writing(self) -> None:
        """Let slapd go on."""
        if self._slapd is not None:
            self._slapd.resume_reading()

    # -- what it asks -------------------------------------------------------------------------

    def _take(self, request: Request) -> None:
        if request.kind == UNBIND:
            self._close()
        elif request.kind == EXTENDED and request.name == START_TLS:
            self._start_tls(request)
        elif self._backend.require_tls and not self._secure:
            self._answer(request, TLS_NEEDED, "StartTLS first")
        elif request.kind == BIND and not request.simple:
            # slapd would take SASL EXTERNAL for the account its socket belongs to: ours.
            self._answer(request, NO_SUCH_METHOD, "bind with a name and a password")
        elif request.kind == BIND:
            self._bind(request)
        elif request.kind in (SEARCH, COMPARE, ABANDON):
            self._pass_on(request.data)
        else:
            self._answer(request, UNWILLING, "the directory is read only")

    def _bind(self, request: Request) -> None:
        name = request.name.decode(errors="replace")
        if self._binding is not None:
            self.disconnect(PROTOCOL_ERROR, "one bind at a time")
        elif name and self._backend.guard.refuse(self._source, name, time.monotonic()):
            self._answer(request, BUSY, "too many wrong passwords; try again later")
        else:
            self._binding = request.name
            self._pass_on(request.data)

    def answered(self, data: bytes) -> None:
        """Pass on what slapd answers; of a bind's answer its result is looked at."""
        if self._binding is not None:
            self._told += data
            try:
                size = whole(self._told)
                result = bind_result(bytes(self._told[:size])) if size is not None else None
            except Malformed:
                size, result = 0, None
            if size is not None:
                self._judge(self._binding.decode(errors="replace"), result)
                self._binding = None
                self._told.clear()
        self.send(data)

    def _judge(self, name: str, result: int | None) -> None:
        backend, source = self._backend, self._source
        if result == WRONG_PASSWORD:
            backend.guard.failed(source, name, source in backend.good, time.monotonic())
        elif result == SUCCESS and name and len(backend.good) < CONNECTIONS:
            backend.good.add(source)

    def _answer(self, request: Request, code: int, text: str, name: bytes = b"") -> None:
        if request.kind in ANSWERS:
            self.send(answer(request.id, ANSWERS[request.kind], code, text, name))

    def _pass_on(self, data: bytes) -> None:
        if self._slapd is not None:
            self._slapd.write(data)
            return
        self._waiting.append(data)
        if sum(map(len, self._waiting)) > WAITING_LIMIT:
            self.disconnect(BUSY, "too much at once")
        elif self._connecting is None:
            self._connecting = asyncio.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        socket = self._backend.socket
        try:
            if socket is None:
                raise FileNotFoundError
            made = await loop.create_unix_connection(lambda: SlapdSide(self), str(socket))
        except OSError:
            self.disconnect(UNAVAILABLE, "there is no directory now")
            return
        self._slapd = made[0]
        for data in self._waiting:
            self._slapd.write(data)
        self._waiting.clear()

    # -- TLS ----------------------------------------------------------------------------------

    def _start_tls(self, request: Request) -> None:
        context, phone = self._backend.context(), self._phone
        if context is None or self._secure or phone is None:
            code = UNAVAILABLE if context is None else PROTOCOL_ERROR
            self._answer(request, code, "no TLS now" if context is None else "TLS is up", START_TLS)
        elif self._buffer:
            # What was sent in clear after it must not count as if it had come protected.
            self.disconnect(PROTOCOL_ERROR, "something came after StartTLS")
        else:
            phone.pause_reading()
            self._answer(request, SUCCESS, "", START_TLS)
            self._securing = asyncio.create_task(self._secure_with(context, phone))

    async def _secure_with(self, context: ssl.SSLContext, phone: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        try:
            secured = await loop.start_tls(
                phone,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT,
            )
        except (OSError, ssl.SSLError):
            phone.abort()
            return
        self._phone, self._secure = secured, True

    # -- the way back, and the end ------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Send octets to the phone."""
        if self._phone is not None:
            self._phone.write(data)

    def pause(self, paused: bool) -> None:
        """Let the phone wait while slapd does not read."""
        if self._phone is not None:
            if paused:
                self._phone.pause_reading()
            else:
                self._phone.resume_reading()

    def left_alone(self) -> None:
        """Take the end of slapd's side: the phone asks anew, on another connection."""
        self._slapd = None
        self.disconnect(UNAVAILABLE, "the directory was made anew; ask again")

    def disconnect(self, code: int, text: str) -> None:
        """Say why and close (RFC 4511, 4.4.1)."""
        self.send(answer(0, ANSWERS[EXTENDED], code, text, DISCONNECTION))
        self._close()

    def _close(self) -> None:
        if self._phone is not None:
            self._phone.close()

    def _wait(self, seconds: float) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(seconds, self._close)


async def close_door(server: asyncio.Server, backend: Backend) -> None:
    """Take no more connections and end those there are."""
    server.close()
    for phone in list(backend.phones):
        phone.disconnect(UNAVAILABLE, "the directory is closed")
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(server.wait_closed(), 1.0)
