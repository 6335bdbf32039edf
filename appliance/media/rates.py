"""How fast packets come by each flow, by two readings of its counter."""

from __future__ import annotations

from appliance.media.port import PACKETS_PER_SECOND


class Rates:
    """Finds what no phone sends; user space, which has a quota for each port, then carries it."""

    def __init__(self) -> None:
        self._before: dict[int, int] = {}
        self._now: dict[int, int] = {}
        self._read_at: float | None = None
        self._seconds = 0.0

    def begin(self, now: float) -> None:
        """Note the monotonic second at which all counters are read anew."""
        self._seconds = now - self._read_at if self._read_at is not None else 0.0
        self._read_at = now
        # Flows that have ended are in no reading and so are forgotten.
        self._before, self._now = self._now, {}

    def floods(self, mark: int, packets: int) -> bool:
        """Take a flow's counter; True where it has grown faster than any phone sends."""
        self._now[mark] = packets
        grown = packets - self._before.get(mark, packets)
        return self._seconds > 0 and grown > PACKETS_PER_SECOND * self._seconds
