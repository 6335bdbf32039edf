"""Lanes whose packets are read and sent on many at a time, by io_uring.

Half of what a packet costs the relay is in getting into the kernel and out again, twice, and in
Python's way there. Here a round of packets takes two system calls together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from appliance.media.buffer import VIEW
from appliance.media.lane import Lane
from appliance.media.ring import BUFFERED, MORE, NOBODY, SENDING, STRIDE, Completion, Ring

USUAL: Final = BUFFERED | MORE
"""Flags of a packet after which others may come."""
BEGUN_AT_ONCE: Final = 32
"""Sockets read again in one turn; each may have 32 packets at once, and so all buffers."""
_CANCELLING: Final = 16
"""Times we look whether an entry has ended; each look takes 256 packets."""


class Batch:
    """Lanes by socket. What is with the kernel for a socket keeps it open until `remove`."""

    def __init__(self) -> None:
        """Raises OSError where there is no io_uring for us."""
        self._ring = Ring()
        self._lanes: list[Lane | None] = [None]
        """By token; None: nobody's, or leaving."""
        self._descriptors = [-1]
        """By token."""
        self._tokens: dict[int, int] = {}
        """By descriptor."""
        self._leaving: dict[int, Lane | None] = {}
        """By token: whose the packets are that were read before their socket was removed."""
        self._free: list[int] = []
        self._backlog: list[Completion] = []
        self._ended: list[int] = []
        """Tokens whose entry has ended for a reason of its own, to be begun anew."""
        self._spare: list[int] = []
        """Buffers that are to be given back without being sent."""
        self.wake = self._ring.wake
        """Becomes readable, for waiters for edges, when it is time for `turn`."""

    def __len__(self) -> int:
        return len(self._tokens)

    def add(self, descriptor: int, lane: Lane) -> None:
        """Pass on by this lane what comes to a connected socket."""
        if self._free:
            token = self._free.pop()
        else:
            token = len(self._lanes)
            self._lanes.append(None)
            self._descriptors.append(-1)
        self._lanes[token], self._descriptors[token] = lane, descriptor
        self._tokens[descriptor] = token
        self._ring.receive(descriptor, token)
        self._ring.submit()

    def remove(self, descriptor: int, heir: Lane | None) -> None:
        """Let go of a socket; must be called before it is closed.

        What has been read already is handed over to `heir` in the next turn; None: it is lost.
        """
        token = self._tokens.pop(descriptor)
        self._lanes[token], self._descriptors[token], self._leaving[token] = None, -1, heir
        self._ring.cancel(token)
        for _ in range(_CANCELLING):
            self._backlog += self._ring.gather()
            has_ended = any(one == token and not flags & MORE for one, _, flags in self._backlog)
            if has_ended or token in self._ended:
                return

    def turn(self, fail: Callable[[int], None]) -> bool:
        """Pass on what has come, 256 packets or some more; returns whether there was anything.

        Then there may be more. `fail` is told, while the exception is at hand, of a descriptor
        whose lane raised what it must not.
        """
        completions = self._backlog + self._ring.gather()
        if not completions and not self._ended:
            return False
        self._backlog = []
        sent = self._pass_on(completions, fail)
        if sent:
            self._ring.send(sent)
        spare, self._spare = self._spare, []
        self._ring.give_back(spare)
        self._begin_anew()
        return True

    def close(self) -> None:
        """Let go of all sockets; their owners close them."""
        for descriptor in list(self._tokens):
            self.remove(descriptor, None)
        self._ring.close()

    def _pass_on(self, completions: list[Completion], fail: Callable[[int], None]) -> list[int]:
        """Make all packets ready; returns the buffers to send, in this order."""
        sent: list[int] = []
        # All here is local and in line, as in `lane.serve`, and every packet costs 0.7 us here.
        lanes, entries, memory, spare = (
            self._lanes,
            self._ring.entries,
            self._ring.memory,
            self._spare,
        )
        for token, size, flags in completions:
            lane = lanes[token]
            if lane is None or flags & USUAL != USUAL or not lane.outlet:
                self._unusual(token, size, flags, fail)
                continue
            number = flags >> 16
            lane.octets += size
            lane.packets = packets = lane.packets + 1
            try:
                if packets > lane.limit and lane.is_flooded():
                    spare.append(number)
                    continue
                at = number << 3
                entries[at] = lane.outlet
                entries[at + 3] = size | SENDING
                sent.append(number)
                at = number * STRIDE
                if not memory[at + 3] & lane.unwatched:
                    VIEW[:size] = memory[at : at + size]
                    lane.watch(size)
            except Exception:
                if sent[-1:] != [number]:
                    spare.append(number)
                fail(self._descriptors[token])
        return sent

    def _unusual(self, token: int, size: int, flags: int, fail: Callable[[int], None]) -> None:
        """Take a packet that is not sent on by an outlet, an empty one, or the end of an entry."""
        if flags & BUFFERED:
            number = flags >> 16
            VIEW[:size] = self._ring.memory[number * STRIDE : number * STRIDE + size]
            self._spare.append(number)
        if token == NOBODY:
            return
        if size >= 0:
            self._deliver(token, size, fail)
        if flags & MORE:
            return
        if self._lanes[token] is not None:
            # An ICMP error, an empty packet, or all buffers were in use: it goes on.
            self._ended.append(token)
        elif token in self._leaving:
            self._forget(token)

    def _forget(self, token: int) -> None:
        """Let another socket have a token that no completion will bear any more."""
        del self._leaving[token]
        self._free.append(token)

    def _begin_anew(self) -> None:
        """Go on reading where that has ended; not everywhere at once, for want of buffers."""
        ended, self._ended = self._ended[:BEGUN_AT_ONCE], self._ended[BEGUN_AT_ONCE:]
        for token in ended:
            if self._lanes[token] is not None:
                self._ring.receive(self._descriptors[token], token)
            elif token in self._leaving:
                self._forget(token)
        if ended:
            self._ring.submit()

    def _deliver(self, token: int, size: int, fail: Callable[[int], None]) -> None:
        """Give the packet in the buffer to its lane, or to the heir of it."""
        lane, heir = self._lanes[token], self._leaving.get(token)
        try:
            if lane is not None:
                lane.pass_on(size)
            elif heir is not None:
                heir.hand_over(size)
        except Exception:
            fail(self._descriptors[token])
