"""Sources that are changed in RTP and wherever RTCP names them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.rtp.disguise import disguise_rtcp, disguise_rtp
from appliance.rtp.packet import RtpPacket

MINE, THEIRS = 0x11111111, 0x22222222
A, B = 0xA0A0A0A0, 0xB0B0B0B0


def packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def word(number: int) -> bytes:
    return number.to_bytes(4, "big")


def changed(data: bytes) -> bytes:
    octets = bytearray(data)
    disguise_rtcp(memoryview(octets), MINE, THEIRS)
    return bytes(octets)


@pytest.mark.parametrize(
    ("kind", "count", "form"),
    [
        (200, 1, "{a}" + "01" * 20 + "{b}" + "02" * 20),
        (201, 2, "{a}" + "{b}" + "02" * 20 + "{b}" + "03" * 20),
        (201, 0, "{a}"),
        (202, 2, "{a}0103782e78000000{a}01017900"),
        (203, 2, "{a}{a}"),
        (204, 1, "{a}" + "4e414d45"),
        (205, 1, "{a}{b}00010000"),
        (206, 1, "{a}{b}"),
        (207, 0, "{a}" + "07000008{b}" + "05" * 28 + "04000002" + "06" * 8),
    ],
)
def test_every_source_is_changed_and_nothing_else(kind: int, count: int, form: str) -> None:
    def body(a: int, b: int) -> bytes:
        return bytes.fromhex(form.format(a=word(a).hex(), b=word(b).hex()))

    before = packet(kind, count, body(A, B))
    assert len(before) % 4 == 0
    assert changed(before) == packet(kind, count, body(A ^ MINE, B ^ THEIRS))
    assert changed(changed(before)) == before


def test_a_compound_packet_is_changed_as_a_whole() -> None:
    first, second = packet(201, 0, word(A)), packet(203, 1, word(A))
    assert changed(first + second) == packet(201, 0, word(A ^ MINE)) + packet(
        203, 1, word(A ^ MINE)
    )


def test_the_source_of_rtp() -> None:
    octets = bytearray(RtpPacket(0, 1, 160, A, b"audio").encode())
    disguise_rtp(memoryview(octets), MINE)
    assert RtpPacket.parse(bytes(octets)) == RtpPacket(0, 1, 160, A ^ MINE, b"audio")


@given(st.binary(max_size=200), st.integers(192, 223), st.integers(0, 31))
def test_any_octets_come_back(tail: bytes, kind: int, count: int) -> None:
    data = bytes([0x80 | count, kind]) + tail
    assert len(changed(data)) == len(data)
    assert changed(changed(data)) == data
