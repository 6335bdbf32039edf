"""A simulated desk phone on real sockets: it registers, fails over, calls, talks and listens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from appliance.cloud.reference.phone_audio import open_audio
from appliance.cloud.reference.phone_call import ALLOW, PhoneCall
from appliance.cloud.reference.phone_calling import OutgoingCall
from appliance.cloud.reference.phone_link import Link, Server
from appliance.cloud.reference.phone_login import Login
from appliance.cloud.reference.phone_registration import Registration
from appliance.cloud.reference.phone_ringing import IncomingCall
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.cloud.reference.phone_stack import PhoneStack
from appliance.errors import LocalError, Unavailable
from appliance.sip.message import Header, Request
from appliance.sip.server_transaction import ServerTransaction

EXTENSIONS = frozenset({"timer"})
"""SIP extensions it knows (RFC 4028)."""
TEXTS = 20
"""Texts kept of those shown on its screen."""


class Phone:
    """One phone; after `start`, call `stop`."""

    def __init__(self, settings: PhoneSettings) -> None:
        self.settings = settings
        self.stack = PhoneStack(self)
        self.registration = Registration(settings, self.stack, self._retire)
        self.calls: list[PhoneCall] = []
        """Calls that are not over."""
        self.history: list[PhoneCall] = []
        """Calls that were made to it or by it, the last 20."""
        self.texts: list[str] = []
        """What SIP MESSAGEs have put on its screen."""
        self._work: set[asyncio.Task[None]] = set()
        self._retired: list[Link] = []

    @property
    def server(self) -> Server | None:
        """The server it is registered at."""
        return self.registration.server

    def start(self) -> None:
        """Switch it on."""
        self.begin(self.registration.run())

    async def stop(self) -> None:
        """Hang up and switch it off."""
        for call in list(self.calls):
            await call.hang_up()
        for task in list(self._work):
            task.cancel()
        for task in list(self._work):
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for call in list(self.calls):
            call.audio.close()
        self.stack.close()

    async def call(self, number: str) -> OutgoingCall:
        """Dial; Unavailable when it is registered nowhere."""
        server, link = self.server, self.registration.link
        if server is None or link is None:
            raise Unavailable(f"phone {self.settings.extension} is registered nowhere")
        audio = await open_audio(self.settings.address, self.settings.tone)
        call = OutgoingCall(self, server, audio, number)
        self._keep(call)
        call.begin(link)
        return call

    async def rings(self, timeout: float = 10.0) -> PhoneCall:
        """Wait for a call that comes in; Unavailable when none does."""
        try:
            async with asyncio.timeout(timeout):
                while True:
                    for call in self.calls:
                        if isinstance(call, IncomingCall):
                            return call
                    await asyncio.sleep(0.02)
        except TimeoutError as error:
            name = self.settings.extension
            raise Unavailable(f"phone {name} has not rung within {timeout:g} s") from error

    # -- what its calls need ----------------------------------------------------------------

    def login_at(self, server: Server) -> Login:
        """Return the credentials in use with a server."""
        for standing in self.registration.standings:
            if standing.server == server:
                return standing.login
        return self.registration.login()

    def link_to(self, server: Server) -> Link | None:
        """Return the open link to a server, if there is one."""
        candidates = [self.registration.link, *reversed(self._retired)]
        for link in candidates:
            if link is not None and link.open and link.server == server:
                return link
        return None

    async def reach(self, server: Server) -> Link:
        """Return an open link to a server, a new one if there is none; Unavailable else."""
        link = self.link_to(server)
        if link is None:
            link = await self.stack.connect(server, self.settings.tls)
            self._retired.append(link)
        return link

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background until the phone stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def forget(self, call: PhoneCall) -> None:
        """Take that a call is over, and close what only it still needed."""
        if call in self.calls:
            self.calls.remove(call)
        self.begin(self._drop_unused_soon())

    # -- what its stack tells it ------------------------------------------------------------

    def asked(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        """Answer a request."""
        if request.method == "CANCEL":
            self._cancel(tx, request)
        elif (call := self._call_of(request)) is not None:
            call.asked(tx, request, link)
        elif request.to.tag is not None:
            self._respond(tx, request, 481)
        elif request.method == "INVITE":
            self._ring(tx, request, link)
        else:
            self._take_other(tx, request)

    def acknowledged(self, request: Request) -> None:
        """Take the ACK of a 2xx."""
        call = self._call_of(request)
        if call is not None:
            call.acknowledged(request)

    def lost(self, link: Link, reason: str) -> None:
        """Take that a link ended by itself."""
        if link in self._retired:
            self._retired.remove(link)
        self.registration.lost(link, reason)

    def _take_other(self, tx: ServerTransaction, request: Request) -> None:
        if request.method == "MESSAGE":
            self.texts = [*self.texts, request.body.decode(errors="replace")][-TEXTS:]
        known = request.method in ("MESSAGE", "NOTIFY", "OPTIONS", "INFO")
        self._respond(tx, request, 200 if known else 405)

    def _cancel(self, tx: ServerTransaction, request: Request) -> None:
        invite = tx.cancels
        self._respond(tx, request, 481 if invite is None else 200)
        for call in list(self.calls):
            if isinstance(call, IncomingCall) and call.call_id == request.call_id:
                call.cancelled()
                return
        if invite is not None and invite.status < 200:
            self._respond(invite, invite.request, 487)

    def _ring(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        if self.settings.busy:
            self._respond(tx, request, 486)
        elif unknown := request.require - EXTENSIONS:
            self._respond(tx, request, 420, [("Unsupported", ", ".join(sorted(unknown)))])
        else:
            self.begin(self._ring_with_audio(tx, request, link))

    async def _ring_with_audio(self, tx: ServerTransaction, request: Request, link: Link) -> None:
        try:
            audio = await open_audio(self.settings.address, self.settings.tone)
        except LocalError:
            self._respond(tx, request, 503)
            return
        if tx.status >= 200:
            # Cancelled while the port was being opened.
            audio.close()
            return
        call = IncomingCall(self, link.server, audio, tx, link)
        self._keep(call)
        call.ring()

    def _respond(
        self, tx: ServerTransaction, request: Request, status: int, more: list[Header] | None = None
    ) -> None:
        tag, headers = self.stack.identifiers.token(), [("Allow", ALLOW), *(more or ())]
        self.stack.respond(tx, request.response(status, to_tag=tag, headers=headers))

    def _keep(self, call: PhoneCall) -> None:
        self.calls.append(call)
        self.history = [*self.history, call][-TEXTS:]

    def _call_of(self, request: Request) -> PhoneCall | None:
        """Return the call whose dialog a request belongs to (RFC 3261, 12.2.2)."""
        tag, call_id = request.to.tag, request.call_id
        for call in self.calls:
            dialog = call.dialog
            if dialog is not None and (dialog.local_tag, dialog.call_id) == (tag, call_id):
                return call
        return None

    # -- links that calls still need --------------------------------------------------------

    def _retire(self, link: Link) -> None:
        """Keep a link that is no longer registered on for as long as a call goes over it."""
        if link.open:
            self._retired.append(link)
        self._drop_unused()

    async def _drop_unused_soon(self) -> None:
        # The last answers of a call, and their repetitions, still go out on its link.
        await asyncio.sleep(2.0)
        self._drop_unused()

    def _drop_unused(self) -> None:
        needed = {call.server for call in self.calls}
        for link in list(self._retired):
            if link.server not in needed:
                self._retired.remove(link)
                self.stack.drop(link)
