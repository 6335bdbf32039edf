"""The image's initramfs, unpacked: archives one after another, plain and packed by zstd."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

ZSTD = b"\x28\xb5\x2f\xfd"
HEAD = 110
"""Octets of an entry's head: a magic number and thirteen numbers, each of eight hex digits."""
LAST = "TRAILER!!!"


def unpack(initrd: Path, folder: Path) -> None:
    """Unpack it into a folder; devices are left out."""
    twins = dict[int, list[Path]]()
    for name, mode, inode, content in entries(initrd.read_bytes()):
        place = folder / name
        if stat.S_ISDIR(mode):
            place.mkdir(parents=True, exist_ok=True)
        elif stat.S_ISLNK(mode):
            place.symlink_to(content.decode())
        elif stat.S_ISREG(mode):
            # Of one file's many names only the last has its content.
            names = twins.setdefault(inode, [])
            names.append(place)
            for twin in names if content else [place]:
                twin.write_bytes(content)
                twin.chmod(stat.S_IMODE(mode))


def entries(data: bytes) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield name, mode, inode and content of every file in all of the archives."""
    at = 0
    while at < len(data):
        if data.startswith(ZSTD, at):
            words = ["zstd", "--decompress", "--stdout"]
            yield from entries(subprocess.run(words, input=data[at:], capture_output=True).stdout)
            return
        if not data.startswith(b"0707", at):  # what is left of a block
            at += 4
            continue
        numbers = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = numbers[1], numbers[6], numbers[11]
        name = os.fsdecode(data[at + HEAD : at + HEAD + name_size - 1])
        begin = _whole(at + HEAD + name_size)
        at = _whole(begin + size)
        if name != LAST:
            yield name, mode, numbers[0], data[begin : begin + size]


def _whole(at: int) -> int:
    return -(-at // 4) * 4
