"""The path through the network as its routers tell of it: hops, and the largest packet.

UDP with IP_RECVERR gets ICMP's errors without any privilege, as tracepath(8) does.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from contextlib import suppress
from time import monotonic
from typing import NamedTuple

PORT = 33434
"""Where traceroute sends: nobody listens there."""
PATIENCE = 1.0
"""Seconds for one hop."""
HEADERS = 28
"""Octets of IPv4 and UDP."""
USUAL = 1500
_RECVERR, _MTU_DISCOVER, _MTU, _PROBE_ALWAYS = 11, 10, 14, 2
_ERROR = struct.Struct("=IBBBBII")
"""`struct sock_extended_err` (ip(7)): errno, origin, type, code, pad, info, data."""
_OFFENDER = _ERROR.size + 4
"""Offset of the address in the `sockaddr_in` that follows."""


class Told(NamedTuple):
    """What a router, or the other end, has said of a packet."""

    number: int
    """The errno it means."""
    router: str
    mtu: int
    """Where a packet was too large: the largest that is not; else 0."""


def hops(address: str, most: int) -> list[str]:
    """Return the routers on the first `most` hops to an IPv4 address; empty: it says nothing.

    Blocks for up to a second a hop; raises OSError where there is no way at all.
    """
    found: list[str] = []
    with _opened(address) as line:
        for number in range(1, most + 1):
            line.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, number)
            told = _ask(line, b"\0" * 12)
            if told is not None and told.number == errno.ECONNREFUSED:
                return found
            found.append(told.router if told is not None else "")
    return found


def largest_packet(address: str) -> int:
    """Return the largest packet that routers let through whole to an IPv4 address.

    Only routers that say so can be heard; raises OSError where there is no way at all.
    """
    with _opened(address) as line:
        line.setsockopt(socket.IPPROTO_IP, _MTU_DISCOVER, _PROBE_ALWAYS)
        size = min(USUAL, line.getsockopt(socket.IPPROTO_IP, _MTU))
        for _ in range(4):
            told = _ask(line, b"\0" * (size - HEADERS))
            if told is None or told.number != errno.EMSGSIZE:
                break
            size = min(told.mtu or size, line.getsockopt(socket.IPPROTO_IP, _MTU), size)
    return size


def _opened(address: str) -> socket.socket:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    line.setsockopt(socket.IPPROTO_IP, _RECVERR, 1)
    try:
        line.connect((address, PORT))
    except OSError:
        line.close()
        raise
    return line


def _ask(line: socket.socket, data: bytes) -> Told | None:
    """Send a packet and return what is said of it; None when nobody says anything."""
    with suppress(OSError):
        line.send(data)
    waiter = select.poll()
    waiter.register(line, select.POLLERR)
    deadline = monotonic() + PATIENCE
    while (left := deadline - monotonic()) > 0:
        if not waiter.poll(left * 1000):
            return None
        try:
            _, told, _, _ = line.recvmsg(256, 512, socket.MSG_ERRQUEUE)
        except OSError:
            line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            continue
        for level, kind, value in told:
            if (level, kind) == (socket.IPPROTO_IP, _RECVERR) and len(value) >= _OFFENDER + 4:
                number, _, _, _, _, info, _ = _ERROR.unpack_from(value)
                router = socket.inet_ntoa(value[_OFFENDER : _OFFENDER + 4])
                return Told(number, router, info)
    return None
