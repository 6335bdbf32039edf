"""Phones whose connection has ended: what is for them waits until they are back.

Only streams end. A phone on TCP or TLS that lost its connection, because it broke or because we
were started anew, is on another one as soon as it registers or sends a request in its dialog.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from appliance.sip.flow import GONE, Flow
from appliance.sip.timers import TIMEOUT, Timer, TimerQueue

Find = Callable[[str, Flow, str], Flow | None]
"""Return where a phone is now, by its extension, the flow it had and its contact URI."""


class Rider(Protocol):
    """Whatever uses a flow for long; `leg.Leg` fulfils it."""

    flow: Flow


class Reach:
    """Know who uses which stream flow, and who waits for a phone to come back."""

    def __init__(self, timers: TimerQueue, find: Find) -> None:
        self.find = find
        self._timers = timers
        self._riders: dict[Flow, dict[Rider, None]] = {}
        self._waiting: dict[str, list[_Waiting]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._riders.values())) + sum(map(len, self._waiting.values()))

    def join(self, rider: Rider) -> None:
        """Have the rider told when its flow has ended."""
        if rider.flow.reliable:
            self._riders.setdefault(rider.flow, {})[rider] = None

    def leave(self, rider: Rider) -> None:
        """Forget a rider; harmless twice."""
        riders = self._riders.get(rider.flow) if rider.flow.reliable else None
        if riders is not None:
            riders.pop(rider, None)
            if not riders:
                del self._riders[rider.flow]

    def lost(self, flow: Flow) -> None:
        """Take the end of a stream connection."""
        for rider in self._riders.pop(flow, ()):
            rider.flow = flow.gone

    def wait(
        self,
        host: str,
        look: Callable[[], Flow | None],
        found: Callable[[Flow | None, float], None],
        now: float,
    ) -> None:
        """Call `found` once: as soon as `look` finds a flow, or with None after 64*T1."""
        way = look()
        if way is not None:
            found(way, now)
            return
        waiting = _Waiting(look, found)
        self._waiting.setdefault(host, []).append(waiting)
        waiting.timer = self._timers.arm(now + TIMEOUT, lambda now: self._give_up(host, waiting))

    def returned(self, host: str, now: float) -> None:
        """Look again for who waits for a phone at this address: one has been heard from."""
        for waiting in self._waiting.pop(host, ()):
            way = waiting.look()
            if way is None:
                self._waiting.setdefault(host, []).append(waiting)
                continue
            waiting.timer.cancel()
            waiting.found(way, now)

    def _give_up(self, host: str, waiting: _Waiting) -> None:
        others = self._waiting.get(host, [])
        if waiting in others:
            others.remove(waiting)
        if not others:
            self._waiting.pop(host, None)
        waiting.found(None, waiting.timer.when)


class _Waiting:
    __slots__ = ("found", "look", "timer")

    timer: Timer

    def __init__(
        self, look: Callable[[], Flow | None], found: Callable[[Flow | None, float], None]
    ) -> None:
        self.look = look
        self.found = found


def is_gone(flow: Flow) -> bool:
    """Tell whether nothing can be sent on a flow any more."""
    return flow.connection == GONE
