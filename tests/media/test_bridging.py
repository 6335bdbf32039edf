"""RTP and SRTP bridged by the relay, with real sockets: suites, keys that change, bad packets."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from appliance.errors import LocalError
from appliance.media import srtp
from appliance.media.loop import Loop
from appliance.media.relay import RelayedStream
from appliance.media.srtp import SrtpReceiver, SrtpSender
from appliance.rtp.packet import RtpPacket
from appliance.sdp.crypto import SUITES
from tests.media.phone import LOOPS, RTCP, Phone, loop_of, relay, rtp, settle, udp
from tests.media.secure_phone import SecurePhone, fresh_keys, opened, protected

BRIDGED = sorted(srtp.SUITES)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = loop_of(request.param)
    yield made
    made.close()


def secure_phone(suite: str = BRIDGED[0], mki: str = "") -> SecurePhone:
    return SecurePhone(fresh_keys(suite, mki), fresh_keys(suite, mki))


@pytest.mark.parametrize("mki", ["", "7:1", "4711:4"])
@pytest.mark.parametrize("suite", BRIDGED)
def test_a_clear_phone_talks_to_a_secure_one(loop: Loop, suite: str, mki: str) -> None:
    a, b = Phone(), secure_phone(suite, mki)
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say(rtp(1))
    b.say_clear(rtp(2))
    a.report()
    b.report_clear(RTCP)
    settle(loop)
    assert (b.understood(), a.heard()) == ([rtp(1)], [rtp(2)])
    assert (b.understood_reports(), a.reports()) == ([RTCP], [RTCP])
    stream.close()


@pytest.mark.parametrize("suite", BRIDGED)
def test_phones_of_two_suites_talk(loop: Loop, suite: str) -> None:
    a, b = secure_phone("AES_CM_128_HMAC_SHA1_80"), secure_phone(suite)
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say_clear(rtp(1))
    b.say_clear(rtp(2))
    a.report_clear(RTCP)
    settle(loop)
    assert (b.understood(), a.understood()) == ([rtp(1)], [rtp(2)])
    assert b.understood_reports() == [RTCP]
    stream.close()


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_the_same_keys_pass_as_they_are_in_every_suite(loop: Loop, suite: str) -> None:
    a, b = Phone(), Phone()
    one, other = fresh_keys(suite), fresh_keys(suite)
    stream = RelayedStream(
        loop, relay(a.side(receives=one, sends=other), b.side(receives=other, sends=one))
    )
    assert stream.is_straight
    a.say(b"anything")
    settle(loop)
    assert b.heard() == [b"anything"]
    stream.close()


def test_a_suite_that_cannot_be_bridged_is_said_and_holds_nothing(loop: Loop) -> None:
    a, b = Phone(), Phone()
    keys = fresh_keys("F8_128_HMAC_SHA1_80")
    with pytest.raises(LocalError, match="F8_128_HMAC_SHA1_80 cannot be bridged"):
        RelayedStream(loop, relay(a.side(), b.side(receives=keys, sends=keys)))
    assert len(loop) == 0


# What is not the phone's


def test_forged_and_replayed_packets_are_dropped_and_counted(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    sent = b.say_clear(rtp(1))
    b.say(sent)
    b.say(sent[:-1] + bytes([sent[-1] ^ 1]))
    b.say(rtp(2))
    b.say(b"")
    b.report()
    b.say_clear(rtp(3))
    settle(loop)
    assert (a.heard(), a.reports()) == ([rtp(1), rtp(3)], [])
    counters = stream.close().from_b
    assert (counters.packets, counters.octets, counters.refused) == (2, 2 * len(sent), 5)


def test_a_flood_of_forgeries_keeps_no_good_packet_waiting(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    forged = rtp(9, payload=bytes(170))
    for sequence in range(200):
        for _ in range(60):
            b.say(forged)
        b.say_clear(rtp(sequence))
        loop.turn(0.0)
    settle(loop)
    assert a.heard() == [rtp(sequence) for sequence in range(200)]
    assert stream.close().from_b.refused == 12000


@pytest.mark.parametrize("suite", BRIDGED)
def test_a_flood_into_a_stream_that_passes_as_it_is(
    loop: Loop, suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A millisecond a turn: ten forged packets in each are 10,000 a second, on any machine.
    monkeypatch.setattr("time.monotonic", lambda: loop.now + 0.001)
    a = secure_phone(suite)
    b = SecurePhone(a.hears, a.sends)
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    assert stream.is_straight
    forged = rtp(9, payload=bytes(170))
    heard = []
    for sequence in range(400):
        for _ in range(10):
            a.say(forged)
        if sequence % 4 == 0:
            a.say_clear(rtp(sequence))
        loop.turn(0.0)
        heard += b.understood()
    settle(loop)
    heard += b.understood()
    good = [packet for packet in heard if packet]
    assert len(good) >= 99, "more than one in a hundred is lost"
    assert good[-90:] == [rtp(sequence) for sequence in range(40, 400, 4)]
    counters = stream.close().from_a
    assert counters.refused > 3900 and not stream.is_straight


def test_a_new_offer_ends_the_suspicion(loop: Loop) -> None:
    a = secure_phone()
    b = SecurePhone(a.hears, a.sends)
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for _ in range(200):
        a.say(rtp(9))
    settle(loop)
    assert not stream.is_straight
    stream.apply(relay(a.side(remote=b.address), b.side(), 2))
    assert stream.is_straight
    stream.close()


def test_forgeries_are_no_sign_of_life(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    b.say(rtp(1))
    settle(loop)
    assert stream.silent_for(loop.now + 60, 60) is not None
    stream.close()


def test_a_secure_phone_never_falls_to_clear(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    b.say(rtp(1))
    a.say(rtp(2))
    settle(loop)
    assert a.heard() == []
    assert rtp(2) not in b.heard()
    stream.close()


def test_what_cannot_be_protected_is_not_sent(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for packet in (b"", b"x", bytes(11), b"\x80" + bytes(10), b"\x9f" + bytes(11)):
        a.say(packet)
        a.report(packet)
    a.say(rtp(1))
    settle(loop)
    assert (b.understood(), b.reports()) == ([rtp(1)], [])
    stream.close()


def test_sources_are_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(srtp, "STREAMS_LIMIT", 4)
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for source in range(6):
        a.say(rtp(1, ssrc=source))
    settle(loop)
    assert len(b.understood()) == 4
    stream.close()


# Keys that change, and those that stay


def test_the_same_key_named_again_keeps_its_counters(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for sequence in (65534, 65535, 0, 1):
        b.say_clear(rtp(sequence))
        a.say(rtp(sequence))
    settle(loop)
    stream.apply(relay(a.side(), b.side(), 2))
    b.say_clear(rtp(2))
    a.say(rtp(2))
    settle(loop)
    assert a.heard()[-1] == b.understood()[-1] == rtp(2)
    stream.close()


def test_packets_under_the_old_key_are_taken_for_a_moment(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    b.say_clear(rtp(1))
    settle(loop)
    newer = fresh_keys("AEAD_AES_256_GCM")
    stream.apply(relay(a.side(), b.side(receives=newer), 2))
    b.say_clear(rtp(2))
    settle(loop)
    b.say(protected(SrtpSender(newer), rtp(3)))
    b.say_clear(rtp(4))
    settle(loop)
    assert a.heard() == [rtp(1), rtp(2), rtp(3), rtp(4)]
    assert stream.close().from_b.refused == 0


def test_the_old_key_is_forgotten_after_that() -> None:
    old, new = fresh_keys(), fresh_keys("AEAD_AES_128_GCM")
    inbound = srtp.Inbound(old)
    before, after = SrtpSender(old), SrtpSender(new)
    inbound.change(new, 100.0)
    assert opened(inbound, protected(before, rtp(1)), 109.0) == rtp(1)  # type: ignore[arg-type]
    assert opened(inbound, protected(after, rtp(2)), 109.5) == rtp(2)  # type: ignore[arg-type]
    assert opened(inbound, protected(before, rtp(3)), 109.9) == rtp(3)  # type: ignore[arg-type]
    assert opened(inbound, protected(before, rtp(4)), 110.1) == b""  # type: ignore[arg-type]
    assert opened(inbound, protected(after, rtp(5)), 110.2) == rtp(5)  # type: ignore[arg-type]


def test_what_the_phone_is_sent_changes_its_key_at_once(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    newer = fresh_keys()
    stream.apply(relay(a.side(), b.side(sends=newer), 2))
    a.say(rtp(1))
    settle(loop)
    (packet,) = b.heard()
    assert opened(SrtpReceiver(newer), packet) == rtp(1)
    stream.close()


def test_a_stream_that_becomes_straight_and_back(loop: Loop) -> None:
    a, b = secure_phone(), secure_phone()
    straight = relay(
        a.side(receives=a.sends, sends=b.sends), b.side(receives=b.sends, sends=a.sends)
    )
    stream = RelayedStream(loop, straight)
    for sequence in (65535, 0, 1):
        a.say_clear(rtp(sequence))
    settle(loop)
    assert [opened(SrtpReceiver(a.sends), packet) for packet in b.heard()] == [
        rtp(65535),
        rtp(0),
        rtp(1),
    ]
    stream.apply(relay(a.side(), b.side(), 2))
    a.say_clear(rtp(2))
    settle(loop)
    assert b.understood() == [rtp(2)]
    stream.close()


def test_a_bridged_call_outlives_the_media_process(loop: Loop) -> None:
    """Four hours in, the rollover counters are far; a new process knows none of them."""
    a, b = secure_phone("AEAD_AES_128_GCM"), secure_phone()
    first = RelayedStream(loop, relay(a.side(), b.side()))
    for sequence in (65535, 0, 30000, 60000, 0, 30000, 60000, 1):
        a.say_clear(rtp(sequence))
        b.say_clear(rtp(sequence))
        settle(loop)
    assert len(a.understood()) == len(b.understood()) == 8
    first.close()
    second = RelayedStream(loop, relay(a.side(), b.side()), resumed=True)
    a.say_clear(rtp(2))
    b.say_clear(rtp(2))
    settle(loop)
    heard = [RtpPacket.parse(packet) for packet in (*a.understood(), *b.understood())]
    assert [(packet.sequence, packet.payload) for packet in heard] == [(2, b"audio")] * 2
    assert 0x1234 not in {packet.ssrc for packet in heard}
    second.close()


def test_reports_name_the_sources_that_the_phones_know(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()), resumed=True)
    a.say(rtp(1, ssrc=0xA))
    b.say_clear(rtp(1, ssrc=0xB))
    settle(loop)
    (told,) = [RtpPacket.parse(packet).ssrc for packet in b.understood()]
    assert told != 0xA and RtpPacket.parse(a.heard()[0]).ssrc == 0xB
    about = struct.pack(">BBHII20x", 0x81, 201, 7, 0xB, told)
    b.report_clear(about)
    a.report(struct.pack(">BBHII20x", 0x81, 201, 7, 0xA, 0xB))
    settle(loop)
    assert a.reports() == [struct.pack(">BBHII20x", 0x81, 201, 7, 0xB, 0xA)]
    assert b.understood_reports() == [struct.pack(">BBHII20x", 0x81, 201, 7, told, 0xB)]
    stream.close()


# Learning


def test_a_secure_phone_behind_nat_is_learnt_by_its_key(loop: Loop) -> None:
    a, b = Phone(), secure_phone()
    stream = RelayedStream(loop, relay(a.side(), b.side(learn=True)))
    attacker, nat = udp("127.0.0.1"), udp("127.0.0.1")
    attacker.sendto(rtp(1), b.local)
    attacker.sendto(protected(SrtpSender(fresh_keys()), rtp(1)), b.local)
    settle(loop)
    nat.sendto(protected(b.sender, rtp(2)), b.local)
    settle(loop)
    a.say(rtp(3))
    settle(loop)
    assert a.heard() == [rtp(2)]
    assert opened(b.receiver, nat.recv(2048)) == rtp(3)
    with pytest.raises(BlockingIOError):
        attacker.recv(2048)
    stream.close()


# Secrets


def test_keys_are_in_no_repr_and_no_error(loop: Loop) -> None:
    keys = fresh_keys("F8_128_HMAC_SHA1_80")
    a, b = Phone(), Phone()
    wanted = relay(a.side(), b.side(receives=keys, sends=keys))
    with pytest.raises(LocalError) as refused:
        RelayedStream(loop, wanted)
    known = fresh_keys()
    shown = f"{wanted!r} {refused.value} {SrtpSender(known)!r} {srtp.Inbound(known)!r}"
    for secret in (keys.key_salt, known.key_salt):
        assert secret.hex() not in shown and repr(secret) not in shown
