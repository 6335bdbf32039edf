"""Socket filters (classic BPF): what the kernel drops and counts before it is queued for us."""

from __future__ import annotations

import array
import socket
import struct
import sys
from ipaddress import ip_address
from typing import Final

_SO_ATTACH_FILTER, _SO_DETACH_FILTER, _SO_MEMINFO = 26, 27, 55
"""From asm-generic/socket.h; the socket module does not name them."""
_DROPS = 8
"""Index of the drop counter in what SO_MEMINFO returns (SK_MEMINFO_DROPS)."""
_LOAD_WORD, _LOAD_HALF, _EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
"""BPF_LD|W|ABS, BPF_LD|H|ABS, BPF_JMP|JEQ|K, BPF_RET|K."""
_IP_HEADER = 0xFFF00000
"""SKF_NET_OFF: offsets from here count from the IP header, others from the UDP header."""
_WHOLE = 0xFFFF

Program = list[tuple[int, int, int, int]]
"""Instructions: code, jump if true, jump if false, operand."""

NOTHING: Final[Program] = [(_RETURN, 0, 0, 0)]
"""Keep no packet."""


def only_from(host: str, port: int) -> Program:
    """Return what keeps packets from this address and port."""
    address = ip_address(host)
    first = 12 if address.version == 4 else 8
    words = struct.unpack(f">{len(address.packed) // 4}I", address.packed)
    loads = [(_LOAD_WORD, _IP_HEADER + first + 4 * n, word) for n, word in enumerate(words)]
    loads.append((_LOAD_HALF, 0, port))
    program: Program = []
    for left, (load, offset, value) in zip(range(len(loads), 0, -1), loads, strict=True):
        # On a difference past the tests that are left and the first return.
        program += [(load, 0, 0, offset), (_EQUAL, 0, 2 * left - 1, value)]
    return [*program, (_RETURN, 0, 0, _WHOLE), *NOTHING]


def attach(sock: socket.socket, program: Program) -> None:
    """Let the kernel keep what the program says from now on; what is queued stays."""
    octets = array.array("B", b"".join(struct.pack("HBBI", *step) for step in program))
    # struct sock_fprog; the kernel copies what it points at.
    pointer = struct.pack("HP", len(program), octets.buffer_info()[0])
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, pointer)


def detach(sock: socket.socket) -> None:
    """Let the kernel keep everything."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def drops(sock: socket.socket) -> int:
    """Return how many packets were dropped so far, by filters and for want of room."""
    # Kernels without SO_MEMINFO (before 4.12) are older than anything we run on.
    memory = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 36)
    return int.from_bytes(memory[_DROPS * 4 : _DROPS * 4 + 4], sys.byteorder)
