# SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
"""The short cut: a program that sends RTP of known streams on as soon as an interface has it.

It does what the rules of `ruleset` would do, for whole packets of RTP that need nothing else, and
notes the headers of the sample in the stream's slot. All others it leaves as they are, and to the
rules: strangers', RTCP, one packet after each sample, fragments, options, what is too large or too
old, and whatever the kernel's route look-up does not answer with an Ethernet neighbour that it
knows.

    6 packet's facts   7 its first octet   8 its end   9 the stream's slot
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from appliance.media.instructions import (
    ABOVE,
    ADD,
    AND,
    ANY_BIT,
    BYTE,
    DOUBLE,
    EQUAL,
    HALF,
    OR,
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    SHIFT_LEFT,
    SHIFT_RIGHT,
    STACK,
    UNEQUAL,
    WORD,
    XOR,
    Step,
    add_shared,
    assemble,
    call,
    change,
    here,
    jump,
    jump_if,
    leave,
    load,
    map_at,
    move,
    store,
    swap_half,
)
from appliance.media.slot import LAYOUTS, SAMPLE, SAMPLES, STAMP_SHIFT, Layout
from appliance.rtp.sampled import KERNEL_PERIOD

NEXT: Final = -1
"""TCX_NEXT: as if this program were not there."""
DROP: Final = 2
_LOOK_UP, _TIME, _REPLACE_SUM, _REDIRECT, _FIND_ROUTE = 1, 5, 11, 23, 69
"""Functions of the kernel."""
_LENGTH, _KIND, _MARK, _TAGGED, _PRIORITY = 0, 4, 8, 20, 32
_INTERFACE, _DATA, _END, _SEGMENT = 40, 76, 80, 176
"""Facts of a packet: struct __sk_buff. The kind is 0 for what is addressed to this interface."""
_BURST: Final = 4
"""Packets of each period that are in the sample: its first."""
_BY_RULES: Final = _BURST
"""Which of each period goes by the rules: the look-up alone would let a neighbour grow stale, and
`passage` would not see whether the rules of others let packets out."""
_ETHERNET: Final = 14
_UDP: Final = 17
_FAMILIES: Final = {4: 2, 6: 10}
_TYPES: Final = {4: 0x0008, 6: 0xDD86}
"""EtherTypes as the processor reads them."""
_HEADERS: Final = {4: 20, 6: 40}
_PSEUDO_HEADER, _UNLESS_ZERO = 0x10, 0x20
"""Of a changed sum: addresses are part of it where the card adds it up; none stays none."""
_QUESTION: Final = -64
"""Place on the stack of what is asked about the route: struct bpf_fib_lookup."""
_Q_PROTOCOL, _Q_PORTS, _Q_LENGTH, _Q_INTERFACE, _Q_CLASS = 1, 2, 6, 8, 12
_Q_SOURCE, _Q_TARGET, _Q_OUR_MAC, _Q_ITS_MAC = 16, 32, 52, 58
_SLOT: Final = -72
_VIA: Final = -96
_NEW_PORTS, _NEW_MARK, _SUM, _PORTS_SUM, _CLASS = -100, -104, -108, -112, -116
_PRIORITIES: Final = (0, 0, 0, 0, 2, 2, 2, 2, 6, 6, 6, 6, 4, 4, 4, 4)
"""A forwarded packet's priority by bits 1 to 4 of its traffic class (`ip_tos2prio`)."""


def shortcut(arrays: dict[int, int], exits: Sequence[int], dscp: int) -> bytes:
    """Return the program.

    `arrays` has the descriptors of both IP versions' slots, `exits` the interfaces that packets
    may leave by, `dscp` is what they are marked with.
    """
    return assemble(_steps(arrays, exits, dscp))


def _steps(arrays: dict[int, int], exits: Sequence[int], dscp: int) -> Iterator[Step]:
    yield move(R6, R1)
    yield load(WORD, R7, R6, _DATA)
    yield load(WORD, R8, R6, _END)
    yield move(R2, R7)
    yield change(ADD, R2, _ETHERNET)
    yield jump_if(R2, ABOVE, R8, "not ours")
    yield load(HALF, R3, R7, 12)
    for version in arrays:
        yield jump_if(R3, EQUAL, _TYPES[version], f"version {version}")
    yield jump("not ours")
    for version, array in arrays.items():
        yield here(f"version {version}")
        yield from _Version(version).steps(array, exits, dscp)
    yield here("not ours")
    yield move(R0, NEXT)
    yield leave()
    yield here("spoilt")
    yield move(R0, DROP)
    yield leave()


class _Version:
    """The program for one IP version."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.slot: Layout = LAYOUTS[version]
        self.udp = _ETHERNET + _HEADERS[version]
        """Where the UDP header begins, and so the others' sizes."""
        self.source = _ETHERNET + (12 if version == 4 else 8)
        self.target = self.source + self.slot.address
        self.hops = _ETHERNET + (8 if version == 4 else 7)
        self.word = WORD if version == 4 else DOUBLE
        self.parts = (0,) if version == 4 else (0, 8)
        """An address is compared and copied in so many words."""

    def steps(self, array: int, exits: Sequence[int], dscp: int) -> Iterator[Step]:
        yield from self._find(array)
        yield from self._check()
        yield from self._take(dscp)
        yield from self._route()
        yield from self._leaves_by(exits)
        yield from self._write(dscp)
        yield from self._count()
        yield from self._note()
        yield from self._write_sums()
        yield load(WORD, R1, STACK, _QUESTION + _Q_INTERFACE)
        yield move(R2, 0)
        yield call(_REDIRECT)
        yield leave()

    def _find(self, array: int) -> Iterator[Step]:
        """Find the slot of whole UDP packets by our port, and compare all it says of the sender."""
        yield move(R2, R7)
        yield change(ADD, R2, self.udp + 8 + 12)
        yield jump_if(R2, ABOVE, R8, "not ours")
        yield from self._is_whole()
        yield load(HALF, R2, R7, self.udp + 2)
        yield swap_half(R2)
        yield jump_if(R2, ANY_BIT, 1, "not ours")
        yield change(SHIFT_RIGHT, R2, 1)
        yield store(WORD, STACK, _SLOT, R2)
        yield from map_at(R1, array)
        yield move(R2, STACK)
        yield change(ADD, R2, _SLOT)
        yield call(_LOOK_UP)
        yield jump_if(R0, EQUAL, 0, "not ours")
        yield move(R9, R0)
        # The generation first: were it read later, a slot might change before.
        yield load(WORD, R8, R9, self.slot.generation)
        yield load(WORD, R2, R7, self.udp)
        yield load(WORD, R3, R9, self.slot.ends)
        yield jump_if(R2, UNEQUAL, R3, "not ours")
        for at, held in ((self.source, self.slot.source), (self.target, self.slot.local)):
            for part in self.parts:
                yield load(self.word, R2, R7, at + part)
                yield load(self.word, R3, R9, held + part)
                yield jump_if(R2, UNEQUAL, R3, "not ours")

    def _is_whole(self) -> Iterator[Step]:
        if self.version == 6:
            yield load(BYTE, R2, R7, _ETHERNET + 6)
            yield jump_if(R2, UNEQUAL, _UDP, "not ours")
            return
        yield load(BYTE, R2, R7, _ETHERNET)
        yield jump_if(R2, UNEQUAL, 0x45, "not ours")
        yield load(BYTE, R2, R7, _ETHERNET + 9)
        yield jump_if(R2, UNEQUAL, _UDP, "not ours")
        yield load(HALF, R2, R7, _ETHERNET + 6)
        yield jump_if(R2, ANY_BIT, 0xFF3F, "not ours")

    def _check(self) -> Iterator[Step]:
        """Leave to the rules what is not plain RTP, alone in its frame and on its way to us."""
        yield load(HALF, R2, R7, self.udp + 4)
        yield swap_half(R2)
        yield load(HALF, R3, R7, _ETHERNET + (2 if self.version == 4 else 4))
        yield swap_half(R3)
        if self.version == 6:
            yield jump_if(R2, UNEQUAL, R3, "not ours")
            yield change(ADD, R3, 40)
        else:
            yield change(ADD, R2, 20)
            yield jump_if(R2, UNEQUAL, R3, "not ours")
        yield move(R4, R3)
        yield change(ADD, R4, _ETHERNET)
        yield load(WORD, R2, R6, _LENGTH)
        yield jump_if(R2, UNEQUAL, R4, "not ours")
        yield load(BYTE, R2, R7, self.hops)
        yield change(AND, R2, 0xFE)
        yield jump_if(R2, EQUAL, 0, "not ours")
        yield load(BYTE, R2, R7, self.udp + 8)
        yield change(AND, R2, 0xC0)
        yield jump_if(R2, UNEQUAL, 0x80, "not ours")
        yield load(BYTE, R2, R7, self.udp + 9)
        yield change(AND, R2, 0xE0)
        yield jump_if(R2, EQUAL, 0xC0, "not ours")
        yield load(HALF, R2, R7, self.udp + 10)
        yield swap_half(R2)
        yield change(AND, R2, KERNEL_PERIOD - 1)
        yield jump_if(R2, EQUAL, _BY_RULES, "not ours")
        for fact in (_KIND, _TAGGED, _SEGMENT):
            yield load(WORD, R2, R6, fact)
            yield jump_if(R2, UNEQUAL, 0, "not ours")

    def _take(self, dscp: int) -> Iterator[Step]:
        """Copy what the slot says and ask for the route of it, unless it has changed meanwhile."""
        for at in range(_QUESTION, 0, 8):
            yield store(DOUBLE, STACK, at, 0)
        yield store(BYTE, STACK, _QUESTION, _FAMILIES[self.version])
        yield store(BYTE, STACK, _QUESTION + _Q_PROTOCOL, _UDP)
        yield store(HALF, STACK, _QUESTION + _Q_LENGTH, R3)
        yield load(WORD, R2, R6, _INTERFACE)
        yield store(WORD, STACK, _QUESTION + _Q_INTERFACE, R2)
        for part in self.parts:
            yield load(self.word, R2, R9, self.slot.source + part)
            yield store(self.word, STACK, _QUESTION + _Q_SOURCE + part, R2)
            yield load(self.word, R2, R9, self.slot.target + part)
            yield store(self.word, STACK, _QUESTION + _Q_TARGET + part, R2)
            yield load(self.word, R2, R9, self.slot.via + part)
            yield store(self.word, STACK, _VIA + part, R2)
        for held, at in (
            (self.slot.ports, _NEW_PORTS),
            (self.slot.mark, _NEW_MARK),
            (self.slot.sum, _SUM),
            (self.slot.ports_sum, _PORTS_SUM),
        ):
            yield load(WORD, R2, R9, held)
            yield store(WORD, STACK, at, R2)
        yield load(WORD, R2, R9, self.slot.generation)
        yield jump_if(R2, UNEQUAL, R8, "not ours")
        for at in (0, 2):
            yield load(HALF, R2, STACK, _NEW_PORTS + at)
            yield store(HALF, STACK, _QUESTION + _Q_PORTS + at, R2)
        yield from self._new_class(dscp)

    def _new_class(self, dscp: int) -> Iterator[Step]:
        """Reckon the first two octets of the IP header: our DSCP value, and ECN as it was."""
        keep, value = 0x03FF, (dscp << 2) << 8
        asked = (BYTE, SHIFT_RIGHT, 8)
        if self.version == 6:
            keep, value = 0x3FF0, dscp >> 2 | (dscp & 3) << 14
            asked = (HALF, AND, 0xF00F)
        yield load(HALF, R2, R7, _ETHERNET)
        yield change(AND, R2, keep)
        yield change(OR, R2, value)
        yield store(HALF, STACK, _CLASS, R2)
        size, how, operand = asked
        yield change(how, R2, operand)
        yield store(size, STACK, _QUESTION + _Q_CLASS, R2)

    def _route(self) -> Iterator[Step]:
        yield move(R1, R6)
        yield move(R2, STACK)
        yield change(ADD, R2, _QUESTION)
        yield move(R3, -_QUESTION)
        yield move(R4, 0)
        yield call(_FIND_ROUTE)
        yield jump_if(R0, UNEQUAL, 0, "not ours")

    def _leaves_by(self, exits: Sequence[int]) -> Iterator[Step]:
        known = f"leaves {self.version}"
        yield load(WORD, R2, STACK, _QUESTION + _Q_INTERFACE)
        for interface in exits:
            yield jump_if(R2, EQUAL, interface, known)
        yield jump("not ours")
        yield here(known)

    def _write(self, dscp: int) -> Iterator[Step]:
        """Write all headers but for the sum of UDP."""
        if self.version == 4:
            yield from self._write_sum_4()
        for at, size in ((0, WORD), (4, HALF)):
            for asked, place in ((_Q_ITS_MAC, 0), (_Q_OUR_MAC, 6)):
                yield from self._copy(size, _QUESTION + asked + at, place + at)
        yield from self._copy(HALF, _CLASS, _ETHERNET)
        yield load(BYTE, R2, R7, self.hops)
        yield change(ADD, R2, -1)
        yield store(BYTE, R7, self.hops, R2)
        for part in self.parts:
            yield from self._copy(self.word, _VIA + part, self.source + part)
            yield from self._copy(self.word, _QUESTION + _Q_TARGET + part, self.target + part)
        yield from self._copy(WORD, _NEW_PORTS, self.udp)
        yield load(WORD, R2, STACK, _NEW_MARK)
        yield store(WORD, R6, _MARK, R2)
        yield move(R2, _PRIORITIES[dscp >> 1 & 0xF] if self.version == 4 else 0)
        yield store(WORD, R6, _PRIORITY, R2)

    def _copy(self, size: int, stack: int, packet: int) -> Iterator[Step]:
        """Copy in halves where the stack's place is not whole: the kernel asks for that."""
        step = {BYTE: 1, HALF: 2, WORD: 4, DOUBLE: 8}[size]
        small = HALF if stack % step else size
        for at in range(0, step, {HALF: 2}.get(small, step)):
            yield load(small, R2, STACK, stack + at)
            yield store(small, R7, packet + at, R2)

    def _write_sum_4(self) -> Iterator[Step]:
        """Add to the header's sum what its class, its hops and its addresses change (RFC 1624)."""
        yield load(HALF, R2, R7, _ETHERNET + 10)
        yield change(XOR, R2, 0xFFFF)
        yield load(WORD, R3, STACK, _SUM)
        yield change(ADD, R2, R3)
        yield load(HALF, R3, R7, _ETHERNET)
        yield change(XOR, R3, 0xFFFF)
        yield change(ADD, R2, R3)
        yield load(HALF, R3, STACK, _CLASS)
        yield change(ADD, R2, R3)
        # One hop less is one less in the low octet of its word; its complement is added.
        yield change(ADD, R2, 0xFFFF - 1)
        for _ in range(2):
            yield move(R3, R2)
            yield change(SHIFT_RIGHT, R3, 16)
            yield change(AND, R2, 0xFFFF)
            yield change(ADD, R2, R3)
        yield change(XOR, R2, 0xFFFF)
        yield store(HALF, R7, _ETHERNET + 10, R2)

    def _count(self) -> Iterator[Step]:
        yield move(R2, 1)
        yield add_shared(R9, self.slot.packets, R2)
        yield load(HALF, R2, R7, self.udp + 4)
        yield swap_half(R2)
        yield change(ADD, R2, -8)
        yield add_shared(R9, self.slot.octets, R2)

    def _note(self) -> Iterator[Step]:
        """Note the header of a packet in the sample; its stamp goes first and comes last.

        So who reads it knows by two looks at the stamp that all of it is of one packet.
        """
        over, header = f"noted {self.version}", self.udp + 8
        yield load(HALF, R2, R7, header + 2)
        yield swap_half(R2)
        yield move(R3, R2)
        yield change(AND, R3, KERNEL_PERIOD - _BURST)
        yield jump_if(R3, UNEQUAL, 0, over)
        # Its place in the burst, and which of two bursts it is.
        yield move(R3, R2)
        yield change(AND, R3, _BURST - 1)
        yield change(SHIFT_RIGHT, R2, (KERNEL_PERIOD // _BURST).bit_length() - 1)
        yield change(AND, R2, SAMPLES - _BURST)
        yield change(OR, R3, R2)
        yield change(SHIFT_LEFT, R3, SAMPLE.bit_length() - 1)
        yield change(ADD, R9, R3)
        yield call(_TIME)
        yield change(SHIFT_RIGHT, R0, STAMP_SHIFT)
        yield change(OR, R0, 1)
        yield store(WORD, R9, self.slot.samples, 0)
        for at in (0, 4, 8):
            yield load(WORD, R2, R7, header + at)
            yield store(WORD, R9, self.slot.samples + 4 + at, R2)
        yield store(WORD, R9, self.slot.samples, R0)
        yield here(over)

    def _write_sums(self) -> Iterator[Step]:
        """Correct the sum of UDP: ports apart, as a sum that the card will add up has no ports."""
        for at, flags in ((_SUM, _PSEUDO_HEADER | _UNLESS_ZERO), (_PORTS_SUM, _UNLESS_ZERO)):
            yield move(R1, R6)
            yield move(R2, self.udp + 6)
            yield move(R3, 0)
            yield load(WORD, R4, STACK, at)
            yield move(R5, flags)
            yield call(_REPLACE_SUM)
            # A packet whose headers do not fit together would help nobody.
            yield jump_if(R0, UNEQUAL, 0, "spoilt")
