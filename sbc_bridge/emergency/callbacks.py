"""Who is called back on which number after a call for help, and for how long (E7).

An entry is written before the INVITE leaves, so that no crash can cost the way back. Expiry goes
by the monotonic clock: a clock that is set changes nothing. After a reboot the store says how much
time has passed (`ports.Restored.offset`); where the wall clock had stood still it says none, so an
entry may live too long, and never too short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf

import msgspec

from appliance.call.actions import Action, DropCallback, Notice, SaveCallback
from appliance.call.emergency import HelpCaller
from appliance.sip.flow import Flow
from appliance.sip.timers import TimerQueue

CAPACITY = 1000
"""Entries at a time, 0.5 MB: anybody on the site may call for help, and nobody has to prove it."""

_pack = msgspec.msgpack.Encoder().encode


class Callback(msgspec.Struct, frozen=True, array_like=True):
    """One caller who is called back on a number; also the row that `SaveCallback` writes."""

    call_id: str
    number: str
    """E.164, as it was shown."""
    extension: str
    """Empty: nobody knows whose phone it is."""
    name: str
    proved: bool
    """Whether the phone proved to be the extension's."""
    contact: str
    """Where the phone that called takes calls."""
    flow: Flow
    began: float
    """Monotonic seconds."""
    until: float
    """Monotonic seconds."""
    location: str = ""
    """Id of the location; empty: nobody knows."""

    @property
    def phone(self) -> tuple[str, str]:
        """Return what tells callers apart."""
        return self.extension, self.contact


class Callbacks:
    """Keep the entries of a site; they outlive bundles and processes."""

    def __init__(self, timers: TimerQueue, emit: Callable[[Action], None]) -> None:
        self._timers = timers
        self._emit = emit
        self._entries: dict[str, Callback] = {}
        """By call, the oldest first."""

    def __len__(self) -> int:
        return len(self._entries)

    def restore(self, rows: Iterable[bytes], offset: float, now: float) -> None:
        """Take back what `SaveCallback` wrote; what has expired meanwhile is forgotten."""
        for row in rows:
            try:
                found = msgspec.msgpack.decode(row, type=Callback)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            length = found.until - found.began
            # Whatever the clocks say, nothing lives longer than it was meant to from now on.
            until = min(found.until + offset, now + length)
            moved = msgspec.structs.replace(
                found, began=until - length, until=until, flow=found.flow.gone
            )
            if moved.until <= now:
                self._emit(DropCallback(moved.call_id))
            else:
                self._keep(moved)
                if offset:  # its times are of a clock that is no more
                    self._emit(SaveCallback(moved.call_id, _pack(moved)))

    def remember(
        self, caller: HelpCaller, number: str, location: str, seconds: float, now: float
    ) -> Callback:
        """Let a number lead back to a caller; it is on the disk before anything else happens."""
        user = caller.user
        entry = Callback(
            call_id=caller.call_id,
            number=number,
            extension=caller.extension,
            name=user.name if user is not None else "",
            proved=caller.proved,
            contact=caller.contact,
            flow=caller.flow,
            began=now,
            until=now + seconds,
            location=location,
        )
        self._make_room()
        self._keep(entry)
        self._emit(SaveCallback(entry.call_id, _pack(entry)))
        return entry

    def leads_back(self, number: str) -> bool:
        """Tell whether somebody is called back on a number."""
        return any(entry.number == number for entry in self._entries.values())

    def callers(self, number: str, now: float) -> list[Callback]:
        """Return who is called back on a number, each phone once, the latest first."""
        found: dict[tuple[str, str], Callback] = {}
        for entry in reversed(self._entries.values()):
            if entry.number == number and entry.until > now:
                found.setdefault(entry.phone, entry)
        return list(found.values())

    def lend(self, pool: tuple[str, ...], caller: HelpCaller, now: float) -> str:
        """Return the number of the pool for a caller: its own of before, a free one, or the oldest.

        Empty: the pool has none. What is lent to two leads to both.
        """
        live = [entry for entry in self._entries.values() if entry.until > now]
        since: dict[str, float] = dict.fromkeys(pool, -inf)
        for entry in live:
            if entry.number in since:
                if entry.phone == (caller.extension, caller.contact):
                    return entry.number
                since[entry.number] = max(since[entry.number], entry.began)
        return min(pool, key=lambda number: since[number], default="")

    def all(self, now: float) -> list[Callback]:
        """Return every entry in force, the latest first."""
        return [entry for entry in reversed(self._entries.values()) if entry.until > now]

    def _keep(self, entry: Callback) -> None:
        self._entries[entry.call_id] = entry
        self._timers.arm(entry.until, lambda now: self._expire(entry, now))

    def _expire(self, entry: Callback, now: float) -> None:
        if self._entries.get(entry.call_id) is entry:
            del self._entries[entry.call_id]
            self._emit(DropCallback(entry.call_id))

    def _make_room(self) -> None:
        if len(self._entries) < CAPACITY:
            return
        oldest = next(iter(self._entries.values()))
        del self._entries[oldest.call_id]
        self._emit(DropCallback(oldest.call_id))
        text = f"{CAPACITY} calls for help are to be called back: the oldest is forgotten"
        self._emit(Notice("alarm", "emergency.callbacks_full", text))
