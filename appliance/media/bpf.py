"""The kernel's bpf(2): arrays, programs and where they are attached, as descriptors.

The call has no name in the C library, nor a module in Python's. Its structures are those of
linux/bpf.h; what is not written here is zero, which the kernel takes for absent.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from typing import Any, Final

_ARRAY: Final = 2
_CLASSIFIER: Final = 3
"""BPF_PROG_TYPE_SCHED_CLS: sees a packet with its Ethernet header, and may send it elsewhere."""
INGRESS: Final = 46
"""BPF_TCX_INGRESS: what an interface has received, before anything else of the kernel's has it;
since Linux 6.6."""
_MAPPABLE: Final = 1 << 10
_MAP_CREATE, _PROG_LOAD, _LINK_CREATE, _LINK_DETACH = 0, 5, 28, 34
_NUMBER: Final = 321
"""Of the call on x86-64."""
_libc = ctypes.CDLL(None, use_errno=True)


def is_known() -> bool:
    """Tell whether we can speak to this machine's kernel.

    What we write into maps is read in the same order by programs on x86 only; elsewhere both would
    need barriers.
    """
    return platform.machine() == "x86_64"


def create_array(name: str, size: int, entries: int) -> int:
    """Make an array of so many values of `size` octets that can be mapped into memory.

    Returns its descriptor; raises OSError.
    """
    facts = (_ARRAY, 4, size, entries, _MAPPABLE)
    return bpf(_MAP_CREATE, struct.pack("=5I8x16s", *facts, _name(name)))


def load_program(name: str, program: bytes, log: Any = None) -> int:
    """Have a program checked and translated; returns its descriptor, raises OSError.

    It is told to be under the GPL: the kernel gives its route look-up to no other. A `log`, made by
    `ctypes.create_string_buffer`, gets what the kernel has found.
    """
    code, terms = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    where = ctypes.addressof(code), ctypes.addressof(terms)
    wish = (0, 0, 0) if log is None else (1, len(log), ctypes.addressof(log))
    begin = struct.pack("=IIQQIIQ", _CLASSIFIER, len(program) // 8, *where, *wish)
    return bpf(_PROG_LOAD, begin + struct.pack("=II16sII", 0, 0, _name(name), 0, INGRESS))


def attach(program: int, interface: int) -> int:
    """Let a program see what an interface receives, after those that are there already.

    Returns the descriptor that keeps it there; raises OSError.
    """
    return bpf(_LINK_CREATE, struct.pack("=4I16x", program, interface, INGRESS, 0))


def detach(link: int) -> None:
    """Take a program off its interface, whoever else holds the link; raises OSError."""
    bpf(_LINK_DETACH, struct.pack("=I", link))


def bpf(command: int, attributes: bytes) -> int:
    """Do one command; raises OSError."""
    return call(command, ctypes.create_string_buffer(attributes, len(attributes)))


def call(command: int, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """Do one command, whose answer may be in its attributes then; raises OSError."""
    done: int = _libc.syscall(_NUMBER, command, attributes, len(attributes))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done


def _name(name: str) -> bytes:
    return name.encode()[:15]
