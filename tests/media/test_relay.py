"""The user-space relay with real sockets: who is heard, who is not, and what is counted."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from appliance.call.record import MediaCounters
from appliance.marking import MEDIA
from appliance.media.loop import Loop
from appliance.media.port import PACKETS_PER_SECOND
from appliance.media.relay import RelayedStream
from tests.media.phone import LOOPS, RTCP, Phone, loop_of, relay, rtp, settle, udp


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    made = loop_of(request.param)
    yield made
    made.close()


@pytest.fixture(params=["127.0.0.1", "::1"])
def phones(request: pytest.FixtureRequest) -> Iterator[tuple[Phone, Phone]]:
    pair = Phone(request.param), Phone(request.param)
    yield pair
    for phone in pair:
        phone.close()


def test_rtp_and_rtcp_go_both_ways(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say(rtp(1))
    b.say(rtp(2))
    a.report()
    b.report(RTCP + b"x")
    settle(loop)
    assert (b.heard(), a.heard()) == ([rtp(1)], [rtp(2)])
    assert (b.reports(), a.reports()) == ([RTCP], [RTCP + b"x"])
    stream.close()


def test_packets_leave_from_the_port_the_phone_sends_to(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say(rtp())
    settle(loop)
    assert b.rtp.recvfrom(2048)[1][:2] == b.local
    stream.close()


def test_a_phone_on_ipv4_talks_to_one_on_ipv6(loop: Loop) -> None:
    a, b = Phone("127.0.0.1"), Phone("::1")
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say(rtp(1))
    b.say(rtp(2))
    settle(loop)
    assert (b.heard(), a.heard()) == ([rtp(1)], [rtp(2)])
    stream.close()


def test_strangers_are_dropped_and_counted(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    stranger = udp(a.address[0])
    for _ in range(5):
        stranger.sendto(rtp(), a.local)
        stranger.sendto(RTCP, (a.local[0], a.local[1] + 1))
    a.say(rtp())
    settle(loop)
    assert b.heard() == [rtp()] and b.reports() == []
    ended = stream.close()
    assert ended.from_a == MediaCounters(packets=1, octets=len(rtp()), dropped=10)
    assert ended.from_b == MediaCounters()
    with pytest.raises(BlockingIOError):
        stranger.recv(2048)


def test_the_right_host_on_another_port_is_a_stranger(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.rtcp.sendto(rtp(), a.local)
    settle(loop)
    assert b.heard() == []
    assert stream.close().from_a.dropped == 1


def test_rtcp_comes_from_where_the_phone_said(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    elsewhere = udp(a.address[0])
    stream = RelayedStream(loop, relay(a.side(remote_rtcp=elsewhere.getsockname()[:2]), b.side()))
    a.report()
    elsewhere.sendto(RTCP, (a.local[0], a.local[1] + 1))
    b.report(RTCP + b"b")
    settle(loop)
    assert b.reports() == [RTCP]
    assert elsewhere.recv(2048) == RTCP + b"b"
    stream.close()


def test_a_side_without_address_takes_and_gets_nothing(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side(remote=None)))
    a.say(rtp(1))
    b.say(rtp(2))
    settle(loop)
    assert (a.heard(), b.heard()) == ([], [])
    stream.apply(relay(a.side(), b.side(), 2))
    a.say(rtp(3))
    settle(loop)
    assert b.heard() == [rtp(3)]
    assert stream.close().from_b.dropped == 1


def test_a_new_address_replaces_the_old_one(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    c = Phone(b.address[0])
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    stream.apply(relay(a.side(), b.side(remote=c.address), 2))
    a.say(rtp(1))
    b.say(rtp(2))
    c.rtp.sendto(rtp(3), b.local)
    settle(loop)
    assert (a.heard(), b.heard(), c.heard()) == ([rtp(3)], [], [rtp(1)])
    assert stream.close().from_b == MediaCounters(packets=1, octets=len(rtp()), dropped=1)


# Learning


def test_the_first_rtp_packet_is_learnt_once(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    nat, stranger = udp(a.address[0]), udp(a.address[0])
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    nat.sendto(b"not rtp", a.local)
    nat.sendto(RTCP, a.local)
    settle(loop)
    nat.sendto(rtp(1), a.local)
    settle(loop)
    stranger.sendto(rtp(2), a.local)
    a.say(rtp(3))
    nat.sendto(rtp(4), a.local)
    b.say(rtp(5))
    settle(loop)
    assert b.heard() == [rtp(1), rtp(4)]
    assert nat.recv(2048) == rtp(5) and a.heard() == []
    assert stream.close().from_a == MediaCounters(packets=2, octets=2 * len(rtp()), dropped=4)


def test_packets_that_waited_are_sorted_by_source(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    nat, stranger = udp(a.address[0]), udp(a.address[0])
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    for sequence in (1, 2, 3):
        nat.sendto(rtp(sequence), a.local)
        stranger.sendto(rtp(9), a.local)
    settle(loop)
    assert b.heard() == [rtp(1), rtp(2), rtp(3)]
    assert stream.close().from_a.dropped == 3


def test_until_then_the_address_of_the_sdp_is_sent_to(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    b.say(rtp())
    settle(loop)
    assert a.heard() == [rtp()]
    stream.close()


def test_only_the_host_that_signals_is_learnt_from(loop: Loop) -> None:
    a, b = Phone(), Phone()
    stranger = udp("127.0.0.2")
    stream = RelayedStream(loop, relay(a.side(learn=True, learn_from="127.0.0.1"), b.side()))
    stranger.sendto(rtp(1), a.local)
    settle(loop)
    a.say(rtp(2))
    settle(loop)
    assert b.heard() == [rtp(2)]
    stream.close()


def test_rtcp_is_learnt_from_the_host_of_rtp_only(loop: Loop) -> None:
    a, b = Phone(), Phone()
    nat, stranger = udp("127.0.0.1"), udp("127.0.0.2")
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    rtcp_port = (a.local[0], a.local[1] + 1)
    nat.sendto(RTCP + b"early", rtcp_port)
    settle(loop)
    nat.sendto(rtp(), a.local)
    settle(loop)
    stranger.sendto(RTCP + b"stranger", rtcp_port)
    settle(loop)
    nat.sendto(RTCP, rtcp_port)
    settle(loop)
    b.report(RTCP + b"back")
    settle(loop)
    assert b.reports() == [RTCP]
    assert nat.recv(2048) == RTCP + b"back"
    stream.close()


def test_a_higher_revision_learns_again_and_sends_to_the_old_place_meanwhile(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    old, new = udp(a.address[0]), udp(a.address[0])
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side(), 1))
    old.sendto(rtp(1), a.local)
    settle(loop)
    stream.apply(relay(a.side(learn=True), b.side(), 1))
    new.sendto(rtp(2), a.local)
    settle(loop)
    stream.apply(relay(a.side(learn=True), b.side(), 2))
    b.say(rtp(3))
    settle(loop)
    new.sendto(rtp(4), a.local)
    settle(loop)
    old.sendto(rtp(5), a.local)
    b.say(rtp(6))
    settle(loop)
    assert b.heard() == [rtp(1), rtp(4)]
    assert (old.recv(2048), new.recv(2048)) == (rtp(3), rtp(6))
    stream.close()


# The network


def test_packets_carry_the_mark_of_media_also_once_it_is_another(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    is_v6 = ":" in b.address[0]
    level = socket.IPPROTO_IPV6 if is_v6 else socket.IPPROTO_IP
    option = socket.IPV6_RECVTCLASS if is_v6 else socket.IP_RECVTOS
    for sock in (b.rtp, b.rtcp, a.rtp):
        sock.setsockopt(level, option, 1)
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    try:
        for value in (46, 34, 0):
            MEDIA.change(value)
            for act in (lambda: b.say(rtp()), lambda: a.say(rtp()), a.report):
                act()
                settle(loop)
            for sock in (b.rtp, b.rtcp, a.rtp):
                _, notes, _, _ = sock.recvmsg(2048, 64)
                assert notes[0][2][0] == value << 2
    finally:
        MEDIA.change(46)
        stream.close()


def test_a_closed_phone_port_harms_nothing(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    address = b.address
    b.rtp.close()
    for sequence in range(4):
        a.say(rtp(sequence))
        settle(loop)
    b.rtp = udp(*address)
    a.say(rtp(4))
    settle(loop)
    a.say(rtp(5))
    settle(loop)
    assert b.heard()[-1] == rtp(5)
    stream.close()


def test_large_packets_are_whole(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    a.say(rtp(payload=bytes(9000)))
    settle(loop)
    assert len(b.rtp.recv(65536)) == 9012
    stream.close()


def test_a_flood_from_the_phone_itself_is_cut_to_the_quota(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(monotonic=lambda: 1000.0)
    monkeypatch.setattr("appliance.media.loop.time", clock)
    a, b = Phone(), Phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))

    def flood(packets: int) -> int:
        heard = 0
        for _ in range(packets // 100):
            for _ in range(100):
                a.say(rtp())
            settle(loop)
            heard += len(b.heard())
        return heard

    assert flood(3 * PACKETS_PER_SECOND) <= 2 * PACKETS_PER_SECOND + 1
    assert flood(100) == 0
    clock.monotonic = lambda: 1001.0
    settle(loop)
    loop.sweep()
    assert 100 < flood(2 * PACKETS_PER_SECOND) <= PACKETS_PER_SECOND + 1
    stream.close()


# Failing to open


def held_ports(stream_of: Phone) -> list[bool]:
    taken = []
    for port in (stream_of.local[1], stream_of.local[1] + 1):
        try:
            udp(stream_of.local[0], port).close()
        except OSError:
            taken.append(True)
        else:
            taken.append(False)
    return taken


@pytest.mark.parametrize("offset", [0, 1])
def test_a_taken_port_fails_and_holds_nothing(loop: Loop, offset: int) -> None:
    a, b = Phone(), Phone()
    thief = udp("127.0.0.1", b.local[1] + offset)
    with pytest.raises(OSError, match="in use"):
        RelayedStream(loop, relay(a.side(), b.side()))
    thief.close()
    assert held_ports(a) == held_ports(b) == [False, False]
    assert len(loop) == 0


def test_nobody_can_share_our_port(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side(learn=True)))
    for local in (a.local, b.local):
        thief = socket.socket(a.rtp.family, socket.SOCK_DGRAM)
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind(local)
        thief.close()
    stream.close()


@pytest.mark.parametrize(
    "remote",
    [("239.1.2.3", 4000), ("0.0.0.0", 4000), ("phone.example.com", 4000), ("127.0.0.1", 0)],
)
def test_addresses_no_phone_can_have_are_refused(loop: Loop, remote: tuple[str, int]) -> None:
    a, b = Phone(), Phone()
    for side in (b.side(remote=remote), b.side(remote=remote, learn=True)):
        with pytest.raises(OSError):
            RelayedStream(loop, relay(a.side(), side))
    assert held_ports(a) == held_ports(b) == [False, False]


def test_our_own_address_must_be_ours(loop: Loop) -> None:
    a, b = Phone(), Phone()
    for local in (("192.0.2.1", 40000), ("localhost", 40000), ("127.0.0.1", 65535)):
        with pytest.raises((OSError, OverflowError)):
            RelayedStream(loop, relay(a.side(), b.side(local=local)))
    assert held_ports(a) == [False, False]


def test_a_change_that_fails_shuts_the_stream_until_the_next(loop: Loop) -> None:
    a, b = Phone(), Phone()
    stream = RelayedStream(loop, relay(a.side(), b.side()))
    with pytest.raises(OSError):
        stream.apply(relay(a.side(), b.side(remote=("239.1.2.3", 4000)), 2))
    a.say(rtp(1))
    settle(loop)
    stream.apply(relay(a.side(), b.side(), 3))
    a.say(rtp(2))
    settle(loop)
    assert b.heard() == [rtp(2)]
    stream.close()


def test_closing_gives_every_descriptor_back(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(learn=True), b.side()))
    a.say(rtp())
    settle(loop)
    stream.close()
    assert held_ports(a) == held_ports(b) == [False, False]
    assert len(loop) == 0


UDPTL = bytes.fromhex("0001050174656c6c")
"""The second packet of a fax: a sequence number where RTP has its version."""


def test_a_fax_goes_both_ways_as_it_is(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(fax=True), b.side(fax=True)))
    a.say(UDPTL)
    b.say(UDPTL + b"back")
    settle(loop)
    assert (b.heard(), a.heard()) == ([UDPTL], [UDPTL + b"back"])
    assert stream.is_straight
    stream.close()


def test_a_fax_machine_behind_a_nat_is_learnt_by_its_first_packet(
    loop: Loop, phones: tuple[Phone, Phone]
) -> None:
    a, b = phones
    nowhere = (a.address[0], 9)
    side = a.side(remote=nowhere, learn=True, learn_from=a.address[0], fax=True)
    stream = RelayedStream(loop, relay(side, b.side(fax=True)))
    a.say(UDPTL)
    settle(loop)
    b.say(UDPTL)
    settle(loop)
    assert (b.heard(), a.heard()) == ([UDPTL], [UDPTL])
    stream.close()


def test_audio_becomes_a_fax_on_the_same_ports(loop: Loop, phones: tuple[Phone, Phone]) -> None:
    a, b = phones
    stream = RelayedStream(loop, relay(a.side(), b.side(), revision=1))
    a.say(rtp())
    settle(loop)
    stream.apply(relay(a.side(fax=True), b.side(fax=True), revision=2))
    a.say(UDPTL)
    settle(loop)
    assert b.heard() == [rtp(), UDPTL]
    stream.close()
