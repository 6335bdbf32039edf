"""Waiting for the answer to a request inside a dialog."""

from __future__ import annotations

from collections.abc import Callable

from appliance.sip.matching import ClientTransaction
from appliance.sip.message import Response
from appliance.sip.timers import Timer, TimerQueue

PATIENCE = 60.0
"""Seconds from a phone's first word on a re-INVITE to its answer. Once anything was said to it, an
INVITE waits for ever by itself (RFC 3261, 17.1.1.2), and with it all that is agreed after it."""


class Asked:
    """Wait for the final response to one request inside a dialog."""

    __slots__ = ("_done",)

    def __init__(self, done: Callable[[Response | None, int, float], None]) -> None:
        self._done = done

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Pass a final response on."""
        if response.status >= 200:
            self._done(response, response.status, now)

    def failed(self, tx: ClientTransaction | None, status: int, now: float) -> None:
        """Pass on that there will be no response: 408 for silence, 503 for a broken transport."""
        self._done(None, status, now)


class Reasked(Asked):
    """Wait for the answer to a re-INVITE; a phone that rings on and on is asked no longer.

    It ends as ever then: with the phone's 487, or with 408 where the phone is gone.
    """

    __slots__ = ("_timer", "_timers")

    def __init__(
        self, done: Callable[[Response | None, int, float], None], timers: TimerQueue
    ) -> None:
        super().__init__(done)
        self._timers = timers
        self._timer: Timer | None = None

    def response(self, tx: ClientTransaction, response: Response, now: float) -> None:
        """Pass a final response on; with the first other one the time begins."""
        if response.status >= 200:
            self._stop()
        elif self._timer is None:
            self._timer = self._timers.arm(now + PATIENCE, tx.cancel)
        super().response(tx, response, now)

    def failed(self, tx: ClientTransaction | None, status: int, now: float) -> None:
        """Pass on that there will be no response."""
        self._stop()
        super().failed(tx, status, now)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
