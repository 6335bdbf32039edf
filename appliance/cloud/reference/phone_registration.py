"""How a simulated phone stays registered: through its list of servers, as desk phones do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.cloud.reference.phone_link import Link, Server
from appliance.cloud.reference.phone_login import Login
from appliance.cloud.reference.phone_settings import PhoneSettings
from appliance.cloud.reference.phone_stack import PhoneStack
from appliance.errors import HoldfastError, RemoteError
from appliance.sip.flow import host_port
from appliance.sip.headers import NameAddr
from appliance.sip.message import Header, Request, Response

USER_AGENT = "Holdfast simulated phone"
REFUSED = 30.0
"""Seconds a server that refused the password is left alone."""
ATTEMPTS = 3
"""REGISTERs for one registration: unsigned, signed, and signed again with a fresh nonce."""


@dataclass(slots=True)
class Standing:
    """What the phone knows of one server."""

    server: Server
    login: Login
    call_id: str
    cseq: int = 0
    shunned_until: float = 0.0
    """Not tried before (monotonic seconds)."""
    last_failure: str = ""
    retry_after: str = ""
    """Retry-After of the last refusal, as it came."""
    refusals: Counter[int] = field(default_factory=Counter)
    """How often it has refused a registration, by status."""


class Registration:
    """Keep one phone registered somewhere; `run` goes on until cancelled.

    `retire` is given each link that is no longer registered on; calls may still need it.
    """

    def __init__(
        self, settings: PhoneSettings, stack: PhoneStack, retire: Callable[[Link], None]
    ) -> None:
        self._settings = settings
        self._stack = stack
        self._retire = retire
        self._moved = asyncio.Condition()
        self._woken = asyncio.Event()
        self.standings = [
            Standing(server, self.login(), stack.identifiers.token()) for server in settings.servers
        ]
        self.index: int | None = None
        """Which server has it now."""
        self.link: Link | None = None
        """The way to that server."""
        self.expires_at = 0.0
        self.count = 0
        """Registrations that succeeded, refreshes included."""

    @property
    def server(self) -> Server | None:
        """The server that has it now; None while it is lost."""
        return None if self.index is None else self.standings[self.index].server

    def login(self) -> Login:
        """Return credentials that have met no challenge yet."""
        settings = self._settings
        return Login(
            settings.username, settings.password, settings.algorithms, self._stack.identifiers
        )

    async def run(self) -> None:
        """Register, refresh, fail over and fail back, for ever."""
        while True:
            if await self._take_first(len(self.standings)):
                await self._stay()
                await self._leave()
            else:
                await asyncio.sleep(self._pause())

    async def until(self, index: int | None) -> None:
        """Wait until this server has the phone (None: any server)."""
        async with self._moved:
            await self._moved.wait_for(
                lambda: self.index is not None and index in (None, self.index)
            )

    def lost(self, link: Link, reason: str) -> None:
        """Take that a link ended by itself."""
        if link is self.link:
            assert self.index is not None
            self.standings[self.index].last_failure = reason
            self._woken.set()

    async def unregister(self) -> None:
        """Say goodbye, best effort."""
        if self.index is None or self.link is None:
            return
        try:
            await self._register(self.standings[self.index], self.link, 0)
        except HoldfastError:
            return

    async def _take_first(self, below: int) -> bool:
        """Register at the first server of the list that takes us, before position `below`."""
        for index, standing in enumerate(self.standings[:below]):
            if standing.shunned_until > self._stack.now():
                continue
            link = None
            try:
                link = await self._stack.connect(standing.server, self._settings.tls)
                granted = await self._register(standing, link, self._settings.expires)
            except HoldfastError as error:
                standing.last_failure = str(error)
                if link is not None:
                    self._stack.drop(link)
                continue
            await self._move(index, link, granted)
            return True
        return False

    async def _move(self, index: int, link: Link, granted: float) -> None:
        old = self.link
        async with self._moved:
            self.index, self.link = index, link
            self._note(granted)
            self._woken.clear()
            self._moved.notify_all()
        link.keep_alive(self._settings.keepalive)
        if old is not None:
            self._retire(old)

    def _note(self, granted: float) -> None:
        self.expires_at = self._stack.now() + granted
        self.count += 1

    async def _stay(self) -> None:
        """Refresh until the server sends us away or is lost."""
        refresh_at = self._refresh_time()
        failback = self._settings.failback
        better_at = self._stack.now() + failback if failback else float("inf")
        while not await self._wait_until(min(refresh_at, better_at)):
            assert self.index is not None and self.link is not None
            if self._stack.now() >= better_at:
                better_at = self._stack.now() + failback
                if not await self._take_first(self.index):
                    continue
            else:
                try:
                    standing = self.standings[self.index]
                    expires = self._settings.expires
                    self._note(await self._register(standing, self.link, expires))
                except HoldfastError as error:
                    standing.last_failure = str(error)
                    return
            refresh_at = self._refresh_time()

    async def _wait_until(self, when: float) -> bool:
        """Wait; True when the link was lost meanwhile."""
        try:
            async with asyncio.timeout_at(when):
                await self._woken.wait()
        except TimeoutError:
            return False
        return True

    async def _leave(self) -> None:
        old = self.link
        async with self._moved:
            self.index = self.link = None
            self._moved.notify_all()
        if old is not None:
            self._retire(old)

    def _refresh_time(self) -> float:
        """Come back well before the end, not all phones at once."""
        left = self.expires_at - self._stack.now()
        return self._stack.now() + left * random.uniform(0.6, 0.8)

    def _pause(self) -> float:
        """Wait for the next round, or for the first server that may be asked again."""
        now = self._stack.now()
        waits = [each.shunned_until - now for each in self.standings if each.shunned_until > now]
        return max(0.05, min([self._settings.retry * random.uniform(0.75, 1.25), *waits]))

    async def _register(self, standing: Standing, link: Link, expires: int) -> float:
        """Register and return the seconds granted; HoldfastError when it did not work."""
        for _ in range(ATTEMPTS):
            standing.cseq += 1
            request = self._request(standing, link, expires)
            standing.login.sign(request)
            response = await self._stack.ask(request, link, self._settings.answer_timeout)
            if response.status == 200:
                return _granted(response, contact_uri(self._settings, link), expires)
            if response.status == 423 and response.first("Min-Expires"):
                expires = int(response.first("Min-Expires") or expires)
            elif not standing.login.challenged(response):
                break
        self._shun(standing, response)
        raise RemoteError(response.status, f"{standing.server} refused: {response.reason}")

    def _shun(self, standing: Standing, response: Response) -> None:
        """Leave a server alone for as long as it says, or as long as good manners want."""
        standing.refusals[response.status] += 1
        standing.retry_after = response.first("Retry-After") or ""
        text = standing.retry_after.split(";")[0].split("(")[0].strip()
        if text.isdigit():
            wait = float(text)
        else:
            wait = REFUSED if response.status in (401, 403, 407) else 0.0
        standing.shunned_until = self._stack.now() + wait

    def _request(self, standing: Standing, link: Link, expires: int) -> Request:
        settings = self._settings
        me = NameAddr(settings.name, settings.aor)
        headers: list[Header] = [
            ("Max-Forwards", "70"),
            ("From", f"{me};tag={self._stack.identifiers.token()}"),
            ("To", str(me)),
            ("Call-ID", standing.call_id),
            ("CSeq", f"{standing.cseq} REGISTER"),
            ("Contact", f"<{contact_uri(settings, link)}>"),
            ("Expires", str(expires)),
            ("User-Agent", USER_AGENT),
            ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, MESSAGE, NOTIFY"),
        ]
        return Request("REGISTER", f"sip:{settings.domain}", headers)


def contact_uri(settings: PhoneSettings, link: Link) -> str:
    """Return where this phone is reached over a link."""
    transport = link.flow.transport.lower()
    return f"sip:{settings.extension}@{host_port(link.flow.local)};transport={transport}"


def _granted(response: Response, own: str, asked: int) -> float:
    """Return the seconds our own contact was registered for."""
    for contact in response.contacts:
        if str(contact.uri) == own and (text := contact.param("expires")):
            return float(text)
    return float(asked if response.expires is None else response.expires)
