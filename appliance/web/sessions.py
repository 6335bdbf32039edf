"""Who is logged in: sessions in memory, known to the browser by a cookie that says nothing.

They end with the process. It starts again within seconds and people log in again, which is cheaper
than keys of live sessions on a disk.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

COOKIE = "__Host-holdfast"
"""The prefix makes browsers insist on HTTPS, on `/` and on this very host (RFC 6265bis)."""
IDLE = 3600.0
"""Seconds without any request before a session is over."""
LONGEST = 12 * 3600.0
"""Seconds a session may last at all: a shift."""
SESSIONS_LIMIT = 500
"""At a time, over all accounts."""
PER_ACCOUNT = 20
"""Sessions of one account; the oldest gives way."""


@dataclass(slots=True)
class Session:
    """One browser that somebody logged in with."""

    account: str
    csrf: str
    """What a form must carry: another site can make the browser send the cookie but not this."""
    begun: float
    """Monotonic seconds, as is `used`: a clock that is set ends or prolongs nothing."""
    used: float
    flash: dict[str, str] | None = None
    """What the next page tells: what was done, and a password or token that is shown once."""


class Sessions:
    """Begin, find and end sessions; `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: dict[bytes, Session] = {}

    def begin(self, account: str) -> tuple[str, Session]:
        """Make a session; return what its cookie says."""
        now = self._clock()
        self._forget_old(account, now)
        key = secrets.token_urlsafe(32)
        session = Session(account, secrets.token_urlsafe(32), now, now)
        self._sessions[_digest(key)] = session
        return key, session

    def find(self, key: str) -> Session | None:
        """Return the session of a cookie, which lives on by this, if it is still one."""
        now = self._clock()
        session = self._sessions.get(_digest(key))
        if session is None or _is_over(session, now):
            return None
        session.used = now
        return session

    def end(self, key: str) -> None:
        """End the session of a cookie."""
        self._sessions.pop(_digest(key), None)

    def end_all(self, account: str, but: Session | None = None) -> None:
        """End every session of an account: it is gone, or its password or role changed."""
        self._sessions = {
            key: session
            for key, session in self._sessions.items()
            if session.account != account or session is but
        }

    def _forget_old(self, account: str, now: float) -> None:
        live = {key: one for key, one in self._sessions.items() if not _is_over(one, now)}
        own = [key for key, one in live.items() if one.account == account]
        for key in own[: max(0, len(own) + 1 - PER_ACCOUNT)]:
            del live[key]
        while len(live) >= SESSIONS_LIMIT:
            del live[next(iter(live))]
        self._sessions = live


def _is_over(session: Session, now: float) -> bool:
    return now - session.used > IDLE or now - session.begun > LONGEST


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
