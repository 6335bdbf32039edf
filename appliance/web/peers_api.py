"""The part of the API about the other sites: how each is from here, and maintenance."""

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


class NamedSite(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that names another site."""

    site: Annotated[str, Meta(max_length=400)]
    """As `GET /api/v1/peers` has it."""


class PeersApi:
    """Answer about the other sites by asking core."""

    def __init__(self, core: Commands) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/api/v1/peers", self.get_peers),
            web.post("/api/v1/peers/drain", self.drain),
            web.post("/api/v1/peers/resume", self.resume),
        ]

    async def get_peers(self, request: web.Request) -> web.Response:
        """Tell how every other site is."""
        return as_json(await self._ask("peers"))

    async def drain(self, request: web.Request) -> web.Response:
        """Give a site no new calls."""
        return await self._change(request, "peers.drain")

    async def resume(self, request: web.Request) -> web.Response:
        """Give a drained site calls again."""
        return await self._change(request, "peers.resume")

    async def _change(self, request: web.Request, command: str) -> web.Response:
        site = (await body_of(request, NamedSite)).site
        request[CHANGE] = Change(command, site)
        return as_json(await self._ask(command, site=site))

    async def _ask(self, command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._core.call(command, **arguments)
