"""The page about the configuration: in force, refused, held, and every version before."""

from __future__ import annotations

import asyncio
import time

import msgspec
from aiohttp import BodyPartReader, web

from appliance.bundle import BUNDLE_LIMIT, Bundle
from appliance.errors import HoldfastError, LocalError
from appliance.web.answers import number, soon
from appliance.web.api import BODY_TIMEOUT
from appliance.web.comparing import Compared
from appliance.web.gate import CHANGE, Change, form_of, visitor_of
from appliance.web.page import Pages
from appliance.web.site_pages import Desk
from appliance.web.versions_api import changes, held_changes

HERE = "/configuration"


class ConfigurationPages:
    """Show the configuration, and change which one is in force."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.get(HERE, self.get_configuration),
            web.post(f"{HERE}/pull", self.post_pull),
            web.post(f"{HERE}/upload", self.post_upload),
            web.post(f"{HERE}/release", self.post_release),
            web.post(f"{HERE}/discard", self.post_discard),
            web.post(f"{HERE}/rollback", self.post_rollback),
        ]

    async def get_configuration(self, request: web.Request) -> web.StreamResponse:
        """Tell which configuration is in force, what it changed, and what was refused or held."""
        desk = self._desk
        bundle: Bundle | None = None
        found: Compared | None = Compared([], 0)
        would: Compared | None = found
        since = number(request, "since", int, 0) or None
        try:
            bundle = await desk.stored.bundle()
            found = await soon(changes(desk.bundles, desk.stored, since))
            if desk.bundles.state.held is not None:
                # A page waits once: where it has waited for the one, the other may come later.
                patience = 0.0 if found is None else None
                would = await soon(held_changes(desk.bundles, desk.stored), patience)
        except LocalError:
            pass  # There is none yet, or it has gone meanwhile: the page says what to do.
        view = await desk.live.view()
        return self._pages.render(
            request,
            "configuration",
            view=view,
            stored=desk.bundles.state,
            bundle=bundle,
            compared=found,
            would=would,
            versions=desk.bundles.versions(),
            since=since,
            now=time.time(),
            flash=desk.said(request),
        )

    async def post_pull(self, request: web.Request) -> web.StreamResponse:
        """Ask the cloud now."""
        bundles = self._desk.bundles
        before = bundles.state.version
        fresh = await bundles.pull(again=True)
        after = bundles.state.version
        text = f"Version {after} is in force now." if fresh else "The cloud has nothing newer."
        return self._done(request, Change("bundle.pull", "", before, after), text)

    async def post_upload(self, request: web.Request) -> web.StreamResponse:
        """Take a configuration from a file; what is wrong with it stands on the page after."""
        bundles = self._desk.bundles
        before = bundles.state.version
        try:
            fresh = await bundles.offer(await _file_of(request), visitor_of(request).name)
        except HoldfastError as error:
            self._desk.say(request, text=str(error), kind="failure")
        else:
            after, held = bundles.state.version, bundles.state.held
            text = f"Version {after} is in force now." if fresh else "This version is in force."
            if held is not None and not fresh:
                text = f"Version {held.version} is held: see below."
            self._desk.say(request, text=text)
        request[CHANGE] = Change("bundle.apply", "", before, bundles.state.version)
        self._desk.live.forget()
        return web.Response(status=204, headers={"HX-Redirect": HERE})

    async def post_release(self, request: web.Request) -> web.StreamResponse:
        """Put the configuration in force that is held."""
        version, before = await _version_of(request), self._desk.bundles.state.version
        await self._desk.bundles.release(version)
        text = f"Version {version} is in force now."
        return self._done(request, Change("bundle.release", "", before, version), text)

    async def post_discard(self, request: web.Request) -> web.StreamResponse:
        """Forget the configuration that is held."""
        version = await _version_of(request)
        await self._desk.bundles.discard(version)
        text = f"Version {version} is not taken; the one in force stays."
        return self._done(request, Change("bundle.discard", str(version)), text)

    async def post_rollback(self, request: web.Request) -> web.StreamResponse:
        """Put a version in force that was so before."""
        version, before = await _version_of(request), self._desk.bundles.state.version
        await self._desk.bundles.roll_back(version)
        text = f"Version {version} is in force again; only one newer than all replaces it."
        return self._done(request, Change("bundle.rollback", "", before, version), text)

    def _done(self, request: web.Request, change: Change, text: str) -> web.StreamResponse:
        request[CHANGE] = change
        self._desk.live.forget()
        self._desk.say(request, text=text)
        raise web.HTTPSeeOther(HERE)


async def _version_of(request: web.Request) -> int:
    try:
        return msgspec.convert((await form_of(request)).get("version", ""), int, strict=False)
    except msgspec.ValidationError:
        raise LocalError("version: name one that the page lists") from None


async def _file_of(request: web.Request) -> bytes:
    """Return the file that a form carries; raises LocalError for one too large or too slow."""
    if not request.content_type.startswith("multipart/"):
        raise LocalError("choose a file first")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            part = await (await request.multipart()).next()
            if not isinstance(part, BodyPartReader) or not part.filename:
                raise LocalError("choose a file first")
            data = bytearray()
            while chunk := await part.read_chunk(1 << 16):
                data += chunk
                if len(data) > BUNDLE_LIMIT:
                    raise LocalError(f"the file is larger than {BUNDLE_LIMIT:,} bytes")
            return bytes(data)
    except TimeoutError:
        raise LocalError(f"the file did not arrive within {BODY_TIMEOUT:.0f} s") from None
    except ValueError as error:
        raise LocalError(f"the file did not arrive whole: {error}") from None
