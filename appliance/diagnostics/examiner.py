"""Run checks, a few at a time, and keep what the latest runs have found."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

import msgspec

from appliance.adapters.identifiers import RandomIdentifiers
from appliance.cloud.sync_state import SyncState
from appliance.diagnostics.check import WORST_FIRST, Check, Outcome, Result, Surroundings, fail
from appliance.diagnostics.checks import CHECKS
from appliance.errors import HoldfastError, LocalError
from appliance.ports import Commands
from appliance.settings import Settings
from appliance.web.stored import Stored

log = logging.getLogger("holdfast.diagnostics")

AT_ONCE = 3
"""Checks at a time: more would disturb what they measure."""
ANSWER_TIMEOUT = 5.0
"""Seconds that core may take."""
KEPT = 10
"""Runs that can still be read."""


class Run(msgspec.Struct, kw_only=True):
    """One run of some checks; `results` grows until `ended` is set."""

    id: str
    by: str
    """Who asked for it."""
    begun: float
    """Unix seconds."""
    ended: float | None = None
    checks: tuple[str, ...]
    running: list[str] = []
    """Checks that are at work now."""
    results: list[Result] = []

    @property
    def verdict(self) -> str:
        """The worst verdict there is yet; empty before the first."""
        found = {result.verdict for result in self.results}
        return next((verdict for verdict in WORST_FIRST if verdict in found), "")


class Examiner:
    """Begin runs, one at a time, and tell how they stand."""

    def __init__(
        self,
        surroundings: Callable[[], Awaitable[Surroundings]],
        checks: Sequence[Check] = CHECKS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._surroundings = surroundings
        self._checks = {check.name: check for check in checks}
        self._wall = wall
        self._runs: list[Run] = []
        self._task: asyncio.Task[None] | None = None

    def describe(self) -> list[dict[str, Any]]:
        """Tell which checks there are."""
        return [
            {"name": one.name, "title": one.title, "about": one.about, "limit": one.limit}
            for one in self._checks.values()
        ]

    @property
    def latest(self) -> Run | None:
        """The run that was begun last."""
        return self._runs[-1] if self._runs else None

    def start(self, names: Sequence[str], by: str) -> Run:
        """Begin a run of these checks, or of all; raises LocalError for what cannot be run."""
        unknown = [name for name in names if name not in self._checks]
        if unknown:
            there = ", ".join(self._checks)
            raise LocalError(f"there is no check {unknown[0][:64]!r}; there are: {there}")
        if self._task is not None and not self._task.done():
            raise LocalError("checks are running already; wait until they are done")
        wanted = tuple(name for name in self._checks if not names or name in names)
        identifier = RandomIdentifiers().token()[:12]
        run = Run(id=identifier, by=by, begun=self._wall(), checks=wanted)
        self._runs = [*self._runs[-KEPT + 1 :], run]
        self._task = asyncio.create_task(self._perform(run))
        return run

    def find(self, identifier: str) -> Run | None:
        """Return a run; None for one that is forgotten or never was."""
        return next((run for run in self._runs if run.id == identifier), None)

    async def done(self) -> None:
        """Wait for the end of what runs now."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _perform(self, run: Run) -> None:
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(check: Check, surroundings: Surroundings) -> None:
            async with turns:
                run.running.append(check.name)
                run.results.append(await perform(check, surroundings))
                run.running.remove(check.name)

        try:
            around = await self._surroundings()
            await asyncio.gather(*(one(self._checks[name], around) for name in run.checks))
        finally:
            run.ended = self._wall()
            order = list(run.checks)
            run.results.sort(key=lambda result: order.index(result.check))


def surroundings_of(
    settings: Settings, core: Commands, sync: SyncState
) -> Callable[[], Awaitable[Surroundings]]:
    """Return what tells checks of this appliance and its site, each time anew."""
    stored = Stored(settings)

    async def ask(command: str, **arguments: Any) -> Any:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await core.call(command, **arguments)

    async def look() -> Surroundings:
        try:
            bundle = await stored.bundle()
        except LocalError:
            bundle = None
        return Surroundings(settings, bundle, ask, msgspec.to_builtins(sync))

    return look


async def perform(check: Check, surroundings: Surroundings) -> Result:
    """Run one check within its time; whatever goes wrong is a result as well."""
    begun = monotonic()
    try:
        async with asyncio.timeout(check.limit):
            outcome = await check.run(surroundings)
    except TimeoutError:
        text = f"it was not done within {check.limit:g} s"
        outcome = fail(text, "Run it again by itself; if it stays so, something on the way hangs.")
    except (HoldfastError, OSError) as error:
        outcome = fail(f"it could not be done: {error}", "Mend what it says and run it again.")
    except Exception:
        # A mistake in one check must not take the others with it.
        log.exception("the check %s failed", check.name)
        outcome = fail("this is a fault of Holdfast", "Send the journal to whoever supports you.")
    return _result(check, outcome, monotonic() - begun)


def _result(check: Check, outcome: Outcome, seconds: float) -> Result:
    return Result(
        check=check.name,
        title=check.title,
        verdict=outcome.verdict,
        text=outcome.text,
        advice=outcome.advice,
        evidence=outcome.evidence,
        seconds=seconds,
    )
