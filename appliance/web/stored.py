"""The bundles that are stored here, decoded once and shown often."""

from __future__ import annotations

import asyncio
from pathlib import Path

from appliance.bundle import Bundle, decode
from appliance.bundle.differences import Difference, differences
from appliance.errors import LocalError
from appliance.settings import Settings

SHOWN = 500
"""Differences that are told; a site of 10,000 users may have them all changed."""

Stamp = tuple[int, int, int]
"""What tells one content of a file from the next: inode, size, time."""


class Stored:
    """Read the bundle in force and others; a changed file is read again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[Path, tuple[Stamp, Bundle]] = {}
        self._turn = asyncio.Lock()

    @property
    def file(self) -> Path:
        """Where the bundle in force lies."""
        return self._settings.bundle_file

    async def bundle(self) -> Bundle:
        """Return the bundle in force; raises LocalError when there is none."""
        found = await self._read(self._settings.bundle_file)
        if found is None:
            raise LocalError("there is no configuration yet")
        return found

    async def changes(self, old: Path, new: Path | None = None) -> tuple[list[Difference], int]:
        """Return what changed from one file to another (500 at most), and how much that is in all.

        `new` is the bundle in force where none is named. Raises LocalError.
        """
        before = await self._read(old)
        after = await self.bundle() if new is None else await self._read(new)
        if before is None or after is None:
            return [], 0
        found = await asyncio.to_thread(lambda: list(differences(before, after)))
        return found[:SHOWN], len(found)

    async def _read(self, file: Path) -> Bundle | None:
        async with self._turn:
            try:
                return await asyncio.to_thread(self._decoded, file)
            except FileNotFoundError:
                self._known.pop(file, None)
                return None
            except OSError as error:
                raise LocalError(f"{file}: {error.strerror}") from error

    def _decoded(self, file: Path) -> Bundle:
        status = file.stat()
        stamp = status.st_ino, status.st_size, status.st_mtime_ns
        known = self._known.get(file)
        if known is not None and known[0] == stamp:
            return known[1]
        bundle = decode(file.read_bytes())
        if file == self._settings.bundle_file:  # Others are asked for once in a while.
            self._known[file] = stamp, bundle
        return bundle
