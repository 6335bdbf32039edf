"""Pages about calls that leave: the trunk and who dials what, parked calls and forwardings."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from appliance.bundle import Bundle
from appliance.dialling import dial
from appliance.errors import LocalError
from appliance.web.gate import CHANGE, Change, form_of
from appliance.web.page import Pages
from appliance.web.site_pages import Desk

FORWARDINGS_SHOWN, NUMBERS_SHOWN = 200, 200
"""Rows of one page."""
LONGEST = 64
"""Characters of an extension or of what is dialled."""
SBC_WORDS = {
    "up": "answers",
    "unknown": "not asked yet",
    "failing": "misses answers",
    "down": "does not answer",
}


class OutsidePages:
    """Show the trunk, and where calls wait or go instead."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/trunk", self.get_trunk),
            web.post("/trunk/drain", self.post_drain),
            web.post("/trunk/resume", self.post_resume),
            web.post("/trunk/release", self.post_release),
            web.get("/waiting", self.get_waiting),
            web.post("/waiting/return", self.post_return),
            web.post("/waiting/reset", self.post_reset),
        ]

    async def get_trunk(self, request: web.Request) -> web.StreamResponse:
        """Show the SBCs, the numbers, who is stopped, and try what dialled digits would do."""
        asked = {name: request.query.get(name, "").strip() for name in ("from", "number")}
        if any(len(value) > LONGEST for value in asked.values()):
            raise web.HTTPBadRequest(text=f"a field has at most {LONGEST} characters")
        told, bundle = await self._desk.ask("trunk"), await self._bundle()
        trial, failure = None, ""
        if any(asked.values()):
            try:
                site = await self._desk.stored.premises()
                trial = await asyncio.to_thread(dial, site, asked["from"], asked["number"])
            except LocalError as error:
                failure = str(error)
        return self._pages.render(
            request,
            "trunk",
            groups=groups_of(bundle, told["sbcs"]),
            stopped=_stopped(bundle, told["stopped"]),
            numbers=bundle.trunk_numbers[:NUMBERS_SHOWN] if bundle else (),
            plan=bundle.number_plan if bundle else None,
            trial=trial,
            failure=failure,
            query=asked,
            words=SBC_WORDS,
            now=time.time(),
            flash=self._desk.said(request),
        )

    async def post_drain(self, request: web.Request) -> web.StreamResponse:
        """Give an SBC no new calls."""
        sbc = (await form_of(request)).get("sbc", "")
        await self._desk.ask("trunk.drain", sbc=sbc)
        request[CHANGE] = Change("trunk.drain", sbc)
        return self._done(request, "/trunk", f"{sbc} gets no new calls; those that are up go on.")

    async def post_resume(self, request: web.Request) -> web.StreamResponse:
        """Give a drained SBC calls again."""
        sbc = (await form_of(request)).get("sbc", "")
        await self._desk.ask("trunk.resume", sbc=sbc)
        request[CHANGE] = Change("trunk.resume", sbc)
        return self._done(request, "/trunk", f"{sbc} gets calls again.")

    async def post_release(self, request: web.Request) -> web.StreamResponse:
        """Let a stopped user call outside again."""
        extension = (await form_of(request)).get("extension", "")
        await self._desk.ask("trunk.release", extension=extension)
        request[CHANGE] = Change("trunk.release", extension)
        return self._done(request, "/trunk", f"{extension} may call outside again.")

    async def get_waiting(self, request: web.Request) -> web.StreamResponse:
        """Show which calls are parked where, and whose calls go elsewhere."""
        search = request.query.get("search", "")[:100]
        calls, rows = await self._desk.ask("calls"), await self._desk.ask("forwardings")
        wanted = search.casefold().strip()
        found = [row for row in rows if not wanted or wanted in _text_of(row)]
        parked = [{**call, "since": _parked_at(call)} for call in calls if call["parked"]]
        return self._pages.render(
            request,
            "waiting",
            parked=sorted(parked, key=lambda call: str(call["parked"])),
            rows=found[:FORWARDINGS_SHOWN],
            total=len(found),
            search=search,
            now=time.time(),
            flash=self._desk.said(request),
        )

    async def post_return(self, request: web.Request) -> web.StreamResponse:
        """Send a parked call back to who has parked it, now."""
        orbit = (await form_of(request)).get("orbit", "")
        await self._desk.ask("park.return", orbit=orbit)
        request[CHANGE] = Change("park.return", orbit)
        return self._done(request, "/waiting", f"The call at {orbit} rings who has parked it.")

    async def post_reset(self, request: web.Request) -> web.StreamResponse:
        """Undo what a user has set on the phone."""
        extension = (await form_of(request)).get("extension", "")
        row = await self._desk.ask("forwardings.reset", extension=extension)
        request[CHANGE] = Change("forwardings.reset", extension, row["set_on_phone"])
        return self._done(request, "/waiting", f"{extension} follows the configuration again.")

    async def _bundle(self) -> Bundle | None:
        try:
            return await self._desk.stored.bundle()
        except LocalError:
            return None

    def _done(self, request: web.Request, there: str, text: str) -> web.StreamResponse:
        self._desk.say(request, text=text)
        raise web.HTTPSeeOther(there)


def groups_of(bundle: Bundle | None, sbcs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the route groups with the SBCs of each; other sites are no part of the trunk."""
    known = bundle.route_groups if bundle else ()
    return [
        {"group": group, "sbcs": [sbc for sbc in sbcs if sbc["route_group"] == group.id]}
        for group in known
    ]


def _stopped(bundle: Bundle | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return who is stopped, with names; the core knows ids."""
    named = {user.id: user for user in bundle.users} if bundle and rows else {}
    return [{**row, "who": named[row["user"]]} for row in rows if row["user"] in named]


def _text_of(row: dict[str, Any]) -> str:
    return f"{row['name']} {row['extension']}".casefold()


def _parked_at(call: dict[str, Any]) -> float:
    """Return when a call has come to its orbit: the last line of its path says so."""
    stamps = call.get("stamps") or []
    return float(stamps[-1]["at"] if stamps else call["started"])
