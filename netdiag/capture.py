# SPDX-License-Identifier: GPL-2.0-only
"""Capture what is wanted on one card: a line of JSON, then a file (pcapng) as it grows.

What is read is bounded by the kernel's filter, by seconds and by octets. Who reads slowly makes the
kernel drop packets, which are counted, and nothing else: no packet waits for us.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable

from netdiag.filter import WHOLE, filter_of
from netdiag.packet import Kept, Trimmer
from netdiag.refusal import Refused
from netdiag.wanted import Wanted

ALL, SOL_PACKET, STATISTICS, ATTACH_FILTER, TIMESTAMPS = 0x0003, 263, 6, 26, 35
GET_FLAGS, LOOPBACK = 0x8913, 0x8
BUFFER = 8 << 20
"""Octets of packets that the kernel keeps for us; it may allow less."""
BATCH = 256
"""Packets that are taken before what they made is written."""
LAST_BATCHES = 100
TOLD_EVERY = 1.0
"""Seconds between two blocks of statistics: they show that we live, and what was dropped."""
RAW = 101
COMMENT = (
    "captured by Holdfast: signalling without keys (SDES), digest values and pressed keys, which "
    "are hidden by x of the same length; of audio only heads; packets begin with their IP header"
)

Write = Callable[[bytes], object]


def run(wanted: Wanted, write: Write, ended: int) -> None:
    """Capture until time or size is reached, or `ended` (a descriptor) can be read: then stop."""
    with _listener(wanted) as listener:
        write(json.dumps({"probe": "capture", "card": wanted.card}).encode() + b"\n")
        _File(wanted, listener, write).follow(ended)


def _listener(wanted: Wanted) -> socket.socket:
    """Return a socket that gets what is wanted, from now on; raises Refused for loopback."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
    try:
        name = wanted.card.encode()
        told = fcntl.ioctl(listener, GET_FLAGS, struct.pack("16sH22x", name, 0))
        if struct.unpack("16sH22x", told)[1] & LOOPBACK:
            raise Refused("card: not the loopback")
        program = filter_of(wanted)
        held = ctypes.create_string_buffer(program, len(program))
        head = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
        listener.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, head)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, TIMESTAMPS, 1)
        listener.bind((wanted.card, ALL))  # only now anything is received
    except BaseException:
        listener.close()
        raise
    return listener


class _File:
    """One capture while it grows."""

    def __init__(self, wanted: Wanted, listener: socket.socket, write: Write) -> None:
        self._wanted = wanted
        self._listener = listener
        self._write = write
        self._trimmer = Trimmer(wanted)
        self._octets = 0
        self._unwritten = bytearray()
        self._seen = self._dropped = 0
        self._put(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), (1, COMMENT.encode()))
        name = (2, wanted.card.encode())
        self._put(1, struct.pack("<HHI", RAW, 0, 0), name, (9, b"\x09"))

    def follow(self, ended: int) -> None:
        """Write packets until there is a reason to stop."""
        packets, end = self._listener.fileno(), time.monotonic() + self._wanted.seconds
        told = time.monotonic()
        self._flush()
        while (now := time.monotonic()) < end and not self._full:
            ready, _, _ = select.select([packets, ended], [], [], min(TOLD_EVERY, end - now))
            if ended in ready:
                break
            if packets in ready:
                self._receive()
            if now - told >= TOLD_EVERY:
                told = now
                self._tell()
            self._flush()
        self._drain()
        self._tell()
        self._flush()

    def _drain(self) -> None:
        """Take what the kernel still has for us, but not for ever: more may come all the time."""
        for _ in range(LAST_BATCHES):
            if self._full or not self._receive():
                return
            self._flush()

    @property
    def _full(self) -> bool:
        return self._octets >= self._wanted.octets

    def _receive(self) -> bool:
        """Take packets; tell whether there may be more."""
        for _ in range(BATCH):
            try:
                packet, more, _, _ = self._listener.recvmsg(WHOLE + 1, 128, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            kept = self._trimmer.take(packet)
            if kept is not None:
                self._packet(kept, _moment(more))
            if self._full:
                return False
        return True

    def _flush(self) -> None:
        self._write(bytes(self._unwritten))
        self._unwritten.clear()

    def _packet(self, kept: Kept, at: int) -> None:
        high, low = divmod(at, 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(kept.data), kept.length)
        said = ((1, kept.comment.encode()),) if kept.comment else ()
        self._put(6, head + _padded(kept.data), *said)

    def _tell(self) -> None:
        """Write how many packets there were, and how many the kernel had to drop."""
        told = self._listener.getsockopt(SOL_PACKET, STATISTICS, 8)
        seen, dropped = struct.unpack("=II", told)
        self._seen, self._dropped = self._seen + seen, self._dropped + dropped
        high, low = divmod(time.time_ns(), 1 << 32)
        lost = self._dropped + self._trimmer.incomplete
        figures = ((4, struct.pack("<Q", self._seen)), (5, struct.pack("<Q", lost)))
        self._put(5, struct.pack("<III", 0, high, low), *figures)

    def _put(self, kind: int, body: bytes, *options: tuple[int, bytes]) -> None:
        if options:
            body += b"".join(
                struct.pack("<HH", code, len(value)) + _padded(value) for code, value in options
            )
            body += bytes(4)
        size = struct.pack("<I", len(body) + 12)
        block = struct.pack("<I", kind) + size + body + size
        self._octets += len(block)
        self._unwritten += block


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _moment(more: list[tuple[int, int, bytes]]) -> int:
    """Return when the kernel saw a packet, in nanoseconds of Unix time."""
    for level, kind, data in more:
        if level == socket.SOL_SOCKET and kind == TIMESTAMPS and len(data) >= 16:
            seconds, nanoseconds = struct.unpack("=qq", data[:16])
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


def to_descriptor(number: int) -> Write:
    """Return what writes all of some octets to a descriptor."""

    def write(data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(number, left) :]

    return write
