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
from pathlib import Path

import msgspec

from appliance.bundle import Bundle, BundleError, Problem, decode
from appliance.bundle.dscp import marks
from appliance.bundle.shrinkage import shrinkage
from appliance.cloud.client import CloudClient
from appliance.cloud.fetching import Fetching
from appliance.cloud.shelf import BUNDLE_MODE, BundleShelf, Held, Kept, read_bundle_file
from appliance.cloud.signature import PinnedKeys
from appliance.cloud.sync_state import SyncState
from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably
from appliance.marking import MANAGEMENT
from appliance.ports import Commands
from appliance.settings import Settings

log = logging.getLogger("holdfast.sync")

FIRST_RETRY = 2.0
"""Seconds after a failure; doubled with each further one, up to the pull interval."""
CORE_INTERVAL = 5.0
"""Seconds between two looks at which bundle core serves; costs it a few microseconds."""
WAIT = 25
"""Seconds a question may wait at the cloud for a newer bundle; proxies cut the silent after 60."""
LEAST_WAIT = 0.2
"""Seconds between two questions at least."""
WHOLE_INTERVAL = 10 * 3600.0
"""Seconds after which the whole bundle is fetched, whatever its ETag says."""
PROBLEMS_KEPT = 200
"""Problems of one refused bundle that `status` shows."""


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
        self._keys = PinnedKeys(settings.bundle_keys)
        self._shelf = BundleShelf(settings.bundles_folder)
        self._digest = b""
        passed = self._shelf.index.passed
        self._fetching = Fetching(settings.bundle_file, self._keys, refused=passed)
        self._turn = asyncio.Lock()
        self.state = SyncState(
            url=settings.cloud_url,
            site=settings.cloud_site,
            held=self._shelf.index.held,
            asked_at=self._shelf.index.asked_at,
        )
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
        return await self._pulled(self._fetching.known(again))

    async def offer(self, data: bytes, origin: str = "an admin") -> bool:
        """Apply a bundle an admin brings; return whether it is in force now and was not before.

        Raises BundleError with everything that is wrong, or LocalError when core refuses it. One
        that would remove much is held: `state.held` tells it.
        """
        async with self._turn:
            return await self._take(data, origin)

    async def release(self, version: int) -> None:
        """Apply the bundle that is held; raises LocalError where it is another, or refused."""
        async with self._turn:
            held = self._held(version)
            data = await asyncio.to_thread(read_bundle_file, self._shelf.held_file)
            await self._take(data, held.origin, released=True)
            if self.state.held is not None:
                self._let_go()
            if held.etag:
                self._fetching.accept(held.etag, data)

    async def discard(self, version: int) -> None:
        """Forget the bundle that is held; it is not fetched again."""
        async with self._turn:
            etag = self._held(version).etag
            self._fetching.refuse(etag)
            self._let_go(etag)

    async def roll_back(self, version: int) -> None:
        """Put a version in force that was so before; only what is newer than all replaces it.

        Raises LocalError where it is not kept here, or core refuses it.
        """
        async with self._turn:
            data = await asyncio.to_thread(read_bundle_file, self._shelf.file(version))
            bundle = await asyncio.to_thread(decode, data)
            if version == self.state.version:
                raise LocalError(f"version {version} is in force already")
            self._shelf.raise_floor(self.state.version or 0)
            await self._install(bundle, data)

    def versions(self) -> list[Kept]:
        """Return the versions one can go back to, the latest first."""
        return [kept for kept in self._shelf.index.kept if kept.version != self.state.version]

    def file_of(self, version: int | None) -> Path:
        """Return the file of a version kept here, or of the one that is held (None).

        Raises LocalError where there is none.
        """
        if version is not None:
            return self._shelf.file(version)
        if self.state.held is None:
            raise LocalError("no configuration is held")
        return self._shelf.held_file

    async def settle(self) -> None:
        """Make sure that core serves what is in our file; it may have been away."""
        async with self._turn:
            if self.state.version is not None:
                self.state.core_failure = await self._settle()
                self.state.in_core = not self.state.core_failure

    async def _keep_pulling(self) -> None:
        failures, clock = 0, asyncio.get_running_loop().time
        whole = clock()
        while True:
            begun = clock()
            known = self._fetching.known()
            if begun - whole > WHOLE_INTERVAL:
                whole, known = begun, []
            try:
                await self._pulled(known, WAIT)
                failures = 0
            except (Unavailable, LocalError):
                failures += 1
            await asyncio.sleep(self._pause(failures, clock() - begun))

    async def _pulled(self, known: list[str], wait: int = 0) -> bool:
        try:
            fresh = await self._pull(known, wait)
        except (Unavailable, LocalError) as error:
            self._failed(str(error))
            raise
        self._recovered()
        return fresh

    async def _keep_core(self) -> None:
        while True:
            await self.settle()
            await asyncio.sleep(CORE_INTERVAL)

    def _load(self) -> None:
        """Begin with the last good bundle."""
        file = self._settings.bundle_file
        try:
            data = file.read_bytes()
            self._describe(decode(data), data, file.stat().st_mtime)
        except FileNotFoundError:
            log.info("no bundle yet")
        except (OSError, BundleError) as error:
            log.error("the bundle in %s cannot be used: %s", file, error)
            self.state.failure = f"{file}: {error}"

    async def _pull(self, known: list[str], wait: int) -> bool:
        if self._cloud is None:
            raise LocalError("no cloud to ask; set cloud_url")
        if not self.state.site:
            raise LocalError("no site yet; set cloud_site to its id at the cloud")
        fetched = await self._fetching.fetch(self._cloud, self.state.site, known, wait)
        self.state.asked_at = self._wall()
        with contextlib.suppress(Unavailable):  # A full disk is told where it costs something.
            self._shelf.asked(self.state.asked_at)
        if fetched is None:
            return False
        self.state.by_delta, self.state.octets = fetched.by_delta, fetched.octets
        self.state.no_delta = fetched.no_delta
        async with self._turn:
            try:
                fresh = await self._take(fetched.data, "cloud", fetched.etag)
            except LocalError:
                self._fetching.refuse(fetched.etag)
                raise
            if self.state.held is not None and self.state.held.etag == fetched.etag:
                self._fetching.refuse(fetched.etag)
            else:
                self._fetching.accept(fetched.etag, fetched.data)
            return fresh

    async def _take(self, data: bytes, origin: str, etag: str = "", released: bool = False) -> bool:
        bundle: Bundle | None = None
        try:
            await asyncio.to_thread(self._keys.signer, data)
            bundle = await asyncio.to_thread(decode, data)
            fresh = self._is_newer(bundle)
            if fresh and not released and (reasons := await self._missing(bundle)):
                self._hold(bundle, data, reasons, origin, etag)
                fresh = False
            elif fresh:
                await self._install(bundle, data)
        except LocalError as error:
            self._refused(error, bundle)
            raise
        self.state.problems = []
        self.state.refused_at = self.state.refused_version = None
        return fresh

    def _is_newer(self, bundle: Bundle) -> bool:
        """Tell a newer bundle from the one we have; any other is refused by BundleError."""
        now, floor = self.state.version, self.state.newest
        if self.state.site and bundle.site.id != self.state.site:
            text = f"this is site `{bundle.site.id}`; this appliance serves `{self.state.site}`"
            raise BundleError([Problem("site.id", text)])
        if now is None or bundle.version > floor:
            return True
        if bundle.version == floor > now:
            return False  # The cloud still has what was rolled back here.
        if bundle.version < now or bundle.version < floor:
            text = f"{bundle.version} is older than {floor}, which stays; raise the version"
            raise BundleError([Problem("version", text)])
        if _digest(bundle) != self._digest:
            text = f"{bundle.version} is the version we have, but with other content; raise it"
            raise BundleError([Problem("version", text)])
        return False

    async def _missing(self, bundle: Bundle) -> list[Problem]:
        """Return what a bundle would take away that is too much to go unseen."""
        if self.state.version is None:
            return []
        limit, file = self._settings.bundle_shrink_limit, self._settings.bundle_file

        def compared() -> list[Problem]:
            return shrinkage(decode(read_bundle_file(file)), bundle, limit)

        return await asyncio.to_thread(compared)

    def _hold(
        self, bundle: Bundle, data: bytes, reasons: list[Problem], origin: str, etag: str
    ) -> None:
        held = Held(
            version=bundle.version,
            issued=bundle.issued,
            at=self._wall(),
            origin=origin,
            reasons=reasons,
            etag=etag,
        )
        self._shelf.hold(held, data)
        self.state.held = held
        log.warning("bundle version %d is held: %s", held.version, reasons[0])

    def _held(self, version: int) -> Held:
        held = self.state.held
        if held is None or held.version != version:
            there = f"version {held.version} is" if held else "none is"
            raise LocalError(f"version {version} is not held; {there}")
        return held

    def _let_go(self, passed: str = "") -> None:
        self._shelf.let_go(passed)
        self.state.held = None

    async def _install(self, bundle: Bundle, data: bytes) -> None:
        """Give a bundle to core and, unless it refuses, make it the one we start from."""
        candidate = self._settings.data / "bundle.candidate.json"
        write_durably(candidate, data, BUNDLE_MODE)
        try:
            in_core = await self._apply_in_core(str(candidate))
            await self._keep_previous()
            write_durably(self._settings.bundle_file, data, BUNDLE_MODE)
        finally:
            with contextlib.suppress(OSError):
                candidate.unlink()
        self._describe(bundle, data, self._wall())
        self.state.in_core = in_core
        held = self.state.held
        if held is not None and held.version <= self.state.newest:
            self._let_go()
        log.info("bundle version %d of site %s stored", bundle.version, bundle.site.id)

    async def _keep_previous(self) -> None:
        """Have the bundle in force stay beside the new one, so that admins can go back to it."""
        try:
            old = self._settings.bundle_file.read_bytes()
            bundle = await asyncio.to_thread(decode, old)
            stored_at = self.state.stored_at or self._wall()
            self._shelf.keep(bundle, old, stored_at, self._wall())
        except FileNotFoundError:
            pass
        except (OSError, Unavailable, BundleError) as error:
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
            # One newer than all came from us too, but the disk did not take it: it comes again.
            served = (info or {}).get("version") or 0
            if served != self.state.version and served <= self.state.newest:
                await self._core.call("bundle.apply", path=str(self._settings.bundle_file))
        except (Unavailable, LocalError) as error:
            if str(error) != self.state.core_failure:
                log.warning("core has not got the bundle: %s", error)
            return str(error)
        return ""

    def _describe(self, bundle: Bundle, data: bytes, stored_at: float) -> None:
        with contextlib.suppress(BundleError):  # It was here before the key was pinned.
            self.state.signer = self._keys.signer(data)
        MANAGEMENT.change(marks(bundle).management)
        self.state.site = bundle.site.id
        self.state.version = bundle.version
        self.state.newest = max(bundle.version, self._shelf.index.floor)
        self.state.issued = bundle.issued
        self.state.stored_at = stored_at
        self._digest = _digest(bundle)
        self._fetching.keep(data)
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

    def _pause(self, failures: int, took: float) -> float:
        """Spread what many appliances ask, and come back soon after a first failure."""
        interval = self._settings.cloud_pull_interval
        if failures:
            pause = min(interval, FIRST_RETRY * 2.0 ** min(failures - 1, 16))
        elif self._cloud is not None and self._cloud.waits:
            # One that answers at once, whatever it says of waiting, is not asked in a circle.
            pause = min(interval, LEAST_WAIT if took > LEAST_WAIT else FIRST_RETRY)
        else:
            pause = interval
        return pause * random.uniform(0.9, 1.1)


def _digest(bundle: Bundle) -> bytes:
    """Return what tells two contents apart, however they were written."""
    return hashlib.sha256(msgspec.json.encode(bundle)).digest()
