"""The part of the API about what was said in a call: its messages, and the capture of them."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from appliance.ports import Commands
from appliance.web.answers import as_json
from appliance.web.gate import CHANGE, Change
from appliance.web.messages import Messages, file_of, messages_of

ANSWER_TIMEOUT = 10.0
CAPTURE = "application/vnd.tcpdump.pcap"
"""The type registered for capture files."""


class MessagesApi:
    """Tell what was said in calls that are up, and in those that ended of late."""

    def __init__(self, core: Commands) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/api/v1/calls/{id}/messages", self.get_messages),
            web.get("/api/v1/calls/{id}/pcap", self.get_pcap),
        ]

    async def get_messages(self, request: web.Request) -> web.Response:
        """List the messages of a call, without what is secret."""
        name = request.match_info["id"]
        return as_json(messages_of(name, await self._told(name)))

    async def get_pcap(self, request: web.Request) -> web.Response:
        """Give the messages of a call as a file for packet analysers."""
        name = request.match_info["id"]
        told = await self._told(name)
        body = await asyncio.to_thread(file_of, told)
        request[CHANGE] = Change("call.pcap", name)
        headers = {
            "Content-Disposition": f'attachment; filename="holdfast-call-{_plain(name)}.pcapng"'
        }
        return web.Response(body=body, content_type=CAPTURE, headers=headers)

    async def remembered(self, name: str) -> Messages | None:
        """Return what is remembered of a call, for a page; None: nothing."""
        told = await self._ask(name)
        return messages_of(name, told) if told is not None else None

    async def _told(self, name: str) -> dict[str, Any]:
        told = await self._ask(name)
        if told is None:
            text = (
                f"nothing is remembered of a call {name[:64]!r}: only what was said of late is, "
                "in memory, and it is gone after a restart of the signalling process"
            )
            raise web.HTTPNotFound(text=text)
        return told

    async def _ask(self, name: str) -> dict[str, Any] | None:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            told: dict[str, Any] | None = await self._core.call("calls.messages", id=name)
        return told


def _plain(name: str) -> str:
    """Return an id as it may stand in a file's name."""
    return "".join(letter for letter in name if letter.isalnum() or letter in "-_")[:64]
