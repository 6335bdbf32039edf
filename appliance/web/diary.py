"""The zones' last 24 hours in slots of five minutes: how many answered, and how fast."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from appliance.errors import LocalError, Unavailable
from appliance.ports import Commands

log = logging.getLogger("holdfast.diary")

SLOT = 300
"""Seconds of one slot."""
SLOTS = 288
"""Slots in 24 hours."""
LOOK_EVERY = 60.0
"""Seconds between two looks; core remembers the last 120 answers of a zone, ten minutes' worth."""
ZONES_LIMIT = 32
"""Zones that are remembered; those a bundle no longer has give way when their day is over."""


class Slot(msgspec.Struct, kw_only=True):
    """What one zone did in five minutes."""

    zone: str
    slot: int
    """Unix seconds of its begin divided by `SLOT`."""
    asked: int = 0
    answered: int = 0
    total: float = 0.0
    """Sum of the round trips, seconds."""
    longest: float = 0.0


class SlotStore(Protocol):
    """Keeps slots; raises Unavailable."""

    async def slots(self, since: int) -> Sequence[bytes]:
        """Return rows from this slot on."""
        ...

    async def put_slots(self, rows: Sequence[tuple[str, int, bytes]], oldest: int) -> None:
        """Write rows and forget those before `oldest`."""
        ...


class Diary:
    """Follow the zones; `ribbon` shows a day."""

    def __init__(
        self, core: Commands, store: SlotStore, wall: Callable[[], float] = time.time
    ) -> None:
        self._core = core
        self._store = store
        self._wall = wall
        self._slots: dict[tuple[str, int], Slot] = {}
        self._seen: dict[str, float] = {}
        """Time of the last sample taken, by zone."""
        self._changed: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Look at every minute until cancelled."""
        await self.begin()
        while True:
            try:
                self.take(await self._core.call("zones"))
                await self.save()
            except (Unavailable, LocalError) as error:
                log.debug("%s", error)
            await asyncio.sleep(LOOK_EVERY)

    async def begin(self) -> None:
        """Read what the last process wrote; without it the day begins empty."""
        try:
            rows = await self._store.slots(self._oldest())
            found = [msgspec.msgpack.decode(row, type=Slot) for row in rows]
        except (Unavailable, msgspec.MsgspecError) as error:
            log.warning("the zones' last day is not known: %s", error)
            return
        self._slots = {(slot.zone, slot.slot): slot for slot in found}
        for slot in found:
            # The rest of a slot that was begun would be counted twice: leave it.
            self._seen[slot.zone] = max(self._seen.get(slot.zone, 0.0), (slot.slot + 1) * SLOT)

    def take(self, zones: Sequence[dict[str, Any]]) -> None:
        """Add the samples that are new."""
        for zone in zones[:ZONES_LIMIT]:
            name = zone["id"]
            for sample in zone["history"]:
                if sample["at"] > self._seen.get(name, 0.0):
                    self._add(name, sample["at"], sample["rtt"])
        oldest = self._oldest()
        self._slots = {key: slot for key, slot in self._slots.items() if slot.slot >= oldest}

    def _add(self, zone: str, at: float, rtt: float | None) -> None:
        key = zone, int(at // SLOT)
        slot = self._slots.setdefault(key, Slot(zone=zone, slot=key[1]))
        slot.asked += 1
        if rtt is not None:
            slot.answered += 1
            slot.total += rtt
            slot.longest = max(slot.longest, rtt)
        self._seen[zone] = at
        self._changed.add(key)

    async def save(self) -> None:
        """Write what is new; raises Unavailable, and then it is tried again with the next."""
        live = [self._slots[key] for key in self._changed if key in self._slots]
        rows = [(slot.zone, slot.slot, msgspec.msgpack.encode(slot)) for slot in live]
        if rows:
            await self._store.put_slots(rows, self._oldest())
        self._changed.clear()

    def ribbon(self, zone: str) -> list[dict[str, Any]]:
        """Return 24 hours of a zone, the oldest slot first; slots nobody looked at have no `share`.

        `share` is that of answers, 0 to 1; `rtt` the mean and `longest` the longest, seconds.
        """
        last = int(self._wall() // SLOT)
        return [
            _told(number, self._slots.get((zone, number)))
            for number in range(last - SLOTS + 1, last + 1)
        ]

    def _oldest(self) -> int:
        return int(self._wall() // SLOT) - SLOTS


def _told(number: int, slot: Slot | None) -> dict[str, Any]:
    if slot is None or not slot.asked:
        return {"at": number * SLOT, "share": None, "rtt": None, "longest": None}
    mean = slot.total / slot.answered if slot.answered else None
    share = round(slot.answered / slot.asked, 3)
    return {
        "at": number * SLOT,
        "share": share,
        "rtt": mean,
        "longest": slot.longest if slot.answered else None,
    }
