"""One call of a simulated phone once it has begun: its dialog, its audio, hold and hang-up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from typing import Any, Literal, Protocol

from appliance.call.session_timer import SessionTimer
from appliance.cloud.reference.phone_audio import Audio
from appliance.cloud.reference.phone_link import Link, Server
from appliance.cloud.reference.phone_login import Login
from appliance.cloud.reference.phone_sdp import CONTENT_TYPE, MIRROR, Describer, Side, read_side
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.cloud.reference.phone_srtp import new_key
from appliance.cloud.reference.phone_stack import PhoneStack
from appliance.errors import HoldfastError, RemoteError, Unavailable
from appliance.sdp.session import Direction
from appliance.sip.client_transaction import ClientTransaction
from appliance.sip.dialog import Dialog
from appliance.sip.flow import host_port
from appliance.sip.message import Header, Request, Response
from appliance.sip.retransmission import Retransmission
from appliance.sip.server_transaction import ServerTransaction

State = Literal["calling", "ringing", "talking", "ended"]
ALLOW = "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, MESSAGE, NOTIFY"
ANSWER = 10.0
"""Seconds to wait for the answer to a request inside the call."""
ATTEMPTS = 4
"""Times a re-INVITE is tried: credentials may be asked for, and glare wants another try."""


class Line(Protocol):
    """What a call needs of its phone."""

    settings: PhoneSettings
    stack: PhoneStack

    def login_at(self, server: Server) -> Login:
        """Return the credentials in use with a server."""
        ...

    def link_to(self, server: Server) -> Link | None:
        """Return the open link to a server, if there is one."""
        ...

    async def reach(self, server: Server) -> Link:
        """Return an open link to a server, a new one if there is none; Unavailable else."""
        ...

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background until the phone stops."""
        ...

    def forget(self, call: PhoneCall) -> None:
        """Take that a call is over."""
        ...


class PhoneCall:
    """What outgoing and incoming calls share; `until` waits for what becomes of it."""

    _after_glare = (0.0, 2.0)
    """Seconds to wait after 491 for whoever did not make the Call-ID (RFC 3261, 14.1)."""

    def __init__(self, line: Line, server: Server, audio: Audio, other: str) -> None:
        settings = line.settings
        self.server = server
        """Through whom it is made."""
        self.other = other
        """User part of the other party's address."""
        self.audio = audio
        self.state: State = "calling"
        self.status = 0
        """Final SIP status of the INVITE; 0 while there is none."""
        self.ended_by: Literal["", "us", "them"] = ""
        self.reason = ""
        """Reason header of the other side's BYE or refusal."""
        self.remote: Side | None = None
        """The other end of the audio, as last described."""
        self.dialog: Dialog | None = None
        self.holding = False
        self._line = line
        self._stack = line.stack
        self._key = new_key() if settings.srtp else None
        self._describer = Describer(random.getrandbits(31), settings.address, audio.port)
        self._direction: Direction = "sendrecv"
        self._changed = asyncio.Event()
        self._acks: dict[int, Request] = {}
        self._inviting = False
        self._unacknowledged: Retransmission | None = None
        self._timer = SessionTimer(
            line.stack.timers,
            settings.session_expires or 1800,
            lambda now: line.begin(self._refresh()),
            lambda now: line.begin(self.hang_up()),
        )

    # -- what its user does -----------------------------------------------------------------

    async def until(self, *states: State, timeout: float = 10.0) -> State:
        """Wait until it is in one of these states; Unavailable when that takes too long."""
        try:
            async with asyncio.timeout(timeout):
                while self.state not in states:
                    await self._changed.wait()
        except TimeoutError as error:
            wanted = " or ".join(states)
            raise Unavailable(f"call is {self.state}, not {wanted}, after {timeout:g} s") from error
        return self.state

    async def hold(self) -> None:
        """Put the other party on hold by re-INVITE; RemoteError when it is refused."""
        self.holding = True
        await self._reinvite("sendonly")

    async def resume(self) -> None:
        """Take the other party back."""
        self.holding = False
        await self._reinvite("sendrecv")

    async def hang_up(self) -> None:
        """End the call, answered or not; harmless when it is over."""
        if self.state == "ended":
            return
        if self.dialog is None:
            self._give_up()
            return
        dialog = self.dialog
        self._end(self.status, "us")
        try:
            await self._ask(dialog, "BYE")
        except HoldfastError:
            # Whatever became of the BYE, this phone has put its handset down.
            return

    def told(self) -> str:
        """Say how it stands."""
        if self.state != "ended":
            return self.state
        reason = f" ({self.reason})" if self.reason else ""
        return f"ended by {self.ended_by}, status {self.status}{reason}"

    # -- what subclasses and the phone tell it ----------------------------------------------

    def asked(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        """Answer a request inside the dialog."""
        answer = {
            "INVITE": self._take_reinvite,
            "UPDATE": self._take_update,
            "BYE": self._take_bye,
        }.get(request.method)
        if answer is None:
            known = request.method in ("INFO", "OPTIONS", "MESSAGE", "NOTIFY")
            self._respond(tx, request, 200 if known else 405, link)
            return
        try:
            if self.dialog is not None:
                self.dialog.check_remote(request)
            answer(tx, request, link)
        except RemoteError as error:
            self._respond(tx, request, error.status, link)

    def acknowledged(self, ack: Request) -> None:
        """Take the ACK of our 2xx, with the answer where the offer was ours."""
        if self._unacknowledged is not None:
            self._unacknowledged.stop()
            self._unacknowledged = None
        if ack.body:
            self._take_answer(ack.body)

    def _give_up(self) -> None:
        """End a call that nobody has answered; who was asked has to be told by who knows how."""
        self._end(self.status, "us")

    def _become(self, state: State) -> None:
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _end(self, status: int, by: Literal["us", "them"]) -> None:
        if self.state == "ended":
            return
        self.status, self.ended_by = status, by
        self._timer.stop()
        self.audio.close()
        if self._unacknowledged is not None:
            self._unacknowledged.stop()
        self._become("ended")
        self._line.forget(self)

    # -- offers and answers -----------------------------------------------------------------

    def _offer(self) -> bytes:
        return self._describer.describe(self._direction, self._key)

    def _take_answer(self, body: bytes) -> None:
        self.remote, _ = read_side(body)
        self._aim()

    def _answer(self, body: bytes) -> bytes:
        """Take an offer and return our answer; RemoteError(488) when it does not suit."""
        side, tag = read_side(body)
        if side.key is None and self._line.settings.srtp:
            raise RemoteError(488, "This phone insists on SRTP")
        self._key = None if side.key is None else self._key or new_key()
        self.remote = side
        self._direction = _meet(MIRROR[side.direction], self.holding)
        self._aim()
        return self._describer.describe(self._direction, self._key, tag)

    def _aim(self) -> None:
        side = self.remote
        if side is None:
            return
        remote = (side.address, side.port) if side.port else None
        self.audio.aim(remote, self._key if side.key else None, side.key)
        wanted = side.direction in ("sendrecv", "recvonly")
        # A phone on whose side somebody waits sends nothing; music is the server's to play.
        ours = self._direction in ("sendrecv", "sendonly") and not self.holding
        self.audio.sending = wanted and ours

    # -- requests inside the dialog ---------------------------------------------------------

    async def _ask(self, dialog: Dialog, method: str) -> Response:
        login = self._line.login_at(self.server)
        for _ in range(ATTEMPTS):
            link = await self._line.reach(self.server)
            request = dialog.new_request(method)
            login.sign(request)
            response = await self._stack.ask(request, link, ANSWER)
            if not login.challenged(response):
                break
        return response

    async def _reinvite(self, direction: Direction) -> None:
        self._direction = direction
        for _ in range(ATTEMPTS):
            response = await self._ask_reinvite()
            if response.status < 300:
                self._take_answer(response.body)
                return
            if response.status == 491:
                await asyncio.sleep(random.uniform(*self._after_glare))
            elif not self._line.login_at(self.server).challenged(response):
                break
        raise RemoteError(response.status, f"re-INVITE refused: {response.reason}")

    async def _ask_reinvite(self) -> Response:
        assert self.dialog is not None
        link = await self._line.reach(self.server)
        request = self.dialog.new_request("INVITE")
        request.set("Contact", self._contact(link))
        for name, value in self._timer.offer_headers():
            request.add(name, value)
        request.add("Content-Type", CONTENT_TYPE)
        request.body = self._offer()
        self._line.login_at(self.server).sign(request)
        waiter = _Reinvite(self)
        self._inviting = True
        try:
            self._stack.request(request, link, waiter)
            async with asyncio.timeout(ANSWER):
                return await waiter.final
        except TimeoutError as error:
            raise Unavailable(f"re-INVITE: no answer within {ANSWER:g} s") from error
        finally:
            self._inviting = False

    async def _refresh(self) -> None:
        try:
            await self._reinvite(self._direction)
        except HoldfastError:
            await self.hang_up()

    def acknowledge(self, response: Response) -> None:
        """Send the ACK of a 2xx, the same for each of its retransmissions."""
        assert self.dialog is not None
        number = response.cseq.number
        ack = self._acks.get(number)
        if ack is None:
            self.dialog.refresh_target(response)
            self._timer.answered(response, self._stack.now())
            ack = self._acks[number] = self.dialog.ack(number)
        link = self._line.link_to(self.server)
        if link is not None:
            self._stack.send_ack(ack, link)
        else:
            self._line.begin(self._send_ack_anew(ack))

    async def _send_ack_anew(self, ack: Request) -> None:
        try:
            self._stack.send_ack(ack, await self._line.reach(self.server))
        except Unavailable:
            # The 2xx will be repeated, and then acknowledged on whatever link there is.
            return

    def _take_reinvite(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        if self._inviting or self._unacknowledged is not None:
            raise RemoteError(491, "Request Pending")
        self._accept(tx, request, link)

    def _take_update(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        if request.body and self._inviting:
            raise RemoteError(491, "Request Pending")
        body = self._answer(request.body) if request.body else b""
        headers = self._timer.accept(request, self._stack.now())
        self._refresh_target(request)
        self._respond(tx, request, 200, link, headers, body)

    def _take_bye(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        self._respond(tx, request, 200, link)
        self.reason = request.first("Reason") or ""
        self._end(self.status, "them")

    def _accept(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        """Answer an INVITE with 200 and repeat that until the ACK comes (RFC 3261, 13.3.1.4)."""
        body = self._answer(request.body) if request.body else self._offer()
        headers = self._timer.accept(request, self._stack.now())
        self._refresh_target(request)
        response = self._respond(tx, request, 200, link, headers, body)
        self._unacknowledged = Retransmission(
            self._stack.timers,
            self._stack.now(),
            lambda now: _repeat(tx, response, now),
            lambda now: self._line.begin(self.hang_up()),
        )
        self._stack.rearm()

    def _refresh_target(self, request: Request) -> None:
        if self.dialog is not None:
            self.dialog.refresh_target(request)

    def _respond(
        self,
        tx: ServerTransaction,
        request: Request,
        status: int,
        link: Link,
        headers: list[Header] | None = None,
        body: bytes = b"",
    ) -> Response:
        tag = self.dialog.local_tag if self.dialog is not None else None
        response = request.response(status, to_tag=tag, headers=headers or (), body=body)
        if 100 < status < 300:
            response.add("Contact", self._contact(link))
            response.add("Allow", ALLOW)
        if body:
            response.add("Content-Type", CONTENT_TYPE)
        self._stack.respond(tx, response)
        return response

    def _contact(self, link: Link) -> str:
        transport = link.flow.transport.lower()
        local = host_port(link.flow.local)
        return f"<sip:{self._line.settings.extension}@{local};transport={transport}>"


class _Reinvite:
    """Wait for a re-INVITE's answer and acknowledge it, however often it comes."""

    def __init__(self, call: PhoneCall) -> None:
        self._call = call
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Take a response."""
        if 200 <= response.status < 300:
            self._call.acknowledge(response)
        if response.status >= 200 and not self.final.done():
            self.final.set_result(response)

    def failed(self, tx: ClientTransaction, status: int, now: float) -> None:
        """Take that none comes."""
        if not self.final.done():
            self.final.set_exception(Unavailable("re-INVITE: no answer"))


def _meet(offered: Direction, holding: bool) -> Direction:
    """Return our direction for an offer seen from our side, on hold or not."""
    if not holding:
        return offered
    return "sendonly" if offered in ("sendrecv", "sendonly") else "inactive"


def _repeat(tx: ServerTransaction, response: Response, now: float) -> None:
    tx.retransmit(response, now)
