"""The short cut's program as bytes, its slots, and what may be in its way; without a kernel."""

import os
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.media import instructions as do
from appliance.media import slot
from appliance.media.carried import UNREAD, Entry
from appliance.media.flow import Flow
from appliance.media.instructions import R0, R1, R2, R7, STACK
from appliance.media.netlink import attribute, nested, number, text
from appliance.media.shortcut import NOTHING, Shortcut, Slots, read, written
from appliance.media.shortcut_program import shortcut
from appliance.media.slot import ENTRIES, LAYOUTS
from appliance.media.surroundings import Interface, foreign_chain, read_interface

FOUR = Flow(("10.0.0.1", 4000), ("10.0.0.9", 20000), ("10.0.0.2", 5000), ("10.0.0.8", 20002))
SIX = Flow(("fd00::1", 4000), ("fd00::9", 20000), ("fd00::2", 5000), ("fd00::8", 20002))
ELSEWHERE = FOUR._replace(target=("10.0.0.3", 5000))
INET, IP, NETDEV, BRIDGE = 1, 2, 5, 7


def array(version: int) -> int:
    """Make memory of an array's size, to be mapped as an array is."""
    made = os.memfd_create("slots")
    os.ftruncate(made, LAYOUTS[version].size * ENTRIES)
    return made


@pytest.fixture
def arrays() -> Iterator[dict[int, int]]:
    made = {version: array(version) for version in (4, 6)}
    yield made
    for one in made.values():
        os.close(one)


@pytest.fixture
def slots(arrays: dict[int, int]) -> Iterator[Shortcut]:
    made = Shortcut(arrays)
    yield made
    made.close()


def word(arrays: dict[int, int], flow: Flow, offset: int) -> int:
    at = (flow.local[1] >> 1) * LAYOUTS[flow.version].size + offset
    return int(struct.unpack("=I", os.pread(arrays[flow.version], 4, at))[0])


def count(arrays: dict[int, int], flow: Flow, packets: int, octets: int) -> None:
    """Count as the program does."""
    layout = LAYOUTS[flow.version]
    at = (flow.local[1] >> 1) * layout.size + layout.packets
    os.pwrite(arrays[flow.version], struct.pack("=QQ", packets, octets), at)


def test_instructions_are_as_the_kernel_reads_them() -> None:
    steps = (
        (do.load(do.HALF, R2, R7, 12), "69 72 0c00 00000000"),
        (do.store(do.DOUBLE, STACK, -8, 0), "7a 0a f8ff 00000000"),
        (do.store(do.BYTE, R7, 1, R2), "73 27 0100 00000000"),
        (do.add_shared(R7, 40, R2), "db 27 2800 00000000"),
        (do.move(R0, -1), "b7 00 0000 ffffffff"),
        (do.change(do.ADD, R2, R7), "0f 72 0000 00000000"),
        (do.swap_half(R2), "dc 02 0000 10000000"),
        (do.call(69), "85 00 0000 45000000"),
        (do.leave(), "95 00 0000 00000000"),
    )
    for step, octets in steps:
        assert do.assemble([step]) == bytes.fromhex(octets)
    assert do.assemble(do.map_at(R1, 9)) == bytes.fromhex("18 11 0000 09000000" + "00" * 8)


def test_jumps_count_instructions_and_not_places() -> None:
    steps = [
        do.here("again"),
        do.jump_if(R2, do.ABOVE, R7, "out"),
        *do.map_at(R1, 3),
        do.jump("again"),
        do.here("out"),
        do.leave(),
    ]
    program = do.assemble(steps)
    assert [struct.unpack_from("=h", program, at + 2)[0] for at in (0, 24)] == [3, -4]
    with pytest.raises(KeyError):
        do.assemble([do.jump("nowhere")])


def test_the_program_has_what_it_is_told_and_fits_the_kernels_limit() -> None:
    program = shortcut({4: 77, 6: 78}, range(300, 364), 46)
    for descriptor in (77, 78):
        assert bytes.fromhex("18 11 0000") + struct.pack("=i", descriptor) in program
    assert len(program) // 8 < 4096


@pytest.mark.parametrize("flow", [FOUR, SIX])
def test_a_slot_is_found_by_our_port_and_matches_when_all_is_written(
    slots: Shortcut, arrays: dict[int, int], flow: Flow
) -> None:
    layout = LAYOUTS[flow.version]
    assert word(arrays, flow, layout.ends) == 0
    slots.put(flow, 0x40000004)
    assert word(arrays, flow, layout.ends).to_bytes(4, "little") == bytes.fromhex("0fa0 4e20")
    assert word(arrays, flow, layout.ports).to_bytes(4, "little") == bytes.fromhex("4e22 1388")
    assert word(arrays, flow, layout.mark) == 0x40000004


def test_counters_go_on_until_a_stream_is_taken_back(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    slots.put(FOUR, 4)
    count(arrays, FOUR, 7, 7 * 172)
    slots.put(FOUR, 4)
    assert slots.counters(FOUR) == (7, 7 * 172)
    assert slots.take(FOUR) == (7, 7 * 172)
    assert slots.take(FOUR) == slots.counters(FOUR) == NOTHING


def test_another_way_is_another_generation_with_counters_of_its_own(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    layout = LAYOUTS[4]
    slots.put(FOUR, 4)
    before = word(arrays, FOUR, layout.generation)
    count(arrays, FOUR, 7, 7)
    slots.put(ELSEWHERE, 4)
    assert word(arrays, FOUR, layout.generation) != before
    assert slots.counters(ELSEWHERE) == NOTHING


def test_streams_of_others_are_neither_read_nor_taken(slots: Shortcut) -> None:
    slots.put(FOUR, 4)
    stranger = FOUR._replace(source=("10.0.0.7", 4000))
    assert slots.take(stranger) == NOTHING
    assert slots.keep([FOUR]) == 0
    odd = FOUR._replace(local=("10.0.0.9", 20001))
    slots.put(odd, 4)
    assert slots.take(odd) == NOTHING


def test_what_is_nobodys_is_emptied(slots: Shortcut) -> None:
    slots.put(FOUR, 4)
    slots.put(SIX, 8)
    assert slots.keep([SIX]) == 1
    assert slots.keep([SIX]) == 0
    assert slots.keep([]) == 1


def test_a_stream_at_another_address_of_ours_leaves_the_slot_to_the_first(slots: Shortcut) -> None:
    second = FOUR._replace(local=("10.0.0.8", 20000))
    tally = slots.put(FOUR, 4)
    assert tally is not None
    assert slots.put(second, 8) is None
    assert slots.take(second) == NOTHING
    assert slots.keep([second]) == 1
    assert slots.put(second, 8) is not None


def test_a_tally_shows_what_is_counted(slots: Shortcut, arrays: dict[int, int]) -> None:
    for flow in (FOUR, SIX):
        tally = slots.put(flow, 4)
        assert tally is not None
        count(arrays, flow, 5, 860)
        assert (tally.packets, tally.octets) == (5, 860)


NOW = 5_000_000.25
"""A monotonic second whose stamp is nowhere near a turn of its 32 bits."""


def note(arrays: dict[int, int], flow: Flow, place: int, arrival: float, header: bytes) -> None:
    """Note a header as the program does."""
    layout = LAYOUTS[flow.version]
    at = (flow.local[1] >> 1) * layout.size + layout.samples + place * 16
    stamp = (int(arrival * 1e9) >> 10) & 0xFFFFFFFF | 1
    os.pwrite(arrays[flow.version], struct.pack("=I", stamp) + header, at)


@pytest.mark.parametrize("flow", [FOUR, SIX])
def test_headers_are_taken_once_and_as_they_came(
    slots: Shortcut, arrays: dict[int, int], flow: Flow
) -> None:
    tally = slots.put(flow, 4)
    assert tally is not None
    assert tally.samples(NOW) == []
    note(arrays, flow, 7, NOW - 4.0, b"c" * 12)
    note(arrays, flow, 0, NOW - 0.02, b"e" * 12)
    note(arrays, flow, 4, NOW - 4.06, b"b" * 12)
    told = tally.samples(NOW)
    assert [sample.header[:1] for sample in told] == [b"b", b"c", b"e"]
    arrivals = [sample.arrival for sample in told]
    assert arrivals == pytest.approx([NOW - 4.06, NOW - 4.0, NOW - 0.02], abs=3e-6)
    assert tally.samples(NOW) == []


def test_stamps_are_right_where_their_bits_turn(slots: Shortcut, arrays: dict[int, int]) -> None:
    """The 32 bits of a stamp turn every 4,398 seconds."""
    tally = slots.put(FOUR, 4)
    assert tally is not None
    turn = 3 * (1 << 32) * 1.024e-6
    note(arrays, FOUR, 0, turn - 1.0, b"a" * 12)
    note(arrays, FOUR, 1, turn + 0.5, b"b" * 12)
    told = tally.samples(turn + 1.0)
    assert [sample.arrival - turn for sample in told] == pytest.approx([-1.0, 0.5], abs=3e-6)


def test_what_came_after_the_clock_was_read_came_now(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    tally = slots.put(FOUR, 4)
    assert tally is not None
    note(arrays, FOUR, 0, NOW + 0.001, b"a" * 12)
    assert [sample.arrival for sample in tally.samples(NOW)] == [NOW]


def test_another_stream_finds_no_header_of_the_one_before(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    slots.put(FOUR, 4)
    for place in range(8):
        note(arrays, FOUR, place, NOW, b"a" * 12)
    tally = slots.put(ELSEWHERE, 4)
    assert tally is not None
    assert tally.samples(NOW) == []


def test_headers_of_a_stream_that_left_wait_to_be_read(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    entry = Entry("call", 7, 1)
    for way, flow in ((0, FOUR), (2, SIX)):
        tally = slots.put(flow, 4)
        assert tally is not None
        entry.beside[way] = tally
        note(arrays, flow, 0, NOW, bytes((way,)) * 12)
    entry.leave(0, NOW)
    entry.leave(1, NOW)
    assert [(way, sample.header[0]) for way, sample in entry.samples(NOW)] == [(0, 0), (2, 2)]
    assert entry.samples(NOW) == []


def test_few_headers_wait_however_often_a_stream_leaves(
    slots: Shortcut, arrays: dict[int, int]
) -> None:
    entry = Entry("call", 7, 1)
    for round_ in range(10):
        tally = slots.put(FOUR, 4)
        assert tally is not None
        entry.beside[0] = tally
        for place in range(8):
            note(arrays, FOUR, place, NOW + round_, bytes((round_,)) * 12)
        entry.leave(0, NOW + round_)
    told = entry.samples(NOW + 10)
    assert len(told) == UNREAD
    assert told[-1][1].header[0] == 9


def test_slots_outlast_who_wrote_them(arrays: dict[int, int]) -> None:
    first = Slots(4, arrays[4])
    first.put(FOUR, 4)
    first.close()
    count(arrays, FOUR, 3, 9)
    second = Slots(4, arrays[4])
    second.put(FOUR, 4)
    assert second.take(FOUR) == (3, 9)
    second.close()


def test_without_arrays_nothing_takes_the_short_cut() -> None:
    nothing = Shortcut({})
    nothing.put(FOUR, 4)
    assert nothing.take(FOUR) == nothing.counters(FOUR) == NOTHING


def test_descriptors_go_by_a_command_line() -> None:
    for arrays in ({}, {4: 7, 6: 12}):
        assert read(written(arrays)) == arrays


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8), st.binary())
def test_a_checksum_changes_by_the_difference(old: bytes, new: bytes, rest: bytes) -> None:
    rest += bytes(len(rest) % 2)

    def summed(data: bytes) -> int:
        return sum(struct.unpack(f"={len(data) // 2}H", data)) % 0xFFFF

    changed = summed(old + rest) + slot.difference(old, new)
    assert changed % 0xFFFF == summed(new + rest)
    assert 0 <= slot.difference(old, new) <= 0xFFFF


def chain(family: int, table: str, hook: int | None) -> memoryview:
    place = nested(4, number(1, hook), number(2, 0)) if hook is not None else b""
    return memoryview(bytes((family, 0, 0, 0)) + text(1, table) + text(3, "c") + place)


@pytest.mark.parametrize(
    ("family", "table", "hook", "told"),
    [
        (INET, "holdfast_media", 2, ""),
        (INET, "holdfast_firewall", 2, ""),
        (INET, "filter", 1, ""),
        (INET, "filter", 3, ""),
        (INET, "filter", None, ""),
        (BRIDGE, "filter", 2, ""),
        (NETDEV, "shaping", 1, ""),
        (INET, "filter", 2, "table inet filter has rules for forwarded packets"),
        (IP, "holdfast_media", 2, "table ip holdfast_media has rules for forwarded packets"),
        (IP, "nat", 4, "table ip nat has rules for forwarded packets"),
        (IP, "raw", 0, "table ip raw has rules for forwarded packets"),
        (NETDEV, "shaping", 0, "table netdev shaping has rules for forwarded packets"),
    ],
)
def test_rules_of_others_for_forwarded_packets_are_in_the_way(
    family: int, table: str, hook: int | None, told: str
) -> None:
    assert foreign_chain([chain(family, table, hook)]) == told


def link(kind: int, *more: bytes) -> memoryview:
    head = struct.pack("=BxHiII", 0, kind, 7, 0, 0)
    return memoryview(head + attribute(3, b"eth0\0") + b"".join(more))


def test_interfaces_in_bridges_and_those_without_ethernet_are_left_alone() -> None:
    assert read_interface(link(1)) == Interface(7, "eth0")
    assert read_interface(link(1, attribute(10, struct.pack("=I", 3)))) is None
    assert read_interface(link(772)) is None
    assert read_interface(memoryview(b"")) is None
