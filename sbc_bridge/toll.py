"""How much each user calls outside: limits, and what looks like fraud stops the user (E5).

All is counted on the monotonic clock in buckets of an hour at most, so that a user costs a few
dozen numbers, whatever is tried.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from appliance.bundle import CallLimits, User
from appliance.call.actions import Action, Notice, SaveStop
from appliance.call.line import Lines

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


class Stopped(msgspec.Struct, frozen=True, array_like=True):
    """A user who calls nowhere outside for now, emergency numbers apart; also the saved row."""

    user: str
    """Id of the bundle's user."""
    until: float
    """Monotonic seconds."""
    why: str


class _Window:
    """Count events of the last so many seconds; never more than are needed to say no."""

    __slots__ = ("_most", "_seconds", "_times")

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._times: deque[float] = deque(maxlen=most)

    def full(self, now: float) -> bool:
        """Tell whether one more would be too many."""
        while self._times and self._times[0] <= now - self._seconds:
            self._times.popleft()
        return len(self._times) >= self._most

    def add(self, now: float) -> None:
        """Count one."""
        self._times.append(now)


class _Account:
    """What one user has called and tried."""

    __slots__ = ("day", "foreign", "minute", "refused")

    def __init__(self, limits: CallLimits) -> None:
        self.minute = _Window(MINUTE, limits.per_minute)
        self.day = _Window(DAY, limits.per_day)
        self.foreign = _Window(HOUR, limits.international_per_hour)
        self.refused = _Window(HOUR, limits.refused_per_hour)


class Toll:
    """Know who has called how much, and who is stopped."""

    def __init__(self, emit: Callable[[Action], None], lines: Lines) -> None:
        self._emit = emit
        self._lines = lines
        self._limits = CallLimits()
        self._accounts: dict[str, _Account] = {}
        self._stopped: dict[str, Stopped] = {}

    def apply(self, limits: CallLimits, users: set[str]) -> None:
        """Keep these limits from now on; counts begin anew only where limits have changed."""
        if limits != self._limits:
            self._accounts.clear()
        self._limits = limits
        self._accounts = {id: one for id, one in self._accounts.items() if id in users}
        for id in self._stopped.keys() - users:
            self._let_go(id)

    def refusal(self, user: User, foreign: bool, now: float) -> str:
        """Return why a user's call would be too much, in words; empty: it is taken and counted."""
        stopped = self.stopped(user.id, now)
        if stopped is not None:
            return f"{user.name} is stopped: {stopped.why}"
        account, limits = self._account(user.id), self._limits
        if self._lines.paid_by(user.id) >= limits.concurrent:
            return f"{user.name} has {limits.concurrent} outside calls already"
        if account.minute.full(now):
            return f"{user.name} has begun {limits.per_minute} outside calls in a minute"
        if account.day.full(now):
            return f"{user.name} has begun {limits.per_day} outside calls in a day"
        if foreign and account.foreign.full(now):
            why = f"more than {limits.international_per_hour} international calls in an hour"
            return self._stop(user, why, now)
        account.minute.add(now)
        account.day.add(now)
        if foreign:
            account.foreign.add(now)
        return ""

    def refused(self, user: User, now: float) -> None:
        """Take that a user has tried what it may not; too often, it is stopped."""
        account = self._account(user.id)
        if account.refused.full(now) and self.stopped(user.id, now) is None:
            limit = self._limits.refused_per_hour
            self._stop(user, f"more than {limit} attempts at numbers it may not call", now)
        account.refused.add(now)

    def stopped(self, user: str, now: float) -> Stopped | None:
        """Return since what a user is stopped, if it is."""
        stopped = self._stopped.get(user)
        if stopped is not None and stopped.until <= now:
            self._let_go(user)
            return None
        return stopped

    def release(self, user: str) -> bool:
        """Let a user call outside again; False: it was not stopped."""
        self._accounts.pop(user, None)
        return self._let_go(user)

    def restore(self, rows: Iterable[bytes], offset: float) -> None:
        """Take who was stopped in the last process; `offset` brings times onto today's clock."""
        for row in rows:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError):
                one = msgspec.msgpack.decode(row, type=Stopped)
                self._stopped[one.user] = replace(one, until=one.until + offset)

    def rows(self, wall: Callable[[float], float], now: float) -> list[dict[str, Any]]:
        """Return who is stopped, for admins."""
        return [
            {"user": id, "until": wall(one.until), "reason": one.why}
            for id, one in self._stopped.items()
            if one.until > now
        ]

    def _account(self, user: str) -> _Account:
        account = self._accounts.get(user)
        if account is None:
            account = self._accounts[user] = _Account(self._limits)
        return account

    def _let_go(self, user: str) -> bool:
        if self._stopped.pop(user, None) is None:
            return False
        self._emit(SaveStop(user, None))
        return True

    def _stop(self, user: User, why: str, now: float) -> str:
        stopped = Stopped(user.id, now + self._limits.stopped_for, why)
        self._stopped[user.id] = stopped
        self._emit(SaveStop(user.id, msgspec.msgpack.encode(stopped)))
        text = f"{user.name} ({user.extension}) calls nowhere outside any more: {why}"
        self._emit(Notice("alarm", "trunk.fraud", text))
        return f"{user.name} is stopped: {why}"
