"""The site's bundle: pulled from the cloud, checked, kept as a file, and given to core (G1).

The last good bundle stays whatever happens: a bundle that is broken, older, another site's or
refused by core changes nothing but what `state` tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Callable

import msgspec

from appliance.bundle import Bundle, BundleError, Problem, decode
from appliance.bundle.dscp import marks
from appliance.cloud.client import CloudClient
from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably
from appliance.marking import MANAGEMENT
from appliance.ports import Commands
from appliance.settings import Settings

log = logging.getLogger("holdfast.sync")

FIRST_RETRY = 2.0
"""Seconds after a failure; doubled with each further one, up to the pull interval."""
BUNDLE_MODE = 0o640
"""It has password hashes: for our own user and group only."""
CORE_INTERVAL = 5.0
"""Seconds between two looks at which bundle core serves; costs it a few microseconds."""
PROBLEMS_KEPT = 200
"""Problems of one refused bundle that `status` shows."""


class SyncState(msgspec.Struct, kw_only=True):
    """What admins are shown of the bundle; times are wall-clock seconds (Unix) or None."""

    url: str
    site: str = ""
    version: int | None = None
    """Of the bundle in our file."""
    issued: str = ""
    stored_at: float | None = None
    in_core: bool = False
    """Core serves this version, as it said itself the last time it was asked."""
    core_failure: str = ""
    """Why core does not."""
    asked_at: float | None = None
    """When the cloud last gave an answer that made sense."""
    failing_since: float | None = None
    failure: str = ""
    """Why the last pull did not succeed."""
    refused_at: float | None = None
    refused_version: int | None = None
    problems: list[Problem] = []
    """What is wrong with the last bundle that was refused; empty once a good one came."""


class BundleSync:
    """Keep the bundle in our file and in core as the cloud wants it."""

    def __init__(
        self,
        settings: Settings,
        cloud: CloudClient | None,
        core: Commands,
        wall: Callable[[], float] = time.time,
        applied: Callable[[Bundle], None] = lambda bundle: None,
    ) -> None:
        """`applied` is told of each bundle that we keep from now on, the one we begin with too."""
        self._settings = settings
        self._cloud = cloud
        self._core = core
        self._wall = wall
        self._applied = applied
        self._digest = b""
        self._good_etag = ""
        self._refused_etag = ""
        self._turn = asyncio.Lock()
        self.state = SyncState(url=settings.cloud_url, site=settings.cloud_site)
        self._load()

    async def run(self) -> None:
        """Pull now and at every interval, and keep core up to date, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_core())
            if self._cloud is not None:
                tasks.create_task(self._keep_pulling())

    async def pull(self, again: bool = False) -> bool:
        """Ask the cloud and apply what is new; return whether anything was.

        `again` looks once more at a bundle that was refused. Raises Unavailable, or LocalError
        (BundleError) when what came must not be used; `state` tells it as well.
        """
        async with self._turn:
            try:
                fresh = await self._pull(again)
            except (Unavailable, LocalError) as error:
                self._failed(str(error))
                raise
            self._recovered()
            return fresh

    async def offer(self, data: bytes) -> bool:
        """Apply a bundle an admin brings; return whether it is new.

        Raises BundleError with everything that is wrong, or LocalError when core refuses it.
        """
        async with self._turn:
            return await self._take(data)

    async def settle(self) -> None:
        """Make sure that core serves what is in our file; it may have been away."""
        async with self._turn:
            if self.state.version is not None:
                self.state.core_failure = await self._settle()
                self.state.in_core = not self.state.core_failure

    async def _keep_pulling(self) -> None:
        failures = 0
        while True:
            try:
                await self.pull()
                failures = 0
            except (Unavailable, LocalError):
                failures += 1
            await asyncio.sleep(self._pause(failures))

    async def _keep_core(self) -> None:
        while True:
            await self.settle()
            await asyncio.sleep(CORE_INTERVAL)

    def _load(self) -> None:
        """Begin with the last good bundle."""
        file = self._settings.bundle_file
        try:
            self._describe(decode(file.read_bytes()), file.stat().st_mtime)
        except FileNotFoundError:
            log.info("no bundle yet")
        except (OSError, BundleError) as error:
            log.error("the bundle in %s cannot be used: %s", file, error)
            self.state.failure = f"{file}: {error}"

    async def _pull(self, again: bool) -> bool:
        if self._cloud is None:
            raise LocalError("no cloud to ask; set cloud_url")
        if not self.state.site:
            raise LocalError("no site yet; set cloud_site to its id at the cloud")
        known = [self._good_etag, "" if again else self._refused_etag]
        fetched = await self._cloud.fetch_bundle(self.state.site, [etag for etag in known if etag])
        self.state.asked_at = self._wall()
        if fetched is None:
            return False
        try:
            fresh = await self._take(fetched.data)
        except LocalError:
            self._refused_etag = fetched.etag
            raise
        self._good_etag, self._refused_etag = fetched.etag, ""
        return fresh

    async def _take(self, data: bytes) -> bool:
        bundle: Bundle | None = None
        try:
            bundle = await asyncio.to_thread(decode, data)
            fresh = self._is_newer(bundle)
            if fresh:
                await self._install(bundle, data)
        except LocalError as error:
            self._refused(error, bundle)
            raise
        self.state.problems = []
        self.state.refused_at = self.state.refused_version = None
        return fresh

    def _is_newer(self, bundle: Bundle) -> bool:
        """Tell a newer bundle from the one we have; any other is refused by BundleError."""
        now = self.state.version
        if self.state.site and bundle.site.id != self.state.site:
            text = f"this is site `{bundle.site.id}`; this appliance serves `{self.state.site}`"
            raise BundleError([Problem("site.id", text)])
        if now is None or bundle.version > now:
            return True
        if bundle.version < now:
            text = f"{bundle.version} is older than {now}, which stays; raise the version"
            raise BundleError([Problem("version", text)])
        if _digest(bundle) != self._digest:
            text = f"{bundle.version} is the version we have, but with other content; raise it"
            raise BundleError([Problem("version", text)])
        return False

    async def _install(self, bundle: Bundle, data: bytes) -> None:
        """Give a bundle to core and, unless it refuses, make it the one we start from."""
        candidate = self._settings.data / "bundle.candidate.json"
        write_durably(candidate, data, BUNDLE_MODE)
        try:
            in_core = await self._apply_in_core(str(candidate))
            self._keep_previous()
            write_durably(self._settings.bundle_file, data, BUNDLE_MODE)
        finally:
            with contextlib.suppress(OSError):
                candidate.unlink()
        self._describe(bundle, self._wall())
        self.state.in_core = in_core
        log.info("bundle version %d of site %s stored", bundle.version, bundle.site.id)

    def _keep_previous(self) -> None:
        """Have the bundle in force stay beside the new one, so that admins see what changed."""
        try:
            old = self._settings.bundle_file.read_bytes()
            write_durably(self._settings.previous_bundle_file, old, BUNDLE_MODE)
        except FileNotFoundError:
            pass
        except (OSError, Unavailable) as error:
            log.warning("the bundle before is not kept: %s", error)

    async def _apply_in_core(self, file: str) -> bool:
        try:
            await self._core.call("bundle.apply", path=file)
        except Unavailable as error:
            log.info("bundle waits for core: %s", error)
            return False
        return True

    async def _settle(self) -> str:
        """Return why core does not serve our bundle, or nothing when it does."""
        try:
            info = await self._core.call("bundle.info")
            # A newer one came from us too, but the disk did not take it: it will come again.
            if ((info or {}).get("version") or 0) < (self.state.version or 0):
                await self._core.call("bundle.apply", path=str(self._settings.bundle_file))
        except (Unavailable, LocalError) as error:
            if str(error) != self.state.core_failure:
                log.warning("core has not got the bundle: %s", error)
            return str(error)
        return ""

    def _describe(self, bundle: Bundle, stored_at: float) -> None:
        MANAGEMENT.change(marks(bundle).management)
        self.state.site = bundle.site.id
        self.state.version = bundle.version
        self.state.issued = bundle.issued
        self.state.stored_at = stored_at
        self._digest = _digest(bundle)
        self._applied(bundle)

    def _refused(self, error: LocalError, bundle: Bundle | None) -> None:
        found = error.problems if isinstance(error, BundleError) else [Problem("", str(error))]
        log.warning("%s", error)
        self.state.problems = found[:PROBLEMS_KEPT]
        self.state.refused_at = self._wall()
        self.state.refused_version = bundle.version if bundle else None

    def _failed(self, text: str) -> None:
        if text != self.state.failure:
            log.warning("%s", text)
        self.state.failure = text
        self.state.failing_since = self.state.failing_since or self._wall()

    def _recovered(self) -> None:
        if self.state.failing_since is not None:
            log.info("the cloud answers again")
        self.state.failure = ""
        self.state.failing_since = None

    def _pause(self, failures: int) -> float:
        """Spread what many appliances ask, and come back soon after a first failure."""
        interval = self._settings.cloud_pull_interval
        pause = min(interval, FIRST_RETRY * 2 ** min(failures - 1, 16)) if failures else interval
        return pause * random.uniform(0.9, 1.1)


def _digest(bundle: Bundle) -> bytes:
    """Return what tells two contents apart, however they were written."""
    return hashlib.sha256(msgspec.json.encode(bundle)).digest()
