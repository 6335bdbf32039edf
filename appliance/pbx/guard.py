"""Slow down, then ban, whoever guesses passwords (B1, reliability 18).

A source is an IPv4 address or an IPv6 /64, the least a stranger can own. What counts is a wrong
answer to a challenge given to that very address (see `sip.digest.Nonces.issue`), so nobody can
fail in another's name by spoofing packets. From the fifth failure in five minutes each is followed
by a pause of 1, 2, 4 ... seconds in which nothing from there is looked at; the tenth is followed by
a ban of fifteen minutes.

One address may be a whole site behind a NAT, with one phone whose password is wrong. So where an
address holds good bindings, failures count for each claimed user name there, and for the address
itself only far above what broken phones do (`SHARED_FAILURES`). And a flow on which a user is
registered stays open to that user whatever the address did: `authentication` does not ask then.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address
from math import inf
from typing import NamedTuple

from appliance.call.actions import Action, Notice

WINDOW = 300.0
"""Seconds in which failures are counted together."""
SLOW_FROM = 5
"""Failures after which a pause follows each: a mistyped password is mended within four."""
FAILURES = 10
"""Failures that are a ban."""
SHARED_FAILURES = 200
"""The same for an address with good bindings: a dozen phones with wrong passwords reach half."""
BAN = 900.0
"""Seconds a ban lasts."""
CAPACITY = 50_000
"""Sources remembered, about 20 MB; the one that has been quiet longest is forgotten first."""
_LONGEST_NAME = 64
"""Characters kept of a claimed user name; a bundle allows no longer ones."""


class Ban(NamedTuple):
    """One ban that is in force."""

    source: str
    """An address, or an address and the user name claimed there."""
    seconds: int
    """How long it still lasts."""
    username: str
    """The name claimed last; whoever sent it chose it."""


class _Record:
    __slots__ = ("banned", "name", "times", "until")

    def __init__(self, limit: int) -> None:
        self.times: deque[float] = deque(maxlen=limit)
        """When the failures of the last `WINDOW` were."""
        self.name = ""
        """User name of the last failure."""
        self.until = -inf
        """Nothing from here is looked at before."""
        self.banned = False
        """`until` ends a ban, not a pause."""


class Guard:
    """Count failed log-ins by source, in bounded memory."""

    def __init__(self, emit: Callable[[Action], None], capacity: int = CAPACITY) -> None:
        self._emit = emit
        self._capacity = capacity
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def refuse(self, address: str, username: str, now: float) -> int:
        """Return for how many seconds this user name is not looked at from there; 0: it is now.

        Whoever tries the same name again during a pause counts as failed: a tool that doesn't wait
        is banned all the sooner. Others in the same place lose nothing but the time.
        """
        if not self._records:
            return 0
        source = _source(address)
        until = max(
            self._until(source, username, FAILURES, now),
            self._until(_named(source, username), username, FAILURES, now),
        )
        return int(until - now) + 1 if until > now else 0

    def failed(self, address: str, username: str, shared: bool, now: float) -> None:
        """Count a wrong password; `shared` tells that the address holds good bindings."""
        source = _source(address)
        if shared:
            self._count(_named(source, username), username, FAILURES, now)
            self._count(source, username, SHARED_FAILURES, now)
        else:
            self._count(source, username, FAILURES, now)

    def banned(self, now: float) -> list[Ban]:
        """Return the bans in force, the latest last."""
        return [
            Ban(source, int(record.until - now) + 1, record.name)
            for source, record in self._records.items()
            if record.banned and record.until > now
        ]

    def _until(self, source: str, username: str, limit: int, now: float) -> float:
        record = self._records.get(source)
        if record is None or record.until <= now:
            return -inf
        if record.name == username and not record.banned:
            self._count(source, username, limit, now)
        return record.until

    def _count(self, source: str, username: str, limit: int, now: float) -> None:
        record = self._record(source, limit)
        times = record.times
        times.append(now)
        while times[0] <= now - WINDOW:
            times.popleft()
        record.name, record.banned = username[:_LONGEST_NAME], len(times) >= limit
        if record.banned:
            times.clear()
            record.until = now + BAN
            self._tell("guard.ban", f"{source} is banned for {BAN / 60:.0f} minutes", limit, record)
        elif limit == FAILURES and len(times) >= SLOW_FROM:
            record.until = now + 2.0 ** (len(times) - SLOW_FROM)
            if len(times) == SLOW_FROM:
                self._tell("guard.slow", f"{source} is slowed down", SLOW_FROM, record)

    def _record(self, source: str, limit: int) -> _Record:
        records = self._records
        record = records.get(source)
        if record is None or record.times.maxlen != limit:
            # An address that gets or loses its good bindings is counted anew.
            record = records[source] = _Record(limit)
        records.move_to_end(source)
        if len(records) > self._capacity:
            records.popitem(last=False)
        return record

    def _tell(self, topic: str, what: str, failures: int, record: _Record) -> None:
        minutes = f"{WINDOW / 60:.0f} minutes"
        name = ascii(record.name)
        text = f"{what}: {failures} wrong passwords within {minutes}, the last one for {name}"
        self._emit(Notice("warning", topic, text))


def _source(address: str) -> str:
    if ":" not in address:
        return address
    parsed = IPv6Address(address)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _named(source: str, username: str) -> str:
    return f"{source} as {username[:_LONGEST_NAME]!r}"
