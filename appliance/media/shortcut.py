"""Streams in the short cut's arrays: written and read in memory, without a call of the kernel.

The program may read a slot at any moment, so the ports that make it match are written last and
taken out first, and the number of its generation changes before anything else does: whoever has
read parts of two streams sees two numbers, and leaves the packet to the rules.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from appliance.media import slot
from appliance.media.flow import Flow
from appliance.media.slot import ENTRIES, LAYOUTS, SAMPLE, SAMPLES, STAMP_SHIFT, Layout

NOTHING: Final = (0, 0)
"""No packets, no octets."""
_TICK: Final = (1 << STAMP_SHIFT) * 1e-9
"""Seconds in a unit of a stamp."""
_EARLIER: Final = 1 << 31
"""An age in such units from which on it is no age: the packet came after the clock was read."""


class Sample(NamedTuple):
    """A header that the program has noted."""

    arrival: float
    """Monotonic second."""
    header: bytes


class Tally:
    """What the program counts and notes in one slot: valid until the stream is taken back."""

    __slots__ = ("_counters", "_counts", "_memory", "_samples", "_words")

    def __init__(
        self,
        memory: mmap.mmap,
        words: memoryview,
        counts: memoryview,
        layout: Layout,
        at: int,
    ) -> None:
        self._memory, self._words, self._counts = memory, words, counts
        self._counters = at + layout.packets >> 3
        self._samples = at + layout.samples

    @property
    def packets(self) -> int:
        """Packets so far."""
        return int(self._counts[self._counters])

    @property
    def octets(self) -> int:
        """Octets of UDP payload so far."""
        return int(self._counts[self._counters + 1])

    def samples(self, now: float) -> list[Sample]:
        """Take the headers that came since the last time, in their order; `now` is monotonic."""
        found: list[Sample] = []
        ticks = int(now * 1e9) >> STAMP_SHIFT
        for at in range(self._samples, self._samples + SAMPLES * SAMPLE, SAMPLE):
            stamp = self._words[at >> 2]
            if not stamp:
                continue
            header = self._memory[at + 4 : at + SAMPLE]
            # Another packet has this place meanwhile: it is read the next time.
            if self._words[at >> 2] != stamp:
                continue
            self._words[at >> 2] = 0
            age = ticks - stamp & 0xFFFFFFFF
            found.append(Sample(now - (age * _TICK if age < _EARLIER else 0.0), header))
        found.sort()
        return found


class Slots:
    """The slots of one IP version."""

    def __init__(self, version: int, descriptor: int) -> None:
        """Map them; raises OSError. The descriptor stays the caller's."""
        self._layout = LAYOUTS[version]
        self._memory = mmap.mmap(descriptor, self._layout.size * ENTRIES)
        # What the program must not see half written goes by these, whole words at a time.
        self._words = memoryview(self._memory).cast("I")
        self._counts = memoryview(self._memory).cast("Q")

    def close(self) -> None:
        """Let go; what is in the slots stays."""
        self._words.release()
        self._counts.release()
        self._memory.close()

    def put(self, flow: Flow, mark: int) -> Tally | None:
        """Let a stream take the short cut, its counters going on where it does so already.

        Returns them, None where it has to go by the rules.
        """
        at = self._at(flow)
        if at is None or self._is_anothers(at, flow):
            return None
        if not self._holds(at, flow, mark):
            self._write(at, flow, mark)
        return Tally(self._memory, self._words, self._counts, self._layout, at)

    def _write(self, at: int, flow: Flow, mark: int) -> None:
        layout = self._layout
        self._words[at + layout.ends >> 2] = 0
        generation = at + layout.generation >> 2
        self._words[generation] = (self._words[generation] + 1) & 0xFFFFFFFF
        key, way = slot.key(flow), slot.way(flow, mark)
        self._memory[at : at + len(key)] = key
        self._memory[at + layout.via : at + layout.via + len(way)] = way
        self._counts[at + layout.packets >> 3] = 0
        self._counts[at + layout.octets >> 3] = 0
        for sample in range(SAMPLES):
            self._words[at + layout.samples + sample * SAMPLE >> 2] = 0
        self._words[at + layout.ends >> 2] = slot.ends(flow)

    def take(self, flow: Flow) -> tuple[int, int]:
        """Let a stream go by the rules from now on; returns packets and octets so far."""
        at = self._at(flow)
        if at is None or not self._is_for(at, flow):
            return NOTHING
        self._words[at + self._layout.ends >> 2] = 0
        return self._counted(at)

    def counters(self, flow: Flow) -> tuple[int, int]:
        """Return packets and octets of a stream so far."""
        at = self._at(flow)
        return NOTHING if at is None or not self._is_for(at, flow) else self._counted(at)

    def keep(self, flows: Iterable[Flow]) -> int:
        """Empty all slots but those of these streams; returns how many there were."""
        kept = {self._at(flow) for flow in flows if self.holds(flow)}
        gone = 0
        for at in range(0, self._layout.size * ENTRIES, self._layout.size):
            ends = at + self._layout.ends >> 2
            if self._words[ends] and at not in kept:
                self._words[ends] = 0
                gone += 1
        return gone

    def holds(self, flow: Flow) -> bool:
        """Tell whether packets of this source to this port of ours take the short cut."""
        at = self._at(flow)
        return at is not None and self._is_for(at, flow)

    def _at(self, flow: Flow) -> int | None:
        number = slot.number(flow.local[1])
        return None if number is None else number * self._layout.size

    def _counted(self, at: int) -> tuple[int, int]:
        counts, layout = self._counts, self._layout
        return counts[at + layout.packets >> 3], counts[at + layout.octets >> 3]

    def _is_anothers(self, at: int, flow: Flow) -> bool:
        """Tell whether a port of the same number at another address of ours has the slot."""
        return bool(self._words[at + self._layout.ends >> 2]) and not self._is_for(at, flow)

    def _is_for(self, at: int, flow: Flow) -> bool:
        """Tell whether the slot is for packets of this source to this port of ours."""
        if self._words[at + self._layout.ends >> 2] != slot.ends(flow):
            return False
        key = slot.key(flow)
        return self._memory[at : at + len(key)] == key

    def _holds(self, at: int, flow: Flow, mark: int) -> bool:
        way, begin = slot.way(flow, mark), at + self._layout.via
        return self._is_for(at, flow) and self._memory[begin : begin + len(way)] == way


class Shortcut:
    """The slots of both IP versions; without any, nothing takes the short cut."""

    def __init__(self, arrays: Mapping[int, int]) -> None:
        """Map the arrays with these descriptors, by IP version; raises OSError."""
        self._slots = {version: Slots(version, array) for version, array in arrays.items()}

    def close(self) -> None:
        """Let go; streams go on."""
        for slots in self._slots.values():
            slots.close()
        self._slots.clear()

    def put(self, flow: Flow, mark: int) -> Tally | None:
        """Let a stream of RTP that the rules carry take the short cut; returns what it counts."""
        slots = self._slots.get(flow.version)
        return None if slots is None else slots.put(flow, mark)

    def take(self, flow: Flow) -> tuple[int, int]:
        """Let a stream go by the rules from now on; returns its packets and octets so far."""
        slots = self._slots.get(flow.version)
        return NOTHING if slots is None else slots.take(flow)

    def counters(self, flow: Flow) -> tuple[int, int]:
        """Return packets and octets of a stream that went by the short cut so far."""
        slots = self._slots.get(flow.version)
        return NOTHING if slots is None else slots.counters(flow)

    def keep(self, flows: Iterable[Flow]) -> int:
        """Empty all slots but those of these streams; returns how many there were."""
        by_version: dict[int, list[Flow]] = {}
        for flow in flows:
            by_version.setdefault(flow.version, []).append(flow)
        return sum(slots.keep(by_version.get(key, [])) for key, slots in self._slots.items())


def written(arrays: Mapping[int, int]) -> str:
    """Return descriptors as a word for a worker's command line."""
    return ",".join(f"{version}:{array}" for version, array in arrays.items())


def read(word: str) -> dict[int, int]:
    """Read what `written` returns."""
    pairs = (pair.split(":") for pair in word.split(",") if pair)
    return {int(version): int(array) for version, array in pairs}


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
