"""Addresses of phones and of ours: what can be one, and a socket for ours."""

from __future__ import annotations

import errno
import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from appliance.marking import MEDIA

Address = tuple[str, int]
Source = tuple[str, int] | tuple[str, int, int, int]


def open_socket(local: Address) -> socket.socket:
    """Make an UDP socket for one of our addresses, with the mark of media; it is not bound yet."""
    is_v6 = ":" in local[0]
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    if is_v6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    MEDIA.mark(made)
    return made


def check(local: Address, remote: Source) -> None:
    """Refuse what would turn the relay against its own machine or a whole network."""
    there = literal(remote[0])
    if there.is_multicast or there.is_unspecified or not 0 < remote[1] < 65536:
        raise OSError(errno.EADDRNOTAVAIL, f"no phone can be at {remote[0]}:{remote[1]}")
    if there.is_loopback and not literal(local[0]).is_loopback:
        raise OSError(errno.EADDRNOTAVAIL, f"{remote[0]} is this machine, not a phone")


@lru_cache(maxsize=4096)
def literal(host: str) -> IPv4Address | IPv6Address:
    """Read an address; raises OSError for anything else."""
    # Remembered, as a relay asks ten times for a handful of addresses, 2 us each.
    # A name would be looked up by the socket, and every stream would wait for the answer.
    try:
        return ip_address(host)
    except ValueError as error:
        raise OSError(errno.EINVAL, f"{host[:64]!r} is not an address") from error
