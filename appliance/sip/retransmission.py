"""What a call repeats by itself: a 2xx until its ACK, a reliable 1xx until its PRACK."""

from __future__ import annotations

from collections.abc import Callable

from appliance.sip.timers import T1, T2, TIMEOUT, TimerQueue


class Retransmission:
    """Call `again` after T1, 2*T1, 4*T1 ..., never more than `longest` apart, until `stop`.

    64*T1 after the beginning it calls `given_up` instead, once. The first sending is the caller's.
    RFC 3261, section 13.3.1.4, wants this of a 2xx on every transport; RFC 3262, section 3, of a
    reliable provisional response, where it sets no longest wait: `longest=math.inf`.
    """

    __slots__ = ("_again", "_given_up", "_longest", "_until", "_wait", "_waiting")

    def __init__(
        self,
        timers: TimerQueue,
        now: float,
        again: Callable[[float], None],
        given_up: Callable[[float], None],
        longest: float = T2,
    ) -> None:
        self._again = again
        self._given_up = given_up
        self._longest = longest
        self._wait = T1
        self._until = timers.arm(now + TIMEOUT, self._give_up)
        self._waiting = timers.arm(now + T1, lambda now: self._repeat(timers, now))

    def stop(self) -> None:
        """End it: the other side has acknowledged, or the call is over. Harmless twice."""
        self._until.cancel()
        self._waiting.cancel()

    def _repeat(self, timers: TimerQueue, now: float) -> None:
        self._wait = min(2 * self._wait, self._longest)
        self._waiting = timers.arm(now + self._wait, lambda now: self._repeat(timers, now))
        self._again(now)

    def _give_up(self, now: float) -> None:
        self._waiting.cancel()
        self._given_up(now)
