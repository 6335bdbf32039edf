"""The part of the API about calls for help; nothing here makes one."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from appliance.ports import Commands
from appliance.web.answers import as_json

PREFIX = "/api/v1/emergency"
ANSWER_TIMEOUT = 20.0
"""Seconds that core may take."""
LONGEST = 64
"""Characters of a number, an extension or an address."""


class EmergencyApi:
    """Answer by asking core."""

    def __init__(self, core: Commands) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(PREFIX, self.get_emergency),
            web.get(f"{PREFIX}/trial", self.get_trial),
        ]

    async def get_emergency(self, request: web.Request) -> web.Response:
        """Tell the numbers, the ways out, the safety team and who is called back."""
        return as_json(await self._ask("emergency"))

    async def get_trial(self, request: web.Request) -> web.Response:
        """Tell what a call for help would do, without one: `from`, `number` and `address`."""
        asked = {name: request.query.get(name, "") for name in ("from", "number", "address")}
        for name, value in asked.items():
            if len(value) > LONGEST:
                raise web.HTTPBadRequest(text=f"{name} is at most {LONGEST} characters long")
        return as_json(
            await self._ask(
                "emergency.trial",
                extension=asked["from"],
                number=asked["number"],
                address=asked["address"],
            )
        )

    async def _ask(self, command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._core.call(command, **arguments)
