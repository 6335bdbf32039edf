"""The page about the other sites: how each is from here, and taking one out for maintenance."""

from __future__ import annotations

import time

from aiohttp import web

from appliance.web.gate import CHANGE, Change, form_of
from appliance.web.page import Pages
from appliance.web.site_pages import Desk

SOON = 30 * 86400.0
"""Seconds before its end from which a certificate is marked; core warns from there on as well."""
SITES_SHOWN = 200
"""Rows of the page; those whom no call reaches come first."""
STATES = {
    "up": ("up", "answers"),
    "rising": ("weak", "answers again"),
    "failing": ("weak", "misses answers"),
    "unknown": ("unknown", "not asked yet"),
    "down": ("down", "does not answer"),
}
WAYS = {
    "direct": ("up", "directly"),
    "trunk": ("weak", "over the trunk"),
    "none": ("down", "nowhere"),
}
"""Where a call there would go now; each with how it is shown."""


class PeerPages:
    """Show the other sites."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/sites", self.get_sites),
            web.post("/sites/drain", self.post_drain),
            web.post("/sites/resume", self.post_resume),
        ]

    async def get_sites(self, request: web.Request) -> web.StreamResponse:
        """Show every other site."""
        sites = await self._desk.ask("peers")
        sites.sort(key=lambda site: site["way"] != "none")
        return self._pages.render(
            request,
            "sites",
            sites=sites[:SITES_SHOWN],
            total=len(sites),
            states=STATES,
            ways=WAYS,
            soon=SOON,
            now=time.time(),
            flash=self._desk.said(request),
        )

    async def post_drain(self, request: web.Request) -> web.StreamResponse:
        """Give a site no new calls."""
        return await self._change(request, "drain", "gets no new calls; those that are up go on.")

    async def post_resume(self, request: web.Request) -> web.StreamResponse:
        """Give a drained site calls again."""
        return await self._change(request, "resume", "gets calls again.")

    async def _change(self, request: web.Request, act: str, text: str) -> web.StreamResponse:
        site = (await form_of(request)).get("site", "")
        await self._desk.ask(f"peers.{act}", site=site)
        request[CHANGE] = Change(f"peers.{act}", site)
        self._desk.say(request, text=f"{site} {text}")
        raise web.HTTPSeeOther("/sites")
