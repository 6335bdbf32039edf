"""The bundles that are stored here, decoded once and shown often; and what differs between two."""

from __future__ import annotations

import asyncio
from pathlib import Path

from appliance.bundle import Bundle
from appliance.errors import LocalError
from appliance.premises import Premises
from appliance.settings import Settings
from appliance.web.comparing import Compared, compared, read

SHOWN = 500
"""Differences that are told; a site of 10,000 users may have them all changed."""
COMPARISONS = 8
"""Pairs of bundles whose differences are remembered."""

Stamp = tuple[int, int, int]
"""What tells one content of a file from the next: inode, size, time."""


class Stored:
    """Read the bundle in force and others; a changed file is read again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: tuple[Stamp, Bundle] | None = None
        self._premises: Premises | None = None
        self._turn = asyncio.Lock()
        self._compared: dict[tuple[Stamp, Stamp], asyncio.Task[Compared]] = {}

    @property
    def file(self) -> Path:
        """Where the bundle in force lies."""
        return self._settings.bundle_file

    def take(self, bundle: Bundle) -> None:
        """Remember the bundle that has just been put in force: the first page need not read it."""
        if (stamp := _stamp(self.file)) is not None:
            self._known, self._premises = (stamp, bundle), None

    async def bundle(self) -> Bundle:
        """Return the bundle in force; raises LocalError when there is none."""
        async with self._turn:
            stamp = _stamp(self.file)
            if stamp is None:
                self._known = self._premises = None
                raise LocalError("there is no configuration yet")
            if self._known is None or self._known[0] != stamp:
                self._known = self._premises = None  # two of the largest take 300 MB
                self._known = stamp, await asyncio.to_thread(read, self.file)
            return self._known[1]

    async def premises(self) -> Premises:
        """Return the bundle in force as trials want it, indexed once; raises as `bundle` does."""
        bundle = await self.bundle()
        async with self._turn:
            if self._premises is None or self._premises.bundle is not bundle:
                self._premises = await asyncio.to_thread(Premises, bundle)
            return self._premises

    async def changes(self, old: Path, new: Path | None = None) -> Compared:
        """Return what changed from one file to another; nothing where one of them is not there.

        `new` is the bundle in force where none is named. At a large site the first who asks waits
        for seconds; whoever gives up leaves it at work for the next one. Raises LocalError.
        """
        before, after = _stamp(old), _stamp(new or self.file)
        if before is None or after is None:
            return Compared([], 0)
        pair = before, after
        task = self._compared.get(pair)
        if task is None:
            task = self._compared[pair] = asyncio.create_task(self._compare(old, new))
            task.add_done_callback(lambda done: self._forget_failed(pair, done))
            if len(self._compared) > COMPARISONS:
                del self._compared[next(iter(self._compared))]
        return await asyncio.shield(task)

    def _forget_failed(self, pair: tuple[Stamp, Stamp], done: asyncio.Task[Compared]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._compared.pop(pair, None)

    async def _compare(self, old: Path, new: Path | None) -> Compared:
        return await compared(old, new or self.file, SHOWN)


def _stamp(file: Path) -> Stamp | None:
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error
    return status.st_ino, status.st_size, status.st_mtime_ns
