"""Where tags, branches and Call-IDs come from: injected, so that every test is exact."""

from __future__ import annotations

from typing import Protocol

MAGIC_COOKIE = "z9hG4bK"
"""Every RFC 3261 branch starts with it (section 8.1.1.7)."""


class Identifiers(Protocol):
    """Make names nobody can guess and nobody else has used."""

    def token(self) -> str:
        """Return at least 64 bits of randomness as SIP token characters, e.g. 16 hex digits."""
        ...

    def key(self, length: int) -> bytes:
        """Return so many random bytes, for a key and its salt."""
        ...


class CountedIdentifiers:
    """Make predictable names for tests and simulations: t1, t2, t3 ..."""

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self._count = 0

    def token(self) -> str:
        """Return the next name in order."""
        self._count += 1
        return f"{self._prefix}{self._count}"

    def key(self, length: int) -> bytes:
        """Return bytes that tell one key from the next, and nothing else."""
        self._count += 1
        return self._count.to_bytes(length, "big")
