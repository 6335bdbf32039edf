"""Session timers (RFC 4028): a call whose phone vanished without BYE ends by itself."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from appliance.errors import RemoteError
from appliance.sip.message import Request, Response
from appliance.sip.timers import TIMEOUT, Timer, TimerQueue
from appliance.sip.values import SessionExpires

MIN_SE = 90
"""Smallest interval we take, seconds (RFC 4028, section 4)."""


class TimerState(msgspec.Struct, frozen=True, array_like=True):
    """A session timer as it is saved."""

    interval: int
    minimum: int
    refreshing: bool
    due: float | None
    """Monotonic seconds of what comes next; None: no session was agreed yet."""


class SessionTimer:
    """Keep one leg's session interval: refresh it where that is our part, else see it lapse."""

    __slots__ = ("_fire", "_lapsed", "_refresh", "_timers", "interval", "minimum", "refreshing")

    def __init__(
        self,
        timers: TimerQueue,
        interval: int,
        refresh: Callable[[float], None],
        lapsed: Callable[[float], None],
    ) -> None:
        self._timers = timers
        self._refresh = refresh
        self._lapsed = lapsed
        self._fire: Timer | None = None
        self.interval = interval
        """Session interval in force or to be proposed, seconds."""
        self.minimum = MIN_SE
        """Largest Min-SE the peer has asked for, seconds."""
        self.refreshing = False
        """Whether refreshing is our part."""

    def offer_headers(self) -> list[tuple[str, str]]:
        """Return what a request of ours proposes; as its sender we take the part of refresher."""
        headers = [("Supported", "timer"), ("Session-Expires", f"{self.interval};refresher=uac")]
        if self.minimum > MIN_SE:
            headers.append(("Min-SE", str(self.minimum)))
        return headers

    def check(self, request: Request) -> None:
        """Raise RemoteError 422 for an interval that is too short (RFC 4028, section 9)."""
        asked = request.first("Session-Expires")
        if asked is not None and SessionExpires.parse(asked).seconds < MIN_SE:
            text = f"the session interval is shorter than {MIN_SE} s"
            raise RemoteError(422, text, (("Min-SE", str(MIN_SE)),))

    def accept(self, request: Request, now: float) -> list[tuple[str, str]]:
        """Take an INVITE or UPDATE of the peer; return the headers of its 2xx.

        Raises as `check` does.
        """
        self.check(request)
        asked = request.first("Session-Expires")
        supports = "timer" in request.supported
        refresher = ""
        if asked is not None:
            wanted = SessionExpires.parse(asked)
            refresher = wanted.refresher
            minimum = request.first("Min-SE")
            floor = SessionExpires.parse(minimum).seconds if minimum else MIN_SE
            self.interval = max(min(wanted.seconds, self.interval), floor, MIN_SE)
        if supports and refresher != "uas":
            self._arm(refreshing=False, now=now)
            return [("Require", "timer"), ("Session-Expires", f"{self.interval};refresher=uac")]
        self._arm(refreshing=True, now=now)
        headers = [("Session-Expires", f"{self.interval};refresher=uas")]
        return [("Require", "timer"), *headers] if supports else headers

    def answered(self, response: Response, now: float) -> None:
        """Take the peer's 2xx to a request with `offer_headers`."""
        agreed = _said(response, "Session-Expires")
        if agreed is not None:
            self.interval = max(agreed.seconds, MIN_SE)
        self._arm(refreshing=agreed is None or agreed.refresher != "uas", now=now)

    def too_small(self, response: Response) -> bool:
        """Take a 422; return whether trying again with a longer interval makes sense."""
        asked = _said(response, "Min-SE")
        if asked is None or asked.seconds <= self.interval:
            return False
        self.minimum = self.interval = asked.seconds
        return True

    def try_later(self, now: float, delay: float) -> None:
        """Refresh again after `delay` seconds: the last try met a glare (RFC 3261, 14.1)."""
        self._rearm(now + delay, self._refresh)

    @property
    def state(self) -> TimerState:
        """Return what a restart needs to go on with it."""
        due = self._fire.when if self._fire is not None else None
        return TimerState(self.interval, self.minimum, self.refreshing, due)

    def resume(self, state: TimerState, offset: float, now: float) -> None:
        """Go on from what an earlier process saved; `offset` brings its times onto this clock.

        A refresh of theirs that came while nobody listened is repeated for 64*T1 at most.
        """
        self.interval, self.minimum = state.interval, state.minimum
        self.refreshing = state.refreshing
        if state.due is None:
            return
        grace = 0.0 if state.refreshing else TIMEOUT
        fire = self._refresh if state.refreshing else self._lapsed
        self._rearm(max(state.due + offset, now + grace), fire)

    def stop(self) -> None:
        """Forget what comes next."""
        if self._fire is not None:
            self._fire.cancel()
            self._fire = None

    def close(self) -> None:
        """Stop for good and let go of the leg."""
        self.stop()
        self._refresh = self._lapsed = _nothing

    def _arm(self, *, refreshing: bool, now: float) -> None:
        self.refreshing = refreshing
        if refreshing:
            self._rearm(now + self.interval / 2, self._refresh)
        else:
            early = min(32.0, self.interval / 3)  # section 10: BYE a little before it lapses
            self._rearm(now + self.interval - early, self._lapsed)

    def _rearm(self, when: float, fire: Callable[[float], None]) -> None:
        self.stop()
        self._fire = self._timers.arm(when, fire)


def _said(response: Response, name: str) -> SessionExpires | None:
    """Return a header of a response; one that nobody can read counts as not there.

    A call is not lost for it: the 2xx that carries it has to be acknowledged all the same.
    """
    text = response.first(name)
    try:
        return SessionExpires.parse(text) if text is not None else None
    except RemoteError:
        return None


def _nothing(now: float) -> None:
    """Do what a session timer of an ended leg does."""
