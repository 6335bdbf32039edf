"""One block of memory, of one size from the start, in which the newest pieces overwrite the oldest.

Small things that come and go at different times leave pages behind that the allocator can give
to nobody. What is put here takes the same octets, however long it has been going on.
"""

from __future__ import annotations

from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap


class Ring:
    """Keep octets until others need their room. A place is valid as long as `holds` says so."""

    def __init__(self, size: int) -> None:
        # Of no file; what has never been written is no memory yet.
        self._block = mmap(-1, size, flags=MAP_PRIVATE | MAP_ANONYMOUS)
        self.size = size
        self._written = 0
        """Octets that were ever put, and those left out at the block's end."""

    def put(self, octets: bytes) -> int:
        """Put at most `size` octets over the oldest, and return their place."""
        at = self._written % self.size
        if at + len(octets) > self.size:
            self._written += self.size - at
            at = 0
        place = self._written
        self._block[at : at + len(octets)] = octets
        self._written += len(octets)
        return place

    def holds(self, place: int) -> bool:
        """Tell whether what was put at this place is still whole."""
        return place >= self._written - self.size

    def get(self, place: int, length: int) -> bytes:
        """Return so many octets of a place that is held."""
        at = place % self.size
        return self._block[at : at + length]
