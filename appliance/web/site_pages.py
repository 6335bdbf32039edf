"""Pages about the site: how it stands, its phones, calls, groups and directory."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from aiohttp import web

from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.phonebook.upkeep import Directory
from appliance.ports import Commands
from appliance.rehearsal import group_rows, words
from appliance.web.api import BundleDoor, phones_asked
from appliance.web.diary import Diary
from appliance.web.gate import Gate, form_of
from appliance.web.live import Live, View
from appliance.web.page import Pages, Verdict
from appliance.web.picture import groups_drawn, modes_drawn, ribbon_drawn
from appliance.web.sessions import COOKIE
from appliance.web.site_api import NewTest, SiteApi, Walk
from appliance.web.stored import Stored

PHONES_SHOWN, CALLS_SHOWN, FOUND_SHOWN, GROUPS_SHOWN = 100, 200, 50, 100
"""Rows of one page; 100 phones are 12 KB on the wire."""
HISTORY_SHOWN, EVIDENCE_SHOWN = 100, 20
ANSWER_TIMEOUT = 10.0


@dataclass(frozen=True)
class Desk:
    """Everything pages ask."""

    core: Commands
    bundles: BundleDoor
    gate: Gate
    directory: Directory
    live: Live
    diary: Diary
    stored: Stored
    site: SiteApi

    async def ask(self, command: str, **arguments: Any) -> Any:
        """Ask core; raises LocalError or Unavailable."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self.core.call(command, **arguments)

    def say(self, request: web.Request, **flash: str) -> None:
        """Have the next page of this session tell something, once."""
        session = self.gate.sessions.find(request.cookies.get(COOKIE, ""))
        if session is not None:
            session.flash = flash

    def said(self, request: web.Request) -> dict[str, str]:
        """Return what was to be told, and forget it; live parts have no place for it."""
        session = self.gate.sessions.find(request.cookies.get(COOKIE, ""))
        if session is None or session.flash is None or "HX-Request" in request.headers:
            return {}
        flash, session.flash = session.flash, None
        return flash


class SitePages:
    """Show the site."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk
        self._changes: list[dict[str, Any]] = []
        self._history_of: object = None
        """Mode, and since when, to which `_changes` lead."""

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/", self.get_dashboard),
            web.get("/survivability", self.get_survivability),
            web.post("/survivability/test", self.post_test),
            web.post("/survivability/test/end", self.post_test_end),
            web.get("/phones", self.get_phones),
            web.get("/calls", self.get_calls),
            web.get("/groups", self.get_groups),
            web.get("/directory", self.get_directory),
        ]

    async def get_dashboard(self, request: web.Request) -> web.StreamResponse:
        """Tell in one look whether the site would survive now."""
        view = await self._desk.live.view()
        history = (await self._history(view))[:20]
        if "HX-Request" in request.headers:
            return self._pages.shared(
                request, "dashboard", view, lambda: self._dashboard(view, history)
            )
        shown = self._dashboard(view, history)
        return self._pages.render(request, "dashboard", **shown, flash=self._desk.said(request))

    def _dashboard(self, view: View, history: list[dict[str, Any]]) -> dict[str, Any]:
        zones = view.status["zones"] if view.status else []
        diary = self._desk.diary
        return {
            "view": view,
            "verdict": Verdict(view),
            "ribbons": {zone["id"]: ribbon_drawn(diary.ribbon(zone["id"])) for zone in zones},
            "timeline": modes_drawn(view.status, history, view.at),
            "stored": self._desk.bundles.state,
        }

    async def get_survivability(self, request: web.Request) -> web.StreamResponse:
        """Show the mode, its history, the zones, and testing mode."""
        desk = self._desk
        view = await desk.live.view()
        mode = await desk.ask("mode") if view.status else None
        history = await self._history(view)
        evidence = await self._evidence() if view.status else []
        zones = view.status["zones"] if view.status else []
        return self._pages.render(
            request,
            "survivability",
            view=view,
            mode=mode,
            history=history,
            evidence=evidence,
            zones=zones,
            ribbons={zone["id"]: ribbon_drawn(desk.diary.ribbon(zone["id"])) for zone in zones},
            flash=desk.said(request),
        )

    async def post_test(self, request: web.Request) -> web.StreamResponse:
        """Begin a test as the form says."""
        fields = await form_of(request)
        who = tuple(fields.get("who", "").replace(",", " ").split())
        try:
            asked = msgspec.convert(
                {"minutes": fields.get("minutes", ""), "who": who}, NewTest, strict=False
            )
        except msgspec.ValidationError:
            raise LocalError("minutes: choose 1 to 480") from None
        if fields.get("scope") != "site" and not who:
            raise LocalError("who: name at least one phone or group, or choose the whole site")
        if fields.get("scope") == "site":
            asked = NewTest(asked.minutes)
        await self._desk.site.begin_test(request, asked)
        self._desk.say(request, text="The test has begun.")
        raise web.HTTPSeeOther("/survivability")

    async def post_test_end(self, request: web.Request) -> web.StreamResponse:
        """End the test that runs."""
        await self._desk.site.end_test(request)
        self._desk.say(request, text="The test is over; phones in a call stay until it ends.")
        raise web.HTTPSeeOther("/survivability")

    async def get_phones(self, request: web.Request) -> web.StreamResponse:
        """List phones and who is missing, a page at a time."""
        query = {name: request.query.get(name, "") for name in ("search", "state")}
        asked = phones_asked(request) | {"limit": PHONES_SHOWN}
        view = await self._desk.live.view()
        page = await self._desk.ask("phones.page", **asked)
        return self._pages.render(
            request,
            "phones",
            view=view,
            rows=page["rows"],
            total=page["total"],
            offset=asked["offset"],
            shown=PHONES_SHOWN,
            query=query,
        )

    async def get_calls(self, request: web.Request) -> web.StreamResponse:
        """List calls that are up, with their path and how they are heard."""
        calls = await self._desk.ask("calls")
        calls.sort(key=lambda call: -call["started"])
        total, now = len(calls), time.time()
        return self._pages.render(request, "calls", calls=calls[:CALLS_SHOWN], total=total, now=now)

    async def get_groups(self, request: web.Request) -> web.StreamResponse:
        """Draw where each group leads, and try one without a call."""
        query = {name: request.query.get(name, "") for name in GROUP_FIELDS}
        try:
            bundle = await self._desk.stored.bundle()
        except LocalError as error:
            return self._pages.render(
                request,
                "groups",
                groups=[],
                choices=(),
                total=0,
                query=query,
                failure=str(error),
                walked=None,
            )
        rows = zip(bundle.groups, group_rows(bundle, time.time()), strict=True)
        wanted = query["search"].casefold().strip()
        found = [
            (one, row) for one, row in rows if wanted in f"{one.extension} {one.name}".casefold()
        ]
        walked, failure = None, ""
        if query["group"]:
            try:
                asked = Walk(
                    caller=query["caller"].strip(),
                    at=query["at"].replace("T", " "),
                    **{name: list(words(query[name])) for name in WORD_FIELDS},
                )
                walked = await self._desk.site.walk(request, query["group"], asked)
                zone = ZoneInfo(bundle.site.time_zone)
                walked["when"] = f"{datetime.fromtimestamp(walked['at'], zone):%Y-%m-%d %H:%M %Z}"
            except LocalError as error:
                failure = str(error)
        return self._pages.render(
            request,
            "groups",
            groups=groups_drawn(bundle, found[:GROUPS_SHOWN]),
            choices=bundle.groups,
            total=len(found),
            query=query,
            failure=failure,
            walked=walked,
        )

    async def get_directory(self, request: web.Request) -> web.StreamResponse:
        """Find people by any part of the name, or by number."""
        search, found, failure = request.query.get("search", "")[:100], [], ""
        if search.strip():
            try:
                found = await self._desk.directory.search(search, FOUND_SHOWN)
            except HoldfastError as error:
                failure = str(error)
        return self._pages.render(
            request, "directory", search=search, found=found, failure=failure, shown=FOUND_SHOWN
        )

    async def _history(self, view: View) -> list[dict[str, Any]]:
        """Return the latest changes of mode; nothing while the store does not answer.

        They are asked for once in each mode: twenty people who look on ask core for nothing.
        """
        if view.status is None:
            return []
        mode = view.status["mode"], view.status["since"]
        if self._history_of != mode:
            try:
                self._changes = await self._desk.ask("mode.history", limit=HISTORY_SHOWN)
            except (Unavailable, LocalError, TimeoutError):
                return []
            self._history_of = mode
        return self._changes

    async def _evidence(self) -> list[dict[str, Any]]:
        """Return what was found of failing zones; nothing while the store does not answer."""
        try:
            found: list[dict[str, Any]] = await self._desk.ask("evidence", limit=EVIDENCE_SHOWN)
        except (Unavailable, LocalError, TimeoutError):
            return []
        return found


WORD_FIELDS = ("keys", "busy", "unregistered", "answers")
GROUP_FIELDS = ("group", "caller", "at", "search", *WORD_FIELDS)
