"""What turns one file into another: deltas in GDIFF (W3C NOTE-gdiff-19970901), made and applied.

A delta is a head, then commands that write the new file from its beginning: octets that come with
the command, or a piece of the old file by place and length. Numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from appliance.errors import LocalError

FORMAT = "gdiff"
"""Its name in HTTP (A-IM and IM, RFC 3229)."""

HEAD = b"\xd1\xff\xd1\xff\x04"
END = 0
SHORT_DATA = 246
"""Commands up to this one are the number of octets that follow."""
DATA = {247: struct.Struct(">H"), 248: struct.Struct(">i")}
"""The number of octets that follow."""
COPY = {
    249: struct.Struct(">HB"),
    250: struct.Struct(">HH"),
    251: struct.Struct(">Hi"),
    252: struct.Struct(">iB"),
    253: struct.Struct(">iH"),
    254: struct.Struct(">ii"),
    255: struct.Struct(">qi"),
}
"""Place in the old file, and length."""
COMMAND_LIMIT = 200_000
"""Commands of one delta, 0.2 s; a change of each of 10,000 users takes 20,000."""

BLOCK = 32
"""Octets that must be the same for a piece to be found; a JSON key with its value has about 20."""
LONGEST_STEP = 1 << 16


class BadDelta(LocalError):
    """Report a delta that cannot be used; the whole file can."""


def applied(delta: bytes, old: bytes, limit: int) -> bytes:
    """Return the file that `delta` makes of `old`; raises BadDelta.

    It does so as well for one that would have more than `limit` octets or takes too many commands,
    before it is written: five octets of a delta can ask for 2 GiB.
    """
    new = bytearray()
    for count, (source, place, length) in enumerate(_pieces(delta, old)):
        if length < 0 or not 0 <= place <= len(source) - length:
            raise BadDelta(f"a piece of {length} octets at {place} lies outside of the file")
        if len(new) + length > limit:
            raise BadDelta(f"it makes more than {limit:,} octets")
        if count == COMMAND_LIMIT:
            raise BadDelta(f"it has more than {COMMAND_LIMIT:,} commands")
        new += source[place : place + length]
    return bytes(new)


def _pieces(delta: bytes, old: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield what to write: a piece of `old`, or of the delta itself, by place and length."""
    if not delta.startswith(HEAD):
        raise BadDelta("it is no GDIFF, version 4")
    at = len(HEAD)
    try:
        while (command := delta[at]) != END:
            at += 1
            if command in COPY:
                place, length = COPY[command].unpack_from(delta, at)
                at += COPY[command].size
                yield old, place, length
                continue
            length = command
            if command > SHORT_DATA:
                (length,) = DATA[command].unpack_from(delta, at)
                at += DATA[command].size
            yield delta, at, length
            at += length
    except (IndexError, struct.error):
        raise BadDelta("it ends too early") from None
    if at != len(delta) - 1:
        raise BadDelta("something stands behind its end")


def difference(old: bytes, new: bytes) -> bytes | None:
    """Return the delta that makes `new` of `old`; None where the whole is about as short.

    Looks for blocks of `old` at every octet of `new`, and gives up once half of it is not found.
    """
    delta, written, at, shift = bytearray(HEAD), 0, 0, 0
    places = {old[place : place + BLOCK]: place for place in range(0, len(old) - BLOCK + 1, BLOCK)}
    while at + BLOCK <= len(new):
        block = new[at : at + BLOCK]
        # What follows a change of some octets most often lies as far on as before it.
        straight = at + shift
        place = straight if old[straight : straight + BLOCK] == block else places.get(block)
        if place is None:
            at += 1
            if at - written + len(delta) > len(new) // 2:
                return None
            continue
        back = _same_before(old, place, new, at, at - written)
        length = back + _same(old, place, new, at)
        place, at = place - back, at - back
        delta += _data(new[written:at]) + _copy(place, length)
        shift, at = place - at, at + length
        written = at
    delta += _data(new[written:]) + bytes([END])
    return bytes(delta) if len(delta) <= len(new) // 2 else None


def _same(old: bytes, place: int, new: bytes, at: int) -> int:
    """Return how many octets from here on are the same."""
    length, step = 0, BLOCK
    while step:
        mine = new[at + length : at + length + step]
        if len(mine) == step and old[place + length : place + length + step] == mine:
            length += step
            step = min(2 * step, LONGEST_STEP)
        else:
            step //= 2
    return length


def _same_before(old: bytes, place: int, new: bytes, at: int, most: int) -> int:
    """Return how many octets before here are the same."""
    length, most = 0, min(most, place)
    while length < most and old[place - length - 1] == new[at - length - 1]:
        length += 1
    return length


def _data(octets: bytes) -> bytes:
    if not octets:
        return b""
    size = len(octets)
    if size <= SHORT_DATA:
        return bytes([size]) + octets
    command = 247 if size < 1 << 16 else 248
    return bytes([command]) + DATA[command].pack(size) + octets


def _copy(place: int, length: int) -> bytes:
    command = 249 if place < 1 << 16 else 252
    command += (length >= 1 << 8) + (length >= 1 << 16)
    return bytes([command]) + COPY[command].pack(place, length)
