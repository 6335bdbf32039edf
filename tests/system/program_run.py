"""A program of the kernel's run over one packet, which goes nowhere (BPF_PROG_TEST_RUN)."""

from __future__ import annotations

import ctypes
import struct

from appliance.media.bpf import INGRESS, call

_TEST_RUN, _QUERY = 10, 16
_CONTEXT_SIZE = 192
_INTERFACE, _SEGMENT = 40, 176
"""Places in struct __sk_buff."""


def run(program: int, packet: bytes, interface: int, segment: int = 0) -> tuple[int, bytes]:
    """Give what the program returns for a packet that this interface has, and the packet after."""
    given = ctypes.create_string_buffer(packet, len(packet))
    after = ctypes.create_string_buffer(len(packet) + 64)
    facts = bytearray(_CONTEXT_SIZE)
    struct.pack_into("=I", facts, _INTERFACE, interface)
    struct.pack_into("=I", facts, _SEGMENT, segment)
    context = ctypes.create_string_buffer(bytes(facts), len(facts))
    head = struct.pack("=4I", program, 0, len(packet), len(after))
    places = struct.pack("=QQ", ctypes.addressof(given), ctypes.addressof(after))
    about = struct.pack("=4IQQ", 1, 0, len(context), 0, ctypes.addressof(context), 0)
    attributes = ctypes.create_string_buffer(head + places + about + bytes(16))
    call(_TEST_RUN, attributes)
    returned, _, size = struct.unpack_from("=iII", attributes, 4)
    return returned, after.raw[:size]


def programs_on(interface: int) -> int:
    """Give how many programs see what an interface of this namespace receives."""
    attributes = ctypes.create_string_buffer(struct.pack("=II120x", interface, INGRESS))
    call(_QUERY, attributes)
    return int(struct.unpack_from("=I", attributes, 24)[0])
