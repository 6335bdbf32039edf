"""The page on which packets are captured, and from which captures are fetched."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from aiohttp import web

from appliance.captured import LARGEST, LONGEST, Order
from appliance.errors import LocalError, Unavailable
from appliance.web.captures_api import CaptureDoor, CapturesApi
from appliance.web.gate import CHANGE, NOTHING, form_of
from appliance.web.page import Pages

FRESH = dict.fromkeys(("card", "hosts", "call", "ports", "audio"), "")
FRESH |= {"seconds": "60", "megabytes": "10"}
"""The form as it is at first."""
PLACE = "/diagnostics/captures"


class CapturePages:
    """Show captures, and begin, stop and remove them."""

    def __init__(self, pages: Pages, captures: CaptureDoor, api: CapturesApi) -> None:
        self._pages = pages
        self._captures = captures
        self._api = api

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(PLACE, self.get_captures),
            web.post(PLACE, self.post_capture),
            web.post(f"{PLACE}/{{id}}/stop", self.post_stop),
            web.post(f"{PLACE}/{{id}}/delete", self.post_delete),
        ]

    async def get_captures(self, request: web.Request) -> web.StreamResponse:
        """List captures, with the form that begins one."""
        return await self._shown(request, {"call": request.query.get("call", "")[:64]}, "")

    async def post_capture(self, request: web.Request) -> web.StreamResponse:
        """Begin a capture; what is wrong with it is said beside the form, which keeps it."""
        fields = await form_of(request)
        try:
            await self._api.begin(request, order_of(fields))
        except (LocalError, Unavailable) as error:
            request[CHANGE] = NOTHING
            return await self._shown(request, fields, str(error))
        raise web.HTTPSeeOther(PLACE)

    async def post_stop(self, request: web.Request) -> web.StreamResponse:
        """End the capture that runs."""
        await self._api.stop(request)
        raise web.HTTPSeeOther(PLACE)

    async def post_delete(self, request: web.Request) -> web.StreamResponse:
        """Remove a capture."""
        self._api.delete(request)
        raise web.HTTPSeeOther(PLACE)

    async def _shown(
        self, request: web.Request, fields: dict[str, str], failure: str
    ) -> web.StreamResponse:
        return self._pages.render(
            request,
            "captures",
            409 if failure else 200,
            captures=self._captures.kept(),
            running=self._captures.running,
            cards=await self._captures.cards(),
            fields=FRESH | fields,
            most={"seconds": LONGEST, "megabytes": LARGEST},
            failure=failure,
            now=time.time(),
        )


def order_of(fields: dict[str, str]) -> Order:
    """Read the form; raises LocalError that names the field."""
    told: dict[str, Any] = {
        "card": fields.get("card", ""),
        "seconds": fields.get("seconds", ""),
        "megabytes": fields.get("megabytes", ""),
        "hosts": fields.get("hosts", "").replace(",", " ").split(),
        "call": fields.get("call", "").strip(),
        "audio": "audio" in fields,
    }
    if ports := fields.get("ports", "").replace("-", " ").split():
        told["ports"] = ports
    try:
        return msgspec.convert(told, Order, strict=False)
    except msgspec.ValidationError as error:
        raise LocalError(f"the capture cannot begin: {error}") from error
