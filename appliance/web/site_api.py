"""The part of the API about the site: tests, issues, the machine, groups, and trials of calls."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.dialling import dial
from appliance.ports import Commands
from appliance.rehearsal import Rehearsal, group_rows, moment_at, rehearse
from appliance.web.answers import as_json
from appliance.web.diary import Diary
from appliance.web.gate import CHANGE, NOTHING, Change, visitor_of
from appliance.web.live import Live
from appliance.web.people_api import body_of
from appliance.web.stored import Stored

ANSWER_TIMEOUT = 20.0
"""Seconds that core may take; it answers in milliseconds when it lives."""
DIALLED_LIMIT = 64
"""Characters of an extension, or of what is dialled."""
Word = Annotated[str, Meta(max_length=64)]
Words = Annotated[list[Word], Meta(max_length=500)]
Keys = Annotated[list[Word], Meta(max_length=50)]


class NewTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that begins a test of survivability."""

    minutes: Annotated[float, Meta(gt=0, le=480)]
    who: Words = []
    """Extensions, ids or MACs of phones, extensions of groups; empty: the whole site."""


class Walk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that tries a group."""

    caller: Word = ""
    """Extension; empty: somebody outside."""
    at: Word = ""
    """Time at the site, like `2026-12-25 09:00`; empty: now."""
    keys: Keys = []
    busy: Words = []
    unregistered: Words = []
    answers: Words = []


class SiteApi:
    """Answer about the site."""

    def __init__(self, core: Commands, live: Live, diary: Diary, stored: Stored) -> None:
        self._core = core
        self._live = live
        self._diary = diary
        self._stored = stored

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.post("/api/v1/test", self.post_test),
            web.delete("/api/v1/test", self.delete_test),
            web.get("/api/v1/zones/{id}/day", self.get_day),
            web.get("/api/v1/issues", self.get_issues),
            web.get("/api/v1/machine", self.get_machine),
            web.get("/api/v1/notices", self.get_notices),
            web.get("/api/v1/groups", self.get_groups),
            web.post("/api/v1/groups/{extension}/walk", self.post_walk),
            web.get("/api/v1/dial", self.get_dial),
            web.post("/api/v1/parked/{orbit}/return", self.return_parked),
        ]

    async def post_test(self, request: web.Request) -> web.Response:
        """Serve phones on purpose for a time."""
        return as_json(await self.begin_test(request, await body_of(request, NewTest)))

    async def delete_test(self, request: web.Request) -> web.Response:
        """End the test that runs."""
        return as_json(await self.end_test(request))

    async def begin_test(self, request: web.Request, asked: NewTest) -> Any:
        """Begin a test for whoever asks by page or API; raises LocalError or Unavailable."""
        seconds, by = asked.minutes * 60, visitor_of(request).name
        mode = await self._ask("test.begin", seconds=seconds, who=list(asked.who), by=by)
        after = {"minutes": asked.minutes, "who": list(asked.who) or "the site"}
        request[CHANGE] = Change("test.begin", mode["test_scope"], after=after)
        self._live.forget()
        return mode

    async def end_test(self, request: web.Request) -> Any:
        """End a test; raises LocalError or Unavailable."""
        mode = await self._ask("test.end", by=visitor_of(request).name)
        request[CHANGE] = Change("test.end")
        self._live.forget()
        return mode

    async def get_day(self, request: web.Request) -> web.Response:
        """Tell how a zone answered in the last 24 hours, in slots of five minutes."""
        return as_json(self._diary.ribbon(request.match_info["id"]))

    async def get_issues(self, request: web.Request) -> web.Response:
        """List what is not as it should be, the worst first."""
        return as_json((await self._live.view()).issues)

    async def get_machine(self, request: web.Request) -> web.Response:
        """Tell about disk, memory, clock and certificates."""
        return as_json((await self._live.view()).machine)

    async def get_notices(self, request: web.Request) -> web.Response:
        """List the latest notices of the signalling process, the oldest first."""
        return as_json(await self._ask("notices"))

    async def get_groups(self, request: web.Request) -> web.Response:
        """List the groups, where they lead and whether they are open now."""
        return as_json(group_rows(await self._stored.bundle(), time.time()))

    async def post_walk(self, request: web.Request) -> web.Response:
        """Try a group without a call, step by step."""
        asked = await body_of(request, Walk)
        return as_json(await self.walk(request, request.match_info["extension"], asked))

    async def walk(self, request: web.Request, extension: str, asked: Walk) -> dict[str, Any]:
        """Try a group for a page or the API; raises LocalError."""
        site = await self._stored.premises()
        at = moment_at(asked.at, site.bundle) if asked.at else time.time()
        trial = Rehearsal(
            extension,
            asked.caller,
            tuple(asked.keys),
            tuple(asked.busy),
            tuple(asked.unregistered),
            tuple(asked.answers),
        )
        group, caller, steps = await asyncio.to_thread(rehearse, site, trial, at)
        request[CHANGE] = NOTHING
        told = [step._asdict() for step in steps]
        return {"group": group.extension, "from": caller.extension, "at": at, "steps": told}

    async def get_dial(self, request: web.Request) -> web.Response:
        """Tell what digits would do that somebody dials: `from` and `number`."""
        asked = {name: request.query.get(name, "") for name in ("from", "number")}
        for name, value in asked.items():
            if not 0 < len(value) <= DIALLED_LIMIT:
                raise web.HTTPBadRequest(text=f"{name} has 1 to {DIALLED_LIMIT} characters")
        site = await self._stored.premises()
        found = await asyncio.to_thread(dial, site, asked["from"], asked["number"])
        return as_json(found._asdict())

    async def return_parked(self, request: web.Request) -> web.Response:
        """Send a parked call back to who has parked it, now."""
        orbit = request.match_info["orbit"]
        request[CHANGE] = Change("park.return", orbit)
        return as_json(await self._ask("park.return", orbit=orbit))

    async def _ask(self, command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._core.call(command, **arguments)
