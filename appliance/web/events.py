"""One stream of server-sent events: what changes, the moment it is seen."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec
from aiohttp import web

from appliance.web.gate import Gate
from appliance.web.live import Event, Live, events_of

HEARTBEAT = 15.0
"""Seconds of silence before a comment is sent, so that nobody takes the stream for dead."""
RETRY = 3000
"""Milliseconds after which a browser comes back."""


class Events:
    """Tell browsers and scripts what changes."""

    def __init__(self, live: Live, gate: Gate) -> None:
        self._live = live
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        """Return the one route."""
        return [web.get("/api/v1/events", self.get_events)]

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """Stream events (WHATWG HTML, 9.2) until the browser goes or its session ends."""
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        if request.method == "HEAD":
            return stream
        with self._live.listen() as queue:
            await stream.prepare(request)
            await stream.write(f"retry: {RETRY}\n\n".encode())
            for name, data in events_of(await self._live.view()).items():
                await stream.write(_frame(name, data))
            with suppress(ConnectionError):  # the browser has gone
                # Who logs out, or is removed, is cut off with the next event or heartbeat.
                while self._gate.visitor(request) is not None:
                    await stream.write(await _next(queue))
        return stream


async def _next(queue: asyncio.Queue[Event]) -> bytes:
    """Return what comes next, or a comment when nothing does for a while."""
    try:
        return _frame(*await asyncio.wait_for(queue.get(), HEARTBEAT))
    except TimeoutError:
        return b": still here\n\n"


def _frame(name: str, data: object) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
