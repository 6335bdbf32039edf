"""Look at the layers by itself when a zone fails, and put the verdict into the history (A7).

It runs in the admin process and asks core once a second how the zones are. So whatever happens to
it costs evidence only, never a phone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from appliance.bundle import Zone
from appliance.diagnostics.cloud_line import probe_https
from appliance.diagnostics.layers import probe_layers
from appliance.diagnostics.verdict import finding
from appliance.errors import HoldfastError, LocalError, Unavailable
from appliance.evidence import Finding, Step
from appliance.ports import Commands
from appliance.settings import Settings

log = logging.getLogger("holdfast.evidence")

LOOK_EVERY = 1.0
"""Seconds between two looks at the zones."""
LONGEST = 90.0
"""Seconds one zone may be looked at."""
KNOWN = 20
"""Findings asked for at the start, so that none is made twice."""
OWN_LINK, DOWN = "link", "down"
"""How a zone fails: by our own cable, or by itself."""


class Failing(NamedTuple):
    """A zone that has begun to fail."""

    zone: str
    at: float
    """Unix seconds."""


class Onsets:
    """Tell of each failure of a zone once: when it goes down, or our own cable loses its signal."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}
        """By zone and kind, when it began."""

    def known(self, zone: str, at: float) -> None:
        """Take a failure that was looked at before this process began."""
        self._seen.setdefault(zone, {})[DOWN] = at

    def look(self, zones: list[dict[str, Any]]) -> list[Failing]:
        """Return what has begun to fail since the last look; `zones` as core tells them."""
        return [one for zone in zones if (one := self._look(zone)) is not None]

    def _look(self, zone: dict[str, Any]) -> Failing | None:
        name = zone["id"]
        failing = _failing(zone)
        if failing is None:
            if zone["state"] == "up":
                self._seen.pop(name, None)
            return None
        kind, at = failing
        seen = self._seen.setdefault(name, {})
        before = seen.get(kind)
        if kind == DOWN:
            seen.pop(OWN_LINK, None)
        elif before is not None:
            return None
        seen[kind] = at
        if before is not None and abs(before - at) < LOOK_EVERY:
            return None
        return Failing(name, at)


def _failing(zone: dict[str, Any]) -> tuple[str, float] | None:
    """Return how a zone fails and since when; None while it answers or nobody knows yet."""
    failure, history = zone.get("last_failure") or {}, zone.get("history") or []
    missed = bool(history) and history[-1]["rtt"] is None
    if missed and failure.get("layer") == OWN_LINK:
        return OWN_LINK, failure["at"]
    if zone["state"] == DOWN:
        return DOWN, zone["since"]
    return None


Look = Callable[[Zone], Awaitable[list[Step]]]


class Witness:
    """Watch the zones and look into each that fails."""

    def __init__(
        self,
        core: Commands,
        bundle: Callable[[], Awaitable[Any]],
        look: Look,
    ) -> None:
        """`bundle` gives the one in force; `look` probes the layers of a zone."""
        self._core = core
        self._bundle = bundle
        self._look = look
        self._onsets = Onsets()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Watch until cancelled."""
        await self._remember()
        try:
            while True:
                await self.step()
                await asyncio.sleep(LOOK_EVERY)
        finally:
            for task in self._tasks:
                task.cancel()

    async def step(self) -> None:
        """Look at the zones once; without core there is nothing to see."""
        try:
            zones = await self._core.call("zones")
        except (Unavailable, LocalError):
            return
        for failing in self._onsets.look(zones):
            task = asyncio.create_task(self._testify(failing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def settled(self) -> None:
        """Wait until everything that was begun has been told."""
        await asyncio.gather(*self._tasks)

    async def _remember(self) -> None:
        while True:
            try:
                for one in reversed(await self._core.call("evidence", limit=KNOWN)):
                    self._onsets.known(one["zone"], one["at"])
                return
            except (Unavailable, LocalError):
                await asyncio.sleep(LOOK_EVERY)

    async def _testify(self, failing: Failing) -> None:
        try:
            zones = {zone.id: zone for zone in (await self._bundle()).zones}
            async with asyncio.timeout(LONGEST):
                steps = await self._look(zones[failing.zone])
        except (HoldfastError, KeyError, TimeoutError, OSError) as error:
            log.warning("zone %s could not be looked into: %s", failing.zone, error)
            return
        await self._tell(finding(failing.at, failing.zone, steps))

    async def _tell(self, found: Finding) -> None:
        log.warning("zone %s: %s. %s", found.zone, found.verdict, found.advice)
        try:
            await self._core.call("evidence.add", finding=msgspec.to_builtins(found))
        except (Unavailable, LocalError) as error:
            log.warning("what was found of zone %s is not kept: %s", found.zone, error)


def look_into(settings: Settings) -> Look:
    """Return what probes a zone's layers and, beside them, the cloud's HTTPS."""
    memory: Path = settings.data / "zone_addresses.json"

    async def look(zone: Zone) -> list[Step]:
        steps, https = await asyncio.gather(probe_layers(zone, memory), probe_https(settings))
        return [*steps, https] if https is not None else steps

    return look
