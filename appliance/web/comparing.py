"""Compare two bundles in a process of its own: `python -m appliance.web.comparing OLD NEW LIMIT`.

Two bundles of the largest site take a second and 300 MB. In a thread of the admin process every
page would wait for that, and the memory would stay.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from appliance.bundle import Bundle
from appliance.bundle.differences import Difference, differences
from appliance.bundle.reader import decode_again
from appliance.errors import HoldfastError, LocalError, Unavailable

SMALL = 1 << 20
"""Octets of both files up to which a thread will do: a process takes 0.3 s to begin."""
TIMEOUT = 120.0


class Compared(NamedTuple):
    """What changed from one bundle to another."""

    changes: list[Difference]
    """The first ones."""
    total: int


async def compared(old: Path, new: Path, limit: int) -> Compared:
    """Return what changed between two files, `limit` differences at most; raises LocalError."""
    try:
        size = old.stat().st_size + new.stat().st_size
    except OSError as error:
        raise LocalError(f"{error.filename}: {error.strerror}") from error
    if size <= SMALL:
        return await asyncio.to_thread(compare, old, new, limit)
    words = [sys.executable, "-m", __name__, str(old), str(new), str(limit)]
    child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(TIMEOUT):
            told, _ = await child.communicate()
    except TimeoutError:
        raise Unavailable(f"comparing {old.name} took longer than {TIMEOUT:.0f} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode != 0:
        raise LocalError(f"{old.name} cannot be compared: {told.decode(errors='replace').strip()}")
    return msgspec.json.decode(told, type=Compared)


def compare(old: Path, new: Path, limit: int) -> Compared:
    """Do the work; raises LocalError."""
    found = list(differences(read(old), read(new)))
    return Compared(found[:limit], len(found))


def read(file: Path) -> Bundle:
    """Return the bundle in a file that was found good before; raises LocalError."""
    try:
        return decode_again(file.read_bytes())
    except OSError as error:
        raise LocalError(f"{file}: {error.strerror}") from error


def main() -> int:
    """Write what differs as JSON, or why it cannot be told."""
    old, new, limit = sys.argv[1:]
    try:
        sys.stdout.buffer.write(msgspec.json.encode(compare(Path(old), Path(new), int(limit))))
    except HoldfastError as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
