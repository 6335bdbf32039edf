"""A disk with a write cache that a power cut empties, served to qemu by NBD.

To kill a virtual machine loses nothing that it had handed to its disk; a real disk loses what was
not flushed. This one does too: of the writes since the last flush each is there, missing or torn,
by chance.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

SECTOR = 512
"""Octets that a disk writes as a whole."""
READ, WRITE, LEAVE, FLUSH = range(4)
FUA = 1
"""A write with this flag is on the disk when it is answered."""
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
OPTION_REPLY, REQUEST, REPLY = 0x3E889045565A9, 0x25609513, 0x67446698
ABORT, GO = 2, 7
ACKNOWLEDGED, INFORMATION, UNKNOWN = 1, 3, 0x80000001
BLOCK = 1 << 20
EIO = 5


@dataclass(frozen=True)
class Write:
    """One write since the last flush."""

    at: int
    before: bytes
    after: bytes


class VolatileDisk:
    """Keep a raw file as the machine sees it, and what of it would outlive a power cut."""

    def __init__(self, file: Path, socket_path: Path, chance: random.Random) -> None:
        self.file = file
        self._size = file.stat().st_size
        self._disk = os.open(file, os.O_RDWR)
        self._chance = chance
        self._cache: list[Write] = []
        self._lock = threading.Lock()
        self._left: float = inf
        """Writes until the power goes."""
        self.stopped = 0.0
        """When it last went, monotonic."""
        self.flushes = 0
        socket_path.unlink(missing_ok=True)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(socket_path))
        self._listening.listen(4)
        threading.Thread(target=self._serve, name="disk", daemon=True).start()

    def close(self) -> None:
        """End serving; the file stays."""
        self._listening.close()
        with self._lock:
            os.close(self._disk)
            self._disk = -1

    def stop(self, after: int = 0, patience: float = 1.0) -> None:
        """Take and give nothing from a moment on, until `cut`.

        That is `after` so many further writes, so that the cache is not empty as it mostly is
        between them; and when no more of them come, after `patience` seconds.
        """
        with self._lock:
            self._left, self.stopped = after, time.monotonic()
        end = time.monotonic() + patience
        while self._left > 0 and time.monotonic() < end:
            time.sleep(0.001)
        with self._lock:
            if self._left > 0:
                self._left, self.stopped = 0, time.monotonic()

    def cut(self) -> int:
        """Lose what the cache loses, for ever; returns how many writes were in it."""
        with self._lock:
            self._left = inf
            for at, data in self._losses():
                os.pwrite(self._disk, data, at)
            number = len(self._cache)
            self._cache.clear()
            return number

    def cut_copy(self, copy: Path, begin: int, end: int) -> int:
        """Write what a cut now would leave of these octets into another file; returns as `cut`."""
        with self._lock:
            _copy(self._disk, copy, begin, end)
            losses = [*self._losses()]
            number = len(self._cache)
        with copy.open("r+b") as output:
            for at, data in losses:
                if begin <= at and at + len(data) <= end:
                    output.seek(at - begin)
                    output.write(data)
        return number

    def _losses(self) -> list[tuple[int, bytes]]:
        """Return what to write in order: the state of the last flush, then what got through."""
        undone = [(write.at, write.before) for write in reversed(self._cache)]
        through = []
        for write in self._cache:
            fate = self._chance.random()
            kept = len(write.after)
            if fate < 0.1:
                kept = SECTOR * self._chance.randrange(len(write.after) // SECTOR + 1)
            elif fate < 0.5:
                kept = 0
            through.append((write.at, write.after[:kept]))
        return undone + through

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with line, suppress(OSError, EOFError):
            line.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 1))
            _exactly(line, 4)
            if self._agree(line):
                self._obey(line)

    def _agree(self, line: socket.socket) -> bool:
        """Answer options until the machine wants to begin."""
        while True:
            _, option, length = struct.unpack(">8sII", _exactly(line, 16))
            _exactly(line, length)
            if option == GO:
                flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA
                about = struct.pack(">HQH", 0, self._size, flags)
                _tell(line, option, INFORMATION, about)
            _tell(line, option, ACKNOWLEDGED if option in (GO, ABORT) else UNKNOWN, b"")
            if option in (GO, ABORT):
                return option == GO

    def _obey(self, line: socket.socket) -> None:
        while True:
            head = struct.unpack(">IHH8sQI", _exactly(line, 28))
            _, flags, what, handle, at, length = head
            data = _exactly(line, length) if what == WRITE else b""
            if what == LEAVE:
                return
            fault, answer = self._perform(what, flags, at, length, data)
            line.sendall(struct.pack(">II8s", REPLY, fault, handle) + answer)

    def _perform(
        self, what: int, flags: int, at: int, length: int, data: bytes
    ) -> tuple[int, bytes]:
        with self._lock:
            if self._left <= 0:
                return EIO, b""
            if what == READ:
                return 0, os.pread(self._disk, length, at)
            if what == WRITE:
                before = os.pread(self._disk, length, at)
                os.pwrite(self._disk, data, at)
                self._cache.append(Write(at, before, data))
                self._left -= 1
                self.stopped = time.monotonic()
            elif what != FLUSH:
                return EIO, b""
            if what == FLUSH or flags & FUA:
                # To flush everything for one write is allowed, and the disk's own choice.
                self._cache.clear()
                self.flushes += 1
            return 0, b""


def _tell(line: socket.socket, option: int, kind: int, data: bytes) -> None:
    line.sendall(struct.pack(">QIII", OPTION_REPLY, option, kind, len(data)) + data)


def _exactly(line: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = line.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def _copy(disk: int, copy: Path, begin: int, end: int) -> None:
    """Copy octets; holes stay holes."""
    with copy.open("wb") as output:
        output.truncate(end - begin)
        at = begin
        while at < end:
            try:
                at = max(begin, os.lseek(disk, at, os.SEEK_DATA))
            except OSError:  # no data after here
                return
            until = min(end, os.lseek(disk, at, os.SEEK_HOLE))
            while at < until:
                block = os.pread(disk, min(BLOCK, until - at), at)
                output.seek(at - begin)
                output.write(block)
                at += len(block)
