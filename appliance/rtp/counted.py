"""Exact counts of packets beside sequence numbers, where the two are not read at one moment.

The kernel counts every packet, and somebody reads its counter now and then. What number the stream
was at then is found between the sampled packets before and after, so two readings tell the loss
between them to a packet or two however far apart they are.
"""

from __future__ import annotations

UNEVEN = 0.05
"""Seconds by which packets may come earlier or later than their numbers say; more is a silence, and
nobody knows where in it the counter was read."""
FEWEST = 200
"""Packets between two readings that are compared: one or two of error must not make 1 %."""


class CountedStream:
    """What readings of a counter tell of one piece of a stream."""

    __slots__ = ("_first", "_last", "_reading")

    def __init__(self) -> None:
        self._reading: tuple[float, int] | None = None
        """Second and count of a reading that has no place yet."""
        self._first: tuple[float, int] | None = None
        """Sequence number and count of the first reading that has one."""
        self._last: tuple[float, int] | None = None

    def read(self, count: int, now: float) -> None:
        """Take a reading of the counter."""
        self._reading = (now, count)

    def passed(
        self, before: tuple[int, float], after: tuple[int, float], packet_time: float
    ) -> float | None:
        """Place the last reading between two packets, each a number and its second of arrival.

        Returns the loss since the reading before, 0 to 1, where it can be told.
        """
        if self._reading is None or after[1] < self._reading[0]:
            return None
        (then, count), self._reading = self._reading, None
        number, seconds = after[0] - before[0], after[1] - before[1]
        is_even = abs(seconds - number * packet_time) <= UNEVEN
        if then < before[1] or seconds <= 0 or not is_even:
            return None
        return self._place(before[0] + number * (then - before[1]) / seconds, count)

    @property
    def received(self) -> float | None:
        """The share of packets that came, 0 to 1; None: not known yet."""
        if self._first is None or self._last is None:
            return None
        span = self._last[0] - self._first[0]
        return (self._last[1] - self._first[1]) / span if span >= FEWEST else None

    def _place(self, number: float, count: int) -> float | None:
        last = self._last
        if last is None:
            self._first = self._last = (number, count)
            return None
        if number - last[0] < FEWEST:
            return None
        self._last = (number, count)
        return min(max(1 - (count - last[1]) / (number - last[0]), 0.0), 1.0)
