"""Lanes: one packet an event, counted, sent, shown; what goes wrong with one touches no other."""

from __future__ import annotations

import os
import select

import pytest

from appliance.media.buffer import BUFFER
from appliance.media.lane import Event, Lane, serve
from appliance.media.loop import Loop


class Street:
    """Lanes by number whose packets are what the test says, and what became of them."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.seen: list[int] = []
        self.failed: list[int] = []
        self.lanes: list[Lane | None] = []

    def lane(self, *packets: bytes, flooded: bool = False) -> Lane:
        waiting = list(packets)

        def receive(buffer: bytearray) -> int:
            if not waiting:
                raise BlockingIOError
            packet = waiting.pop(0)
            buffer[: len(packet)] = packet
            return len(packet)

        made = Lane(receive, lambda: flooded)
        made.limit = 100
        made.transmit = self.transmit
        made.watch = self.seen.append
        self.lanes.append(made)
        return made

    def transmit(self, packet: bytes | memoryview) -> int:
        self.sent.append(bytes(packet))
        return len(packet)

    def serve(self, *descriptors: int) -> list[Event]:
        events = [(descriptor, select.EPOLLIN) for descriptor in descriptors]
        return serve(events, self.lanes, self.failed.append)


@pytest.fixture
def street() -> Street:
    return Street()


@pytest.mark.parametrize("size", [0, 1, 172, 511, 512, 1500, 65507])
def test_a_packet_goes_on_as_it_came(street: Street, size: int) -> None:
    lane = street.lane(bytes(size))
    street.serve(0)
    assert street.sent == [bytes(size)]
    assert (lane.packets, lane.octets) == (1, size)


def test_each_event_takes_one_packet(street: Street) -> None:
    street.lane(b"a1", b"a2")
    street.lane(b"b1")
    street.serve(0, 1)
    assert street.sent == [b"a1", b"b1"]
    street.serve(0)
    assert street.sent[2:] == [b"a2"]


def test_nothing_there_counts_nothing(street: Street) -> None:
    lane = street.lane()
    assert street.serve(0) == []
    assert (lane.packets, street.sent, street.failed) == (0, [], [])


def test_packets_outside_the_sample_are_not_shown(street: Street) -> None:
    lane = street.lane(bytes([128, 0, 0, 4]), bytes([128, 0, 0, 3]))
    lane.unwatched = 0x3C
    street.serve(0, 0)
    assert street.seen == [4] and len(street.sent) == 2
    assert BUFFER[3] == 3


def test_beyond_its_limit_a_flood_is_counted_and_goes_nowhere(street: Street) -> None:
    lane = street.lane(b"1", b"2", flooded=True)
    lane.limit = 1
    street.serve(0, 0)
    assert street.sent == [b"1"] and lane.packets == 2


def test_a_phone_that_cannot_be_reached_stops_nobody(street: Street) -> None:
    def refuse(_packet: bytes | memoryview) -> int:
        raise ConnectionRefusedError

    street.lane(b"lost").transmit = refuse
    street.lane(b"kept")
    street.serve(0, 1)
    assert (street.sent, street.failed, street.seen) == ([b"kept"], [], [4])


def test_a_lane_that_fails_is_named_and_the_others_go_on(street: Street) -> None:
    def fail(_size: int) -> None:
        raise ValueError

    street.lane(b"a").watch = fail
    street.lane(b"b")
    street.serve(0, 1)
    assert (street.sent, street.failed) == ([b"a", b"b"], [0])


def test_events_of_no_lane_come_back(street: Street) -> None:
    street.lane(b"a")
    street.lanes.append(None)
    assert street.serve(1, 0) == [(1, select.EPOLLIN)]


def test_the_loop_gives_a_failing_lane_up_and_serves_the_rest() -> None:
    loop, (reader, writer) = Loop(), os.pipe()
    calls: list[int] = []

    def fail(_buffer: bytearray) -> int:
        raise ValueError

    try:
        loop.add(reader, calls.append)
        loop.serve(reader, Lane(fail, lambda: False))
        os.write(writer, b"x")
        assert loop.turn(0.0)
        assert len(loop) == 0 and calls == []
    finally:
        loop.close()
        os.close(reader)
        os.close(writer)


def test_a_descriptor_without_its_lane_is_called_again() -> None:
    loop, (reader, writer) = Loop(), os.pipe()
    street, calls = Street(), list[int]()
    try:
        loop.add(reader, calls.append)
        loop.serve(reader, street.lane(b"x"))
        os.write(writer, b"x")
        loop.turn(0.0)
        loop.serve(reader, None)
        loop.turn(0.0)
        assert street.sent == [b"x"] and calls == [select.EPOLLIN]
    finally:
        loop.close()
        os.close(reader)
        os.close(writer)
