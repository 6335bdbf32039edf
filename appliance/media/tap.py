"""Copies of packets that the kernel relays, from nftables by NFLOG: RTCP whole, RTP in samples."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from appliance.media.flow import Mark, read_mark
from appliance.media.loop import Loop
from appliance.media.netlink import Netfilter, Reply, attribute, attributes, number
from appliance.media.ruleset import TAP_GROUP

_ULOG: Final = 4
"""Netfilter's subsystem of logging."""
_PACKET, _CONFIG = 0, 1
_BIND: Final = 1
_COPY_PACKET: Final = 2
_COPIED: Final = 2048
"""Octets of a packet at most; RTCP fits into one Ethernet frame."""
_QUEUED: Final = 64
"""Copies the kernel gathers before it wakes us."""
_LATEST: Final = 10
"""Hundredths of a second it waits for them."""
_AGE_LIMIT: Final = 5.0
"""Seconds; a copy that seems older was stamped before the clock was set."""


class Copy(NamedTuple):
    """One packet seen on its way."""

    mark: Mark
    packet: memoryview
    """UDP payload, of RTP only the header for certain; good until the callable returns."""
    stamp: float
    """Wall-clock second of its arrival; 0: the kernel has not said."""


Take = Callable[[Mark, memoryview, float], None]
"""Gets mark, UDP payload and the monotonic second of arrival."""


class Tap:
    """Reads the copies of one process's flows."""

    def __init__(self, loop: Loop, shard: int, take: Take) -> None:
        """Listen; raises OSError where that is not permitted."""
        self._loop = loop
        self._take = take
        self.lost = 0
        """Times the kernel had more copies than room for them."""
        self._netfilter = Netfilter()
        try:
            group, kind = TAP_GROUP + shard, _ULOG << 8 | _CONFIG
            self._netfilter.configure(kind, group, attribute(1, bytes((_BIND,))))
            mode = struct.pack(">IBx", _COPIED, _COPY_PACKET)
            self._netfilter.configure(
                kind, group, attribute(2, mode), number(4, _LATEST), number(5, _QUEUED)
            )
        except OSError:
            self._netfilter.close()
            raise
        self._netfilter.unblock()
        loop.add(self._netfilter.fileno(), self._read)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove(self._netfilter.fileno())
        self._netfilter.close()

    def _read(self, _events: int) -> None:
        try:
            replies = self._netfilter.receive()
        except BlockingIOError:
            return
        except OSError:
            self.lost += 1
            return
        now, wall = self._loop.now, time.time()
        for copy in read_copies(replies):
            age = wall - copy.stamp
            arrival = now - age if 0.0 <= age < _AGE_LIMIT else now
            self._take(copy.mark, copy.packet, arrival)


def read_copies(replies: list[Reply]) -> Iterator[Copy]:
    """Read what NFLOG has sent; leaves out what is no whole UDP header."""
    for reply in replies:
        if reply.kind != _ULOG << 8 | _PACKET:
            continue
        found = dict(attributes(reply.body[4:]))
        with suppress(KeyError, struct.error, IndexError):
            mark = read_mark(int.from_bytes(found[2], "big"))
            payload = _udp_payload(found[9])
            if mark is not None and payload is not None:
                yield Copy(mark, payload, _stamp(found.get(3)))


def _stamp(field: memoryview | None) -> float:
    if field is None:
        return 0.0
    seconds, microseconds = struct.unpack(">QQ", field)
    return float(seconds) + float(microseconds) / 1e6


def _udp_payload(packet: memoryview) -> memoryview | None:
    """Return what is in an IP packet without extension headers or fragments."""
    headers = 40 if packet[0] >> 4 == 6 else (packet[0] & 0x0F) * 4
    length = int.from_bytes(packet[headers + 4 : headers + 6], "big")
    if len(packet) < headers + 8 or length < 8:
        return None
    return packet[headers + 8 : headers + length]
