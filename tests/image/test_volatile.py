"""The disk whose power is cut, itself: what it keeps and what it loses, through the kernel."""

from __future__ import annotations

import mmap
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.device import BlockDevice
from tests.image.volatile import SECTOR, VolatileDisk

BLOCK, BLOCKS = 4096, 256
OLD, NEW = b"o" * BLOCK, b"n" * BLOCK


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[VolatileDisk]:
    raw = tmp_path / "raw"
    raw.touch()
    os.truncate(raw, 64 << 20)
    made = VolatileDisk(raw, tmp_path / "socket", random.Random(1))
    yield made
    made.close()


@contextmanager
def device(folder: Path) -> Iterator[BlockDevice]:
    made = BlockDevice(folder, folder / "socket")
    try:
        yield made
    finally:
        made.close()


def fill(place: int, content: bytes) -> None:
    """Write all blocks past the kernel's own cache, so that they are in the disk's."""
    page = mmap.mmap(-1, BLOCK)
    page.write(content)
    for number in range(BLOCKS):
        os.pwrite(place, page, number * BLOCK)


def blocks(disk: VolatileDisk) -> list[bytes]:
    """Return what lies in each block, its different octets."""
    data = disk.file.read_bytes()[: BLOCK * BLOCKS]
    return [bytes(sorted(set(data[at : at + BLOCK]))) for at in range(0, len(data), BLOCK)]


def test_what_was_flushed_outlives_a_cut_and_the_rest_is_there_missing_or_torn(
    disk: VolatileDisk, tmp_path: Path
) -> None:
    with device(tmp_path) as made:
        place = os.open(made.path, os.O_RDWR | os.O_DIRECT)
        fill(place, OLD)
        os.fsync(place)
        fill(place, NEW)
        os.close(place)
        disk.stop()
    assert disk.cut() >= BLOCKS
    found = blocks(disk)
    assert set(found) == {b"o", b"n", b"no"}
    assert found.index(b"o") < max(number for number, block in enumerate(found) if block == b"n")
    torn = disk.file.read_bytes()[found.index(b"no") * BLOCK :][:BLOCK]
    assert torn.index(b"o") % SECTOR == 0


def test_nothing_is_lost_after_a_flush(disk: VolatileDisk, tmp_path: Path) -> None:
    with device(tmp_path) as made:
        place = os.open(made.path, os.O_RDWR | os.O_DIRECT)
        fill(place, NEW)
        os.fsync(place)
        os.close(place)
        disk.stop()
    disk.cut()
    assert set(blocks(disk)) == {b"n"}


def test_without_power_it_takes_and_gives_nothing(disk: VolatileDisk, tmp_path: Path) -> None:
    with device(tmp_path) as made:
        place = os.open(made.path, os.O_RDWR | os.O_DIRECT)
        disk.stop()
        with pytest.raises(OSError, match="error"):
            fill(place, NEW)
        os.close(place)
    disk.cut()
    assert set(blocks(disk)) == {b"\0"}


@pytest.mark.parametrize("synced", [True, False], ids=["synced", "not synced"])
def test_a_file_system_on_it_keeps_what_was_synced_and_only_that(
    disk: VolatileDisk, tmp_path: Path, synced: bool
) -> None:
    mounted, written = tmp_path / "mounted", b""
    mounted.mkdir()
    subprocess.run(["mke2fs", "-q", "-t", "ext4", disk.file], check=True)
    with device(tmp_path) as made:
        subprocess.run(["mount", "-t", "ext4", made.path, mounted], check=True)
        with (mounted / "file").open("wb", buffering=0) as file:
            for _ in range(32):
                written += NEW[: file.write(NEW)]
                if synced:
                    os.fsync(file)
        disk.stop()
        subprocess.run(["umount", "--lazy", mounted], check=True)
    disk.cut()
    assert subprocess.run(["e2fsck", "-p", disk.file], capture_output=True).returncode in (0, 1)
    shown = subprocess.run(
        ["debugfs", "-R", "cat /file", disk.file], check=True, capture_output=True
    ).stdout
    assert shown == (written if synced else b"")
