"""What is kept beside the bundle in force: the versions before, and one that is held (G2)."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import msgspec

from appliance.bundle import Bundle, Problem
from appliance.errors import LocalError, Unavailable
from appliance.files import write_durably

log = logging.getLogger("holdfast.sync")

VERSIONS_KEPT = 10
ASKED_NOTED = 3600.0
"""Seconds between two notes that the cloud answered."""
ROOM = 256 << 20
"""Octets of all versions together; a site of 10,000 users has about 10 MB each."""
BUNDLE_MODE = 0o640
"""They have password hashes: for our own user and group only."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was in force before; times are Unix seconds."""

    version: int
    issued: str
    stored_at: float
    replaced_at: float
    users: int
    groups: int
    size: int
    """Octets."""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle that waits for an admin."""

    version: int
    issued: str
    at: float
    """When it came, Unix seconds."""
    origin: str
    """`cloud`, or who brought it."""
    reasons: list[Problem]
    etag: str = ""


class Index(msgspec.Struct, kw_only=True):
    """What stands in the shelf's own file."""

    floor: int = 0
    """The newest version there ever was in force; what comes must be newer."""
    passed: str = ""
    """ETag of a bundle that an admin would not have."""
    held: Held | None = None
    asked_at: float | None = None
    """When the cloud last gave an answer that made sense, Unix seconds, an hour too early at most:
    a restart in a long outage must not make the configuration look young."""
    kept: list[Kept] = []
    """The latest first."""


class BundleShelf:
    """Keep versions in a folder; every method but `__init__` raises Unavailable."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.index = Index()
        try:
            self.index = msgspec.json.decode(self._index_file.read_bytes(), type=Index)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as error:
            log.error("the kept versions in %s cannot be read: %s", folder, error)

    @property
    def _index_file(self) -> Path:
        return self._folder / "index.json"

    @property
    def held_file(self) -> Path:
        """Where the bundle that is held lies."""
        return self._folder / "held.json"

    def file(self, version: int) -> Path:
        """Return where a version lies; raises LocalError where it is not kept."""
        if all(kept.version != version for kept in self.index.kept):
            there = ", ".join(str(kept.version) for kept in self.index.kept) or "none"
            raise LocalError(f"version {version} is not kept here; there are: {there}")
        return self._folder / f"{version}.json"

    def keep(self, bundle: Bundle, data: bytes, stored_at: float, now: float) -> None:
        """Keep a version that is about to be replaced; the oldest make room for it."""
        new = Kept(
            version=bundle.version,
            issued=bundle.issued,
            stored_at=stored_at,
            replaced_at=now,
            users=len(bundle.users),
            groups=len(bundle.groups),
            size=len(data),
        )
        write_durably(self._folder / f"{new.version}.json", data, BUNDLE_MODE)
        others = [kept for kept in self.index.kept if kept.version != new.version]
        kept, room = [new], ROOM - new.size
        for old in others[: VERSIONS_KEPT - 1]:
            room -= old.size
            if room >= 0:
                kept.append(old)
        self._save(kept=kept)
        for old in others:
            if old not in kept:
                (self._folder / f"{old.version}.json").unlink(missing_ok=True)

    def hold(self, held: Held, data: bytes) -> None:
        """Have a bundle wait for an admin, in place of the one that waited."""
        write_durably(self.held_file, data, BUNDLE_MODE)
        self._save(held=held)

    def let_go(self, passed: str = "") -> None:
        """Forget the bundle that is held; `passed` is its ETag where it is not wanted."""
        self._save(held=None, passed=passed or self.index.passed)
        with contextlib.suppress(OSError):
            self.held_file.unlink()

    def raise_floor(self, version: int) -> None:
        """Take nothing that is not newer than this from now on."""
        if version > self.index.floor:
            self._save(floor=version)

    def asked(self, at: float) -> None:
        """Remember that the cloud answered; written once an hour, and whenever the clock jumps."""
        last = self.index.asked_at
        if last is None or not 0 <= at - last < ASKED_NOTED:
            self._save(asked_at=at)

    def _save(self, **changes: object) -> None:
        index = msgspec.structs.replace(self.index, **changes)
        write_durably(self._index_file, msgspec.json.encode(index))
        self.index = index


def read_bundle_file(file: Path) -> bytes:
    """Return what a file holds; raises Unavailable where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable(f"{file} cannot be read: {error.strerror}") from error
