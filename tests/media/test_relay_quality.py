"""The quality a relay reports, with real sockets: RTCP in clear and under keys, headers, junk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.call.actions import Codec, Keys
from appliance.call.record import MediaCounters
from appliance.media.loop import Loop
from appliance.media.relay import RelayedStream
from appliance.rtp.packet import RtpPacket
from appliance.rtp.quality import MediaQuality
from tests.media.phone import LOOPS, Phone, loop_of, relay, rtp, settle
from tests.media.secure_phone import SecurePhone, fresh_keys, protected_rtcp
from tests.rtp.reports import receiver_report, sender_report

LOST = {number for number in range(1, 401) if number % 10 == 5}
REPORT = receiver_report(0x1234, highest=400, fraction=0.25, lost=100, jitter=80)


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = loop_of(request.param)
    yield made
    made.close()


@pytest.fixture
def phones() -> Iterator[tuple[Phone, Phone]]:
    pair = Phone(), Phone()
    yield pair
    for phone in pair:
        phone.close()


@pytest.fixture
def secure() -> Iterator[tuple[SecurePhone, SecurePhone]]:
    """Two phones that share their keys, so that packets pass as they are."""
    one, other = fresh_keys(), fresh_keys()
    pair = SecurePhone(one, other), SecurePhone(other, one)
    yield pair
    for phone in pair:
        phone.close()


def talk(loop: Loop, phone: Phone, numbers: range = range(1, 401)) -> None:
    for number in numbers:
        if number not in LOST:
            packet = rtp(number, bytes(160))
            phone.say_clear(packet) if isinstance(phone, SecurePhone) else phone.say(packet)
        if number % 50 == 0:
            settle(loop)


def from_a(stream: RelayedStream) -> MediaQuality:
    quality = stream.close().from_a.quality
    assert quality is not None
    return quality


def test_headers_tell_what_came_to_us(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a)
    quality = from_a(stream)
    assert (quality.source, quality.codec) == ("headers", "PCMU")
    assert quality.loss == pytest.approx(0.1, abs=0.01)
    assert quality.bitrate == pytest.approx(172 * 8 * 50)
    assert quality.mos is not None and quality.mos < 4.1


def test_the_far_phone_tells_what_came_to_it(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a)
    b.report(REPORT)
    settle(loop)
    assert a.reports() == [REPORT]
    quality = from_a(stream)
    assert (quality.source, quality.loss, quality.jitter) == ("rtcp", 0.25, 0.01)


def test_the_way_to_the_phone_is_measured(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, b, range(1, 101))
    b.report(sender_report(0x1234, moment=(9, 0)))
    settle(loop)
    loop.turn(0.06)
    a.report(receiver_report(0x1234, highest=100, last=9 << 16))
    settle(loop)
    talk(loop, a, range(1, 101))
    quality = from_a(stream)
    assert quality.delay is not None and 0.05 < quality.delay < 1


def test_codecs_are_those_the_other_phone_takes(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    opus = Codec(96, "OPUS", 48_000, 2)
    stream = RelayedStream(
        loop, relay(a.side(codecs=(Codec(96, "ILBC", 8000),)), b.side(codecs=(opus,)))
    )
    for number in range(1, 201):
        a.say(RtpPacket(96, number, 960 * number, 7, bytes(60)).encode())
        if number % 50 == 0:
            settle(loop)
    assert from_a(stream).codec == "OPUS"


def test_srtcp_that_passes_is_read_and_not_touched(
    loop: Loop, secure: tuple[SecurePhone, SecurePhone]
) -> None:
    a, b = secure
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    assert stream.is_straight
    talk(loop, a)
    sent = b.report_clear(REPORT)
    settle(loop)
    assert a.reports() == [sent]
    assert from_a(stream).source == "rtcp"


def test_forged_srtcp_tells_nothing(loop: Loop, secure: tuple[SecurePhone, SecurePhone]) -> None:
    a, b = secure
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a)
    sent = bytearray(protected_rtcp(b.sender, REPORT))
    sent[-1] ^= 1
    b.report(bytes(sent))
    b.report(REPORT)
    settle(loop)
    assert from_a(stream).source == "headers"


def test_srtcp_of_a_suite_that_only_passes_stays_closed(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    keys = Keys("F8_128_HMAC_SHA1_80", bytes(30))
    sides = [phone.side(receives=keys, sends=keys) for phone in (a, b)]
    stream = RelayedStream(loop, relay(*sides))
    talk(loop, a)
    b.report(REPORT)
    settle(loop)
    assert a.reports() == [REPORT]
    assert from_a(stream).source == "headers"


def test_rtcp_is_read_where_it_is_translated(loop: Loop) -> None:
    a, b = Phone(), SecurePhone(fresh_keys(), fresh_keys())
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a)
    b.report_clear(REPORT)
    settle(loop)
    assert a.reports() == [REPORT]
    b_hears = stream.quality.told(0, stream.counters[0]).quality
    assert b_hears is not None and (b_hears.source, b_hears.loss) == ("rtcp", 0.25)
    talk(loop, b)
    ended = stream.close().from_b.quality
    assert ended is not None and ended.loss == pytest.approx(0.1, abs=0.01)


def test_a_change_of_keys_changes_nothing(
    loop: Loop, secure: tuple[SecurePhone, SecurePhone]
) -> None:
    a, b = secure
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a, range(1, 201))
    b.report_clear(receiver_report(0x1234, highest=200, fraction=0.1, lost=20))
    settle(loop)
    fresh = SecurePhone(fresh_keys(), a.sends)
    changed = b.side(receives=fresh.sends)
    stream.apply(relay(a.side(sends=fresh.sends), changed, revision=2))
    talk(loop, a, range(201, 401))
    b.report(protected_rtcp(fresh.sender, receiver_report(0x1234, highest=400, lost=40)))
    settle(loop)
    quality = from_a(stream)
    assert (quality.source, quality.loss) == ("rtcp", 0.1)
    fresh.close()


@pytest.mark.parametrize("both", [True, False])
def test_rtcp_among_rtp_is_read(loop: Loop, phones: tuple[Phone, Phone], both: bool) -> None:
    a, b = phones
    b_side = b.side(remote_rtcp=b.address) if both else b.side()
    stream = RelayedStream(loop, relay(a.side(remote_rtcp=a.address), b_side))
    talk(loop, b)
    a.say(REPORT)
    settle(loop)
    assert (b.heard() if both else b.reports()) == [REPORT]
    ended = stream.close().from_b.quality
    assert ended is not None and (ended.source, ended.loss) == ("rtcp", 0.25)


def test_what_the_kernel_copies_is_read(
    loop: Loop, secure: tuple[SecurePhone, SecurePhone]
) -> None:
    a, b = secure
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for number in range(1, 2001):
        if number % 64 < 4:
            stream.quality.watches[0].copied(rtp(number), number / 50)
    report = receiver_report(0x1234, highest=2000, fraction=0.05, lost=100)
    carried = MediaCounters(packets=2000, octets=344_000)
    seen = stream.quality.told(0, carried).quality
    stream.quality.watches[1].copied(protected_rtcp(b.sender, report), 40.0)
    told = stream.quality.told(0, carried).quality
    stream.close()
    assert seen is not None and (seen.source, seen.loss) == ("headers", 0)
    assert told is not None and (told.source, told.loss) == ("rtcp", 0.05)


def test_junk_on_both_ports_is_passed_and_tells_nothing(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    for size in range(40):
        for first in (0x00, 0x80, 0xFF):
            a.say(bytes([first, 200, 0, 0]) + bytes(size))
            a.report(bytes([first, 200, 0, 0xFF]) + bytes(size))
        settle(loop)
    assert len(b.heard()) == len(b.reports()) == 120
    talk(loop, a)
    assert from_a(stream).source == "headers"


def test_a_call_of_a_moment_has_no_quality(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    talk(loop, a, range(1, 20))
    ended = stream.close()
    assert (ended.from_a.quality, ended.from_b.quality) == (None, None)
