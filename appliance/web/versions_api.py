"""The part of the API about versions of the bundle: kept, held, compared, rolled back (G2)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.web.answers import as_json, number
from appliance.web.api import BundleDoor
from appliance.web.comparing import Compared
from appliance.web.gate import CHANGE, Change
from appliance.web.live import Live
from appliance.web.people_api import body_of
from appliance.web.stored import Stored


class NamedVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that names a version, so that nobody releases another than was looked at."""

    version: Annotated[int, Meta(ge=1)]


class VersionsApi:
    """Answer about versions of the bundle."""

    def __init__(self, bundles: BundleDoor, live: Live, stored: Stored) -> None:
        self._bundles = bundles
        self._live = live
        self._stored = stored

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get("/api/v1/bundle/versions", self.get_versions),
            web.get("/api/v1/bundle/changes", self.get_changes),
            web.post("/api/v1/bundle/rollback", self.roll_back),
            web.post("/api/v1/bundle/held/release", self.release),
            web.post("/api/v1/bundle/held/discard", self.discard),
        ]

    async def get_versions(self, request: web.Request) -> web.Response:
        """List the versions one can go back to, the latest first."""
        return as_json(self._bundles.versions())

    async def get_changes(self, request: web.Request) -> web.Response:
        """List what the bundle in force changed from one before, or what the held one would."""
        if request.query.get("held") in ("true", "1"):
            found, total = await held_changes(self._bundles, self._stored)
        else:
            since = number(request, "since", int, 0) or None
            found, total = await changes(self._bundles, self._stored, since)
        return as_json({"total": total, "changes": [change._asdict() for change in found]})

    async def roll_back(self, request: web.Request) -> web.Response:
        """Put a version in force that was so before."""
        version = (await body_of(request, NamedVersion)).version
        before = self._bundles.state.version
        await self._bundles.roll_back(version)
        return self._done(request, Change("bundle.rollback", "", before, version))

    async def release(self, request: web.Request) -> web.Response:
        """Apply the bundle that is held."""
        version = (await body_of(request, NamedVersion)).version
        before = self._bundles.state.version
        await self._bundles.release(version)
        return self._done(request, Change("bundle.release", "", before, version))

    async def discard(self, request: web.Request) -> web.Response:
        """Forget the bundle that is held."""
        version = (await body_of(request, NamedVersion)).version
        await self._bundles.discard(version)
        return self._done(request, Change("bundle.discard", str(version)))

    def _done(self, request: web.Request, change: Change) -> web.Response:
        request[CHANGE] = change
        self._live.forget()
        return as_json({"stored": self._bundles.state})


async def changes(bundles: BundleDoor, stored: Stored, since: int | None) -> Compared:
    """Return what changed since a version; None: since the one before. Raises LocalError."""
    if since is None:
        kept = bundles.versions()
        if not kept:
            return Compared([], 0)
        since = kept[0].version
    return await stored.changes(bundles.file_of(since))


async def held_changes(bundles: BundleDoor, stored: Stored) -> Compared:
    """Return what the bundle that is held would change; raises LocalError where none is."""
    held: Path = bundles.file_of(None)
    return await stored.changes(stored.file, held)
