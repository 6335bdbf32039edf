"""What is in a backup: everything that would be missed, and nothing that is made anew."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from appliance.backup.envelope import seal, unseal
from appliance.errors import LocalError, Unavailable
from appliance.settings import Settings

DATABASES = {"core.db": "core.snapshot", "admin.db": "admin.snapshot"}
"""Copies that their owners have made: a database that is written to cannot be copied whole."""
PLAIN = ("bundle.json", "zone_addresses.json", "sbc_addresses.json")
FOLDERS = ("bundles", "tls", "admin", "cloud")
"""Versions of the bundle; our own certificates with their keys."""
ELSEWHERE = ("tls_certificate", "tls_key", "trunk_certificate", "trunk_key", "cloud_ca")
"""Settings that name files; those come back into a folder of their own."""
RESTORED = "from-backup"
SETTINGS = "holdfast.toml"
SIZE_LIMIT = 16 << 30
"""Octets of everything in a backup."""
FILES_LIMIT = 10_000


def write_backup(
    settings: Settings, settings_file: Path | None, target: BinaryIO, passphrase: str
) -> list[str]:
    """Write a backup; return the names in it. Raises LocalError or Unavailable."""
    names = []
    try:
        with tempfile.TemporaryFile(dir=settings.data) as plain:
            with tarfile.open(fileobj=plain, mode="w:gz", compresslevel=3) as archive:
                for name, file in contents(settings, settings_file):
                    archive.add(file, name, recursive=False)
                    names.append(name)
            plain.seek(0)
            seal(plain, target, passphrase)
    except OSError as error:
        raise Unavailable(f"the backup cannot be written: {error.strerror}") from error
    return names


def contents(settings: Settings, settings_file: Path | None) -> Iterator[tuple[str, Path]]:
    """Yield each file that there is, under its name in the backup."""
    data = settings.data
    found = [(name, data / copy) for name, copy in DATABASES.items()]
    found += [(name, data / name) for name in PLAIN]
    for folder in FOLDERS:
        found += [(f"{folder}/{file.name}", file) for file in sorted((data / folder).glob("*"))]
    for name in ELSEWHERE:
        file = getattr(settings, name)
        if file is not None:
            found.append((f"{RESTORED}/{name}.pem", file))
    if settings_file is not None:
        found.append((f"{RESTORED}/{SETTINGS}", settings_file))
    yield from ((name, file) for name, file in found if file.is_file() and not file.is_symlink())


def read_backup(source: BinaryIO, data: Path, passphrase: str, aside: str) -> list[str]:
    """Put what a backup holds into the data folder; return the names.

    What is there already goes to the folder `aside` in it, and nothing is touched before the whole
    backup has been read and proved. Raises LocalError or Unavailable.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryFile(dir=data) as plain,
            tempfile.TemporaryDirectory(dir=data) as new,
        ):
            unseal(source, plain, passphrase)
            plain.seek(0)
            names = _unpack(plain, Path(new))
            _swap(Path(new), data, data / aside)
    except OSError as error:
        raise Unavailable(f"the backup cannot be put back: {error.strerror}") from error
    return names


def _unpack(plain: BinaryIO, folder: Path) -> list[str]:
    names: list[str] = []
    size = 0
    try:
        with tarfile.open(fileobj=plain, mode="r:gz") as archive:
            for member in archive:
                size += member.size
                if len(names) >= FILES_LIMIT or size > SIZE_LIMIT:
                    raise LocalError("the backup holds more than a backup of Holdfast can")
                _check(member)
                names.append(member.name)
                _write(archive, member, folder / member.name)
    except (tarfile.TarError, EOFError) as error:
        raise LocalError(f"the backup cannot be read: {error}") from error
    if "bundle.json" not in names and "admin.db" not in names:
        raise LocalError("the backup holds neither a configuration nor accounts")
    return names


def _check(member: tarfile.TarInfo) -> None:
    """Let nothing out of the folder, whoever has made the file."""
    path = PurePosixPath(member.name)
    known = member.name in (*DATABASES, *PLAIN)
    nested = len(path.parts) == 2 and path.parts[0] in (*FOLDERS, RESTORED)
    if not member.isreg() or not (known or nested) or ".." in path.parts:
        raise LocalError(f"the backup holds {member.name[:80]!r}, which is no part of a backup")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, file: Path) -> None:
    file.parent.mkdir(exist_ok=True)
    content = archive.extractfile(member)
    with open(file, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as written:
        if content is not None:
            shutil.copyfileobj(content, written)
        written.flush()
        os.fsync(written.fileno())
    file.chmod(0o640 if member.name.startswith("bundle") else 0o600)


def _swap(new: Path, data: Path, aside: Path) -> None:
    """Move what is there aside and the new into its place, as its owner's."""
    owner = data.stat()
    aside.mkdir(mode=0o700)
    for database in DATABASES:
        for old in data.glob(f"{database}*"):
            old.rename(aside / old.name)
    for file in sorted(new.iterdir()):
        place = data / file.name
        if place.exists():
            place.rename(aside / file.name)
        file.rename(place)
        _own(place, owner)
    _own(aside, owner)


def _own(place: Path, owner: os.stat_result) -> None:
    if os.geteuid() != 0:
        return
    for file in (place, *(place.rglob("*") if place.is_dir() else ())):
        os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)
