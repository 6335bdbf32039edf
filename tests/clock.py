"""Virtual time: nothing waits, everything happens in order."""

from __future__ import annotations

from typing import Protocol


class Timed(Protocol):
    """Something with timers: a `TimerQueue`, or a whole core."""

    def deadline(self) -> float | None: ...

    def expire(self, now: float) -> object: ...


class Clock:
    """One time for all who watch it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self._timed: list[Timed] = []

    def drive(self, timed: Timed) -> None:
        """Call `timed.expire` whenever its deadline has come."""
        self._timed.append(timed)

    def deadline(self) -> float | None:
        """Return when the next of all timers is due."""
        deadlines = [timed.deadline() for timed in self._timed]
        return min((when for when in deadlines if when is not None), default=None)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, timer by timer; raise AssertionError if time stands still."""
        end = self.now + seconds
        for _ in range(1_000_000):
            due = self.deadline()
            if due is None or due > end:
                self.now = end
                return
            self.now = max(self.now, due)
            for timed in self._timed:
                timed.expire(self.now)
        raise AssertionError(f"a million timers fired before {end}: one arms itself at once")

    def run_out(self, limit: float = 1e6) -> None:
        """Let time pass until nothing waits any more."""
        end = self.now + limit
        while (due := self.deadline()) is not None and due <= end:
            self.advance(max(0.0, due - self.now))
