"""Expressions of nftables rules as bytes: what the packet filter's little machine can do.

Each function returns one expression. Registers have four octets each; a value that is longer goes
on in the next ones. Values are as they are in the packet.
"""

from __future__ import annotations

from typing import Final

from appliance.media.netlink import attribute, nested, number, text

NETWORK, TRANSPORT = 1, 2
"""Headers that offsets count from."""
MARK, NFPROTO, L4PROTO = 3, 15, 16
"""Keys of `meta`."""
DROP, ACCEPT, GOTO = 0, 1, -4
"""Verdicts."""
EQUAL, UNEQUAL = 0, 1
FIRST_REGISTER: Final = 8
"""NFT_REG32_00."""
_PSEUDO_HEADER: Final = 1
"""NFT_PAYLOAD_L4CSUM_PSEUDOHDR: correct the UDP checksum, where there is one."""


def meta(key: int, register: int) -> bytes:
    """Read a fact about the packet."""
    return _expression("meta", number(1, _at(register)), number(2, key))


def set_mark(register: int) -> bytes:
    """Give the packet the mark in a register."""
    return _expression("meta", number(3, _at(register)), number(2, MARK))


def load(header: int, offset: int, size: int, register: int) -> bytes:
    """Read from the packet."""
    where = (number(2, header), number(3, offset), number(4, size))
    return _expression("payload", number(1, _at(register)), *where)


def store_address(offset: int, size: int, register: int) -> bytes:
    """Write an address into the IP header and correct checksums of both headers."""
    where = (number(2, NETWORK), number(3, offset), number(4, size))
    # IPv6 has no checksum of its own header.
    own = (number(6, 1), number(7, 10)) if size == 4 else (number(6, 0),)
    return _expression("payload", number(5, _at(register)), *where, *own, number(8, _PSEUDO_HEADER))


def store_ports(register: int) -> bytes:
    """Write both ports at once.

    Told as part of the pseudo header, for so the kernel leaves a packet without UDP checksum
    (RFC 768) without one; told as any other octets, zero would become a wrong checksum.
    """
    where = (number(2, TRANSPORT), number(3, 0), number(4, 4))
    flags = (number(6, 0), number(8, _PSEUDO_HEADER))
    return _expression("payload", number(5, _at(register)), *where, *flags)


def store_class(register: int, checked: bool) -> bytes:
    """Write the first two octets of the IP header; `checked`: it has a checksum (IPv4)."""
    where = (number(2, NETWORK), number(3, 0), number(4, 2))
    own = (number(6, 1), number(7, 10)) if checked else (number(6, 0),)
    return _expression("payload", number(5, _at(register)), *where, *own)


def compare(register: int, value: bytes, how: int = EQUAL) -> bytes:
    """Go on only where a register holds this."""
    data = nested(3, attribute(1, value))
    return _expression("cmp", number(1, _at(register)), number(2, how), data)


def mask(register: int, bits: bytes, flip: bytes = b"") -> bytes:
    """Keep these bits of a register and turn over those."""
    values = nested(4, attribute(1, bits)), nested(5, attribute(1, flip or bytes(len(bits))))
    where = number(1, _at(register)), number(2, _at(register)), number(3, len(bits))
    return _expression("bitwise", *where, *values)


def lookup(name: str, key: int, value: int) -> bytes:
    """Go on only where a map has the key that begins in a register; put its value in another."""
    return _expression("lookup", text(1, name), number(2, _at(key)), number(3, _at(value)))


def notrack() -> bytes:
    """Keep the packet out of connection tracking."""
    return _expression("notrack")


def counter() -> bytes:
    """Count what comes here."""
    return _expression("counter", attribute(1, bytes(8)), attribute(2, bytes(8)))


def log(group: int, octets: int) -> bytes:
    """Copy so much of the packet to whoever listens to the group; 0: as much as it asks for."""
    # The kernel takes a length of 0 by its word and would copy nothing.
    length = [number(3, octets)] if octets else []
    return _expression("log", attribute(1, group.to_bytes(2, "big")), *length)


def verdict(code: int, chain: str = "") -> bytes:
    """Decide."""
    parts = [number(1, code & 0xFFFFFFFF)] + ([text(2, chain)] if chain else [])
    return _expression("immediate", number(1, 0), nested(2, nested(2, *parts)))


def _at(register: int) -> int:
    return FIRST_REGISTER + register


def _expression(name: str, *data: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *data))
