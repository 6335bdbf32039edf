"""Instructions of eBPF as bytes: what the kernel's little machine of 64-bit registers can do.

Each function returns one step of a program; `assemble` resolves where its jumps lead. Registers 6
to 9 outlast calls, 1 to 5 are what a function is given, 0 is what it returns, 10 ends the stack.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple


class Register(int):
    """A register, so that it is not taken for a number."""


R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, STACK = (Register(number) for number in range(11))
BYTE, HALF, WORD, DOUBLE = 0x10, 0x08, 0x00, 0x18
"""Sizes of what is read or written: 1, 2, 4 and 8 octets."""
ADD, AND, OR, XOR, SHIFT_LEFT, SHIFT_RIGHT, MOVE = 0x00, 0x50, 0x40, 0xA0, 0x60, 0x70, 0xB0
"""What may be done with two values; all are done on 64 bits, without a sign."""
EQUAL, ABOVE, UNEQUAL, ANY_BIT = 0x10, 0x20, 0x50, 0x40
"""Conditions of jumps."""
_JUMP, _CALL, _RETURN = 0x05, 0x85, 0x95
_FROM_REGISTER: Final = 0x08
_MAP: Final = 1
"""In place of a register: the number that follows is the descriptor of a map."""
_STEP: Final = struct.Struct("=BBhi")
Operand = Register | int


class Step(NamedTuple):
    """One instruction, or a place that jumps lead to."""

    code: int = 0
    registers: int = 0
    """The one that is written in the low four bits, the other above."""
    offset: int = 0
    number: int = 0
    goes_to: str = ""
    """The place a jump leads to."""
    place: str = ""
    """Name of this place; then there is no instruction here."""


def load(size: int, into: Register, base: Register, offset: int) -> Step:
    """Read from memory."""
    return Step(0x61 | size, _pair(into, base), offset)


def store(size: int, base: Register, offset: int, value: Operand) -> Step:
    """Write to memory."""
    if isinstance(value, Register):
        return Step(0x63 | size, _pair(base, value), offset)
    return Step(0x62 | size, base, offset, value)


def add_shared(base: Register, offset: int, value: Register) -> Step:
    """Add to eight octets in memory that other processors add to as well."""
    return Step(0xDB, _pair(base, value), offset)


def change(what: int, into: Register, value: Operand) -> Step:
    """Do something with a register and a value, all 64 bits of them."""
    if isinstance(value, Register):
        return Step(0x07 | what | _FROM_REGISTER, _pair(into, value))
    return Step(0x07 | what, into, 0, value)


def move(into: Register, value: Operand) -> Step:
    """Put a value into a register."""
    return change(MOVE, into, value)


def swap_half(register: Register) -> Step:
    """Turn the order of the two lower octets between the network's and ours; the rest is zero."""
    return Step(0xDC, register, 0, 16)


def jump(place: str) -> Step:
    """Go on there."""
    return Step(_JUMP, goes_to=place)


def jump_if(left: Register, condition: int, right: Operand, place: str) -> Step:
    """Go on there where this is so; compares 64 bits."""
    if isinstance(right, Register):
        return Step(_JUMP | condition | _FROM_REGISTER, _pair(left, right), goes_to=place)
    return Step(_JUMP | condition, left, 0, right, goes_to=place)


def map_at(into: Register, descriptor: int) -> tuple[Step, Step]:
    """Put a map into a register."""
    return Step(DOUBLE, _pair(into, Register(_MAP)), 0, descriptor), Step()


def call(function: int) -> Step:
    """Call a function of the kernel by its number."""
    return Step(_CALL, 0, 0, function)


def leave() -> Step:
    """End with what is in register 0."""
    return Step(_RETURN)


def here(place: str) -> Step:
    """Name this place."""
    return Step(place=place)


def assemble(steps: Iterable[Step]) -> bytes:
    """Return the program; raises KeyError for a jump to nowhere."""
    program = list(steps)
    places: dict[str, int] = {}
    at = 0
    for step in program:
        if step.place:
            places[step.place] = at
        else:
            at += 1
    instructions = [step for step in program if not step.place]
    parts = []
    for number, step in enumerate(instructions):
        offset = places[step.goes_to] - number - 1 if step.goes_to else step.offset
        parts.append(_STEP.pack(step.code, step.registers, offset, step.number))
    return b"".join(parts)


def _pair(low: Register, high: Register) -> int:
    return low | high << 4
