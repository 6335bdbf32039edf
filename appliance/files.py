"""Files that survive a power cut: after it they hold all of the old content or all of the new."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from appliance.errors import Unavailable


def write_durably(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `file` whole: write beside it, sync, rename, sync the folder.

    Raises Unavailable, with the old content untouched, when the disk does not take it.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_new(beside, content, mode)
        beside.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise Unavailable(f"{file} cannot be written: {error.strerror}") from error


def _write_new(file: Path, content: bytes, mode: int) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last; without it the old name may come back."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
