"""The pool of RTP ports; chosen by the core, so that an offer never waits for the media process."""

from __future__ import annotations

from collections import deque


class PortPool:
    """Hand out even UDP ports, each with the odd one above it for RTCP (RFC 3550, section 11)."""

    def __init__(self, first: int, last: int) -> None:
        start = first + first % 2
        self._free: deque[int] = deque(range(start, last, 2))
        self._taken: set[int] = set()
        self._aside: set[int] = set()

    def __len__(self) -> int:
        return len(self._taken)

    @property
    def free(self) -> int:
        """Return how many ports are left."""
        return len(self._free)

    def take(self) -> int | None:
        """Return the port that has been free longest, or None when all are in use."""
        if not self._free:
            return None
        port = self._free.popleft()
        self._taken.add(port)
        return port

    def release(self, port: int) -> None:
        """Give a port back; giving it back twice changes nothing."""
        if port in self._taken:
            self._taken.remove(port)
            self._free.append(port)

    def claim(self, ports: set[int]) -> None:
        """Take exactly these ports: calls of an earlier process use them."""
        self._taken |= ports
        self._free = deque([port for port in self._free if port not in ports])

    def set_aside(self, port: int) -> None:
        """Take a port back that another process holds, and hand it out to nobody for a while."""
        if port in self._taken:
            self._taken.remove(port)
            self._aside.add(port)

    def forgive(self, port: int) -> None:
        """Hand a port out again that was set aside: whoever held it may be gone."""
        if port in self._aside:
            self._aside.remove(port)
            self._free.append(port)
