"""What a packet capture keeps of packets, and that no secret gets through, however it is cut."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from appliance.sip.redaction import redacted as redacted_by_core
from netdiag.filter import HEAD, WHOLE, filter_of
from netdiag.packet import Trimmer, _checksum
from netdiag.redaction import Streams, redacted
from netdiag.refusal import Refused
from netdiag.wanted import Wanted, check
from tests.diagnostics.bpf import run_filter

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
SECRETS = (KEY.encode(), b"0123456789abcdef0123456789abcdef", b"the-nonce")
BODY = (
    "v=0\r\nm=audio 10000 RTP/SAVP 0\r\n"
    f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4\r\na=sendrecv\r\n"
)
INVITE = (
    "INVITE sip:1002@a.example SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n"
    "From: <sip:1001@a.example>;tag=f\r\nTo: <sip:1002@a.example>\r\nCall-ID: c\r\n"
    'Authorization: Digest username="1001", realm="a.example",\r\n nonce="the-nonce",'
    ' response="0123456789abcdef0123456789abcdef"\r\n'
    'Proxy-Authorization: Digest username="1001", nonce="the-nonce", '
    'response="0123456789abcdef0123456789abcdef", qop=auth\r\n'
    f"CSeq: 2 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}"
).encode()
BASE = {"probe": "capture", "card": "eth0", "seconds": 10, "octets": 100_000}


def wanted(**more: Any) -> Wanted:
    return check(BASE | {"clear": [5060], "secure": [5061, 5091]} | more)


def clean(data: bytes) -> bool:
    return not any(secret in data for secret in SECRETS)


# -- the request ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"card": "../x"}, "card: the name"),
        ({"seconds": 0}, "seconds: a whole number from 1 to 600"),
        ({"seconds": 601}, "seconds"),
        ({"seconds": True}, "seconds"),
        ({"octets": 1 << 40}, "octets: a whole number"),
        ({"hosts": ["127.0.0.1"]}, "hosts: 127.0.0.1 is nobody's"),
        ({"hosts": ["phone"]}, "hosts: an address"),
        ({"hosts": ["192.0.2.1"] * 33}, "hosts: a list of at most 32"),
        ({"clear": [0]}, "clear: ports"),
        ({"clear": [], "secure": []}, "one of them at least"),
        ({"audio": [[20000]]}, "audio: ranges of two"),
        ({"audio": [[20001, 20000]]}, "audio: the lower port first"),
        ({"file": "/etc/passwd"}, "unknown: file"),
    ],
)
def test_a_capture_beyond_its_bounds_is_refused(more: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        wanted(**more)


# -- the filter -------------------------------------------------------------------------------


def judged(packet: Any, **more: Any) -> int:
    return run_filter(filter_of(wanted(**more)), bytes(packet))


@pytest.mark.parametrize(
    "ends", [(IP, "192.0.2.1", "192.0.2.9"), (IPv6, "2001:db8::1", "2001:db8::9")]
)
def test_the_kernel_passes_signalling_and_heads_of_audio_only(ends: Any) -> None:
    kind, one, other = ends
    ip = kind(src=one, dst=other)
    audio = {"audio": [[20000, 20010]]}
    assert judged(ip / UDP(sport=5060, dport=40000)) == WHOLE
    assert judged(ip / UDP(sport=40000, dport=5060)) == WHOLE
    assert judged(ip / TCP(sport=40000, dport=5060)) == WHOLE
    assert judged(ip / TCP(sport=5091, dport=40000)) == WHOLE
    assert judged(ip / UDP(sport=5091, dport=40000)) == 0
    assert judged(ip / TCP(sport=8443, dport=40000)) == 0
    assert judged(ip / UDP(sport=20000, dport=9), **audio) == HEAD
    assert judged(ip / UDP(sport=9, dport=20010), **audio) == HEAD
    assert judged(ip / UDP(sport=9, dport=20011), **audio) == 0
    assert judged(ip / UDP(sport=9, dport=19999), **audio) == 0
    assert judged(ip / TCP(sport=9, dport=20000), **audio) == 0
    assert judged(ip / UDP(sport=9, dport=20000)) == 0


def test_only_named_hosts_pass() -> None:
    hosts = {"hosts": ["192.0.2.1", "198.51.100.7", "2001:db8::1"]}
    sip = UDP(sport=5060, dport=5060)
    assert judged(IP(src="192.0.2.1", dst="192.0.2.9") / sip, **hosts) == WHOLE
    assert judged(IP(src="192.0.2.9", dst="198.51.100.7") / sip, **hosts) == WHOLE
    assert judged(IP(src="192.0.2.8", dst="192.0.2.9") / sip, **hosts) == 0
    assert judged(IPv6(src="2001:db8::9", dst="2001:db8::1") / sip, **hosts) == WHOLE
    assert judged(IPv6(src="2001:db8::9", dst="2001:db8::2") / sip, **hosts) == 0
    assert judged(IPv6(src="2001:db8::1", dst="::1") / sip, hosts=["192.0.2.1"]) == 0


def test_options_in_the_header_move_the_ports() -> None:
    packet = IP(src="192.0.2.1", dst="192.0.2.9", options=b"\x01" * 8) / UDP(sport=9, dport=5060)
    assert judged(packet) == WHOLE


# -- what is kept -----------------------------------------------------------------------------


def kept(trimmer: Trimmer, packet: Any) -> Any:
    return trimmer.take(bytes(packet))


@pytest.mark.parametrize(
    "ip", [IP(src="192.0.2.1", dst="192.0.2.9"), IPv6(src="2001:db8::1", dst="2001:db8::9")]
)
def test_a_datagram_is_kept_without_its_secrets_and_with_a_right_checksum(ip: Any) -> None:
    packet = ip / UDP(sport=5060, dport=5060) / Raw(INVITE)
    told = kept(Trimmer(wanted()), packet)
    assert clean(told.data)
    assert len(told.data) == told.length == len(bytes(packet))
    again = type(ip)(told.data)
    assert bytes(again[UDP].payload) == redacted(INVITE)
    checksum = again[UDP].chksum
    del again[UDP].chksum
    assert type(ip)(bytes(again))[UDP].chksum == checksum
    assert b'username="1001"' in told.data
    assert b"|2^20|1:4" in told.data


def test_fragments_are_joined_so_that_nothing_hides_between_them() -> None:
    packet = IP(src="192.0.2.1", dst="192.0.2.9", id=7) / UDP(sport=5060, dport=5060) / Raw(INVITE)
    parts = fragment(packet, fragsize=200)
    assert len(parts) > 3
    trimmer = Trimmer(wanted(hosts=["192.0.2.1"]))
    shuffled = [*parts[1:], parts[0]]
    told = [one for one in (kept(trimmer, part) for part in shuffled) if one is not None]
    assert len(told) == 1
    assert told[0].data[28:] == redacted(INVITE)
    assert _checksum(told[0].data[:20]) == 0
    assert "fragments" in told[0].comment
    for number in range(500):
        lone = fragment(IP(id=number + 1000) / packet[UDP], fragsize=200)[0]
        assert kept(trimmer, lone) is None
    assert trimmer.incomplete > 400
    assert len(trimmer._parts) <= 64


def test_of_audio_only_heads_are_kept() -> None:
    trimmer = Trimmer(wanted(audio=[[20000, 20010]]))
    ip = IP(src="192.0.2.1", dst="192.0.2.9")
    rtp = struct.pack("!BBHII", 0x82, 0, 7, 160, 1) + bytes(8) + b"spoken words" * 10
    packet = ip / UDP(sport=20000, dport=9) / Raw(rtp)
    told = kept(trimmer, packet)
    assert b"spoken" not in told.data
    assert (len(told.data), told.length) == (20 + 8 + 12 + 8, len(bytes(packet)))
    report = struct.pack("!BBHI", 0x80, 200, 6, 1) + bytes(20)
    told = kept(trimmer, ip / UDP(sport=20001, dport=9) / Raw(report))
    assert told.data.endswith(report)
    told = kept(trimmer, ip / UDP(sport=20001, dport=9) / Raw(b"something else"))
    assert len(told.data) == 28


def test_tls_is_kept_as_it_is_and_clear_text_on_its_port_is_not() -> None:
    ip = IP(src="192.0.2.1", dst="192.0.2.9")
    record = ip / TCP(sport=40000, dport=5091, seq=1) / Raw(b"\x17\x03\x03\x00\x05abcde")
    assert kept(Trimmer(wanted()), record).data == bytes(record)
    told = kept(Trimmer(wanted()), ip / TCP(sport=40000, dport=5091, seq=1) / Raw(INVITE))
    assert clean(told.data)


@given(st.lists(st.integers(1, len(INVITE) - 1), max_size=12))
def test_no_cut_between_segments_lets_a_secret_through(cuts: list[int]) -> None:
    trimmer, ip = Trimmer(wanted()), IP(src="192.0.2.1", dst="192.0.2.9")
    places = sorted({0, *cuts, len(INVITE)})
    data = b""
    for start, end in pairwise(places):
        segment = TCP(sport=40000, dport=5060, seq=1000 + start, flags="A") / Raw(INVITE[start:end])
        data += kept(trimmer, ip / segment).data[40:]
    assert len(data) == len(INVITE)
    assert clean(data)
    assert data.startswith(b"INVITE sip:1002@a.example SIP/2.0") or 0 < places[1] < 40


@given(st.permutations(range(9)), st.integers(0, 8))
def test_no_order_of_segments_lets_a_secret_through(order: list[int], lost: int) -> None:
    streams, size = Streams(), len(INVITE) // 8
    data = b""
    for number in order:
        if number != lost:
            part = INVITE[number * size : (number + 1) * size]
            data += streams.take(b"flow", 5 + number * size, False, part) + b"|"
    # Every piece of a secret as long as half of one has to be hidden, wherever it was cut.
    for secret in SECRETS[:2]:
        for at in range(len(secret) - 16):
            assert secret[at : at + 16] not in data


def test_a_capture_that_begins_in_the_middle_shows_the_next_message_whole() -> None:
    streams = Streams()
    rest = INVITE[INVITE.index(b"0123") + 5 :]
    assert clean(streams.take(b"f", 100, False, rest))
    assert streams.take(b"f", 100 + len(rest), False, INVITE) == redacted(INVITE)
    assert streams.take(b"g", 7, False, INVITE) == redacted(INVITE)


def test_a_connection_is_followed_from_its_beginning_and_many_cost_no_more() -> None:
    streams = Streams(most=3)
    assert streams.take(b"f", (1 << 32) - 1, True, b"") == b""
    assert streams.take(b"f", 0, False, b"key: value") == b"key: value"
    for number in range(50):
        streams.take(bytes([number]), 1, True, b"")
    assert len(streams._flows) == 3


def test_what_was_sent_before_is_not_shown_when_it_is_sent_again() -> None:
    streams = Streams()
    assert streams.take(b"f", 7, False, INVITE) == redacted(INVITE)
    assert clean(streams.take(b"f", 7 + 20, False, INVITE[20:]))


def test_both_executables_hide_the_same() -> None:
    assert redacted(INVITE) == redacted_by_core(INVITE)


@given(st.binary(max_size=400))
def test_whatever_comes_is_no_longer_than_it_was(data: bytes) -> None:
    assert len(redacted(data)) == len(data)
    told = Trimmer(wanted(audio=[[1, 65535]])).take(data)
    assert told is None or len(told.data) <= max(len(data), told.length)
    headed = bytes(IP(src="192.0.2.1", dst="192.0.2.9", proto=6) / Raw(data))
    Trimmer(wanted()).take(headed)
