"""Keeps phones' directory as the bundle in our file has it (C3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl
import sys
import time
from pathlib import Path

import msgspec

from appliance.adapters.ldap.build import COMPLAINT_LIMIT, Built
from appliance.adapters.ldap.door import Backend, close_door, open_door
from appliance.adapters.ldap.slapd import Slapd
from appliance.adapters.tls import server_context
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.settings import Settings

log = logging.getLogger("holdfast.ldap")

LOOK_INTERVAL = 2.0
"""Seconds between two looks at the bundle's file and at slapd."""
RETRY = 30.0
"""Seconds after a failure before the same is tried again."""
DRAIN = 5.0
"""Seconds that phones have to finish with the old database when there is a new one."""

Stamp = tuple[int, int, int]


class LdapServer:
    """Builds a database from each bundle, starts slapd on it, and turns the door to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = settings.data / "ldap"
        self._backend = Backend(context=self._context)
        self._door: asyncio.Server | None = None
        self._slapd: Slapd | None = None
        self._seen: Stamp | None = None
        self._failed: Stamp | None = None
        self._retry_at = 0.0
        self._serial = 0
        self._said = ""
        self._tls: tuple[Stamp, ssl.SSLContext] | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled; what cannot be done now is said once and tried again."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(LOOK_INTERVAL)
        finally:
            await self._stop()

    async def _look(self) -> None:
        """Do what is to be done: a new bundle, a slapd that died, a port that was taken."""
        stamp = _stamp(self._settings.bundle_file)
        died = self._slapd is not None and self._slapd.has_ended
        if stamp is None or (stamp == self._seen and not died):
            return
        if stamp == self._failed and time.monotonic() < self._retry_at:
            return
        try:
            if died and self._slapd is not None:
                log.warning("slapd ended: %s", self._slapd.said)
                self._slapd, self._backend.socket = None, None
            await self._serve(await self._build())
            self._seen = stamp
        except (HoldfastError, OSError) as error:
            self._failed, self._retry_at = stamp, time.monotonic() + RETRY
            self._say(f"{error}; trying again")

    async def _build(self) -> Built:
        """Have the bundle's database made by a process of its own."""
        command = ["-m", "appliance.adapters.ldap.build"]
        files = (str(self._settings.bundle_file), str(self._place))
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(
            sys.executable, *command, *files, stdout=pipe, stderr=pipe
        )
        try:
            told, complaint = await child.communicate()
        finally:
            if child.returncode is None:
                child.kill()
        if child.returncode:
            text = complaint.decode(errors="replace").strip()[-COMPLAINT_LIMIT:]
            raise Unavailable(text or f"the builder ended with {child.returncode}")
        return msgspec.json.decode(told, type=Built)

    async def _serve(self, built: Built) -> None:
        """Lead the door to this database, and let go of the one before."""
        if not built.folder:
            self._say("off: the bundle's `ldap` lets nobody in; set `anonymous` or `accounts`")
            await self._close()
            return
        self._backend.require_tls = built.require_tls
        folder, before = Path(built.folder), self._slapd
        if before is None or before.folder != folder:
            self._serial += 1
            slapd = Slapd(folder, self._settings.run / f"ldap-{self._serial}.sock")
            await slapd.start()
            self._slapd, self._backend.socket = slapd, slapd.socket
            if before is not None:
                self._leave(before)
            self._say(f"{built.entries} entries")
        await self._open()
        self._tidy(folder)

    async def _open(self) -> None:
        if self._door is None:
            port = self._settings.ldap_port
            try:
                self._door = await open_door(self._backend, self._settings.addresses, port)
            except OSError as error:
                text = f"port {port} cannot be had: {error.strerror}; see `ldap_port`"
                raise LocalError(text) from error
            log.info("the directory is served on port %d", port)

    def _leave(self, slapd: Slapd) -> None:
        """End a slapd once phones have had the time to finish with it."""

        async def later() -> None:
            await asyncio.sleep(DRAIN)
            await slapd.stop()

        task = asyncio.create_task(later())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _tidy(self, folder: Path) -> None:
        """Remove databases of other bundles; a file that is still open lasts until it is closed."""
        for other in self._place.iterdir():
            if other.is_dir() and other != folder:
                shutil.rmtree(other, ignore_errors=True)

    async def _close(self) -> None:
        if self._door is not None:
            door, self._door = self._door, None
            await close_door(door, self._backend)
        if self._slapd is not None:
            slapd, self._slapd, self._backend.socket = self._slapd, None, None
            await slapd.stop()

    async def _stop(self) -> None:
        await self._close()
        for task in list(self._leaving):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _context(self) -> ssl.SSLContext | None:
        """Return the appliance's TLS; a new certificate counts from the next connection on."""
        settings = self._settings
        certificate = settings.tls_certificate or settings.data / "tls" / "sip.crt"
        key = settings.tls_key or settings.tls_certificate or settings.data / "tls" / "sip.key"
        stamp = _stamp(certificate)
        if stamp is None:
            return None
        if self._tls is None or self._tls[0] != stamp:
            try:
                self._tls = stamp, server_context(certificate, key)
            except LocalError as error:
                log.error("%s", error)
                return self._tls[1] if self._tls is not None else None
        return self._tls[1]

    def _say(self, text: str) -> None:
        if text != self._said:
            self._said = text
            log.info("%s", text)


def _stamp(file: Path) -> Stamp | None:
    """Return what changes when a file is written anew; None: there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
