"""Capture files: whatever reads them finds the messages, the addresses and the times."""

from __future__ import annotations

import struct
from typing import NamedTuple

import pytest

from appliance.sip.flow import Address, Transport
from appliance.sip.pcapng import IN_CLEAR, Packed, _checksum, pcapng

ALICE, OURS = ("192.0.2.101", 5062), ("192.0.2.10", 5060)
SIX, OUR_SIX = ("2001:db8::101", 5062), ("2001:db8::10", 5060)


class Block(NamedTuple):
    kind: int
    body: bytes


def blocks(data: bytes) -> list[Block]:
    """Cut a file into its blocks, checking that each has its length at both ends."""
    found = []
    while data:
        kind, size = struct.unpack("<II", data[:8])
        assert size % 4 == 0
        assert struct.unpack("<I", data[size - 4 : size]) == (size,)
        found.append(Block(kind, data[8 : size - 4]))
        data = data[size:]
    return found


def packets(data: bytes) -> list[tuple[float, bytes]]:
    found = []
    for block in blocks(data):
        if block.kind == 6:
            _, high, low, kept, whole = struct.unpack("<IIIII", block.body[:20])
            assert kept == whole
            found.append((((high << 32) + low) / 1e6, block.body[20 : 20 + kept]))
    return found


def packed(
    transport: Transport, source: Address, destination: Address, data: bytes = b"INVITE"
) -> Packed:
    return Packed(1_800_000_000.25, transport, source, destination, data)


def written(*messages: Packed) -> bytes:
    return pcapng(messages, "a comment", "Holdfast")


def test_the_file_says_what_it_is() -> None:
    section, interface, packet = blocks(written(packed("UDP", ALICE, OURS)))
    assert struct.unpack("<IHHq", section.body[:16]) == (0x1A2B3C4D, 1, 0, -1)
    assert b"a comment" in section.body
    assert (section.kind, interface.kind, packet.kind) == (0x0A0D0D0A, 1, 6)
    assert struct.unpack("<H", interface.body[:2]) == (101,)


def test_a_datagram_has_the_real_ends_and_right_checksums() -> None:
    [(at, packet)] = packets(written(packed("UDP", ALICE, OURS, b"INVITE sip:a")))
    assert at == 1_800_000_000.25
    assert packet[28:] == b"INVITE sip:a"
    assert struct.unpack("!HHH", packet[20:26]) == (5062, 5060, 20)
    assert packet[12:20] == bytes((192, 0, 2, 101, 192, 0, 2, 10))
    assert _checksum(packet[:20]) == 0
    assert _checksum(packet[12:20] + struct.pack("!II", 20, 17) + packet[20:]) == 0


def test_a_connection_is_without_a_gap() -> None:
    there = [packed("TCP", ALICE, OURS, b"a" * 100), packed("TCP", ALICE, OURS, b"b")]
    back = packed("TCP", OURS, ALICE, b"c" * 7)
    heads = [
        struct.unpack("!HHII", packet[20:32])
        for _, packet in packets(written(there[0], back, there[1]))
    ]
    assert heads == [(5062, 5060, 1, 1), (5060, 5062, 1, 101), (5062, 5060, 101, 8)]


def test_six_is_written_as_six() -> None:
    [(_, packet)] = packets(written(packed("TCP", SIX, OUR_SIX)))
    assert packet[0] >> 4 == 6
    assert struct.unpack("!HBB", packet[4:8]) == (26, 6, 64)
    assert _checksum(packet[8:40] + struct.pack("!II", 26, 6) + packet[40:]) == 0


def test_what_went_over_tls_is_marked() -> None:
    plain, secure = (written(packed(kind, ALICE, OURS)) for kind in ("TCP", "TLS"))  # type: ignore[arg-type]
    assert IN_CLEAR.encode() not in plain
    assert IN_CLEAR.encode() in secure


@pytest.mark.parametrize("host", ["fe80::1%eth0", "nothing", ""])
def test_an_address_that_cannot_be_read_costs_no_message(host: str) -> None:
    [(_, packet)] = packets(written(packed("UDP", (host, 0), OURS)))
    assert packet.endswith(b"INVITE")
