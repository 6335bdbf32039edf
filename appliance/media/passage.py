"""Whether what the kernel takes in to relay leaves this machine again, by readings of counters.

A rule of somebody else's for forwarded packets (container engines and firewalls like to drop them
all) or a filter of the routing code would silence a call that we believe to be well.
"""

from __future__ import annotations

from typing import Final

FEWEST: Final = 25
"""Packets between two readings from which on there is something to judge: half a second of one
stream. At least half of them must have left; what is lost otherwise is far less."""


class Passage:
    """Packets in and out between readings, for each address of ours that phones see."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._came: dict[int, int] = {}
        """By slot, of flows that were in the reading before as well."""
        self._left: dict[int, int] = {}
        self.suspected: set[int] = set()
        """Slots whose last reading was bad. One may be so where we were stopped between reading
        what came and reading what left; two are not."""
        self.proven: set[int] = set()
        """Slots whose packets have been seen to leave."""

    def begin(self) -> None:
        """Note that all counters are read anew."""
        self._before, self._now = self._now, {}
        self._came = {}

    def taken(self, slot: int, flow: int, packets: int) -> None:
        """Take the counter of a flow, named by its mark; before the slots of this reading."""
        known = self._now.get(flow, self._before.get(flow, packets))
        self._now[flow] = packets
        self._came[slot] = self._came.get(slot, 0) + max(0, packets - known)

    def blocks(self, slot: int, packets: int) -> bool:
        """Take how many packets have left by a slot; True where twice what came did not leave."""
        left = packets - self._left.get(slot, packets)
        is_known = slot in self._left and left >= 0
        self._left[slot] = packets
        came = self._came.pop(slot, 0)
        if left > 0:
            self.proven.add(slot)
        if not is_known or came < FEWEST:
            return False
        if 2 * left >= came:
            self.suspected.discard(slot)
            return False
        was_suspected = slot in self.suspected
        self.suspected.add(slot)
        return was_suspected
