"""Slow down whoever guesses passwords: each failure makes the next try wait longer.

Nobody is ever locked out for good: in an outage the admin must get in while somebody else guesses.
A source waits up to a minute, an account up to ten seconds whoever asks for it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

FREE = 3
"""Failures that cost nothing: people mistype."""
LONGEST_FOR_SOURCE = 60.0
LONGEST_FOR_ACCOUNT = 10.0
"""Seconds. A guesser gets 8,640 tries a day at one account, from however many places."""
FORGET_AFTER = 900.0
"""Seconds without a failure after which all is forgotten."""
REMEMBERED = 4096
"""Sources and accounts; the longest silent ones are forgotten first."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    last: float = 0.0
    open_at: float = 0.0


class Patience:
    """Count failures by source address and by account."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, _Failures] = OrderedDict()

    def wait(self, source: str, name: str) -> float:
        """Return for how many seconds this source must not try this account; 0: go on."""
        now = self._clock()
        due = [known.open_at - now for key in _keys(source, name) if (known := self._recent(key))]
        return max(0.0, *due) if due else 0.0

    def failed(self, source: str, name: str) -> None:
        """Take a wrong password."""
        now = self._clock()
        longest = (LONGEST_FOR_SOURCE, LONGEST_FOR_ACCOUNT)
        for key, limit in zip(_keys(source, name), longest, strict=True):
            known = self._recent(key) or _Failures()
            known.count += 1
            known.last = now
            known.open_at = now + _pause(known.count, limit)
            self._known[key] = known
            self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def succeeded(self, source: str, name: str) -> None:
        """Take a right password: its source is forgiven, and so is the account."""
        for key in _keys(source, name):
            self._known.pop(key, None)

    def _recent(self, key: str) -> _Failures | None:
        known = self._known.get(key)
        if known is None or self._clock() - known.last > FORGET_AFTER:
            return None
        return known


def _keys(source: str, name: str) -> tuple[str, str]:
    return f"from {source}", f"for {name}"


def _pause(failures: int, limit: float) -> float:
    return 0.0 if failures <= FREE else min(limit, 2.0 ** min(failures - FREE - 1, 16))
