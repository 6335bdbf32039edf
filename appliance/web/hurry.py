"""Connections that take their time: whoever sends no whole request head is cut off (slow loris)."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp.web_protocol import RequestHandler

HEAD_TIMEOUT = 10.0
"""Seconds from the connection to the end of the first request's head; later ones have to come
within the time that an idle connection is kept."""
HANDSHAKE_TIMEOUT = 5.0
"""Seconds for TLS."""
LOOK_INTERVAL = 0.25
CONNECTIONS = 1024
"""Open at a time; each waits for 10 seconds at most before it asks something. Others are cut."""


class Hurry:
    """Watch the connections of one server."""

    def __init__(self) -> None:
        self._waiting: dict[RequestHandler, asyncio.TimerHandle] = {}

    def middleware(self) -> Middleware:
        """Return what notes that a connection has asked something; the outermost."""

        @web.middleware
        async def note(request: web.Request, handler: Handler) -> web.StreamResponse:
            timer = self._waiting.pop(request.protocol, None)
            if timer is not None:
                timer.cancel()
            return await handler(request)

        return note

    def begin(self, server: web.Server) -> RequestHandler:
        """Return the protocol of a new connection, which has to hurry from now on."""
        handler: RequestHandler = server()
        full = len(server.connections) + len(self._waiting) >= CONNECTIONS
        wait = 0.0 if full else HEAD_TIMEOUT
        loop = asyncio.get_running_loop()
        self._waiting[handler] = loop.call_later(wait, self._cut, handler)
        return handler

    def _cut(self, handler: RequestHandler, looks: int = 0) -> None:
        if handler.transport is not None:
            handler.transport.abort()
        elif looks * LOOK_INTERVAL <= HANDSHAKE_TIMEOUT:  # It has no transport before that is done.
            timer = asyncio.get_running_loop().call_later
            self._waiting[handler] = timer(LOOK_INTERVAL, self._cut, handler, looks + 1)
            return
        self._waiting.pop(handler, None)
