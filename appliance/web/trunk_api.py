"""The part of the API about the trunk: SBCs, maintenance, and users who are stopped."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.ports import Commands
from appliance.web.answers import as_json
from appliance.web.gate import CHANGE, Change
from appliance.web.people_api import body_of

ANSWER_TIMEOUT = 20.0
"""Seconds that core may take; it answers in milliseconds when it lives."""
Word = Annotated[str, Meta(max_length=400)]


class NamedSbc(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that names an SBC."""

    sbc: Word
    """As `GET /api/v1/trunk` has it."""


class NamedUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that names a user."""

    extension: Word


class TrunkApi:
    """Answer about the trunk by asking core."""

    def __init__(self, core: Commands) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/api/v1/trunk", self.get_trunk),
            web.post("/api/v1/trunk/drain", self.drain),
            web.post("/api/v1/trunk/resume", self.resume),
            web.post("/api/v1/trunk/release", self.release),
        ]

    async def get_trunk(self, request: web.Request) -> web.Response:
        """Tell the state of every SBC, and who is stopped."""
        return as_json(await self._ask("trunk"))

    async def drain(self, request: web.Request) -> web.Response:
        """Give an SBC no new calls."""
        sbc = (await body_of(request, NamedSbc)).sbc
        request[CHANGE] = Change("trunk.drain", sbc)
        return as_json(await self._ask("trunk.drain", sbc=sbc))

    async def resume(self, request: web.Request) -> web.Response:
        """Give a drained SBC calls again."""
        sbc = (await body_of(request, NamedSbc)).sbc
        request[CHANGE] = Change("trunk.resume", sbc)
        return as_json(await self._ask("trunk.resume", sbc=sbc))

    async def release(self, request: web.Request) -> web.Response:
        """Let a stopped user call outside again."""
        extension = (await body_of(request, NamedUser)).extension
        request[CHANGE] = Change("trunk.release", extension)
        return as_json(await self._ask("trunk.release", extension=extension))

    async def _ask(self, command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._core.call(command, **arguments)
