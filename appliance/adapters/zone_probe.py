"""Ask zones for signs of life with OPTIONS; fulfils `ports.ZoneProber` (A1).

One connection per zone is kept and used again. When an answer stays away the connection is under
suspicion: the next question goes out on it once more *and* a new connection is begun beside it, so
that neither a half-dead connection nor a slow zone looks like a dead one. Connecting may outlast
the question that began it; the next one finds it done, or further on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import dns.asyncresolver

from appliance import __version__
from appliance.adapters.identifiers import RandomIdentifiers
from appliance.adapters.zone_address import ZoneAddresses
from appliance.adapters.zone_channel import (
    Channel,
    Failed,
    open_datagrams,
    open_streams,
    zone_context,
)
from appliance.bundle import Zone
from appliance.call.events import ZoneAnswer
from appliance.errors import RemoteError, Unavailable
from appliance.sip.flow import Address, host_port
from appliance.sip.framing import BadMessage, parse
from appliance.sip.identifiers import MAGIC_COOKIE, Identifiers
from appliance.sip.message import Request, Response
from appliance.sip.timers import T1, T2

CONNECTING = 10.0
"""Seconds an attempt may take: three round trips of two seconds, and a lost packet in each."""
REMEMBERED = 8
"""Questions whose late answers are still known: half a minute's."""
IDLE = 700.0
"""Seconds without a question after which a zone is let go; the longest interval is 300."""

Answer = Callable[[ZoneAnswer], None]


class _Question:
    __slots__ = ("answer", "failure", "retried", "timer")

    def __init__(self, answer: Answer, timer: asyncio.TimerHandle) -> None:
        self.answer = answer
        self.timer = timer
        self.retried = False
        """A connection that broke during this question has been replaced already."""
        self.failure: Failed | None = None
        """Why there may be no answer, if nothing better happens in time."""


class _Line:
    """One zone: its connection, and the question that is open."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        zone: Zone,
        addresses: ZoneAddresses,
        identifiers: Identifiers,
    ) -> None:
        self.zone = zone
        self.asked_at = 0.0
        self._loop = loop
        self._addresses = addresses
        self._identifiers = identifiers
        self._context: ssl.SSLContext | None = None
        self._channel: Channel | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._question: _Question | None = None
        self._suspect = False
        self._stage = Failed("dns", "no name server answers")
        self._sent: dict[str, float] = {}
        self._repeat: asyncio.TimerHandle | None = None

    def ask(self, timeout: float, answer: Answer) -> None:
        """Send one OPTIONS; a question still open is dropped, one answer serves both."""
        self._drop_question()
        timer = self._loop.call_later(timeout, self._late)
        self._question = _Question(answer, timer)
        self.asked_at = self._loop.time()
        if self._channel is not None:
            self._send()
        if self._channel is None or self._suspect:
            self._connect()

    def close(self) -> None:
        """Let go of everything; an open question is dropped."""
        self._drop_question()
        self._stop_connecting()
        if self._channel is not None:
            channel, self._channel = self._channel, None
            channel.close()

    # What the channel tells.

    def heard(self, data: bytes) -> None:
        """Take a message from the zone: the final answer to any of our latest questions."""
        try:
            message = parse(data)
            if not isinstance(message, Response) or message.status < 200:
                return
            sent = self._sent.pop(message.via.branch or "", None)
        except (BadMessage, RemoteError):
            return
        if sent is not None:
            self._suspect = False
            self._stop_connecting()
            rtt = monotonic() - sent
            self._finish(ZoneAnswer(self.zone.id, message.status, rtt=rtt))

    def lost(self, channel: object, failure: Failed) -> None:
        """Take the end of a connection: replaced at once, but only once for each question."""
        if channel is not self._channel:
            return
        self._channel = None
        self._stop_repeating()
        question = self._question
        if question is None:
            return
        question.failure = failure
        if question.retried:
            self._finish(_miss(self.zone, failure))
        else:
            question.retried = True
            self._connect()

    def troubled(self, failure: Failed) -> None:
        """Keep in mind why there may be no answer."""
        if self._question is not None:
            self._question.failure = failure

    # Asking.

    def _send(self) -> None:
        channel = self._channel
        if channel is None or self._question is None:
            return
        self._stage = Failed("sip", "no answer to OPTIONS")
        branch = MAGIC_COOKIE + self._identifiers.token()
        data = options_to(self.zone, channel.local, branch, self._identifiers).encode()
        self._sent[branch] = monotonic()  # uvloop's own time is of this millisecond.
        while len(self._sent) > REMEMBERED:
            del self._sent[next(iter(self._sent))]
        channel.send(data)
        if self.zone.transport == "UDP":
            self._send_again(channel, data, T1)

    def _send_again(self, channel: Channel, data: bytes, pause: float) -> None:
        """Retransmit as a non-INVITE transaction does (RFC 3261, 17.1.2.1, timer E)."""

        def again() -> None:
            channel.send(data)
            self._send_again(channel, data, min(2 * pause, T2))

        self._stop_repeating()
        self._repeat = self._loop.call_later(pause, again)

    def _stop_repeating(self) -> None:
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None

    def _late(self) -> None:
        question = self._question
        if question is not None:
            self._suspect = True
            self._finish(_miss(self.zone, question.failure or self._stage))

    def _finish(self, answer: ZoneAnswer) -> None:
        question = self._drop_question()
        if question is not None:
            question.answer(answer)

    def _drop_question(self) -> _Question | None:
        question, self._question = self._question, None
        self._stop_repeating()
        if question is not None:
            question.timer.cancel()
        return question

    # Connecting.

    def _connect(self) -> None:
        if self._connecting is None:
            self._connecting = self._loop.create_task(self._connect_within(CONNECTING))

    def _stop_connecting(self) -> None:
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    async def _connect_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                channel = await self._open()
        except TimeoutError:
            failure = self._stage
        except Unavailable as error:
            failure = Failed("dns", str(error))
        except Failed as error:
            failure = error
        else:
            self._adopt(channel)
            return
        finally:
            if self._connecting is asyncio.current_task():
                self._connecting = None
        self._not_connected(failure)

    async def _open(self) -> Channel:
        zone = self.zone
        self._stage = Failed("dns", f"no name server answers for {zone.host}")
        addresses = await self._addresses.find(zone)
        if zone.transport == "UDP":
            return await open_datagrams(addresses, self)
        tls = None
        if zone.transport == "TLS":
            self._context = self._context or zone_context(zone)
            tls = (self._context, zone.host)
        return await open_streams(addresses, self, tls, self._reached)

    def _reached(self, layer: str, address: Address) -> None:
        words = {"tcp": "no answer to the connection", "tls": "no end of the handshake"}
        self._stage = Failed(layer, f"{host_port(address)}: {words[layer]}")

    def _not_connected(self, failure: Failed) -> None:
        if self._channel is None:
            self._finish(_miss(self.zone, failure))
        else:
            self.troubled(failure)

    def _adopt(self, channel: Channel) -> None:
        old, self._channel = self._channel, channel
        self._suspect = False
        if old is not None:
            old.close()
        self._send()


class Prober:
    """Keep one line per zone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        identifiers: Identifiers | None = None,
        resolver: dns.asyncresolver.Resolver | None = None,
        memory: Path | None = None,
    ) -> None:
        """Begin with what `memory`, a file, knows of zones' addresses; it is kept up to date."""
        self._loop = loop
        self._identifiers = identifiers or RandomIdentifiers()
        self._addresses = ZoneAddresses(loop, resolver, memory)
        self._lines: dict[str, _Line] = {}

    def probe(self, zone: Zone, timeout: float, answer: Answer) -> None:
        """Send one OPTIONS and call `answer` exactly once, within `timeout` seconds, never now.

        Only when asked again before that, the earlier question is dropped.
        """
        line = self._lines.get(zone.id)
        if line is None or line.zone != zone:
            self._let_go(zone.id)
            line = _Line(self._loop, zone, self._addresses, self._identifiers)
            self._lines[zone.id] = line
        line.ask(timeout, answer)
        for idle in [key for key, known in self._lines.items() if self._is_idle(known)]:
            self._let_go(idle)

    def close(self) -> None:
        """Let go of every zone."""
        for key in list(self._lines):
            self._let_go(key)
        self._addresses.close()

    def _is_idle(self, line: _Line) -> bool:
        return line.asked_at < self._loop.time() - IDLE

    def _let_go(self, key: str) -> None:
        line = self._lines.pop(key, None)
        if line is not None:
            line.close()


def options_to(zone: Zone, local: Address, branch: str, identifiers: Identifiers) -> Request:
    """Write the OPTIONS by which a zone is asked for a sign of life."""
    host = f"[{zone.host}]" if ":" in zone.host else zone.host
    uri = f"sip:{host}" if zone.port is None else f"sip:{host}:{zone.port}"
    here = host_port(local)
    transport = zone.transport.lower()
    headers = [
        ("Via", f"SIP/2.0/{zone.transport} {here};branch={branch};rport"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:holdfast@{host}>;tag={identifiers.token()}"),
        ("To", f"<{uri}>"),
        ("Call-ID", identifiers.token()),
        ("CSeq", "1 OPTIONS"),
        ("Contact", f"<sip:holdfast@{here};transport={transport}>"),
        ("Accept", "application/sdp"),
        ("User-Agent", f"Holdfast/{__version__}"),
    ]
    return Request("OPTIONS", f"{uri};transport={transport}", headers)


def _miss(zone: Zone, failure: Failed) -> ZoneAnswer:
    return ZoneAnswer(zone.id, None, str(failure), failure.layer)
