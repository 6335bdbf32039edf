# SPDX-License-Identifier: GPL-2.0-only
"""A capture's filter as the kernel runs it (classic BPF), so that nothing else is even copied.

The program sees packets from their IP header on, as a packet socket without link header has them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from netdiag.wanted import Host, Wanted

WHOLE, HEAD = 65_535, 160
"""Octets that are kept of a packet of signalling, and of one of audio: its heads, and RTCP."""
UDP, TCP, FRAGMENT = 17, 6, 44

_LOAD_WORD, _LOAD_HALF, _LOAD_BYTE = 0x20, 0x28, 0x30
_LOAD_HALF_AT_X, _X_OF_HEADER = 0x48, 0xB1
_RIGHT, _JUMP, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _RETURN = (
    *(0x74, 0x05, 0x15, 0x25),
    *(0x35, 0x45, 0x06),
)


class Program:
    """Instructions with labels; a conditional jump is over a long one, so all are in reach."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int | str]] = []
        self._places: dict[str, int] = {}

    def add(self, operation: int, value: int = 0) -> None:
        """Add an instruction that does not jump."""
        self._code.append((operation, 0, 0, value))

    def go(self, label: str) -> None:
        """Jump."""
        self._code.append((_JUMP, 0, 0, label))

    def go_if(self, operation: int, value: int, label: str) -> None:
        """Jump if the accumulator compares so."""
        self._code.append((operation, 0, 1, value))
        self.go(label)

    def mark(self, label: str) -> None:
        """Name this place."""
        self._places[label] = len(self._code)

    def packed(self) -> bytes:
        """Return what the kernel takes: an array of struct sock_filter."""
        return b"".join(
            struct.pack("=HBBI", op, yes, no, self._places[k] - at - 1 if isinstance(k, str) else k)
            for at, (op, yes, no, k) in enumerate(self._code)
        )


def filter_of(wanted: Wanted) -> bytes:
    """Return the program that lets pass what is wanted."""
    program = Program()
    program.add(_LOAD_BYTE, 0)
    program.add(_RIGHT, 4)
    program.go_if(_EQUAL, 4, "four")
    program.go_if(_EQUAL, 6, "six")
    program.go("none")
    _four(program, wanted)
    _six(program, wanted)
    program.mark("none")  # at the end, as every jump is forward
    program.add(_RETURN, 0)
    program.mark("whole")
    program.add(_RETURN, WHOLE)
    program.mark("head")
    program.add(_RETURN, HEAD)
    return program.packed()


def _four(program: Program, wanted: Wanted) -> None:
    program.mark("four")
    _hosts(program, [host for host in wanted.hosts if host.version == 4], wanted, (12, 16), "4")
    program.add(_LOAD_BYTE, 9)
    program.go_if(_EQUAL, UDP, "four udp")
    program.go_if(_EQUAL, TCP, "four tcp")
    program.go("none")
    program.mark("four udp")
    program.add(_LOAD_HALF, 6)
    program.go_if(_ANY_BIT, 0x1FFF, "whole")  # a later fragment: whose, is seen when it is joined
    program.add(_X_OF_HEADER, 0)
    _ports(program, wanted, _LOAD_HALF_AT_X, 0, UDP)
    program.mark("four tcp")
    program.add(_LOAD_HALF, 6)
    program.go_if(_ANY_BIT, 0x1FFF, "none")
    program.add(_X_OF_HEADER, 0)
    _ports(program, wanted, _LOAD_HALF_AT_X, 0, TCP)


def _six(program: Program, wanted: Wanted) -> None:
    program.mark("six")
    _hosts(program, [host for host in wanted.hosts if host.version == 6], wanted, (8, 24), "6")
    program.add(_LOAD_BYTE, 6)
    program.go_if(_EQUAL, FRAGMENT, "whole")
    program.go_if(_EQUAL, UDP, "six udp")
    program.go_if(_EQUAL, TCP, "six tcp")
    program.go("none")
    program.mark("six udp")
    _ports(program, wanted, _LOAD_HALF, 40, UDP)
    program.mark("six tcp")
    _ports(program, wanted, _LOAD_HALF, 40, TCP)


def _hosts(
    program: Program, hosts: list[Host], wanted: Wanted, places: tuple[int, int], name: str
) -> None:
    """Go on with packets from or to one of these; of all, where nobody is named at all."""
    if not wanted.hosts:
        return
    for number, host in enumerate(hosts):
        for place in places:
            other = f"not {name} {number} {place}"
            for offset, word in _words(host):
                program.add(_LOAD_WORD, place + offset)
                program.go_if(_EQUAL, word, f"{other} {offset}")
                program.go(other)
                program.mark(f"{other} {offset}")
            program.go(f"host {name}")
            program.mark(other)
    program.go("none")
    program.mark(f"host {name}")


def _words(host: Host) -> Iterable[tuple[int, int]]:
    octets = host.packed
    size = 4 if isinstance(host, IPv4Address) else 16
    for at in range(0, size, 4):
        yield at, int.from_bytes(octets[at : at + 4], "big")


def _ports(program: Program, wanted: Wanted, load: int, place: int, protocol: int) -> None:
    """Judge by the source port and the destination port."""
    signalling = (*wanted.clear, *(wanted.secure if protocol == TCP else ()))
    for offset in (0, 2):
        program.add(load, place + offset)
        for port in signalling:
            program.go_if(_EQUAL, port, "whole")
    for offset in (0, 2) if protocol == UDP else ():
        program.add(load, place + offset)
        for number, (low, high) in enumerate(wanted.audio):
            beyond = f"{load} {place} {offset} {number}"
            program.go_if(_GREATER, high, beyond)
            program.go_if(_AT_LEAST, low, "head")
            program.mark(beyond)
    program.go("none")
