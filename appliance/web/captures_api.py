"""The part of the API about captures of packets: to begin one, to follow, fetch and remove it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from appliance.captured import LARGEST, LONGEST, Capture, Order
from appliance.web.answers import as_json
from appliance.web.gate import CHANGE, Change, visitor_of
from appliance.web.messages_api import CAPTURE
from appliance.web.people_api import body_of

PREFIX = "/api/v1/captures"


class CaptureDoor(Protocol):
    """Captures packets and keeps the files; `diagnostics.captures.Captures` fulfils it."""

    @property
    def running(self) -> Capture | None:
        """The one that is under way."""
        ...

    async def cards(self) -> list[str]:
        """Return the names of cards, the one that leads out of the site first."""
        ...

    def kept(self) -> list[Capture]:
        """Return every capture there is, the latest first."""
        ...

    def find(self, identifier: str) -> Capture | None:
        """Return a capture, or None."""
        ...

    def file_of(self, capture: Capture) -> Path:
        """Return where its packets are."""
        ...

    async def start(self, order: Order, by: str) -> Capture:
        """Begin a capture; raises LocalError or Unavailable."""
        ...

    async def stop(self, identifier: str) -> Capture:
        """End a capture before its time; raises LocalError."""
        ...

    def delete(self, identifier: str) -> None:
        """Remove a capture; raises LocalError."""
        ...


class CapturesApi:
    """Let admins capture."""

    def __init__(self, captures: CaptureDoor) -> None:
        self._captures = captures

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(PREFIX, self.get_captures),
            web.post(PREFIX, self.post_capture),
            web.get(f"{PREFIX}/{{id}}", self.get_capture),
            web.delete(f"{PREFIX}/{{id}}", self.delete_capture),
            web.post(f"{PREFIX}/{{id}}/stop", self.post_stop),
            web.get(f"{PREFIX}/{{id}}/pcap", self.get_file),
        ]

    async def get_captures(self, request: web.Request) -> web.Response:
        """List what is kept, and what can be captured."""
        limits = {"seconds": LONGEST, "megabytes": LARGEST}
        told = {"captures": self._captures.kept(), "cards": await self._captures.cards()}
        return as_json(told | {"limits": limits})

    async def post_capture(self, request: web.Request) -> web.Response:
        """Begin a capture; how it goes on is asked for by its id."""
        return as_json(await self.begin(request, await body_of(request, Order)), 202)

    async def begin(self, request: web.Request, order: Order) -> Capture:
        """Begin a capture for a page or the API; raises LocalError or Unavailable."""
        capture = await self._captures.start(order, visitor_of(request).name)
        request[CHANGE] = Change("capture.begin", capture.id, after=order)
        return capture

    async def get_capture(self, request: web.Request) -> web.Response:
        """Tell how a capture stands."""
        return as_json(self._found(request))

    async def post_stop(self, request: web.Request) -> web.Response:
        """End a capture before its time."""
        return as_json(await self.stop(request))

    async def stop(self, request: web.Request) -> Capture:
        """End the capture a request names, for a page or the API."""
        capture = self._found(request)
        request[CHANGE] = Change("capture.stop", capture.id)
        return await self._captures.stop(capture.id)

    async def delete_capture(self, request: web.Request) -> web.Response:
        """Remove a capture."""
        self.delete(request)
        return web.Response(status=204)

    def delete(self, request: web.Request) -> None:
        """Remove the capture a request names, for a page or the API."""
        capture = self._found(request)
        self._captures.delete(capture.id)
        request[CHANGE] = Change("capture.delete", capture.id)

    async def get_file(self, request: web.Request) -> web.StreamResponse:
        """Give the packets, also while they are being captured."""
        capture = self._found(request)
        file = self._captures.file_of(capture)
        if not file.exists():
            raise web.HTTPNotFound(text=f"capture {capture.id} has no packets: {capture.ending}")
        request[CHANGE] = Change("capture.download", capture.id)
        headers: dict[str, Any] = {
            "Content-Type": CAPTURE,
            "Content-Disposition": f'attachment; filename="holdfast-capture-{capture.id}.pcapng"',
        }
        return web.FileResponse(file, headers=headers)

    def _found(self, request: web.Request) -> Capture:
        name = request.match_info["id"]
        capture = self._captures.find(name)
        if capture is None:
            raise web.HTTPNotFound(text=f"there is no capture {name[:64]!r}; it may be removed")
        return capture
