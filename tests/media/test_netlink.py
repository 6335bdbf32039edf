"""Netlink messages: to bytes and back, and nothing that raises whatever comes."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from appliance.media.flow import (
    Flow,
    Mark,
    flow_element,
    flow_key,
    read_counts,
    read_flows,
    read_mark,
    read_sources,
    source_element,
)
from appliance.media.netlink import attribute, nested, replies
from appliance.media.ruleset import MARK_PREFIX, SLOTS, host_order
from appliance.media.tap import read_copies

FOUR = Flow(("10.0.0.1", 4000), ("10.0.0.9", 20000), ("10.0.0.2", 5000), ("10.0.0.8", 20002))
SIX = Flow(("fd00::1", 4000), ("fd00::9", 20000), ("fd00::2", 5000), ("fd00::8", 20002))


def listed(element: bytes) -> memoryview:
    """As the kernel sends elements: family and version first, in a list."""
    return memoryview(bytes(4) + nested(3, element))


def counted(element: bytes, packets: int, octets: int) -> bytes:
    """Add a counter as the kernel does."""
    values = attribute(1, octets.to_bytes(8, "big")) + attribute(2, packets.to_bytes(8, "big"))
    more = nested(7, attribute(1, b"counter\0"), nested(2, values))
    return nested(1, element[4:] + more)


def test_an_element_says_where_a_flow_goes() -> None:
    for flow in (FOUR, SIX):
        mark = Mark(5, 77, 2)
        (element,) = read_flows(listed(flow_element(flow, mark, 3, "call/0")))
        assert (element.source, element.local, element.target) == flow[:3]
        assert (element.via_port, element.mark) == (flow.via[1], mark)
        assert (element.revision, element.key) == (3, "call/0")


def test_counters_are_of_udp_payload() -> None:
    for flow, headers in ((FOUR, 28), (SIX, 48)):
        element = counted(flow_element(flow, Mark(0, 1, 0), 1, "x"), 10, 10 * (172 + headers))
        (found,) = read_flows(listed(element))
        assert (found.packets, found.octets) == (10, 1720)
        assert list(read_counts(listed(element))) == [(Mark(0, 1, 0).encode(), 10, 1720)]


def test_the_key_of_an_element_is_as_in_the_packet() -> None:
    wanted = bytes([10, 0, 0, 1]) + struct.pack(">HH", 4000, 0)
    wanted += bytes([10, 0, 0, 9]) + struct.pack(">HH", 20000, 0)
    assert flow_key(FOUR).endswith(wanted)


@given(st.integers(0, SLOTS - 1), st.integers(0, (1 << 20) - 1), st.integers(0, 3))
def test_a_mark_is_read_as_it_was_written(slot: int, relay: int, way: int) -> None:
    mark = Mark(slot, relay, way)
    assert read_mark(mark.encode()) == mark
    assert mark.side == way // 2


def test_other_marks_are_nobodys() -> None:
    assert read_mark(0) is None
    assert read_mark(0x5000_0001) is None


def test_a_slot_gives_an_address() -> None:
    for host in ("10.0.0.8", "fd00::8"):
        assert list(read_sources(listed(source_element(9, host)))) == [(9, host)]


def copy(packet: bytes, mark: int = MARK_PREFIX | 4) -> bytes:
    body = bytes(4) + attribute(2, mark.to_bytes(4, "big"))
    body += attribute(3, struct.pack(">QQ", 1_000, 250_000)) + attribute(9, packet)
    return struct.pack("=IHHII", 16 + len(body), 4 << 8, 0, 0, 0) + body


def ip(payload: bytes, version: int = 4) -> bytes:
    udp = struct.pack(">HHHH", 1, 2, len(payload) + 8, 0) + payload
    return (b"\x45" + bytes(19) if version == 4 else b"\x60" + bytes(39)) + udp


def test_copies_tell_mark_payload_and_time() -> None:
    for version in (4, 6):
        data = copy(ip(b"\x80\x00rtp", version)) + copy(ip(b"more", version))
        found = [(mark, bytes(packet), at) for mark, packet, at in read_copies(memoryview(data))]
        mark = MARK_PREFIX | 4
        assert found == [(mark, b"\x80\x00rtp", 1000.25), (mark, b"more", 1000.25)]


def test_a_copy_that_was_cut_short_is_its_begin() -> None:
    ((_, packet, _),) = read_copies(memoryview(copy(ip(b"0123456789")[:-4])))
    assert bytes(packet) == b"012345"


@given(st.binary(max_size=300))
def test_nothing_that_comes_raises(data: bytes) -> None:
    view = memoryview(data)
    list(replies(view))
    list(read_copies(view))
    list(read_copies(memoryview(copy(data))))
    for read in (read_flows, read_counts, read_sources):
        list(read(view))
        list(read(listed(data)))
        list(read(listed(nested(1, data))))


def test_marks_in_registers_are_in_the_machines_order() -> None:
    assert struct.unpack("=I", host_order(0x40000001)) == (0x40000001,)
