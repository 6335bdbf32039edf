"""Other synchronization sources in RTP and RTCP than those the phones chose (RFC 3550, 7.1).

A translator that changes a source in RTP must change it wherever RTCP names it. Sources are changed
by exclusive or with a number of ours, so that nothing need be remembered and the way back is the
same.
"""

from __future__ import annotations

import struct

_SOURCE = struct.Struct(">I")
_SR, _RR, _SDES, _BYE, _APP, _RTPFB, _PSFB, _XR = range(200, 208)
_BLOCK = 24
"""Bytes of a reception report."""
_XR_ABOUT_SOURCE = (1, 2, 3, 6, 7)
"""Blocks of RFC 3611 whose first word names the source they are about."""


def disguise_rtp(packet: memoryview, mask: int) -> None:
    """Change the source of an RTP packet, which must have a whole header."""
    _change(packet, 8, mask)


def disguise_rtcp(packet: memoryview, mask: int, reported: int) -> None:
    """Change sources in a compound RTCP packet, as far as it is whole.

    `mask` for those that the sender is, `reported` for those it speaks of.
    """
    start = 0
    while start + 8 <= len(packet):
        end = start + 4 * (1 + int.from_bytes(packet[start + 2 : start + 4], "big"))
        if end > len(packet):
            return
        _disguise_one(packet[start:end], mask, reported)
        start = end


def _disguise_one(packet: memoryview, mask: int, reported: int) -> None:
    count, kind = packet[0] & 0x1F, packet[1]
    if kind == _SDES:
        _chunks(packet, count, mask)
        return
    if kind == _BYE:
        for number in range(count):
            _change(packet, 4 + 4 * number, mask)
        return
    if _SR <= kind <= _XR:
        _change(packet, 4, mask)
    if kind in (_SR, _RR):
        first = 28 if kind == _SR else 8
        for number in range(count):
            _change(packet, first + _BLOCK * number, reported)
    elif kind in (_RTPFB, _PSFB):
        _change(packet, 8, reported)
    elif kind == _XR:
        _extended(packet, reported)


def _chunks(packet: memoryview, count: int, mask: int) -> None:
    """Source descriptions: a source, then items up to a zero, filled up to 32 bits."""
    place = 4
    for _ in range(count):
        if place + 4 > len(packet):
            return
        _change(packet, place, mask)
        place += 4
        while place + 1 < len(packet) and packet[place]:
            place += 2 + packet[place + 1]
        place = (place | 3) + 1


def _extended(packet: memoryview, reported: int) -> None:
    place = 8
    while place + 4 <= len(packet):
        if packet[place] in _XR_ABOUT_SOURCE:
            _change(packet, place + 4, reported)
        place += 4 * (1 + int.from_bytes(packet[place + 2 : place + 4], "big"))


def _change(packet: memoryview, place: int, mask: int) -> None:
    if place + 4 <= len(packet):
        (source,) = _SOURCE.unpack_from(packet, place)
        _SOURCE.pack_into(packet, place, source ^ mask)
