"""The admin process's end of the directory: built from each bundle, swapped in, and searched."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from appliance.bundle import Bundle
from appliance.errors import LocalError, Unavailable
from appliance.phonebook.entry import Entry, digest_of, entries_of
from appliance.phonebook.index import Phonebook, build
from appliance.upkeep import Upkeep

log = logging.getLogger("holdfast.directory")

FILE = "directory.db"
"""In the data folder; it may be deleted, and is made again from the bundle."""


class Directory:
    """Keeps the directory as the bundle in force has it; the last good one stays meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / FILE
        self._book: Phonebook | None = None
        self._upkeep = Upkeep(self._keep)
        self.failure = ""
        """Why the last bundle's directory could not be made."""

    def apply(self, bundle: Bundle) -> None:
        """Have the directory of this bundle as soon as it can be built."""
        self._upkeep.want(bundle)

    async def settled(self) -> None:
        """Wait until nothing is being built."""
        await self._upkeep.settled()

    async def stop(self) -> None:
        """Build nothing more."""
        await self._upkeep.stop()

    async def search(self, asked: str, limit: int) -> list[Entry]:
        """Return whom a name, a part of one, or a number means; raises as `Phonebook` does."""
        return await asyncio.to_thread(self._open().search, asked, limit)

    async def spelt(self, keys: str, limit: int) -> list[Entry]:
        """Return whose name is spelt so on the keys; raises as `Phonebook` does."""
        return await asyncio.to_thread(self._open().spelt, keys, limit)

    def _open(self) -> Phonebook:
        if self._book is None:
            raise Unavailable(self.failure or "there is no directory yet: no bundle has come")
        return self._book

    async def _keep(self, bundle: Bundle) -> None:
        try:
            # Whoever still searches the one before keeps it open until he is done.
            self._book = await asyncio.to_thread(self._make, bundle)
            self.failure = ""
        except (Unavailable, LocalError) as error:
            self.failure = str(error)
            log.error("the directory stays as it was: %s", error)

    def _make(self, bundle: Bundle) -> Phonebook:
        entries = entries_of(bundle)
        digest = digest_of(entries)
        with suppress(Unavailable):
            book = Phonebook(self._file)
            if book.digest == digest:
                return book
            book.close()
        build(self._file, entries, digest)
        log.info("the directory has %d entries", len(entries))
        return Phonebook(self._file)
