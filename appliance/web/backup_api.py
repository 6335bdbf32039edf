"""The part of the API that gives the whole appliance away, as one encrypted file."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Protocol

import msgspec
from aiohttp import web
from msgspec import Meta

from appliance.backup.archive import write_backup
from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands
from appliance.settings import Settings
from appliance.web.gate import CHANGE, Change, form_of
from appliance.web.people_api import body_of

SNAPSHOT_TIMEOUT = 120.0
"""Seconds for a copy of core's database: half a second for 70 MB."""
PIECE = 1 << 16


class Snapshots(Protocol):
    """A database that can be copied; `adapters.admin_store.AdminStore` fulfils it."""

    async def snapshot(self) -> None:
        """Copy the database beside itself."""
        ...


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body that asks for a backup."""

    passphrase: Annotated[str, Meta(min_length=12, max_length=1024)]


class BackupApi:
    """Make backups; one at a time."""

    def __init__(
        self, core: Commands, store: Snapshots, settings: Settings, settings_file: Path | None
    ) -> None:
        self._core = core
        self._store = store
        self._settings = settings
        self._settings_file = settings_file
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """Return every route, for the application."""
        return [
            web.post("/api/v1/backup", self.post_backup),
            web.post("/system/backup", self.post_page),
        ]

    async def post_backup(self, request: web.Request) -> web.StreamResponse:
        """Answer with a backup."""
        return await self._answer(request, (await body_of(request, Wanted)).passphrase)

    async def post_page(self, request: web.Request) -> web.StreamResponse:
        """Have a browser save a backup."""
        fields = await form_of(request)
        if fields.get("passphrase") != fields.get("again"):
            raise LocalError("the two passphrases differ; type the same one twice")
        return await self._answer(request, fields.get("passphrase", ""))

    async def _answer(self, request: web.Request, passphrase: str) -> web.StreamResponse:
        async with self._made(passphrase) as (file, names):
            request[CHANGE] = Change("backup", after={"files": len(names)})
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            answer = web.StreamResponse()
            answer.content_type = "application/octet-stream"
            named = f'attachment; filename="holdfast-{stamp}.backup"'
            answer.headers["Content-Disposition"] = named
            answer.content_length = file.seek(0, 2)
            file.seek(0)
            await answer.prepare(request)
            while piece := await asyncio.to_thread(file.read, PIECE):
                await answer.write(piece)
            await answer.write_eof()
            return answer

    @asynccontextmanager
    async def _made(self, passphrase: str) -> AsyncIterator[tuple[BinaryIO, list[str]]]:
        async with self._turn:
            # Without core its last nightly copy goes into the backup, if there is one.
            with contextlib.suppress(Unavailable, LocalError, TimeoutError):
                async with asyncio.timeout(SNAPSHOT_TIMEOUT):
                    await self._core.call("store.snapshot")
            await self._store.snapshot()
            with contextlib.ExitStack() as stack:
                try:
                    file = stack.enter_context(tempfile.TemporaryFile(dir=self._settings.data))
                except OSError as error:
                    raise Unavailable(f"the backup cannot be written: {error.strerror}") from error
                told = self._settings, self._settings_file, file, passphrase
                yield file, await asyncio.to_thread(write_backup, *told)
