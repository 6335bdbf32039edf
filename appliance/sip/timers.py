"""SIP's timer values (RFC 3261, table 4) and the one queue every timer of the core waits in."""

from __future__ import annotations

import heapq
from collections.abc import Callable

T1 = 0.5
"""Round-trip time estimate, seconds (RFC 3261, 17.1.1.1)."""
T2 = 4.0
"""Longest interval between retransmissions of non-INVITE requests and INVITE responses."""
T4 = 5.0
"""How long a message may stay in the network."""
TIMEOUT = 64 * T1
"""Timers B, F, H, J, L and M: when a transaction is given up or forgotten."""
TIMER_D = 32.0
"""How long an INVITE client transaction absorbs retransmitted failures over UDP."""

Fire = Callable[[float], None]


class Timer:
    """Remember one thing to do at one time; `cancel` makes it never happen."""

    __slots__ = ("fire", "when")

    def __init__(self, when: float, fire: Fire) -> None:
        self.when = when
        self.fire: Fire | None = fire

    def cancel(self) -> None:
        """Make sure it never fires; harmless when it has fired already."""
        self.fire = None


class TimerQueue:
    """Keep timers in order; whoever owns the clock asks `deadline` and calls `expire`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0

    def __len__(self) -> int:
        return sum(1 for _, _, timer in self._heap if timer.fire is not None)

    def arm(self, when: float, fire: Fire) -> Timer:
        """Call `fire(now)` at `when` (seconds, monotonic)."""
        timer = Timer(when, fire)
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, timer))
        return timer

    def deadline(self) -> float | None:
        """Return the time of the next live timer, or None when nothing waits."""
        heap = self._heap
        while heap and heap[0][2].fire is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def expire(self, now: float) -> None:
        """Fire everything due at `now`, in order; timers armed meanwhile for `now` fire too."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heapq.heappop(heap)[2]
            fire = timer.fire
            if fire is not None:
                timer.fire = None
                fire(now)
