"""What a process knows of its relays in the kernel: their flows, and what these have carried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from appliance.call.record import MediaCounters
from appliance.media.flow import Flow
from appliance.media.shortcut import Sample, Tally

UNREAD: Final = 32
"""Headers at most that wait to be read once their flows have left the short cut."""


@dataclass(frozen=True, slots=True)
class Share:
    """Which relays of the one table are this process's."""

    number: int = 0
    count: int = 1

    def has(self, key: str) -> bool:
        """Tell whether a relay is ours, by the same rule by which requests are handed out."""
        return crc32(key.encode()) % self.count == self.number


@dataclass(slots=True)
class Carried:
    """What the kernel has passed on for one relay."""

    packets: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """By way: RTP and RTCP of side a, then of side b."""
    octets: list[int] = field(default_factory=lambda: [0, 0, 0, 0])

    def counters(self, way: int) -> MediaCounters:
        """Return what came by one way."""
        return MediaCounters(packets=self.packets[way], octets=self.octets[way])

    def plus(self, other: Carried) -> Carried:
        """Return the sums."""
        return Carried(
            [one + two for one, two in zip(self.packets, other.packets, strict=True)],
            [one + two for one, two in zip(self.octets, other.octets, strict=True)],
        )


@dataclass(slots=True)
class Entry:
    """One relay in the kernel."""

    key: str
    number: int
    """In the marks of its flows."""
    revision: int
    asked: dict[int, Flow] = field(default_factory=dict)
    """What the relay could give to a kernel, by way."""
    wanted: dict[int, Flow] = field(default_factory=dict)
    """What of it this kernel can carry now."""
    installed: dict[int, Flow] = field(default_factory=dict)
    now: Carried = field(default_factory=Carried)
    """By the elements that are installed, when last read."""
    past: Carried = field(default_factory=Carried)
    """By elements that were deleted, and by the short cut before it was left."""
    beside: dict[int, Tally] = field(default_factory=dict)
    """What the short cut counts and notes of flows that take it, by way."""
    unread: list[tuple[int, Sample]] = field(default_factory=list)
    """With their way, headers that the short cut had noted of flows that left it."""

    @property
    def carried_beside(self) -> Carried:
        """What has taken the short cut, by flows that still do."""
        beside = Carried()
        for way, tally in self.beside.items():
            beside.packets[way], beside.octets[way] = tally.packets, tally.octets
        return beside

    def leave(self, way: int, now: float) -> None:
        """Look at a flow's slot no more; its headers wait to be read, its counts do not."""
        tally = self.beside.pop(way, None)
        if tally is not None:
            noted = [(way, sample) for sample in tally.samples(now)]
            self.unread = (self.unread + noted)[-UNREAD:]

    def samples(self, now: float) -> list[tuple[int, Sample]]:
        """Take the headers that nobody has read, each with its way; `now` is monotonic."""
        found, self.unread = self.unread, []
        for way, tally in self.beside.items():
            found += [(way, sample) for sample in tally.samples(now)]
        return found
