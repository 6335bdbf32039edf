"""The kernel's machine for filters of packets, as far as ours use it (linux/filter.h)."""

from __future__ import annotations

import struct

LOADS = {0x20: (4, False), 0x28: (2, False), 0x30: (1, False), 0x48: (2, True)}


def run_filter(program: bytes, packet: bytes) -> int:
    """Return how many octets of a packet pass; beyond the packet's end nothing does."""
    code = list(struct.iter_unpack("=HBBI", program))
    assert len(code) <= 4096
    a = x = at = 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation in LOADS:
            size, indexed = LOADS[operation]
            place = k + (x if indexed else 0)
            if place + size > len(packet):
                return 0
            a = int.from_bytes(packet[place : place + size], "big")
        elif operation == 0xB1:
            x = (packet[k] & 15) * 4
        elif operation == 0x74:
            a >>= k
        elif operation == 0x05:
            at += k
        elif operation == 0x06:
            return int(k)
        else:
            holds = {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[operation]
            at += yes if holds else no
