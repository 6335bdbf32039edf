"""The whole web of an appliance on a real socket, with a core of ours; and browsers that ask it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web
from argon2 import PasswordHasher

from appliance.adapters.admin_store import AdminStore
from appliance.adapters.tls import ensure_certificate, server_context
from appliance.cloud.sync import BundleSync
from appliance.diagnostics.captures import Captures
from appliance.diagnostics.check import Check, Outcome, Surroundings, fail, not_applicable, ok, warn
from appliance.diagnostics.examiner import Examiner, surroundings_of
from appliance.phonebook.upkeep import Directory
from appliance.settings import Settings
from appliance.web.app import make_application, serving
from appliance.web.gate import Gate
from appliance.web.people import People
from appliance.web.rooms import open_rooms
from tests.fake_core import FakeCore

TOKEN = "the-local-token"


async def _port_is_reset(around: Surroundings) -> Outcome:
    advice = "Let the port out in the firewall; if it is let out, ask the cloud's operator."
    steps = ("zone primary", "  tcp: 192.0.2.80:5091: connection refused (21 ms)")
    return fail("The port of zone primary is reset by a firewall", advice, *steps)


async def _fine(around: Surroundings) -> Outcome:
    await asyncio.sleep(0.05)
    return ok("https://cloud.example answers 404 in 31 ms")


async def _dim(around: Surroundings) -> Outcome:
    return warn(
        "the certificate of zone primary lasts for 12 d",
        "Ask for a new one.",
        "  signed by: Test CA",
    )


async def _none(around: Surroundings) -> Outcome:
    return not_applicable("there is no SBC: nobody outside can be called")


CHECKS = (
    Check("zones", "Zones of the cloud", "Reaches each zone anew.", 5.0, _port_is_reset),
    Check("cloud", "Cloud's HTTPS", "Asks the cloud's API for an answer.", 5.0, _fine),
    Check("certificates", "Certificates", "Looks at chain, name and expiry.", 5.0, _dim),
    Check("trunk", "Trunk", "Looks whether every SBC answers.", 5.0, _none),
)
"""Checks that find the same everywhere."""
PASSWORD = "correct horse battery"


def quick_hasher() -> PasswordHasher:
    """Hash in a millisecond; that the real one is slow is not what tests are about."""
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class House:
    """Everything the admin process serves; `now` and `wall` are its clocks."""

    def __init__(self, folder: Path, core: FakeCore | None = None) -> None:
        self.folder = folder
        self.now = 1000.0
        self.wall = 1_800_000_000.0
        self.core = core or FakeCore()
        self.store = AdminStore(folder / "admin.db")
        self.people = People(self.store, lambda: self.wall, quick_hasher())
        self.gate = Gate(self.people, TOKEN, ["box.example"], lambda: self.now)
        settings = Settings(data=folder, run=folder)
        self.sync = BundleSync(settings, None, self.core)
        self.directory = Directory(folder)
        around = surroundings_of(settings, self.core, self.sync.state)
        self.examiner = Examiner(around, CHECKS, lambda: self.wall)
        self.captures = Captures(around, folder / "captures", lambda: self.wall)
        self.rooms = open_rooms(
            settings,
            self.core,
            self.sync,
            self.gate,
            self.directory,
            self.store,
            self.examiner,
            self.captures,
        )
        self.url = ""
        self.session: aiohttp.ClientSession

    def routes(self) -> list[web.RouteDef]:
        return self.rooms.routes()

    @property
    def password_file(self) -> Path:
        return self.folder / "admin.password"

    def first_password(self) -> str:
        return self.password_file.read_text().split()[1]

    def browser(self) -> Browser:
        return Browser(self)

    async def account(self, name: str, role: str) -> Browser:
        """Make an account with a password of its own and log in with it."""
        one_time = await self.people.add(name, role)
        await self.people.choose_password(name, one_time, PASSWORD)
        browser = self.browser()
        assert (await browser.log_in(name, PASSWORD))[0] == 200
        return browser


class Browser:
    """Keeps a cookie and a CSRF token, or shows a bearer token."""

    def __init__(self, house: House, bearer: str = "") -> None:
        self._house = house
        self.bearer = bearer
        self.cookie = ""
        self.csrf = ""
        self.headers: Any = {}
        self.more: dict[str, str] = {}

    async def log_in(self, name: str, password: str) -> tuple[int, Any]:
        body = {"name": name, "password": password}
        status, content = await self.ask("POST", "/api/v1/session", body)
        if status == 200:
            self.csrf = content["csrf"]
            self.cookie = self.headers["Set-Cookie"].split(";")[0]
        return status, content

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        headers = dict(self.more)
        if self.bearer:
            headers["Authorization"] = f"Bearer {self.bearer}"
        if self.cookie:
            headers["Cookie"] = self.cookie
            headers.setdefault("X-CSRF-Token", self.csrf)
        data = None if body is None else msgspec.json.encode(body)
        if data is not None:
            headers["Content-Type"] = "application/json"
        async with self._house.session.request(
            method, self._house.url + path, data=data, headers=headers, allow_redirects=False
        ) as answer:
            self.headers = answer.headers
            if answer.content_type == "text/event-stream":
                answer.close()  # it has no end
                return answer.status, None
            content = await answer.read()
            told = answer.content_type.endswith("json") and content
            return answer.status, msgspec.json.decode(content) if told else text_of(content)


def text_of(content: bytes) -> str:
    """Return an answer as text; octets of a file that are none stay what they are."""
    return content.decode("utf-8", "surrogateescape")


def run(
    folder: Path, script: Callable[[House], Awaitable[None]], core: FakeCore | None = None
) -> None:
    """Serve a house while the script runs."""
    asyncio.run(serve(folder, script, core))


async def serve(
    folder: Path, script: Callable[[House], Awaitable[None]], core: FakeCore | None = None
) -> None:
    """Serve a house while the script runs, in a loop that there is."""
    house = House(folder, core)
    certificate, key = ensure_certificate(folder / "admin", ["127.0.0.1"])
    application = make_application(house.gate, house.routes(), house.rooms.pages.refuse)
    tls = server_context(certificate, key)
    trust = ssl.create_default_context(cafile=certificate)
    await house.people.begin(house.password_file)
    async with serving(application, "127.0.0.1", 0, tls) as port:
        house.url = f"https://127.0.0.1:{port}"
        connector = aiohttp.TCPConnector(ssl=trust)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            house.session = session
            await script(house)
    await house.rooms.live.close()
    await house.captures.close()
    await house.examiner.close()
    await house.store.close()
