"""A simulated phone's SIP: the project's own transactions on asyncio's clock and sockets."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Callable
from typing import Protocol

from appliance.cloud.reference.phone_link import Link, Server, connect, listen
from appliance.errors import RemoteError, Unavailable
from appliance.sip.client_transaction import ClientTransaction, TransactionUser
from appliance.sip.flow import Address, Flow
from appliance.sip.framing import parse
from appliance.sip.matching import Transactions
from appliance.sip.message import Request, Response
from appliance.sip.server_transaction import ServerTransaction
from appliance.sip.timers import TimerQueue


class RandomIdentifiers:
    """Make tags, branches and Call-IDs that nobody else has."""

    def token(self) -> str:
        """Return 16 hexadecimal digits."""
        return secrets.token_hex(8)

    def key(self, length: int) -> bytes:
        """Return random bytes."""
        return secrets.token_bytes(length)


class Owner(Protocol):
    """Who is told what comes in."""

    def asked(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        """Take a new request; answer it through `PhoneStack.respond`."""
        ...

    def acknowledged(self, request: Request) -> None:
        """Take the ACK of a 2xx."""
        ...

    def lost(self, link: Link, reason: str) -> None:
        """Take that a link ended by itself."""
        ...


class PhoneStack:
    """Send and receive requests over any number of links; one stack for each phone."""

    def __init__(self, owner: Owner) -> None:
        self.identifiers = RandomIdentifiers()
        self.timers = TimerQueue()
        """Timers of transactions and of calls; call `rearm` after arming one."""
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._transactions = Transactions(self.timers, self._send, self.identifiers)
        self._links: dict[_Way, Link] = {}
        self._waiting: dict[Link, set[_Waiter]] = {}
        self._wake: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._loop.time()

    async def connect(self, server: Server, tls: ssl.SSLContext | None) -> Link:
        """Open a link; raises Unavailable."""
        link = await connect(server, tls, self._receive, self._lost)
        self._links[_way(link.flow)] = link
        return link

    async def serve(
        self, here: Server, tls: ssl.SSLContext, welcome: Callable[[Link], None]
    ) -> asyncio.Server:
        """Take connections; `welcome` is told of each."""

        def made(link: Link) -> None:
            self._links[_way(link.flow)] = link
            welcome(link)

        return await listen(here, tls, made, self._receive, self._lost)

    def drop(self, link: Link) -> None:
        """Close a link; harmless when it has gone already."""
        self._links.pop(_way(link.flow), None)
        link.close()

    def close(self) -> None:
        """Close every link and stop the clock."""
        for link in list(self._links.values()):
            self.drop(link)
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None

    def request(self, request: Request, link: Link, user: TransactionUser) -> ClientTransaction:
        """Send a request in a new transaction."""
        tx = self._transactions.request(request, link.flow, self.now(), user)
        self.rearm()
        return tx

    async def ask(self, request: Request, link: Link, timeout: float) -> Response:
        """Send a request and return its final response; raises Unavailable when none comes."""
        waiter = _Waiter()
        self._waiting.setdefault(link, set()).add(waiter)
        try:
            self.request(request, link, waiter)
            async with asyncio.timeout(timeout):
                return await waiter.final
        except TimeoutError as error:
            raise Unavailable(f"{link.server}: no answer within {timeout:g} s") from error
        finally:
            self._waiting[link].discard(waiter)
            if not self._waiting[link]:
                del self._waiting[link]

    def respond(self, tx: ServerTransaction, response: Response) -> None:
        """Answer a request."""
        tx.respond(response, self.now())
        self.rearm()

    def send_ack(self, ack: Request, link: Link) -> None:
        """Send the ACK of a 2xx."""
        self._transactions.send_ack(ack, link.flow)

    def cancel(self, tx: ClientTransaction) -> None:
        """Cancel an INVITE."""
        tx.cancel(self.now())
        self.rearm()

    def rearm(self) -> None:
        """Wake at the next timer's time, whatever it is now."""
        deadline = self.timers.deadline()
        if self._wake is not None:
            if deadline is not None and self._wakes_at <= deadline:
                return
            self._wake.cancel()
            self._wake = None
        if deadline is not None:
            # Kept here: where the time has come already, uvloop's handle does not tell it.
            self._wakes_at = deadline
            self._wake = self._loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._wake = None
        self.timers.expire(self.now())
        self.rearm()

    def _send(self, flow: Flow, data: bytes) -> None:
        link = self._links.get(_way(flow))
        if link is not None:
            link.send(data)

    def _lost(self, link: Link, reason: str) -> None:
        self._links.pop(_way(link.flow), None)
        self._transactions.lost(link.flow, self.now())
        for waiter in self._waiting.get(link, ()):
            # Over UDP too, where the network said that nobody listens; no need to wait for silence.
            waiter.fail(f"{link.server}: {reason}")
        self._owner.lost(link, reason)
        self.rearm()

    def _receive(self, link: Link, data: bytes) -> None:
        try:
            message = parse(data)
            if isinstance(message, Response):
                self._transactions.receive_response(message, link.flow, self.now())
            else:
                self._receive_request(message, link)
        except RemoteError:
            # A phone drops what it cannot read; refusing it well is Holdfast's part.
            return
        self.rearm()

    def _receive_request(self, request: Request, link: Link) -> None:
        now = self.now()
        if request.method == "ACK":
            if not self._transactions.absorb_ack(request, link.flow, now):
                self._owner.acknowledged(request)
            return
        tx = self._transactions.receive_request(request, link.flow, now)
        if tx is not None:
            self._owner.asked(tx, request, link)


_Way = tuple[str, Address, int]


def _way(flow: Flow) -> _Way:
    """Name our own end of a flow: a connected socket has but one far end, whatever a Via says."""
    return (flow.transport, flow.local, flow.connection)


class _Waiter:
    """Turn a transaction's outcome into something to await."""

    def __init__(self) -> None:
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Keep the first final response."""
        if response.status >= 200 and not self.final.done():
            self.final.set_result(response)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Report silence or a lost link."""
        self.fail(f"{tx.flow}: {'no answer' if status == 408 else 'the link was lost'}")

    def fail(self, why: str) -> None:
        """Report that no final response will come."""
        if not self.final.done():
            self.final.set_exception(Unavailable(why))
