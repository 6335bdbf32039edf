"""Batches: many packets with one call, and what becomes of them where not all goes as it should."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from appliance.media import loop as loops
from appliance.media.buffer import VIEW
from appliance.media.lane import Lane
from appliance.media.loop import Loop, open_loop
from appliance.media.port import PACKETS_PER_SECOND
from appliance.media.ring import BUFFERS, outlet
from tests.media.phone import LOOPS, loop_of, received, settle, udp

ADDRESS = "127.0.0.1"


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = loop_of(LOOPS[1])
    yield made
    made.close()


class Road:
    """A lane in a batch between two phones, and what was seen of its packets."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.here, self.there = udp(ADDRESS), udp(ADDRESS)
        self.entry, self.exit = udp(ADDRESS), udp(ADDRESS)
        for ours, theirs in ((self.entry, self.here), (self.exit, self.there)):
            ours.connect(theirs.getsockname())
            theirs.connect(ours.getsockname())
        self.seen: list[bytes] = []
        self.read: list[bytes] = []
        self.lane = Lane(self.entry.recv_into, lambda: False)
        self.lane.limit = PACKETS_PER_SECOND
        self.lane.transmit = self.exit.send
        self.lane.outlet = outlet(self.exit.fileno())
        self.lane.watch = lambda size: self.seen.append(bytes(VIEW[:size]))
        self.lane.hand_over = lambda size: self.read.append(bytes(VIEW[:size]))
        loop.add(self.entry.fileno(), self.take)
        self.open()

    def open(self) -> None:
        self.loop.serve(self.entry.fileno(), self.lane, in_batch=True)

    def leave(self) -> None:
        self.loop.serve(self.entry.fileno(), None, in_batch=True)

    def take(self, _events: int) -> None:
        self.read.append(self.entry.recv(2048))

    def say(self, *packets: bytes) -> None:
        for packet in packets:
            self.here.send(packet)

    def heard(self) -> list[bytes]:
        return received(self.there)

    def close(self) -> None:
        self.loop.remove(self.entry.fileno())
        for one in (self.here, self.there, self.entry, self.exit):
            one.close()


@pytest.fixture
def road(loop: Loop) -> Iterator[Road]:
    made = Road(loop)
    yield made
    made.close()


def test_packets_keep_their_order_and_are_counted(road: Road) -> None:
    said = [b"packet %d" % number for number in range(20)]
    road.say(*said)
    settle(road.loop)
    assert road.heard() == said == road.seen
    assert (road.lane.packets, road.lane.octets) == (20, sum(map(len, said)))


def test_an_empty_packet_goes_on_and_so_do_those_after_it(road: Road) -> None:
    road.say(b"before", b"", b"", b"after")
    settle(road.loop)
    # It is sent by itself, perhaps before those that wait to be sent together.
    assert sorted(road.heard()) == [b"", b"", b"after", b"before"]
    assert (road.lane.packets, road.lane.octets) == (4, 11)


def test_packets_outside_the_sample_are_not_shown(road: Road) -> None:
    road.lane.unwatched = 0x3C
    road.say(bytes([128, 0, 0, 4]), bytes([128, 0, 0, 3]))
    settle(road.loop)
    assert len(road.heard()) == 2 and road.seen == [bytes([128, 0, 0, 3])]


def test_more_than_all_buffers_hold_arrives_whole(loop: Loop) -> None:
    roads = [Road(loop) for _ in range(40)]
    said = [b"%d" % number for number in range(BUFFERS // 16)]
    for road in roads:
        road.say(*said)
    settle(loop)
    assert [road.heard() for road in roads] == [said] * len(roads)
    # And all buffers are there again for the next time.
    for _ in range(3):
        for road in roads:
            road.say(*said)
        settle(loop)
        assert [road.heard() for road in roads] == [said] * len(roads)
    for road in roads:
        road.close()


def test_what_is_sent_elsewhere_than_to_a_connected_phone_is_sent_by_its_lane(road: Road) -> None:
    sent: list[bytes] = []
    road.lane.outlet = 0
    road.lane.transmit = lambda packet: sent.append(bytes(packet)) or len(packet)
    road.say(b"one", b"two")
    settle(road.loop)
    assert (sent, road.seen, road.lane.packets) == ([b"one", b"two"], [b"one", b"two"], 2)


def test_what_was_read_when_a_lane_leaves_the_batch_is_handed_over(loop: Loop, road: Road) -> None:
    other = Road(loop)
    road.say(b"1", b"2", b"3")
    # To let go of one takes what has come to all.
    other.close()
    road.leave()
    road.say(b"4")
    settle(road.loop)
    assert road.read == [b"1", b"2", b"3", b"4"] and road.heard() == []
    road.open()
    road.say(b"5")
    settle(road.loop)
    assert road.heard() == [b"5"] and len(road.read) == 4


def test_a_resting_lane_loses_nothing_that_was_read_and_reads_nothing(
    loop: Loop, road: Road
) -> None:
    other = Road(loop)
    road.say(b"1")
    other.close()
    road.loop.rest(road.entry.fileno(), road.loop.now + 3600)
    road.loop.rest(road.entry.fileno(), road.loop.now)
    road.say(b"2")
    settle(road.loop)
    assert (road.read, road.heard()) == ([b"1"], [])
    road.loop.now += 7200
    road.loop.sweep()
    settle(road.loop)
    assert (road.read, road.heard()) == ([b"1"], [b"2"])


@pytest.mark.parametrize("again", [True, False])
def test_a_lane_may_change_while_it_rests(road: Road, again: bool) -> None:
    road.loop.rest(road.entry.fileno(), road.loop.now)
    road.leave()
    if again:
        road.open()
    road.say(b"1")
    settle(road.loop)
    assert (road.read, road.heard()) == ([], [])
    road.loop.sweep()
    settle(road.loop)
    assert (road.read, road.heard()) == (([], [b"1"]) if again else ([b"1"], []))


def test_a_phone_that_cannot_be_reached_stops_nobody(loop: Loop, road: Road) -> None:
    other = Road(loop)
    gone = road.there.getsockname()
    road.there.close()
    for _ in range(3):
        road.say(b"lost")
        other.say(b"kept")
        settle(loop)
    assert other.heard() == [b"kept"] * 3
    road.there = udp(*gone)
    road.there.connect(road.exit.getsockname())
    road.say(b"lost or not, by an error that waits", b"heard again")
    settle(loop)
    assert road.heard()[-1] == b"heard again"
    other.close()


def test_a_phone_whose_icmp_errors_reach_us_is_heard_all_the_same(road: Road) -> None:
    port = road.here.getsockname()
    road.here.close()
    road.entry.send(b"to nobody")
    settle(road.loop)
    road.here = udp(*port)
    road.here.connect(road.entry.getsockname())
    road.say(b"1", b"2")
    settle(road.loop)
    assert road.heard() == [b"1", b"2"]


def test_a_lane_that_fails_is_given_up_and_the_others_go_on(loop: Loop, road: Road) -> None:
    other = Road(loop)

    def fail(_size: int) -> None:
        raise ValueError

    road.lane.watch = fail
    road.say(b"1", b"2")
    other.say(b"3")
    settle(loop)
    assert len(loop) == 1
    # What was made ready before the failure still goes.
    assert road.heard() == [b"1"] and other.heard() == [b"3"]
    other.close()


def test_a_port_is_free_as_soon_as_its_socket_is_closed(loop: Loop) -> None:
    for _ in range(50):
        road = Road(loop)
        place = road.entry.getsockname()
        road.say(b"never read")
        road.close()
        again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.bind(place)
        again.close()
    settle(loop)
    assert len(loop) == 0


def test_without_io_uring_a_loop_serves_lanes_one_by_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise PermissionError(1, os.strerror(1))

    monkeypatch.setattr(loops, "Batch", refuse)
    loop = open_loop(io_uring=True)
    road = Road(loop)
    road.lane.transmit = road.exit.send
    road.say(b"1")
    settle(loop)
    assert road.heard() == [b"1"]
    assert "no io_uring here (Operation not permitted)" in capsys.readouterr().err
    road.close()
    loop.close()


def test_a_batch_that_is_not_wanted_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "Batch", lambda: pytest.fail("made"))
    open_loop(io_uring=False).close()


def test_a_closed_batch_leaves_no_descriptor() -> None:
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        loop = loop_of(LOOPS[1])
        Road(loop).close()
        loop.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)
