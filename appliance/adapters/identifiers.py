"""Names nobody can guess: tags, branches, Call-IDs and nonce salts."""

from __future__ import annotations

import os

POOL = 4096
"""Random bytes drawn at a time: a token costs 0.2 µs, with a system call each it were 1.0."""
TOKEN = 16
"""Hex digits of a token: 64 bits (RFC 3261, 19.3, asks for 32)."""


class RandomIdentifiers:
    """Make names from the kernel's randomness; fulfils `sip.identifiers.Identifiers`."""

    def __init__(self) -> None:
        self._pool = ""
        self._next = 0

    def token(self) -> str:
        """Return 16 hex digits."""
        start = self._next
        if start >= len(self._pool):
            self._pool = os.urandom(POOL).hex()
            start = 0
        self._next = start + TOKEN
        return self._pool[start : self._next]

    def key(self, length: int) -> bytes:
        """Return bytes of which no other place has a copy."""
        return os.urandom(length)
