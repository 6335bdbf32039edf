"""The page of one call that is up: who talks, its path, and what was said on the wire."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

from aiohttp import web

from appliance.errors import LocalError
from appliance.web.messages import drawing_of
from appliance.web.messages_api import MessagesApi
from appliance.web.page import Pages
from appliance.web.site_pages import Desk


class CallPages:
    """Show one call while it lasts; afterwards its record is shown."""

    def __init__(self, pages: Pages, desk: Desk, said: MessagesApi) -> None:
        self._pages = pages
        self._desk = desk
        self._said = said

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [web.get("/calls/{id}", self.get_call)]

    async def get_call(self, request: web.Request) -> web.StreamResponse:
        """Show a call that is up; lead to the record of one that is over."""
        name = request.match_info["id"]
        calls = await self._desk.ask("calls")
        call = next((one for one in calls if one["id"] == name), None)
        if call is not None:
            shown = {"call": call, "now": time.time(), **await shown_of(self._said, name)}
            return self._pages.render(request, "call", **shown)
        place = f"/records/{quote(name, safe='')}"
        if "HX-Request" in request.headers:
            return web.Response(headers={"HX-Redirect": place})
        raise web.HTTPSeeOther(place)


async def shown_of(said: MessagesApi, name: str) -> dict[str, Any]:
    """Return what a page needs to show the messages of a call."""
    try:
        told = await said.remembered(name)
    except LocalError:  # a signalling process of an older version: the page is of use without
        told = None
    drawn = drawing_of(told) if told is not None and told.messages else None
    return {"id": name, "told": told, "drawn": drawn}
