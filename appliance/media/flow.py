"""One direction of a stream as an element of an nftables map: to bytes and back."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from appliance.media.netlink import attribute, attributes, nested, text
from appliance.media.ruleset import (
    MARK_PREFIX,
    PREFIX_MASK,
    RELAYS,
    SLOT_SHIFT,
    SLOTS,
    TABLE,
    host_order,
)

Address = tuple[str, int]

WAYS: Final = 4
"""Flows of a relay: RTP and RTCP from either side."""
KEY_LIMIT: Final = 200
"""Octets of a relay's key that fit beside its revision: user data of an element ends at 256."""
_COMMENT: Final = 0
"""Type of user data that `nft list` shows as a comment."""


class Flow(NamedTuple):
    """What comes from `source` to `local` goes on to `target`, as if from `via`."""

    source: Address
    local: Address
    target: Address
    via: Address

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.local[0] else 4


class Mark(NamedTuple):
    """What the mark of a packet tells."""

    slot: int
    """Number of `Flow.via`'s host among our addresses."""
    relay: int
    way: int
    """0: RTP from side a, 1: RTCP from a, 2: RTP from b, 3: RTCP from b."""

    @property
    def is_rtp(self) -> bool:
        """Tell it from RTCP."""
        return not self.way & 1

    @property
    def side(self) -> Literal[0, 1]:
        """0: from side a, 1: from b."""
        return 1 if self.way & 2 else 0

    def encode(self) -> int:
        """Return the mark."""
        return MARK_PREFIX | self.slot << SLOT_SHIFT | self.relay << 2 | self.way


def read_mark(value: int) -> Mark | None:
    """Return what a mark tells; None where it is not ours."""
    if value & PREFIX_MASK != MARK_PREFIX:
        return None
    return Mark(value >> SLOT_SHIFT & (SLOTS - 1), value >> 2 & (RELAYS - 1), value & 3)


@dataclass(slots=True)
class Element:
    """A flow as the kernel has it."""

    mark: Mark
    source: Address
    local: Address
    target: Address
    via_port: int
    packets: int
    octets: int
    """Of UDP payload."""
    revision: int
    key: str
    """Of the relay; empty: not one of ours."""


def packed(host: str) -> bytes:
    """Return an address as in the packet; raises OSError for what is none."""
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def flow_key(flow: Flow) -> bytes:
    """Return the part of an element that finds it."""
    return nested(1, attribute(1, _end(flow.source) + _end(flow.local)))


def flow_element(flow: Flow, mark: Mark, revision: int, key: str) -> bytes:
    """Return a whole element; the kernel adds its counter."""
    ports = flow.via[1].to_bytes(2, "big") + flow.target[1].to_bytes(2, "big")
    value = host_order(mark.encode()) + packed(flow.target[0]) + ports
    comment = f"{revision} {key}".encode() + b"\0"
    told = attribute(6, bytes((_COMMENT, len(comment))) + comment)
    return nested(1, flow_key(flow), nested(2, attribute(1, value)), told)


def flow_index(flow: Flow) -> bytes:
    """Return an element to be deleted."""
    return nested(1, flow_key(flow))


def source_element(slot: int, host: str) -> bytes:
    """Return the element that gives a slot its address."""
    key = nested(1, attribute(1, host_order(_slot_key(slot))))
    return nested(1, key, nested(2, attribute(1, packed(host))))


def element_list(name: str, elements: bytes) -> bytes:
    """Return the attributes of a message about elements of one map."""
    return text(1, TABLE) + text(2, name) + nested(3, elements)


def map_name(name: str) -> bytes:
    """Return the attributes of a message about a map."""
    return text(1, TABLE) + text(2, name)


def read_flows(body: memoryview) -> Iterator[Element]:
    """Read the elements of a `flows` map from one message."""
    for fields in _elements(body):
        key, value = _value(fields.get(1)), _value(fields.get(2))
        mark = read_mark(int.from_bytes(value[:4], sys.byteorder))
        size = len(key) // 2 - 4
        if mark is None or size not in (4, 16) or len(value) != size + 8:
            continue
        packets, octets = _counted(fields.get(7), 28 if size == 4 else 48)
        revision, relay = _comment(fields.get(6))
        place = _host(value[4 : 4 + size]), int.from_bytes(value[-2:], "big")
        source, local = _place(key, 0, size), _place(key, size + 4, size)
        via_port = int.from_bytes(value[-4:-2], "big")
        yield Element(mark, source, local, place, via_port, packets, octets, revision, relay)


def read_counts(body: memoryview) -> Iterator[tuple[int, int, int]]:
    """Read only mark, packets and octets of the elements in one message: half the work."""
    for fields in _elements(body):
        value = _value(fields.get(2))
        packets, octets = _counted(fields.get(7), 28 if len(value) == 12 else 48)
        yield int.from_bytes(value[:4], sys.byteorder), packets, octets


def read_sources(body: memoryview) -> Iterator[tuple[int, str]]:
    """Read slots and their addresses from one message."""
    for fields in _elements(body):
        key, value = _value(fields.get(1)), _value(fields.get(2))
        if len(key) == 4 and len(value) in (4, 16):
            slot = int.from_bytes(key, sys.byteorder) >> SLOT_SHIFT & (SLOTS - 1)
            yield slot, _host(value)


def read_left(body: memoryview) -> Iterator[tuple[int, int]]:
    """Read slots and how many packets have left by them from one message."""
    for fields in _elements(body):
        key = _value(fields.get(1))
        packets, _ = _counted(fields.get(7), 0)
        yield int.from_bytes(key, sys.byteorder) >> SLOT_SHIFT & (SLOTS - 1), packets


def _slot_key(slot: int) -> int:
    return MARK_PREFIX | slot << SLOT_SHIFT


def _end(place: Address) -> bytes:
    return packed(place[0]) + place[1].to_bytes(2, "big") + b"\0\0"


def _place(key: bytes, at: int, size: int) -> Address:
    return _host(key[at : at + size]), int.from_bytes(key[at + size : at + size + 2], "big")


def _host(value: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(value) == 4 else socket.AF_INET6, value)


def _elements(body: memoryview) -> Iterator[dict[int, memoryview]]:
    # Four octets of family and version come before the attributes.
    for kind, value in attributes(body[4:]):
        if kind == 3:
            for _, element in attributes(value):
                yield dict(attributes(element))


def _value(field: memoryview | None) -> bytes:
    for kind, value in attributes(field or memoryview(b"")):
        if kind == 1:
            return bytes(value)
    return b""


def _counted(field: memoryview | None, headers: int) -> tuple[int, int]:
    """Read a counter and take IP and UDP headers off."""
    for kind, value in attributes(field or memoryview(b"")):
        if kind == 2:
            found = dict(attributes(value))
            packets, octets = (int.from_bytes(found.get(n, b""), "big") for n in (2, 1))
            return packets, max(0, octets - packets * headers)
    return 0, 0


def _comment(field: memoryview | None) -> tuple[int, str]:
    """Read revision and key of a relay."""
    data = bytes(field or b"")
    if len(data) < 3 or data[0] != _COMMENT:
        return 0, ""
    revision, _, key = data[2 : 2 + data[1]].rstrip(b"\0").decode(errors="replace").partition(" ")
    return (int(revision), key) if revision.isascii() and revision.isdigit() else (0, "")
