"""Just enough of BER for LDAP: definite lengths, one octet of tag (X.690; RFC 4511, 5.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MESSAGE_LIMIT = 64 << 10
"""Octets of one message from a phone; a search with a long filter has a few hundred."""
_LENGTH_OCTETS = 4
"""At most so many octets tell a length: 4 GiB, far beyond any limit."""

INTEGER, OCTETS, ENUMERATED, SEQUENCE = 0x02, 0x04, 0x0A, 0x30


class Malformed(ValueError):
    """Octets that are no BER, or more of them than anybody needs."""


class Element(NamedTuple):
    """One element; its content is still in the octets it was read from."""

    tag: int
    begin: int
    """Where its tag is."""
    content: int
    """Where its content begins."""
    end: int


def whole(data: bytes | bytearray) -> int | None:
    """Return how long the first element is with its tag, or None while more has to come.

    Raises Malformed when it is no sequence or beyond the limit.
    """
    if data[:1] and data[0] != SEQUENCE:
        raise Malformed("an LDAP message is a sequence")
    if len(data) < 2:
        return None
    octets = data[1] & 0x7F if data[1] & 0x80 else 0
    if octets > _LENGTH_OCTETS or data[1] == 0x80:
        raise Malformed("no definite length")
    if len(data) < 2 + octets:
        return None
    length = int.from_bytes(data[2 : 2 + octets], "big") if octets else data[1]
    if length > MESSAGE_LIMIT:
        raise Malformed(f"{length} octets; {MESSAGE_LIMIT} is the limit")
    total = 2 + octets + length
    return total if len(data) >= total else None


def element(data: bytes, at: int, end: int) -> Element:
    """Read the element at a place, which must end at `end` at the latest; raises Malformed."""
    if at + 2 > end or data[at] & 0x1F == 0x1F:
        raise Malformed("an element ends too early")
    octets = data[at + 1] & 0x7F if data[at + 1] & 0x80 else 0
    content = at + 2 + octets
    if octets > _LENGTH_OCTETS or data[at + 1] == 0x80 or content > end:
        raise Malformed("no definite length")
    length = int.from_bytes(data[at + 2 : content], "big") if octets else data[at + 1]
    if content + length > end:
        raise Malformed("an element is longer than what it is in")
    return Element(data[at], at, content, content + length)


def elements(data: bytes, at: int, end: int) -> Iterator[Element]:
    """Read elements one after another up to `end`; raises Malformed."""
    while at < end:
        found = element(data, at, end)
        yield found
        at = found.end


def written(tag: int, content: bytes) -> bytes:
    """Write one element."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
