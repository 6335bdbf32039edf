"""A capture's file (pcapng) as it comes in, in pieces of any size."""

from __future__ import annotations

import struct

PACKET, STATISTICS, DROPPED = 6, 5, 5
LARGEST_BLOCK = 80_000
"""Octets: a packet has at most 65,535."""


class Blocks:
    """Cut a file (pcapng) that comes in pieces where its blocks end, and count its packets."""

    def __init__(self) -> None:
        self.packets = 0
        self.dropped = 0
        self._rest = b""

    def take(self, data: bytes) -> bytes:
        """Return what is whole now; raises ValueError for what is no such file."""
        data = self._rest + data
        at = 0
        while len(data) - at >= 12:
            kind, size = struct.unpack_from("<II", data, at)
            if size % 4 or not 12 <= size <= LARGEST_BLOCK:
                raise ValueError(f"a block of {size} octets")
            if len(data) - at < size:
                break
            self._count(kind, data[at + 8 : at + size - 4])
            at += size
        self._rest = data[at:]
        return data[:at]

    def _count(self, kind: int, body: bytes) -> None:
        self.packets += kind == PACKET
        if kind == STATISTICS:
            at = 12
            while at + 4 <= len(body):
                code, size = struct.unpack_from("<HH", body, at)
                if code == DROPPED and size == 8 and at + 12 <= len(body):
                    self.dropped = int.from_bytes(body[at + 4 : at + 12], "little")
                at += 4 + size + -size % 4
