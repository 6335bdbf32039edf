"""SRTP and SRTCP byte for byte: the RFCs' vectors, and every suite against a second writing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.call.actions import Keys
from appliance.errors import LocalError
from appliance.media import srtp
from appliance.media.buffer import VIEW
from appliance.media.srtp import SrtpReceiver, SrtpSender
from appliance.rtp.packet import RtpPacket
from appliance.sdp import crypto
from tests.media.phone import rtp
from tests.media.secure_phone import fresh_keys, opened, opened_rtcp, protected, protected_rtcp
from tests.media.srtp_by_the_book import (
    Book,
    counter_mode,
    derive,
    first_block,
    gcm_rtcp,
    gcm_rtp,
)

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parent / "vectors" / "srtp.json").read_text()
)
BRIDGED = sorted(srtp.SUITES)
REPORT = bytes.fromhex("81c8000c") + bytes(range(48))
"""A sender report of the right length."""


def of(name: str) -> Any:
    return pytest.mark.parametrize("vector", VECTORS[name], ids=lambda vector: vector["source"])


def octets(vector: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


# The second writing, by the RFCs' vectors


@of("keystream")
def test_counter_mode(vector: dict[str, Any]) -> None:
    key, salt, first, last = octets(vector, "key", "salt", "first", "last")
    stream = counter_mode(key, first_block(salt, 0, 0), bytes(16 * vector["blocks"]))
    assert (stream[:48], stream[-48:]) == (first, last)


@of("derivation")
def test_key_derivation(vector: dict[str, Any]) -> None:
    key, salt = octets(vector, "key", "salt")
    names = ("cipher_key", "authentication_key", "cipher_salt")
    for label, expected in enumerate(octets(vector, *names)):
        assert derive(key, salt, label, len(expected)) == expected


@of("gcm_rtp")
def test_aead_of_rtp(vector: dict[str, Any]) -> None:
    key, salt, clear, expected = octets(vector, "key", "salt", "clear", "protected")
    assert gcm_rtp(key, salt, clear) == expected


@of("gcm_rtcp")
def test_aead_of_rtcp(vector: dict[str, Any]) -> None:
    key, salt, clear, expected = octets(vector, "key", "salt", "clear", "protected")
    assert gcm_rtcp(key, salt, clear, vector["index"]) == expected


# The relay's


@of("packets")
def test_whole_packets(vector: dict[str, Any]) -> None:
    key_salt, clear, expected = octets(vector, "key_salt", "clear", "protected")
    keys = Keys(vector["suite"], key_salt)
    assert protected(SrtpSender(keys), clear) == expected
    assert opened(SrtpReceiver(keys), expected) == clear


@pytest.mark.parametrize("mki", ["", "1:1", "4660:2", "1:128"])
@pytest.mark.parametrize("suite", BRIDGED)
def test_every_suite_byte_for_byte(suite: str, mki: str) -> None:
    keys = fresh_keys(suite, mki)
    book = Book(suite, keys.key_salt, srtp._mki(mki))
    sender, receiver = SrtpSender(keys), SrtpReceiver(keys)
    for sequence in (65534, 65535, 0, 1):
        expected = book.rtp(rtp(sequence), rollover=int(sequence < 2))
        assert protected(sender, rtp(sequence)) == expected
        assert opened(receiver, expected) == rtp(sequence)
    for index in (1, 2):
        expected = book.rtcp(REPORT, index)
        assert protected_rtcp(sender, REPORT) == expected
        assert opened_rtcp(receiver, expected) == REPORT


def test_three_suites_only_pass_as_they_are() -> None:
    only_pass = {"F8_128_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_80", "AES_192_CM_HMAC_SHA1_32"}
    assert crypto.SUITES.keys() - srtp.SUITES == only_pass


@given(st.binary(max_size=300), st.integers(0, 65535), st.sampled_from(BRIDGED))
def test_what_is_protected_opens_to_the_same(payload: bytes, sequence: int, suite: str) -> None:
    keys = Keys(suite, bytes(range(crypto.SUITES[suite])))
    packet = RtpPacket(0, sequence, 0, 5, payload, extension=(0xBEDE, b"\x10\xff\0\0")).encode()
    assert opened(SrtpReceiver(keys), protected(SrtpSender(keys), packet)) == packet


@given(st.binary(max_size=1600), st.sampled_from(BRIDGED), st.sampled_from(["", "1:4"]))
def test_random_octets_are_refused(data: bytes, suite: str, mki: str) -> None:
    receiver = SrtpReceiver(Keys(suite, bytes(crypto.SUITES[suite]), mki))
    for packet in (data, b"\x80\x00" + data, b"\x80\xc8" + data, b"\xbf\x00" + data):
        assert opened(receiver, packet) == b""
        assert opened_rtcp(receiver, packet) == b""


@pytest.mark.parametrize("suite", BRIDGED)
def test_every_changed_octet_is_noticed(suite: str) -> None:
    keys = fresh_keys(suite)
    good = protected(SrtpSender(keys), rtp(7))
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 0x40
        assert opened(SrtpReceiver(keys), bytes(bad)) == b""


def test_another_key_identifier_is_refused() -> None:
    keys = fresh_keys("AES_CM_128_HMAC_SHA1_80", "1:4")
    packet = protected(SrtpSender(keys), rtp(1))
    assert opened(SrtpReceiver(Keys(keys.suite, keys.key_salt, "2:4")), packet) == b""
    assert opened(SrtpReceiver(Keys(keys.suite, keys.key_salt)), packet) == b""
    assert opened(SrtpReceiver(keys), packet) == rtp(1)


@pytest.mark.parametrize("mki", ["256:1", "x:1", "1:x"])
def test_an_identifier_that_does_not_fit_is_refused(mki: str) -> None:
    with pytest.raises(LocalError, match="identifier"):
        SrtpSender(Keys("AEAD_AES_128_GCM", bytes(28), mki))


# Order, replay, rollover


@pytest.mark.parametrize("suite", BRIDGED)
def test_packets_out_of_order_are_opened_once(suite: str) -> None:
    keys = fresh_keys(suite)
    sender, receiver = SrtpSender(keys), SrtpReceiver(keys)
    packets = {n: protected(sender, rtp(n)) for n in range(1, 6)}
    for n in (1, 3, 2, 5, 4):
        assert opened(receiver, packets[n]) == rtp(n)
    for n in packets:
        assert opened(receiver, packets[n]) == b""


def test_a_packet_behind_the_window_is_refused() -> None:
    keys = fresh_keys()
    sender, receiver = SrtpSender(keys), SrtpReceiver(keys)
    early = [protected(sender, rtp(n)) for n in range(10)]
    for n in range(10, 10 + srtp.WINDOW):
        assert opened(receiver, protected(sender, rtp(n)))
    assert opened(receiver, early[0]) == b""


@pytest.mark.parametrize("suite", BRIDGED)
@pytest.mark.parametrize("rollover", [1, 5, srtp.ROLLOVERS - 1])
def test_a_late_listener_finds_the_rollover_counter(suite: str, rollover: int) -> None:
    keys = fresh_keys(suite)
    book, receiver = Book(suite, keys.key_salt), SrtpReceiver(keys)
    assert opened(receiver, book.rtp(rtp(9), rollover)) == rtp(9)
    assert opened(receiver, book.rtp(rtp(10), rollover)) == rtp(10)
    assert opened(receiver, book.rtp(rtp(9), rollover)) == b""


def test_a_late_listener_whom_rtcp_came_first(suite: str = "AEAD_AES_128_GCM") -> None:
    keys = fresh_keys(suite)
    book, receiver = Book(suite, keys.key_salt), SrtpReceiver(keys)
    report = REPORT[:4] + (0x1234).to_bytes(4, "big") + REPORT[8:]
    assert opened_rtcp(receiver, book.rtcp(report, 77)) == report
    assert opened(receiver, book.rtp(rtp(9), 3)) == rtp(9)


def test_forgeries_from_unknown_sources_cost_a_bounded_search() -> None:
    keys = fresh_keys()
    book, receiver = Book(keys.suite, keys.key_salt), SrtpReceiver(keys)
    for source in range(100):
        assert opened(receiver, rtp(1, os.urandom(20), source), 5.0) == b""
    late = book.rtp(rtp(9), 3)
    assert opened(receiver, late, 5.9) == b""
    assert opened(receiver, late, 6.1) == rtp(9)


def test_the_largest_datagram_does_not_leave_the_buffer() -> None:
    keys = fresh_keys("AEAD_AES_256_GCM", "1:128")
    large = rtp(1, bytes(65507 - 12))
    sent = protected(SrtpSender(keys), large)
    assert len(sent) == 65507 + 16 + 128 <= len(VIEW)


def test_sources_of_rtcp_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A phone has the key to its own stream, and could name a new source in each report."""
    monkeypatch.setattr(srtp, "STREAMS_LIMIT", 4)
    keys = fresh_keys()
    receiver = SrtpReceiver(keys)
    reports = [b"\x80\xc9\0\1" + bytes((0, 0, 0, number)) for number in range(8)]
    sent = [protected_rtcp(SrtpSender(keys), report) for report in reports]
    assert [opened_rtcp(receiver, packet) for packet in sent] == reports[:4] + [b""] * 4
