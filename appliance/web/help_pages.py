"""Pages about what an outage would find: whether each phone is ready, and calls for help."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

from aiohttp import web

from appliance.errors import LocalError
from appliance.web.answers import number, soon
from appliance.web.emergency import LONGEST
from appliance.web.page import Pages
from appliance.web.readiness import whole_readiness
from appliance.web.site_pages import Desk

READY_SHOWN = 100
FRESH = 60.0
"""Seconds for which readiness is good: core looks at every phone of the site for it."""
KEPT = 600.0
"""Seconds for which it is shown while it is looked up anew."""
VERDICTS = {"not_ready": "not ready", "doubtful": "doubtful", "ready": "ready"}
"""The worst first, in words."""


class HelpPages:
    """Show readiness and emergency calls."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk
        self._lines: list[dict[str, Any]] = []
        self._asked = float("-inf")
        self._looking: asyncio.Task[bool] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/readiness", self.get_readiness),
            web.get("/emergency", self.get_emergency),
        ]

    async def get_readiness(self, request: web.Request) -> web.StreamResponse:
        """Tell of each phone whether it would work if the cloud went now, the worst first."""
        lines = await self._readiness()
        known = lines is not None
        lines = lines or []
        verdict = request.query.get("verdict", "")
        search = request.query.get("search", "")[:100]
        offset = max(0, number(request, "offset", int, 0))
        wanted = search.casefold().strip()
        found = [line for line in lines if verdict in ("", line["verdict"])]
        found = [line for line in found if not wanted or wanted in _text_of(line)]
        return self._pages.render(
            request,
            "readiness",
            known=known,
            lines=found[offset : offset + READY_SHOWN],
            total=len(found),
            counts=Counter(line["verdict"] for line in lines),
            reasons=Counter(one["code"] for line in lines for one in line["reasons"]).most_common(
                8
            ),
            texts={one["code"]: one["text"] for line in lines for one in line["reasons"]},
            verdicts=VERDICTS,
            query={"search": search, "verdict": verdict},
            offset=offset,
            shown=READY_SHOWN,
            now=time.time(),
        )

    async def get_emergency(self, request: web.Request) -> web.StreamResponse:
        """Show ways out, the safety team, who is called back, and try a call without making it."""
        asked = {
            name: request.query.get(name, "").strip() for name in ("from", "number", "address")
        }
        if any(len(value) > LONGEST for value in asked.values()):
            raise web.HTTPBadRequest(text=f"a field has at most {LONGEST} characters")
        told, trial, failure = await self._desk.ask("emergency"), None, ""
        if any(asked.values()):
            try:
                trial = await self._desk.ask(
                    "emergency.trial",
                    extension=asked["from"],
                    number=asked["number"],
                    address=asked["address"],
                )
            except LocalError as error:
                failure = str(error)
        return self._pages.render(
            request,
            "emergency",
            told=told,
            trial=trial,
            failure=failure,
            query=asked,
            now=time.time(),
        )

    async def _readiness(self) -> list[dict[str, Any]] | None:
        """Return what was found lately; None: it is being looked up. Raises as core does."""
        age = time.monotonic() - self._asked
        if age > FRESH:
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
                self._looking.add_done_callback(lambda done: done.cancelled() or done.exception())
            if await soon(asyncio.shield(self._looking)) is None and age > KEPT:
                return None
        return self._lines

    async def _look(self) -> bool:
        lines = await whole_readiness(self._desk.ask)
        order = list(VERDICTS)
        self._lines = sorted(lines, key=lambda line: order.index(line["verdict"]))
        self._asked = time.monotonic()
        return True


def _text_of(line: dict[str, Any]) -> str:
    shown = ("name", "extension", "device", "model", "mac", "address")
    return " ".join(str(line.get(name) or "") for name in shown).casefold()
