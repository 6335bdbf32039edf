"""SIP messages as a capture file that packet analysers read (pcapng, draft-ietf-opsawg-pcapng).

We saw the messages and not their packets, so headers of IP, UDP and TCP are written anew: addresses
and ports are the real ones, checksums are right, and a TCP connection is as if nothing was lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from appliance.sip.flow import Address, Transport

SECTION, INTERFACE, PACKET = 0x0A0D0D0A, 1, 6
RAW = 101
"""Link type of packets that begin with their IP header."""
COMMENT, APPLICATION, NAME = 1, 4, 2
UDP, TCP = 17, 6
PUSH_ACK = 0x18
SNAP = 262_144
"""Octets of a packet at most: what analysers take for no limit."""
IN_CLEAR = "this message went over TLS; it is written in clear, as Holdfast has read it"


class Packed(msgspec.Struct, frozen=True):
    """One message to be written."""

    at: float
    """Unix seconds."""
    transport: Transport
    source: Address
    destination: Address
    data: bytes


def pcapng(messages: Iterable[Packed], comment: str, application: str) -> bytes:
    """Return the whole file; `comment` tells whoever opens it what it is."""
    return b"".join(_blocks(messages, comment, application))


def _blocks(messages: Iterable[Packed], comment: str, application: str) -> Iterator[bytes]:
    about = [(COMMENT, comment), (APPLICATION, application)]
    yield _block(SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1), about)
    yield _block(INTERFACE, struct.pack("<HHI", RAW, 0, SNAP), [(NAME, "SIP as Holdfast saw it")])
    sequence: dict[tuple[Address, Address], int] = {}
    for message in messages:
        packet = _packet(message, sequence)
        high, low = divmod(round(message.at * 1_000_000), 1 << 32)
        head = struct.pack("<IIIII", 0, high, low, len(packet), len(packet))
        said = [(COMMENT, IN_CLEAR)] if message.transport == "TLS" else []
        yield _block(PACKET, head + _padded(packet), said)


def _block(kind: int, body: bytes, options: list[tuple[int, str]]) -> bytes:
    if options:
        body += b"".join(_option(code, text.encode()) for code, text in options) + bytes(4)
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _packet(message: Packed, sequence: dict[tuple[Address, Address], int]) -> bytes:
    source, destination = _hosts(message.source[0], message.destination[0])
    protocol = UDP if message.transport == "UDP" else TCP
    ports = struct.pack("!HH", message.source[1], message.destination[1])
    data = message.data
    if protocol == UDP:
        head = ports + struct.pack("!HH", 8 + len(data), 0)
        place = 6
    else:
        there, back = (message.source, message.destination), (message.destination, message.source)
        at, acknowledged = sequence.get(there, 1), sequence.get(back, 1)
        sequence[there] = (at + len(data)) % (1 << 32)
        head = ports + struct.pack("!IIBBHHH", at, acknowledged, 5 << 4, PUSH_ACK, 65535, 0, 0)
        place = 16
    pseudo = source.packed + destination.packed + struct.pack("!II", len(head + data), protocol)
    total = _checksum(pseudo + head + data) or 0xFFFF
    segment = head[:place] + struct.pack("!H", total) + head[place + 2 :] + data
    return _ip(source, destination, protocol, len(segment)) + segment


def _hosts(
    one: str, other: str
) -> tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address]:
    """Return both as addresses of one family; one that cannot be read is all zeros."""
    first, second = _host(one), _host(other)
    if isinstance(first, IPv4Address) and isinstance(second, IPv4Address):
        return first, second
    if isinstance(first, IPv6Address) and isinstance(second, IPv6Address):
        return first, second
    return IPv6Address(_mapped(first)), IPv6Address(_mapped(second))


def _host(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return IPv4Address(0)


def _mapped(address: IPv4Address | IPv6Address) -> int:
    return int(address) | (0xFFFF << 32 if isinstance(address, IPv4Address) else 0)


def _ip(
    source: IPv4Address | IPv6Address,
    destination: IPv4Address | IPv6Address,
    protocol: int,
    size: int,
) -> bytes:
    hosts = source.packed + destination.packed
    if isinstance(source, IPv6Address):
        return struct.pack("!IHBB", 6 << 28, size, protocol, 64) + hosts
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, 64, protocol, 0) + hosts
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:]


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
