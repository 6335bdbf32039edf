"""The JSON API of the admin process, version 1; docs/admin-api.openapi.json describes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from appliance.bundle import BUNDLE_LIMIT
from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands
from appliance.web.answers import as_json, number
from appliance.web.gate import CHANGE, Change, visitor_of
from appliance.web.readiness import whole_readiness

log = logging.getLogger("holdfast.web")

PREFIX = "/api/v1"
BODY_TIMEOUT = 60.0
"""Seconds in which a whole request body must arrive; 64 MiB at 10 Mbit/s take 54."""
ANSWER_TIMEOUT = 20.0
"""Seconds that core may take; it answers in milliseconds when it lives."""
PHONES_LIMIT, OFFSET_LIMIT, SEARCH_LIMIT = 1000, 1_000_000, 100
"""Phones in one answer, and the longest text that is searched for."""
RECORDS_LIMIT = 1000
"""Call records in one answer."""


class BundleDoor(Protocol):
    """Where bundles come in and are looked after; `cloud.sync.BundleSync` fulfils it."""

    state: Any

    async def pull(self, again: bool = False) -> bool:
        """Ask the cloud now; True when something new was applied."""
        ...

    async def offer(self, data: bytes, origin: str = "") -> bool:
        """Apply this bundle; True when it is in force now and was not before."""
        ...

    async def release(self, version: int) -> None:
        """Apply the bundle that is held."""
        ...

    async def discard(self, version: int) -> None:
        """Forget the bundle that is held."""
        ...

    async def roll_back(self, version: int) -> None:
        """Put a version in force that was so before."""
        ...

    def versions(self) -> list[Any]:
        """Return the versions one can go back to, the latest first."""
        ...

    def file_of(self, version: int | None) -> Path:
        """Return the file of a version, or of the one that is held (None)."""
        ...


class Api:
    """Answer requests by asking core; holds no state of its own."""

    def __init__(
        self, core: Commands, bundles: BundleDoor, uploads: Callable[[], Any] = lambda: None
    ) -> None:
        self._core = core
        self._bundles = bundles
        self._uploads = uploads

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(f"{PREFIX}/status", self.get_status),
            web.get(f"{PREFIX}/zones", self.get_zones),
            web.get(f"{PREFIX}/phones", self.get_phones),
            web.get(f"{PREFIX}/readiness", self.get_readiness),
            web.get(f"{PREFIX}/calls", self.get_calls),
            web.get(f"{PREFIX}/forwardings", self.get_forwardings),
            web.post(f"{PREFIX}/forwardings/{{extension}}/reset", self.reset_forwarding),
            web.get(f"{PREFIX}/records", self.get_records),
            web.get(f"{PREFIX}/records/{{id}}", self.get_record),
            web.get(f"{PREFIX}/mode", self.get_mode),
            web.get(f"{PREFIX}/mode/history", self.get_mode_history),
            web.get(f"{PREFIX}/evidence", self.get_evidence),
            web.get(f"{PREFIX}/bundle", self.get_bundle),
            web.post(f"{PREFIX}/bundle", self.post_bundle),
            web.post(f"{PREFIX}/sync", self.post_sync),
            web.get(f"{PREFIX}/qos", self.get_qos),
        ]

    async def get_status(self, request: web.Request) -> web.Response:
        """Tell everything that shows in one glance whether all is well."""
        status = await self._ask("status")
        sync = {"bundle": self._bundles.state, "records": self._uploads()}
        return as_json(status | {"sync": sync})

    async def get_zones(self, request: web.Request) -> web.Response:
        """List the cloud's zones with state and round-trip times."""
        return as_json(await self._ask("zones"))

    async def get_phones(self, request: web.Request) -> web.Response:
        """List registered phones, and users who are missing; or some of them."""
        if not request.query:
            return as_json(await self._ask("phones"))
        page = await self._ask("phones.page", **phones_asked(request))
        response = as_json(page["rows"])
        response.headers["X-Total-Count"] = str(page["total"])
        return response

    async def get_readiness(self, request: web.Request) -> web.Response:
        """Tell of each phone whether it would work if the cloud went now."""
        return as_json(await whole_readiness(self._ask))

    async def get_calls(self, request: web.Request) -> web.Response:
        """List calls that are being made or talked on now."""
        return as_json(await self._ask("calls"))

    async def get_forwardings(self, request: web.Request) -> web.Response:
        """List users whose calls do not just ring, and who said so."""
        return as_json(await self._ask("forwardings"))

    async def reset_forwarding(self, request: web.Request) -> web.Response:
        """Undo what a user has set on the phone."""
        extension = request.match_info["extension"]
        return as_json(await self._ask("forwardings.reset", extension=extension))

    async def get_records(self, request: web.Request) -> web.Response:
        """List call records, the latest first."""
        limit = number(request, "limit", int, 100)
        if not 1 <= limit <= RECORDS_LIMIT:
            raise web.HTTPBadRequest(text=f"limit must be 1 to {RECORDS_LIMIT}")
        arguments: dict[str, Any] = {"limit": limit}
        for name in ("since", "until"):
            if name in request.query:
                arguments[name] = number(request, name, float, 0.0)
        return as_json(await self._ask("records", **arguments))

    async def get_record(self, request: web.Request) -> web.Response:
        """Tell one call record."""
        name = request.match_info["id"]
        found = await self._ask("records", limit=1, call_id=name)
        if not found:
            raise web.HTTPNotFound(text=f"there is no call record {name[:64]!r}")
        return as_json(found[0])

    async def get_mode(self, request: web.Request) -> web.Response:
        """Tell the mode, since when and why."""
        return as_json(await self._ask("mode"))

    async def get_mode_history(self, request: web.Request) -> web.Response:
        """List changes of mode with their reasons, the latest first."""
        return as_json(await self._ask("mode.history"))

    async def get_evidence(self, request: web.Request) -> web.Response:
        """List what was found of zones when they failed, the latest first."""
        return as_json(await self._ask("evidence"))

    async def get_bundle(self, request: web.Request) -> web.Response:
        """Tell which bundle is in force and what is wrong with the last refused one.

        Answers without core too: `core` is null then.
        """
        try:
            core = await self._ask("bundle.info")
        except (Unavailable, LocalError, TimeoutError):
            core = None
        return as_json({"stored": self._bundles.state, "core": core})

    async def post_bundle(self, request: web.Request) -> web.Response:
        """Apply the bundle in the body."""
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                data = await request.read()
        except TimeoutError:
            text = f"the bundle did not arrive within {BODY_TIMEOUT:.0f} s"
            raise web.HTTPRequestTimeout(text=text) from None
        log.info("a bundle of %d bytes is offered from %s", len(data), request.remote)
        before = self._bundles.state.version
        fresh = await self._bundles.offer(data, visitor_of(request).name)
        version = self._bundles.state.version
        request[CHANGE] = Change("bundle.apply", self._bundles.state.site, before, version)
        return as_json({"applied": fresh, "stored": self._bundles.state})

    async def post_sync(self, request: web.Request) -> web.Response:
        """Pull from the cloud now, even a bundle that was refused before."""
        before = self._bundles.state.version
        fresh = await self._bundles.pull(again=True)
        version = self._bundles.state.version
        request[CHANGE] = Change("bundle.pull", self._bundles.state.site, before, version)
        return as_json({"applied": fresh, "stored": self._bundles.state})

    async def get_qos(self, request: web.Request) -> web.Response:
        """Tell which DSCP marks packets carry, and by which strategy."""
        return as_json(await self._ask("qos"))

    async def _ask(self, command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await self._core.call(command, **arguments)


def phones_asked(request: web.Request) -> dict[str, Any]:
    """Return which phones the query asks for; raises 400."""
    limit, offset = number(request, "limit", int, 100), number(request, "offset", int, 0)
    if not 1 <= limit <= PHONES_LIMIT:
        raise web.HTTPBadRequest(text=f"limit must be 1 to {PHONES_LIMIT}")
    if not 0 <= offset <= OFFSET_LIMIT:
        raise web.HTTPBadRequest(text=f"offset must be 0 to {OFFSET_LIMIT}")
    state = request.query.get("state", "")
    if state not in ("", "registered", "missing"):
        raise web.HTTPBadRequest(text="state must be registered or missing")
    search = request.query.get("search", "")[:SEARCH_LIMIT]
    return {"limit": limit, "offset": offset, "state": state, "search": search}


BODY_LIMIT = BUNDLE_LIMIT
"""Bytes of a request body: a bundle is the largest thing anybody sends."""
