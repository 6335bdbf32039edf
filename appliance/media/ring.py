"""io_uring: the kernel is handed many reads and writes in one call, and tells of many at once.

Two rings in memory that is shared with the kernel: entries that we queue, completions that it
posts. It looks at the one and writes the other only while this process is in `io_uring_enter`
(IORING_SETUP_DEFER_TASKRUN, Linux 6.1), so neither needs a memory barrier here. `gather` returns
what has come; what a socket receives lies in buffers that the kernel takes from a third ring.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import struct
from array import array
from collections.abc import Sequence
from typing import Final

Completion = tuple[int, int, int]
"""Token of the entry, octets or a negative error, and flags: `BUFFERED`, `MORE`, the buffer."""

BUFFERED: Final = 1
"""In a completion's flags: there is a packet in the buffer whose number is in the upper half."""
MORE: Final = 2
"""In a completion's flags: the entry stands, and there will be other completions."""
NOBODY: Final = 0
"""The token of entries whose completion nobody waits for."""
BUFFERS: Final = 1024
"""Packets that may be between receiving and sending: ten rounds of 1,000 calls."""
ROOM: Final = 65536
"""Octets of a buffer: any datagram. Memory is taken where there are packets only."""
STRIDE: Final = ROOM + 320
"""Octets from one buffer to the next; in steps of 64 KiB all would share a few lines of cache."""
AT_ONCE: Final = 256
"""Completions that are enough for once. A call reads 20 sockets (Linux 6.13, before it all), which
may have 32 packets each."""

SENDING: Final = 0x4040 << 32
"""MSG_NOSIGNAL and MSG_DONTWAIT, where an entry has them beside the octets to send."""

_ENTRIES: Final = 2 * BUFFERS
"""The first half are for sending, each for the buffer of its number; the others for the rest."""
_COMPLETIONS: Final = 8 * BUFFERS
_SETUP, _ENTER, _REGISTER = 425, 426, 427
"""System calls, the same on every machine."""
_CQSIZE, _SUBMIT_ALL, _TASKRUN_FLAG = 1 << 3, 1 << 7, 1 << 9
_SINGLE_ISSUER, _DEFER_TASKRUN = 1 << 12, 1 << 13
_TASKRUN: Final = 1 << 2
"""In the flags of the ring of entries: there is more to do."""
_REGISTER_EVENTFD, _REGISTER_BUFFERS = 4, 22
_GETEVENTS: Final = 1
_OFFSET_ENTRIES: Final = 0x10000000
_OP_CANCEL, _OP_SEND, _OP_RECEIVE = 14, 26, 27
_BUFFER_SELECT, _SKIP_SUCCESS = 1 << 5, 1 << 6
_MULTISHOT: Final = 1 << 1
_ENTRY: Final = struct.Struct("=BBHiQQIIQQ16x")
"""struct io_uring_sqe: operation, flags, its own flags, descriptor, offset, address, octets, flags
of the message, token."""
_COMPLETION: Final = struct.Struct("=QiI")
_BUFFER: Final = struct.Struct("=QIHH")
_MASK: Final = 0xFFFFFFFF
_NONE: Final = ctypes.c_size_t(0)
"""The last argument is the only one on the stack, where it is 64 bits wide."""
_PATIENCE: Final = 64
"""Times the kernel may put us off."""
_PASSING: Final = frozenset({errno.EINTR, errno.EAGAIN, errno.EBUSY})
"""What `io_uring_enter` says when it cannot just now."""

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long


def outlet(descriptor: int) -> int:
    """Return the first word of an entry that sends by a connected socket."""
    return _OP_SEND | _SKIP_SUCCESS << 8 | descriptor << 32


class Ring:
    """One io_uring; only the thread that made it may use it."""

    def __init__(self) -> None:
        """Make it; raises OSError where the kernel has none that fits, or does not let us."""
        self._head = self._control = 0
        self._parts: list[mmap.mmap] = []
        self._views: list[memoryview] = []
        given = bytearray(120)
        flags = _CQSIZE | _SUBMIT_ALL | _TASKRUN_FLAG | _SINGLE_ISSUER | _DEFER_TASKRUN
        struct.pack_into("=3I", given, 0, 0, _COMPLETIONS, flags)
        shared = (ctypes.c_char * len(given)).from_buffer(given)
        self._descriptor = _call(_SETUP, _ENTRIES, shared)
        self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        """Becomes readable, for waiters for edges, when there is something to gather."""
        try:
            self._map(given)
            self._lend_buffers()
            event = ctypes.c_int(self.wake)
            _call(_REGISTER, self._descriptor, _REGISTER_EVENTFD, ctypes.byref(event), 1)
        except OSError:
            self.close()
            raise

    def receive(self, descriptor: int, token: int) -> None:
        """Queue to read each packet of a socket, until cancelled or an end without `MORE`."""
        flags = _BUFFER_SELECT
        self._queue(_ENTRY.pack(_OP_RECEIVE, flags, _MULTISHOT, descriptor, 0, 0, 0, 0, token, 0))

    def cancel(self, token: int) -> None:
        """Queue to end the entry of this token; its last completion tells when."""
        self._queue(_ENTRY.pack(_OP_CANCEL, _SKIP_SUCCESS, 0, -1, 0, token, 0, 0, NOBODY, 0))

    def send(self, numbers: Sequence[int]) -> None:
        """Send buffers in this order, and lend them to the kernel again.

        The first word of each one's entry must be an `outlet`, the fourth its octets and `SENDING`.
        """
        self._order(numbers)
        self.submit()
        self.give_back(numbers)

    def submit(self) -> None:
        """Hand over what is queued."""
        self._control = 0
        self._enter(0)

    def give_back(self, numbers: Sequence[int]) -> None:
        """Lend buffers to the kernel again that nobody needs any more."""
        if not numbers:
            return
        lent = b"".join([self._lendable[number] for number in numbers])
        at = (self._lent & BUFFERS - 1) * _BUFFER.size
        first = min(len(lent), len(self._lending) - at)
        self._lending[at : at + first] = lent[:first]
        self._lending[: len(lent) - first] = lent[first:]
        self._lent += len(numbers)
        # The tail is where the first buffer's entry has a field that is not used.
        struct.pack_into("=H", self._lending, 14, self._lent & 0xFFFF)

    def gather(self) -> list[Completion]:
        """Do what is queued and what has come, and return its completions.

        Never by waiting for a number of them, though that takes one call: a wait of no time gives
        the core away all the same, which cost half of the packets 0.2 ms on a busy machine.
        """
        self._control = 0
        found: list[Completion] = []
        while True:
            self._enter(_GETEVENTS)
            self._read(found)
            # There may be more to do although nothing was found: 20 sockets whose packet had been
            # read already. Nobody would wake us again for what is left.
            if len(found) >= AT_ONCE or not self._words[self._flags_at] & _TASKRUN:
                return found

    def _read(self, found: list[Completion]) -> None:
        """Take all completions out of their ring."""
        head, tail = self._head, self._words[self._tail_at]
        while head != tail:
            at = head & _COMPLETIONS - 1
            count = min((tail - head) & _MASK, _COMPLETIONS - at)
            begin = self._completions_at + _COMPLETION.size * at
            found += _COMPLETION.iter_unpack(self._rings[begin : begin + _COMPLETION.size * count])
            head = (head + count) & _MASK
        self._head = self._words[self._head_at] = head

    def close(self) -> None:
        """End everything that is still under way."""
        os.close(self._descriptor)
        os.close(self.wake)
        # Each holds a descriptor of its own, which the ring lives by.
        for view in reversed(self._views):
            view.release()
        for part in self._parts:
            part.close()

    def _map(self, given: bytearray) -> None:
        """Find both rings, the entries and the buffers in memory."""
        _head, tail, _mask, _entries, state, _dropped, order = struct.unpack_from("=7I", given, 40)
        read = struct.unpack_from("=6I", given, 80)
        size = max(order + 4 * _ENTRIES, read[5] + _COMPLETION.size * _COMPLETIONS)
        self._rings = self._shared(size, 0)
        self._words = self._rings[: size // 4 * 4].cast("I")
        self._queue_at, self._order_at, self._flags_at = tail // 4, order // 4, state // 4
        self._head_at, self._tail_at, self._completions_at = read[0] // 4, read[1] // 4, read[5]
        self._head = self._words[self._head_at]
        self._queued_to = self._sent_to = self._words[self._queue_at]
        self._entries = self._shared(_ENTRY.size * _ENTRIES, _OFFSET_ENTRIES)
        self.entries = self._entries.cast("Q")
        """All entries in words of 64 bits, eight each."""
        pages = mmap.mmap(-1, BUFFERS * STRIDE)
        pages.madvise(mmap.MADV_NOHUGEPAGE)
        self.memory = memoryview(pages)
        """All buffers; the one of number n begins at n * STRIDE."""
        self._views += [self.entries, self._words]

    def _shared(self, size: int, offset: int) -> memoryview:
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        part = mmap.mmap(self._descriptor, size, flags=flags, offset=offset)
        view = memoryview(part)
        self._parts.append(part)
        self._views.append(view)
        return view

    def _lend_buffers(self) -> None:
        """Give the kernel all buffers, and each of them its entry for sending."""
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self._lending = memoryview(mmap.mmap(-1, BUFFERS * _BUFFER.size))
        places = [begin + number * STRIDE for number in range(BUFFERS)]
        self._lendable = [_BUFFER.pack(at, ROOM, n, 0) for n, at in enumerate(places)]
        self._lent = 0
        where = ctypes.addressof(ctypes.c_char.from_buffer(self._lending))
        ring = ctypes.create_string_buffer(struct.pack("=QIHH3Q", where, BUFFERS, 0, 0, 0, 0, 0))
        _call(_REGISTER, self._descriptor, _REGISTER_BUFFERS, ring, 1)
        self.give_back(range(BUFFERS))
        for number, at in enumerate(places):
            entry = _ENTRY.pack(_OP_SEND, _SKIP_SUCCESS, 0, 0, 0, at, 0, 0, NOBODY, 0)
            self._entries[_ENTRY.size * number : _ENTRY.size * (number + 1)] = entry

    def _queue(self, entry: bytes) -> None:
        """Queue one of the entries that have no buffer; those before it go first when they must."""
        if self._control == _ENTRIES - BUFFERS:
            self.submit()
        number = BUFFERS + self._control
        self._control += 1
        self._entries[_ENTRY.size * number : _ENTRY.size * (number + 1)] = entry
        self._order((number,))

    def _order(self, numbers: Sequence[int]) -> None:
        """Queue entries by their numbers."""
        at = self._queued_to & _ENTRIES - 1
        first = min(len(numbers), _ENTRIES - at)
        start = self._order_at + at
        self._words[start : start + first] = array("I", numbers[:first])
        left = len(numbers) - first
        self._words[self._order_at : self._order_at + left] = array("I", numbers[first:])
        self._queued_to = (self._queued_to + len(numbers)) & _MASK
        self._words[self._queue_at] = self._queued_to

    def _enter(self, flags: int) -> None:
        """Hand over what is queued, and do what has come if asked; raises OSError if it cannot."""
        for _ in range(_PATIENCE):
            queued = (self._queued_to - self._sent_to) & _MASK
            done = _syscall(_ENTER, self._descriptor, queued, 0, flags, None, _NONE)
            if done < 0 and ctypes.get_errno() not in _PASSING:
                raise _error()
            self._sent_to = (self._sent_to + max(done, 0)) & _MASK
            if self._sent_to == self._queued_to:
                return
        raise _error()


def _call(number: int, *arguments: object) -> int:
    result = int(_syscall(number, *arguments))
    if result < 0:
        raise _error()
    return result


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
